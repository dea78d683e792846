"""Speech cut out of recordings: the right samples, however they are read, and the vectors of those alone."""

from __future__ import annotations

import dataclasses
from itertools import pairwise

import kaldiio
import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from csc_cli.errors import AudioError, ConfigError, DataError
from csc_cli.extraction import cuts
from csc_cli.extraction.cuts import Cut
from csc_cli.extraction.embed import embed_data_dir
from csc_cli.extraction.recordings import Recording, piece_reader, probe, read_whole
from csc_cli.kaldi.datadir import DataDir
from csc_cli.kaldi.tables import write_int_vectors


def mask_of(cut: Cut) -> np.ndarray:
    mask = np.zeros(cut.samples, bool)
    for first, end in cut.ranges:
        mask[first:end] = True
    return mask


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.booleans(), min_size=1, max_size=30), st.integers(0, 2500), st.integers(0, 2500), st.integers(0, 500)
)
def test_any_part_of_what_is_kept(voiced: list[bool], start: int, stop: int, gap: int) -> None:
    samples = np.arange(80 * len(voiced))
    if not any(voiced):
        with pytest.raises(AudioError, match="no voiced frame"):
            Cut.of(np.array(voiced), len(samples), 8000)
        return
    cut = Cut.of(np.array(voiced), len(samples), 8000)
    kept = samples[np.repeat(voiced, 80)]
    assert cut.kept == len(kept) and np.array_equal(cut.apply(samples), kept)
    start, stop = sorted((start % len(kept), stop % (len(kept) + 1)))
    if start == stop:
        return
    asked = []

    def read(first: int, end: int) -> np.ndarray:
        asked.append((first, end))
        return samples[first:end]

    most, cuts.MOST_BETWEEN = cuts.MOST_BETWEEN, gap
    try:
        assert np.array_equal(cut.read(read, start, stop), kept[start:stop])
    finally:
        cuts.MOST_BETWEEN = most
    assert all(b[0] - a[1] > gap for a, b in pairwise(asked))


@pytest.fixture
def data(make_data_dir):
    """Utterances of which every third 10 ms is speech, it says, and the table that says it."""
    data = make_data_dir(seconds=1.0)
    voiced = np.arange(100) % 3 == 0
    write_int_vectors(f"ark:{data}/vad.ark", {utt.id: voiced for utt in DataDir.load(data).utterances})
    return data


def test_whole_and_in_pieces_as_file_and_as_pipe(data) -> None:
    utterance = DataDir.load(data).utterances[0]
    samples, _ = soundfile.read(utterance.recording, dtype="float32")
    expected = samples[np.repeat(np.arange(100) % 3 == 0, 80)]
    voiced = {utterance.id: np.arange(100) % 3 == 0}
    for recording in (utterance.recording, f"cat {utterance.recording} |"):
        probed = probe(dataclasses.replace(utterance, recording=recording), 8000, True, voiced)
        assert isinstance(probed, Recording) and probed.samples == len(expected) == 34 * 80
        assert np.array_equal(read_whole(probed, 8000), expected)
        read = piece_reader(probed)
        pieces = [read(start, min(start + 999, probed.samples)) for start in range(0, probed.samples, 999)]
        assert np.array_equal(np.concatenate(pieces), expected)


def test_the_vectors_are_those_of_recordings_that_were_cut_before(data, make_model_dir, tmp_path) -> None:
    model = make_model_dir()
    embed_data_dir(model, data, tmp_path / "cut", vad=f"ark:{data}/vad.ark")
    for path in (data / "wav").iterdir():
        samples, rate = soundfile.read(path, dtype="int16")
        soundfile.write(path, samples[np.repeat(np.arange(100) % 3 == 0, 80)], rate)
    embed_data_dir(model, data, tmp_path / "before")
    for name in ("xvector", "spk_xvector"):
        cut, before = (dict(kaldiio.load_scp(f"{tmp_path}/{folder}/{name}.scp")) for folder in ("cut", "before"))
        assert list(cut) == list(before)
        assert all(np.array_equal(cut[key], before[key]) for key in before)


def test_long_recordings_are_cut_too(make_data_dir, make_model_dir, tmp_path, monkeypatch) -> None:
    from csc_cli.extraction import batches

    monkeypatch.setattr(batches, "WHOLE_S", 3.0)
    data = make_data_dir(speakers=1, utterances=1, seconds=12.0)
    voiced = (np.arange(1200) // 50) % 3 > 0
    write_int_vectors(f"ark:{data}/vad.ark", {"spk0-utt0": voiced})
    model = make_model_dir()
    embed_data_dir(model, data, tmp_path / "cut", vad=f"{data}/vad.ark")
    path = data / "wav" / "spk0-utt0.wav"
    samples, rate = soundfile.read(path, dtype="int16")
    soundfile.write(path, samples[np.repeat(voiced, 80)], rate)
    embed_data_dir(model, data, tmp_path / "before")
    cut, before = (dict(kaldiio.load_scp(f"{tmp_path}/{folder}/xvector.scp")) for folder in ("cut", "before"))
    assert np.array_equal(cut["spk0-utt0"], before["spk0-utt0"])


def test_other_decisions_are_another_result(data, make_model_dir, tmp_path) -> None:
    model, out = make_model_dir(), tmp_path / "x"
    first = embed_data_dir(model, data, out, vad=f"ark:{data}/vad.ark")
    assert "nothing to do" in embed_data_dir(model, data, out, vad=f"ark:cat {data}/vad.ark |")
    assert "nothing to do" not in embed_data_dir(model, data, out)
    table = {utt.id: np.ones(100, int) for utt in DataDir.load(data).utterances}
    write_int_vectors(f"ark:{data}/vad.ark", table)
    assert embed_data_dir(model, data, out, vad=f"ark:{data}/vad.ark") == first


def test_decisions_that_cannot_be_used(data, make_model_dir, tmp_path) -> None:
    model = make_model_dir()
    write_int_vectors(f"ark:{data}/few.ark", {"spk0-utt0": np.ones(100, int)})
    with pytest.raises(DataError, match="no decisions for 3 of 4 utterances"):
        embed_data_dir(model, data, tmp_path / "x", vad=f"ark:{data}/few.ark")
    with pytest.raises(ConfigError, match="leave --vad out"):
        embed_data_dir(model, data, tmp_path / "x", vad=f"ark:{data}/vad.ark", sources=True)
    table = {utt.id: np.ones(100, int) for utt in DataDir.load(data).utterances}
    table["spk0-utt0"], table["spk0-utt1"] = np.zeros(100, int), np.ones(50, int)
    write_int_vectors(f"ark:{data}/bad.ark", table)
    with pytest.raises(DataError) as error:
        embed_data_dir(model, data, tmp_path / "x", vad=f"ark:{data}/bad.ark")
    assert "spk0-utt0" in str(error.value) and "2 of 4" in str(error.value)
    assert list(kaldiio.load_scp(f"{tmp_path}/x/xvector.scp")) == ["spk1-utt0", "spk1-utt1"]
