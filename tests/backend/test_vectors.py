"""Tables averaged, centred, scaled, projected: against Kaldi's own programs, and by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from csc_cli.backend.vectors import mean_vector, normalize_length, speaker_means, subtract_mean, transform
from csc_cli.errors import DataError
from csc_cli.kaldi.objects import read_array_file
from csc_cli.kaldi.tables import read_ints, read_vectors_dict


def close(ours: str, kaldi: str, tolerance: float = 1e-5) -> None:
    left, right = read_vectors_dict(ours), read_vectors_dict(kaldi)
    assert list(left) == list(right)
    for key, vector in left.items():
        assert vector == pytest.approx(right[key], abs=tolerance), key


def test_as_kaldi(reference: Path, tmp_path: Path) -> None:
    """The chains of the reference's README, program by program."""
    mean_vector("train.scp", f"{tmp_path}/mean.vec")
    assert read_array_file(f"{tmp_path}/mean.vec") == pytest.approx(read_array_file("mean.vec"), abs=1e-6)
    subtract_mean("mean.vec", "test.scp", f"ark:{tmp_path}/centred")
    close(f"ark:{tmp_path}/centred", "ark,t:test.centred.txt")
    normalize_length(f"ark:{tmp_path}/centred", f"ark:{tmp_path}/normalised")
    close(f"ark:{tmp_path}/normalised", "ark,t:test.length_normalised.txt")
    transform("lda.mat", f"ark:{tmp_path}/centred", f"ark:{tmp_path}/projected")
    close(f"ark:{tmp_path}/projected", "ark,t:test.lda16.txt")
    for lda, kaldi in ((False, "ark:enroll_spk.ark"), (True, "ark:enroll_spk.lda16.ark")):
        subtract_mean("mean.vec", "enroll.scp", f"ark:{tmp_path}/a")
        if lda:
            transform("lda.mat", f"ark:{tmp_path}/a", f"ark:{tmp_path}/a2")
        normalize_length(f"ark:{tmp_path}/a{'2' if lda else ''}", f"ark:{tmp_path}/b")
        summary = speaker_means("enroll.spk2utt", f"ark:{tmp_path}/b", f"ark:{tmp_path}/c", f"ark,t:{tmp_path}/n")
        close(f"ark:{tmp_path}/c", kaldi)
        assert read_ints(f"ark:{tmp_path}/n") == read_ints("ark:enroll_num_utts.ark")
        assert f"20 speakers of {sum(read_ints(f'ark:{tmp_path}/n').values())} utterances" in summary


def test_binary_or_text(reference: Path, tmp_path: Path) -> None:
    for binary, start in ((True, b"\0BDV "), (False, b" [ ")):
        mean_vector("train.scp", f"{tmp_path}/mean.vec", binary=binary)
        assert (tmp_path / "mean.vec").read_bytes().startswith(start)
        assert read_array_file(f"{tmp_path}/mean.vec") == pytest.approx(read_array_file("mean.vec"), abs=1e-6)


def test_its_own_mean_and_unit_length(table, tmp_path: Path) -> None:
    x = np.random.default_rng(0).normal(2, 1, size=(7, 3))
    name = table("x", {f"u{i}": vector for i, vector in enumerate(x)})
    subtract_mean(None, name, f"ark:{tmp_path}/y")
    y = np.stack(list(read_vectors_dict(f"ark:{tmp_path}/y").values()))
    assert y == pytest.approx(x - x.mean(axis=0), abs=1e-6)
    normalize_length(name, f"ark:{tmp_path}/z", scaleup=False)
    z = np.stack(list(read_vectors_dict(f"ark:{tmp_path}/z").values()))
    assert z == pytest.approx(x / np.linalg.norm(x, axis=1, keepdims=True), abs=1e-6)


def test_an_utterance_may_count_for_several_speakers(table, tmp_path: Path) -> None:
    x = np.random.default_rng(1).normal(size=(4, 2))
    name = table("x", {f"u{i}": vector for i, vector in enumerate(x)})
    (tmp_path / "spk2utt").write_text("b u3 u0\na u0 u1 u2 u3\n")
    speaker_means(tmp_path / "spk2utt", name, f"ark:{tmp_path}/y")
    y = read_vectors_dict(f"ark:{tmp_path}/y")
    assert list(y) == ["b", "a"]
    assert y["a"] == pytest.approx(x.mean(axis=0), abs=1e-6) and y["b"] == pytest.approx(
        x[[0, 3]].mean(axis=0), abs=1e-6
    )


def test_missing_vectors_are_counted(table, tmp_path: Path) -> None:
    name = table("x", {"u0": np.ones(2), "u1": np.zeros(2)})
    (tmp_path / "spk2utt").write_text("a u0 u1 u2\nb u3 u4\n")
    with pytest.raises(DataError, match=r"no vector for 3 of 5 utterance\(s\): u2, u3, u4; .*--skip-missing"):
        speaker_means(tmp_path / "spk2utt", name, f"ark:{tmp_path}/y")
    assert not (tmp_path / "y").exists()
    summary = speaker_means(tmp_path / "spk2utt", name, f"ark:{tmp_path}/y", f"ark:{tmp_path}/n", skip_missing=True)
    assert "1 speakers of 2 utterances, 1 speakers left out" in summary and "u2, u3, u4" in summary
    assert list(read_vectors_dict(f"ark:{tmp_path}/y")) == ["a"] and read_ints(f"ark:{tmp_path}/n") == {"a": 2}
    (tmp_path / "spk2utt").write_text("b u3 u4\n")
    with pytest.raises(DataError, match="no vector for 2 of 2"):
        speaker_means(tmp_path / "spk2utt", name, f"ark:{tmp_path}/y", skip_missing=True)


def test_what_goes_wrong_names_the_table(table, tmp_path: Path) -> None:
    name, out = table("x", {"u0": np.ones(2), "u1": np.zeros(2)}), f"ark:{tmp_path}/y"
    (tmp_path / "m").write_text(" [ 1 2 3 ]\n")
    for action in (lambda: normalize_length(name, out), lambda: subtract_mean(f"{tmp_path}/m", name, out)):
        with pytest.raises(DataError, match=r"^ark:.*x.ark: "):
            action()
        assert not (tmp_path / "y").exists()
