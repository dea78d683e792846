"""The numbers of a data directory against those known when it was made."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from csc_cli.errors import DataError
from csc_cli.kaldi.edit.stats import stats_of_data_dir


def test_from_the_recordings(make_data_dir: Callable[..., Path]) -> None:
    path = make_data_dir(speakers=3, utterances=2, seconds=0.5)
    soundfile.write(path / "wav" / "spk2-utt1.wav", np.zeros((48000, 2)), 16000)
    (path / "spk2gender").write_text("spk0 f\nspk1 f\nspk2 m\n")
    stats = stats_of_data_dir(path)
    assert (stats.utterances, stats.speakers, stats.recordings) == (6, 3, 6)
    assert stats.sample_rates == {"8000": 5, "16000": 1} and stats.channels == {"1": 5, "2": 1}
    assert stats.gender == {"f": 2, "m": 1}
    assert stats.seconds is not None and stats.seconds_per_speaker is not None
    assert (stats.seconds.total, stats.seconds.minimum, stats.seconds.median, stats.seconds.maximum) == (
        5.5,
        0.5,
        0.5,
        3,
    )
    assert (stats.seconds_per_speaker.minimum, stats.seconds_per_speaker.maximum) == (1.0, 3.5)
    assert stats.utterances_per_speaker.mean == 2
    assert json.loads(stats.to_json())["seconds"]["total"] == 5.5
    text = str(stats)
    assert f"{path}: 6 utterances of 3 speakers in 6 recordings, 0.00 h" in text and "8000: 5, 16000: 1" in text


def test_from_tables_alone(four: Path, segmented: Path) -> None:
    stats = stats_of_data_dir(four, audio=False)
    assert stats.seconds is not None and stats.seconds.total == pytest.approx(3.13)
    assert stats.sample_rates == {} and stats.tables == {
        "utt2dur": 13,
        "utt2num_frames": 13,
        "utt2spk": 13,
        "wav.scp": 13,
    }
    stats = stats_of_data_dir(segmented, audio=False)
    assert stats.seconds is not None and stats.seconds.total == 2.5 and stats.recordings == 2
    (four / "utt2dur").unlink()
    assert stats_of_data_dir(four, audio=False).seconds is None


def test_recordings_that_cannot_be_opened(four: Path) -> None:
    with pytest.raises(DataError, match=r"13 recordings cannot be opened, the first: /rec/anna-0.wav: cannot be read"):
        stats_of_data_dir(four)
