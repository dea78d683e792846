"""One stream of each recording: against brute force, and talkers that were put together."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import numpy as np
import pytest

from csc_cli.backend import choose as module
from csc_cli.backend.choose import choose, choose_above, choose_streams
from csc_cli.backend.settings import ChainSettings
from csc_cli.errors import ConfigError, DataError
from csc_cli.progress import set_quiet


def unit(x: np.ndarray) -> np.ndarray:
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("exhaustive", [module.EXHAUSTIVE, 1])
def test_the_sum_of_cosines_is_largest(seed: int, exhaustive: int, monkeypatch) -> None:
    monkeypatch.setattr(module, "EXHAUSTIVE", exhaustive)
    draw = np.random.default_rng(seed)
    recordings = [unit(draw.normal(size=(draw.integers(1, 4), 6))) for _ in range(5)]

    def total(streams: tuple[int, ...]) -> float:
        chosen = [x[c] for x, c in zip(recordings, streams, strict=True)]
        return sum(float(a @ b) for i, a in enumerate(chosen) for b in chosen[:i])

    best = max(product(*(range(len(x)) for x in recordings)), key=total)
    choice = choose(recordings)
    if exhaustive > 1:
        assert choice.streams == best
    else:  # by climbing: near enough
        assert total(choice.streams) > total(best) - 0.3
    chosen = np.stack([x[c] for x, c in zip(recordings, choice.streams, strict=True)])
    others = [np.mean([a @ b for j, b in enumerate(chosen) if j != i]) for i, a in enumerate(chosen)]
    assert choice.similarity == pytest.approx(others)


@pytest.mark.parametrize("recordings", [3, 4, 30])
def test_the_talker_whom_all_have_in_common_is_found(recordings: int) -> None:
    """Of two or three talkers in random order; 30 recordings are too many to try all choices."""
    draw = np.random.default_rng(recordings)
    speaker = unit(draw.normal(size=64))
    streams, where = [], []
    for _ in range(recordings):
        own = unit(speaker + 0.5 * unit(draw.normal(size=64)))
        others = unit(draw.normal(size=(draw.integers(1, 3), 64)))
        where.append(int(draw.integers(0, len(others) + 1)))
        streams.append(np.insert(others, where[-1], own, axis=0))
    assert choose(streams).streams == tuple(where)


def test_a_recording_without_the_speaker_goes_out() -> None:
    draw = np.random.default_rng(0)
    speaker = unit(draw.normal(size=64))
    recordings = [unit(np.stack([speaker + 0.05 * draw.normal(size=64), draw.normal(size=64)])) for _ in range(4)]
    recordings.insert(2, unit(draw.normal(size=(2, 64))))
    kept, gone, choice = choose_above(recordings, 0.4)
    assert list(kept) == [0, 1, 3, 4] and choice.streams == (0, 0, 0, 0) and min(kept.values()) > 0.4
    assert tuple(kept.values()) == choice.similarity
    # What went out is told with the cosine that it had: its better stream's, with the speaker's.
    voices = [x[0] for r, x in enumerate(recordings) if r != 2]
    assert gone == {2: pytest.approx(max(np.mean([x @ voice for voice in voices]) for x in recordings[2]))}


def test_of_two_that_disagree_neither_stays() -> None:
    a, b = (np.array([[1.0, 0.0]]), np.array([[0.6, 0.8]]))
    kept, gone, _ = choose_above([a, b], 0.7)
    assert kept == {} and gone == {0: pytest.approx(0.6), 1: pytest.approx(0.6)}
    assert list(choose_above([a, b], 0.5)[0]) == [0, 1]


def test_one_recording_is_taken_as_it_is() -> None:
    choice = choose([unit(np.ones((3, 2)))])
    assert choice.streams == (0,) and np.isnan(choice.similarity[0])


@pytest.fixture
def files(table, tmp_path: Path):
    """Speakers s0, s1 (3 recordings of 2 streams, one of s1's without its speaker), s2 (one recording)."""
    draw = np.random.default_rng(1)
    mean = 20 * draw.normal(size=64)
    vectors, spk2utt, utt2streams = {}, {}, {}
    for s, count in enumerate((3, 4, 1)):
        voice = unit(draw.normal(size=64))
        spk2utt[f"s{s}"] = [f"s{s}-r{r}" for r in range(count)]
        for r, utterance in enumerate(spk2utt[f"s{s}"]):
            utt2streams[utterance] = [f"{utterance}-s1", f"{utterance}-s2"]
            pair = [draw.normal(size=64) / 8, voice + 0.05 * draw.normal(size=64)]
            if (s, r) == (1, 2):
                pair[1] = draw.normal(size=64) / 8
            vectors |= {key: x + mean for key, x in zip(utt2streams[utterance], pair[:: (-1) ** r], strict=True)}
    for name, lines in (("spk2utt", spk2utt), ("utt2streams", utt2streams)):
        (tmp_path / name).write_text("".join(f"{key} {' '.join(of)}\n" for key, of in lines.items()))
    return tmp_path, table("x", vectors), vectors, mean


def run(files, **settings):
    folder, name, _, mean = files
    (folder / "mean").write_text(f" [ {' '.join(map(str, mean))} ]\n")
    tables = folder / "spk2utt", folder / "utt2streams", name, folder / "out"
    return choose_streams(*tables, settings=ChainSettings(mean=f"{folder}/mean"), **settings)


def test_files(files) -> None:
    folder, *_ = files
    summary = run(files, threshold=0.4, report=folder / "report")
    assert "7 streams of 3 speakers, 1 recordings left out" in summary
    assert (folder / "out").read_text() == (
        "s0 s0-r0-s2 s0-r1-s1 s0-r2-s2\ns1 s1-r0-s2 s1-r1-s1 s1-r3-s1\ns2 s2-r0-s1\n"
    )
    rows = [line.split() for line in (folder / "report").read_text().splitlines()]
    (lost,) = (row for row in rows if row[4] == "left-out")
    assert lost[1:3] == ["s1-r2", "-"] and float(lost[3]) < 0.4
    assert all(float(row[3]) > 0.4 for row in rows if row[4] == "chosen" and row[0] != "s2")


def test_a_speaker_of_whom_no_recordings_agree(files) -> None:
    folder, *_ = files
    set_quiet(True)
    with pytest.raises(DataError, match=r"2 of 3 speakers have no two recordings that agree: s0, s1; "):
        run(files, threshold=0.99)
    set_quiet(False)
    assert (folder / "out").read_text() == "s2 s2-r0-s1\n"


def test_what_is_missing(files, table) -> None:
    folder, _, vectors, _ = files
    with pytest.raises(ConfigError, match="--threshold 1"):
        run(files, threshold=1.0)
    table("x", {key: x for key, x in vectors.items() if key != "s1-r0-s2"})
    with pytest.raises(DataError, match=r"no vector for 1 of 16 stream\(s\).*: s1-r0-s2"):
        run(files)
    (folder / "utt2streams").write_text("s0-r0 s0-r0-s1\n")
    with pytest.raises(DataError, match=r"no streams for 7 of 8 recording\(s\): s0-r1, "):
        run(files)
