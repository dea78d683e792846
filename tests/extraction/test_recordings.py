"""What is known of recordings before they are processed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from csc_cli.extraction.recordings import Failure, Recording, probe
from csc_cli.kaldi.datadir import DataDir


@pytest.mark.parametrize(("start_s", "end_s", "samples"), [(0.0, None, 8000), (0.25, 0.75, 4000)])
def test_a_pipe_is_as_its_file_and_runs_once(make_data_dir, tmp_path: Path, start_s, end_s, samples) -> None:
    utterance = replace(DataDir.load(make_data_dir()).utterances[0], start_s=start_s, end_s=end_s)
    pipe = replace(utterance, recording=f"echo x >> {tmp_path}/ran; cat {utterance.recording} |")
    for source in (utterance, pipe):
        found = probe(source, 16000)
        assert isinstance(found, Recording) and (found.sample_rate, found.samples) == (8000, samples)
        refused = probe(source, 16000, resample=False)
        assert isinstance(refused, Failure) and "is at 8000 Hz, the model at 16000 Hz" in refused.message
    assert (tmp_path / "ran").read_text() == "x\nx\n"
