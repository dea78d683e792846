"""`csc vad` on data directories, and its tables read back in every form."""

from __future__ import annotations

from pathlib import Path

import kaldiio
import numpy as np
import pytest
import soundfile

from csc_cli.errors import DataError
from csc_cli.kaldi.audio import read_audio
from csc_cli.kaldi.datadir import DataDir
from csc_cli.kaldi.tables import MatrixWriter, VectorWriter, write_int_vectors
from csc_cli.kaldi.vad import FrameConfig, VadConfig, decide, log_energies
from csc_cli.kaldi.vad_files import VadTable, read_decisions, vad_data_dir


def expected(data: Path, vad: VadConfig = VadConfig(), frames: FrameConfig = FrameConfig()) -> dict[str, np.ndarray]:  # noqa: B008
    found = {}
    for utterance in DataDir.load(data).utterances:
        samples, rate = read_audio(utterance)
        found[utterance.id] = decide(log_energies(samples, rate, frames), vad).astype(np.float32)
    return found


def same(table: dict[str, np.ndarray], known: dict[str, np.ndarray]) -> bool:
    return list(table) == list(known) and all(np.array_equal(table[key], known[key]) for key in known)


@pytest.mark.parametrize("nj", [1, 2])
def test_the_audio_decides(make_data_dir, tmp_path: Path, nj: int) -> None:
    data = make_data_dir(seconds=0.7)
    summary = vad_data_dir(data, nj=nj)
    table = dict(kaldiio.load_scp(f"{data}/vad.scp"))
    known = expected(data)
    assert same(table, known)
    share = 100 * np.mean(np.concatenate(list(known.values())))
    assert f"4 utterances, {share:.1f} % of {sum(map(len, known.values()))} frames" in summary
    assert "by the log energy of the audio" in summary
    assert 0 < share < 100
    config, frames = VadConfig(9.0, 0.2, 3, 0.4), FrameConfig(snip_edges=False, dither=0.0)
    vad_data_dir(data, vad=config, frames=frames, out_dir=tmp_path / "out", nj=nj)
    assert same(dict(kaldiio.load_scp(f"{data}/vad.scp")), expected(data, config, frames))
    assert (tmp_path / "out" / "vad.ark").exists()


@pytest.mark.parametrize("source", ["auto", "feats"])
def test_features_decide(make_data_dir, source: str) -> None:
    data = make_data_dir()
    draw = np.random.default_rng(0)
    feats = {u.id: draw.normal(10, 5, (40, 3)).astype(np.float32) for u in DataDir.load(data).utterances}
    with MatrixWriter(f"ark,scp:{data}/feats.ark,{data}/feats.scp", 2) as writer:
        for key, matrix in feats.items():
            writer.write(key, matrix)
    assert "by column 0 of feats.scp" in vad_data_dir(data, source=source)
    packed = dict(kaldiio.load_scp(f"{data}/feats.scp"))
    known = {key: decide(matrix[:, 0], VadConfig()).astype(np.float32) for key, matrix in packed.items()}
    assert same(dict(kaldiio.load_scp(f"{data}/vad.scp")), known)
    assert "of the audio" in vad_data_dir(data, source="audio")


