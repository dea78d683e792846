"""SI-SNR of wavs on disk, against figures worked out from the signals themselves."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from csc_cli.errors import DataError
from csc_cli.metrics.separation_files import measure_data_dir

RATE = 8000


def brute_si_snr(estimate: np.ndarray, reference: np.ndarray) -> float:
    estimate, reference = estimate - estimate.mean(), reference - reference.mean()
    target = (estimate @ reference) / (reference @ reference) * reference
    return 10 * np.log10((target @ target) / ((estimate - target) @ (estimate - target)))


class Folders:
    """A data directory of mixtures of two, with references, and separated streams in changing order."""

    def __init__(self, path: Path, utterances: int = 4) -> None:
        self.data, self.out = path / "data", path / "out"
        self.expected: dict[str, tuple[np.ndarray, np.ndarray]] = {}
        self.lines: dict[str, list[str]] = {}
        draw = np.random.default_rng(5)
        for index in range(utterances):
            key = f"u{index}"
            talkers = draw.normal(0, 0.05, (2, 4000)) * np.array([[1.0], [0.5]])
            mixture = talkers.sum(0)
            streams = talkers + draw.normal(0, 0.01 * (1 + index), (2, 4000))
            swapped = streams[::-1] if index % 2 else streams
            wavs = {"data/wav": mixture, "data/spk1": talkers[0], "data/spk2": talkers[1]}
            wavs |= {"out/spk1": swapped[0], "out/spk2": swapped[1]}
            wavs = {name: self.write(path / name / f"{key}.wav", x) for name, x in wavs.items()}
            truth = [wavs["data/spk1"], wavs["data/spk2"]]
            heard = [wavs["out/spk1"], wavs["out/spk2"]][:: -1 if index % 2 else 1]
            si_snr = np.array([brute_si_snr(a, b) for a, b in zip(heard, truth)])
            before = np.array([brute_si_snr(wavs["data/wav"], b) for b in truth])
            self.expected[key] = si_snr, si_snr - before
            self.add("data/utt2spk", f"{key} {key}")
            self.add("data/spk2utt", f"{key} {key}")
        for name, lines in self.lines.items():
            (path / ("data/wav.scp" if name == "data/wav.scp" else name)).write_text("".join(x + "\n" for x in lines))

    def write(self, path: Path, samples: np.ndarray) -> np.ndarray:
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, samples, RATE, "FLOAT")
        folder = path.parent.parent.name
        self.add(f"{folder}/{path.parent.name}.scp", f"{path.stem} {path}")
        return soundfile.read(path)[0]

    def add(self, name: str, line: str) -> None:
        self.lines.setdefault(name, []).append(line)

    def mean(self, keys: list[str]) -> tuple[float, float]:
        return tuple(float(np.mean([self.expected[key][part].mean() for key in keys])) for part in (0, 1))


@pytest.fixture
def folders(tmp_path):
    return Folders(tmp_path)


def test_under_the_best_permutation(folders):
    text = measure_data_dir(folders.out, folders.data)
    result = json.loads((folders.out / "si_snr.json").read_text())
    for key, (si_snr, improvement) in folders.expected.items():
        np.testing.assert_allclose(result["utterances"][key]["si_snr"], si_snr, atol=1e-6)
        np.testing.assert_allclose(result["utterances"][key]["improvement"], improvement, atol=1e-6)
        assert result["utterances"][key]["stream"] == ([2, 1] if int(key[1:]) % 2 else [1, 2])
    mean = folders.mean(list(folders.expected))
    middle = sorted(improvement.mean() for _, improvement in folders.expected.values())[1:3]
    median = sum(middle) / 2
    assert text.split() == [
        "all",
        "SI-SNR",
        f"{mean[0]:.2f}",
        "dB,",
        "SI-SNRi",
        f"{mean[1]:.2f}",
        "dB",
        "(median",
        f"{median:.2f}),",
        "4",
        "recordings",
    ]
    assert result["mean"]["all"] == pytest.approx(
        {"si_snr": mean[0], "improvement": mean[1], "median_improvement": median, "recordings": 4}
    )


def test_by_condition_and_without_recordings_of_one_talker(folders, tmp_path):
    lines = (folders.data / "spk2.scp").read_text().splitlines()
    (folders.data / "spk2.scp").write_text("\n".join(lines[1:]) + "\n")  # u0 has one talker
    conditions = {"u0": "clean", "u1": "sir0dB", "u2": "sir+5dB", "u3": "sir0dB"}
    (tmp_path / "utt2cond").write_text("".join(f"{key} {name}\n" for key, name in conditions.items()))
    text = measure_data_dir(folders.out, folders.data, utt2cond=tmp_path / "utt2cond")
    assert [line.split()[0] for line in text.splitlines()] == ["all", "sir+5dB", "sir0dB"]
    mean = json.loads((folders.out / "si_snr.json").read_text())["mean"]
    for name, keys in (("all", ["u1", "u2", "u3"]), ("sir+5dB", ["u2"]), ("sir0dB", ["u1", "u3"])):
        assert (mean[name]["si_snr"], mean[name]["improvement"]) == pytest.approx(folders.mean(keys), abs=1e-6)
        assert mean[name]["recordings"] == len(keys)


@pytest.mark.parametrize("which", ["folder", "scp"])
def test_references_that_lie_elsewhere(folders, tmp_path, which):
    (tmp_path / "elsewhere").mkdir()
    for name in ("spk1.scp", "spk2.scp"):
        (folders.data / name).rename(tmp_path / "elsewhere" / name)
    assert measure_data_dir(folders.out, folders.data) is None
    assert not (folders.out / "si_snr.json").exists()
    place = tmp_path / "elsewhere" / ("" if which == "folder" else "spk1.scp")
    assert "4 recordings" in measure_data_dir(folders.out, folders.data, place)


def test_what_cannot_be_measured_is_counted_and_named(folders):
    soundfile.write(folders.data / "spk1" / "u0.wav", np.zeros(4000), RATE)
    soundfile.write(folders.out / "spk2" / "u3.wav", np.ones(3999) * np.resize([0.1, -0.1], 3999), RATE)
    text = measure_data_dir(folders.out, folders.data)
    assert "2 recordings could not be measured, first: utterance 'u0': a reference is silent" in text
    result = json.loads((folders.out / "si_snr.json").read_text())
    assert sorted(result["utterances"]) == ["u1", "u2"]
    assert "[3999, 4000] samples" in result["skipped"]["u3"]


def test_references_without_two_talkers_are_an_error_where_asked_for(folders):
    (folders.data / "spk2.scp").unlink()
    assert measure_data_dir(folders.out, folders.data) is None
    with pytest.raises(DataError, match="no recording could be measured: none has two talkers"):
        measure_data_dir(folders.out, folders.data, folders.data)


def test_streams_of_zeros_are_counted_and_not_left_out(folders):
    soundfile.write(folders.out / "spk1" / "u0.wav", np.zeros(4000), RATE)
    text = measure_data_dir(folders.out, folders.data)
    mean = json.loads((folders.out / "si_snr.json").read_text())["mean"]["all"]
    assert "1 recordings have a stream of zeros" in text and "--float" in text
    assert mean["recordings"] == 4
    gains = [folders.expected[key][1].mean() for key in ("u1", "u2", "u3")]
    assert mean["improvement"] < min(gains) - 10
    assert mean["median_improvement"] == pytest.approx((sorted(gains)[0] + sorted(gains)[1]) / 2, abs=1e-6)


def test_nothing_is_said_of_zeros_where_there_are_none(folders):
    assert "zeros" not in measure_data_dir(folders.out, folders.data)
