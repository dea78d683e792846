"""The entries of `csc lda` and `csc plda`: Kaldi's own commands of the reference, and what they refuse."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from csc_cli.backend.adapt import AdaptConfig
from csc_cli.backend.lda import LDA
from csc_cli.backend.model_files import read_matrix, read_plda
from csc_cli.backend.plda import Plda
from csc_cli.backend.settings import ChainSettings
from csc_cli.backend.statistics import SpeakerStatistics
from csc_cli.backend.train import adapt_plda, copy_plda, train_lda, train_plda
from csc_cli.errors import DataError

CHAIN = ChainSettings(mean="mean.vec", length_norm=True)


def same(ours: str, kaldi: str, tolerance: float = 1e-5) -> None:
    left, right = read_plda(ours), read_plda(kaldi)
    for part in ("mean_", "within_", "between_", "psi_"):
        assert getattr(left, part) == pytest.approx(getattr(right, part), abs=tolerance), part


@pytest.mark.parametrize("binary", [True, False])
def test_kaldis_commands(reference: Path, tmp_path: Path, binary: bool) -> None:
    out = f"{tmp_path}/out"
    train_plda("train.spk2utt", "train.scp", out, Plda(), CHAIN, binary=binary)
    same(out, "plda")
    lda = LDA(dim=16, total_covariance_factor=0.1)
    train_lda("train.scp", "ark:train.utt2spk", out, lda, ChainSettings(mean="mean.vec"), binary=binary)
    ours, kaldi = read_matrix(out), read_matrix("lda.mat")
    assert ours * np.sign(np.sum(ours * kaldi, axis=1))[:, None] == pytest.approx(kaldi, abs=1e-5)
    chain = ChainSettings(mean="mean.vec", transform="lda.mat", length_norm=True)
    train_plda("train.spk2utt", "train.scp", out, Plda(), chain, binary=binary)
    same(out, "plda.lda16")
    adapt_plda("plda", "adapt.scp", out, AdaptConfig(0.75, 0.25), CHAIN, binary=binary)
    same(out, "plda.adapted")
    copy_plda("plda", out, smoothing=0.1, binary=binary)
    same(out, "plda.smoothed.txt")
    copy_plda("plda", out, binary=binary)
    assert (Path(out).read_bytes() == Path("plda").read_bytes()) == binary


def test_statistics_of_blocks_are_those_of_the_whole() -> None:
    draw = np.random.default_rng(0)
    x, speakers = draw.normal(1e4, 1, size=(300, 3)), draw.integers(0, 40, 300)
    whole = SpeakerStatistics.of(x, speakers)
    parts = SpeakerStatistics.gather(((x[i : i + 7], speakers[i : i + 7]) for i in range(0, 300, 7)), 45)
    names = np.unique(speakers)
    assert whole.counts.tolist() == parts.counts.tolist() == [int((speakers == k).sum()) for k in names]
    means = np.stack([x[speakers == k].mean(axis=0) for k in names])
    scatter = sum((x[speakers == k] - m).T @ (x[speakers == k] - m) for k, m in zip(names, means, strict=True))
    for statistics in (whole, parts):
        assert statistics.means == pytest.approx(means, rel=1e-12)
        assert statistics.scatter == pytest.approx(scatter, rel=1e-7, abs=1e-7)
        assert statistics.covariance == pytest.approx(np.cov(x.T, bias=True), rel=1e-7, abs=1e-9)


@pytest.fixture
def files(table, tmp_path: Path) -> tuple[Path, str]:
    x = np.random.default_rng(0).normal(size=(30, 3))
    (tmp_path / "utt2spk").write_text("".join(f"u{i} s{i % 6}\n" for i in range(30)))
    (tmp_path / "spk2utt").write_text(
        "".join(f"s{k} {' '.join(f'u{i}' for i in range(30) if i % 6 == k)}\n" for k in range(6))
    )
    return tmp_path, table("x", {f"u{i}": vector for i, vector in enumerate(x)})


def test_utterances_without_a_vector(files) -> None:
    folder, name = files
    with open(folder / "utt2spk", "a") as stream:
        stream.write("u30 s9\nu31 s0\n")
    with open(folder / "spk2utt", "a") as stream:
        stream.write("s9 u30\ns8 u31\n")
    message = r"no vector for 2 of 32 utterance\(s\): u30, u31; .*--skip-missing"
    with pytest.raises(DataError, match=message):
        train_lda(name, folder / "utt2spk", f"{folder}/out", LDA(dim=2))
    with pytest.raises(DataError, match=message):
        train_plda(folder / "spk2utt", name, f"{folder}/out", Plda())
    assert not (folder / "out").exists()
    summary = train_plda(folder / "spk2utt", name, f"{folder}/out", Plda(), skip_missing=True)
    assert "30 utterances of 6 speakers" in summary and "no vector for 2 of 32" in summary
    (folder / "spk2utt").write_text("a x y\nb z\n")
    with pytest.raises(DataError, match=r"no vector for 3 of 3 utterance\(s\): x, y, z"):
        train_plda(folder / "spk2utt", name, f"{folder}/out", Plda(), skip_missing=True)


def test_vectors_without_a_speaker_do_not_count(files) -> None:
    folder, name = files
    for count, out in ((30, "all"), (24, "some")):
        lines = (folder / "utt2spk").read_text().splitlines()[:count]
        (folder / "u").write_text("".join(line + "\n" for line in lines))
        assert f"{count} utterances of 6 speakers" in train_lda(name, folder / "u", f"{folder}/{out}", LDA(dim=2))
    assert not np.allclose(read_matrix(f"{folder}/all"), read_matrix(f"{folder}/some"))


def test_an_utterance_of_two_speakers(files) -> None:
    folder, name = files
    for line, message in (("s9 u3 u5\n", "u3, u5"), ("s9 u99 u99\n", "some utterances")):
        text = (folder / "spk2utt").read_text()
        (folder / "twice").write_text(text + line)
        with pytest.raises(DataError, match=f"{message} stand in it twice"):
            train_plda(folder / "twice", name, f"{folder}/out", Plda())


def test_what_goes_wrong_names_the_table(files, table) -> None:
    folder, name = files
    (folder / "m").write_text(" [ 1 2 ]\n")
    with pytest.raises(DataError, match=r"^ark:.*x.ark: the mean has 2 values and the vectors 3"):
        train_plda(folder / "spk2utt", name, f"{folder}/out", Plda(), ChainSettings(mean=f"{folder}/m"))
    plda = f"{folder}/plda"
    train_plda(folder / "spk2utt", name, plda, Plda())
    (folder / "one").write_text("".join(f"u{i} s\n" for i in range(30)))
    with pytest.raises(DataError, match=r"x\.ark by .*/one: one speaker; LDA needs several"):
        train_lda(name, folder / "one", f"{folder}/out", LDA(dim=2))
    (folder / "single").write_text("".join(f"s{i} u{i}\n" for i in range(30)))
    with pytest.raises(DataError, match=r"x\.ark by .*/single: none of 30 speakers has two utterances"):
        train_plda(folder / "single", name, f"{folder}/out", Plda())
    with pytest.raises(DataError, match="the PLDA has 3 dimensions and the vectors 2"):
        adapt_plda(plda, table("y", {"a": np.ones(2), "b": np.zeros(2)}), f"{folder}/out", AdaptConfig())
    assert not (folder / "out").exists()