def test_utterances_that_fail_or_have_no_speech(make_data_dir, capsys: pytest.CaptureFixture[str]) -> None:
    data = make_data_dir(speakers=1, utterances=4)
    soundfile.write(data / "wav" / "spk0-utt0.wav", np.zeros(8000), 8000)
    soundfile.write(data / "wav" / "spk0-utt1.wav", np.ones(100), 8000)
    (data / "wav" / "spk0-utt2.wav").write_bytes(b"nothing")
    with pytest.raises(
        DataError, match=r"2 utterances are not in vad.scp: .*spk0-utt1.*shorter than a frame.*spk0-utt2"
    ):
        vad_data_dir(data)
    assert "2 utterances" in capsys.readouterr().err
    table = dict(kaldiio.load_scp(f"{data}/vad.scp"))
    assert list(table) == ["spk0-utt0", "spk0-utt3"] and not table["spk0-utt0"].any()
    with pytest.raises(DataError, match="2 utterances are not"):
        vad_data_dir(data, omit_unvoiced=True)
    assert list(kaldiio.load_scp(f"{data}/vad.scp")) == ["spk0-utt3"]
    soundfile.write(data / "wav" / "spk0-utt3.wav", np.ones(100), 8000)
    soundfile.write(data / "wav" / "spk0-utt0.wav", np.ones(100), 8000)
    before = (data / "vad.scp").read_bytes(), (data / "vad.ark").read_bytes()
    with pytest.raises(DataError, match="no utterance could be decided on"):
        vad_data_dir(data)
    assert ((data / "vad.scp").read_bytes(), (data / "vad.ark").read_bytes()) == before
    with pytest.raises(DataError, match="divide at commas"):
        vad_data_dir(data, out_dir=data / "a,b")


def test_decisions_in_every_form(tmp_path: Path) -> None:
    known = {"a": np.array([True, False, True]), "b": np.array([False])}
    for form in ("ark", "ark,t"):
        with VectorWriter(f"{form}:{tmp_path}/{form}.float") as writer:
            for key, voiced in known.items():
                writer.write(key, voiced)
        write_int_vectors(f"{form}:{tmp_path}/{form}.int", known)
    (tmp_path / "kaldi").write_text("a  [ 1 0 1 ]\nb  [ 0 ]\n")
    kaldiio.save_ark(f"{tmp_path}/k", {k: v.astype(np.int32) for k, v in known.items()}, scp=f"{tmp_path}/k.scp")
    names = [f"ark:{tmp_path}/{form}.{kind}" for form in ("ark", "ark,t") for kind in ("float", "int")]
    for rspecifier in (*names, f"ark:{tmp_path}/kaldi", f"scp:{tmp_path}/k.scp", f"ark:cat {tmp_path}/k |"):
        assert same(read_decisions(rspecifier, ["a", "b"]), known), rspecifier
    with pytest.raises(DataError, match="no decisions for 2 of 3 utterances: c, d"):
        read_decisions(names[0], ["c", "a", "d"])
    kaldiio.save_ark(f"{tmp_path}/m", {"a": np.ones((2, 2), np.float32)})
    with pytest.raises(DataError, match="'a' is a matrix"):
        read_decisions(f"ark:{tmp_path}/m", ["a"])
    (tmp_path / "bad").write_text("a 1 0 x\n")
    with pytest.raises(DataError, match="'a': '1 0 x' is no whole number"):
        read_decisions(f"ark:{tmp_path}/bad", ["a"])


def test_a_table_of_decisions_by_utterance(make_data_dir) -> None:
    data = make_data_dir()
    with pytest.raises(DataError, match="is not there; run csc vad"):
        VadTable.of(DataDir.load(data))
    vad_data_dir(data, frames=FrameConfig(snip_edges=False))
    loaded = DataDir.load(data)
    table = VadTable.of(loaded)
    utterance = loaded.utterances[0]
    voiced = expected(data, frames=FrameConfig(snip_edges=False))[utterance.id].astype(bool)
    marked = np.zeros(len(voiced), bool)
    for first_s, end_s in table.subset([utterance]).ranges(utterance):
        marked[round(first_s * 100) : round(end_s * 100)] = True
    assert np.array_equal(marked, voiced)
    digest = table.digest()
    assert VadTable.of(DataDir.load(data)).digest() == digest
    vad_data_dir(data, vad=VadConfig(energy_threshold=9))
    assert VadTable.of(DataDir.load(data)).digest() != digest
    lines = (data / "vad.scp").read_text().splitlines(keepends=True)
    (data / "vad.scp").write_text("".join(lines[1:]))
    with pytest.raises(DataError, match="lacks 1 of 4 utterances: spk0-utt0"):
        VadTable.of(DataDir.load(data))
