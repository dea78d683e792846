"""Plans without audio are those with audio, whatever the processes; and the same on every platform."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import numpy as np
import pytest
import soundfile

from csc_cli.errors import AudioError
from csc_cli.kaldi.datadir import DataDir, Utterance
from csc_cli.mixtures import bulk, known
from csc_cli.mixtures.bulk import Fault, Plan, plan_lines
from csc_cli.mixtures.draw import plan_data_dir
from csc_cli.mixtures.known import KnownSpeech, measure, read_known
from csc_cli.mixtures.manifest import to_line
from csc_cli.mixtures.settings import CodecConfig, GapConfig, LoudnessConfig, MixtureConfig, NoiseConfig, RoomConfig
from csc_cli.mixtures.simulate import simulate_data_dir
from csc_cli.mixtures.store import AudioStore

CONFIG = MixtureConfig(
    overlap=(0.3, 1.0), noise=NoiseConfig(0.8, kinds=("white", "babble"), babble=(2, 3)), gaps=GapConfig(0.3)
)


@pytest.mark.parametrize("crop_s", [1.5, None])
def test_from_the_table_as_from_the_audio(data, tmp_path, crop_s, monkeypatch):
    config = replace(CONFIG, crop_s=crop_s)
    expected = [to_line(mixture) for mixture in plan_data_dir(data, config, 3, 50, (1, 3))]
    table = tmp_path / "speech.npz"
    measure(table, "key", data, config.sample_rate)
    monkeypatch.setattr(bulk, "AT_A_TIME", 7)
    monkeypatch.setattr(AudioStore, "samples", None)  # no audio is read any more
    assert list(plan_lines(Plan(str(data.path), config, 3, (1, 3), table, "key"), 0, 50)) == expected
    assert list(plan_lines(Plan(str(data.path), config, 3, (1, 3), table, "key"), 23, 41)) == expected[23:41]
    measure(table, "key", data, config.sample_rate)  # known already
    monkeypatch.undo()
    assert list(plan_lines(Plan(str(data.path), config, 3, (1, 3)), 0, 50)) == expected


def test_on_two_processes_and_through_simulate_the_same_bytes(data, tmp_path):
    config = replace(CONFIG, crop_s=None)
    made = []
    for nj in (1, 2):
        simulate_data_dir(data.path, tmp_path / f"{nj}", config, seed=3, nj=nj)
        made.append((tmp_path / f"{nj}" / "mix.jsonl").read_bytes())
    lines = [to_line(mixture) + "\n" for mixture in plan_data_dir(data, config, 3, len(data.utterances))]
    assert made == ["".join(lines).encode()] * 2
    assert (tmp_path / "1" / known.SPEECH).exists()


def test_what_cannot_be_planned_is_named_with_its_line_or_left_out(data, tmp_path):
    soundfile.write(tmp_path / "zero.wav", np.zeros(9000), 8000)
    bad = Utterance("e-u0", "e", str(tmp_path / "zero.wav"))
    gone = Utterance("f-u0", "f", str(tmp_path / "gone.wav"))
    DataDir(tmp_path / "bad", (*data.utterances, bad, gone)).save(tmp_path / "bad")
    with pytest.raises(AudioError, match=r"mix\.jsonl:\d+: mixture 'mix\d+': .*(e-u0|gone)"):
        simulate_data_dir(tmp_path / "bad", tmp_path / "out", CONFIG)
    found = list(plan_lines(Plan(str(tmp_path / "bad"), CONFIG, 0), 0, 22))
    faults = [line for line in found if isinstance(line, Fault)]
    assert {"zero", "gone"} <= {"zero" if "e-u0" in str(fault.error) else "gone" for fault in faults}
    assert all(found[fault.line - 1] is fault and fault.id in str(fault.error) for fault in faults)


def test_a_damaged_or_other_table_is_made_again(data, tmp_path):
    table = tmp_path / "speech.npz"
    measure(table, "one", data, 8000)
    whole = table.read_bytes()
    table.write_bytes(whole[: len(whole) // 2])
    assert known.read_key(table) is None
    measure(table, "one", data, 8000)
    measure(table, "two", data, 16000)
    assert known.read_key(table) == "two"
    store = AudioStore(data, 16000)
    for utterance in data.utterances:
        found = read_known(table, "two").get(utterance.id)
        assert found.samples == store.samples(utterance.id).size
        assert np.array_equal(found.active, store.speech(utterance.id))
    assert read_known(table, "two").get("stranger") is None


def made_up() -> tuple[DataDir, KnownSpeech]:
    """Utterances whose speech is written down: no recording, and no arithmetic that could differ."""
    ids = [f"s{number // 3}-u{number % 3}" for number in range(12)]
    utterances = tuple(Utterance(id, id[:2], f"/none/{id}.wav") for id in ids)
    active = [np.arange(200 + 31 * place) % (17 + place) > 4 for place in range(12)]
    bits = [np.packbits(one) for one in active]
    frames = np.array([one.size for one in active])
    begins = np.concatenate(([0], np.cumsum([one.size for one in bits])))
    index = {id: place for place, id in enumerate(ids)}
    return DataDir("-", utterances), KnownSpeech(index, 80 * frames, frames, begins, np.concatenate(bits))


# The one stored value of these tests: a plan is the same on every platform and with every version of numpy.
PLANS = {
    1.5: "2e3479caca68079fe7e9b21dd433b121",
    None: "a9faedef203a0404ac507b8830ed0bd6",
}


@pytest.mark.parametrize("crop_s", [1.5, None])
def test_a_plan_is_the_same_on_every_platform(crop_s):
    data, speech = made_up()
    config = MixtureConfig(
        crop_s=crop_s,
        overlap=(0.2, 1.0),
        noise=NoiseConfig(0.7, kinds=("white", "pink", "babble")),
        room=RoomConfig(0.5),
        gaps=GapConfig(0.5),
        codec=CodecConfig(0.5),
        loudness=LoudnessConfig(0.5),
    )
    store = AudioStore(data, 8000, known=speech)
    lines = [to_line(mixture) for mixture in plan_data_dir(data, config, 11, 100, (1, 3), store)]
    text = "\n".join(lines)
    assert all(f'"{word}"' in text for word in ("babble", "position_m", "gaps", "codec", "loudness_lufs", "clips"))
    assert hashlib.sha256(text.encode()).hexdigest()[:32] == PLANS[crop_s]
