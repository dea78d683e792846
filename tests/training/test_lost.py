"""A recording that vanishes while training goes on: who stands in its place, who is named, when it ends."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import torch

from csc_cli.errors import DataError
from csc_cli.kaldi.datadir import DataDir
from csc_cli.mixtures.store import AudioStore
from csc_cli.training.batches import MixtureBatch, RoundRobin, held_out_batches, make_corpus
from csc_cli.training.config import TrainConfig
from csc_cli.training.interrupt import Interrupted
from csc_cli.training.lost import LostCount
from csc_cli.training.trainer import Trainer
from tests.training.conftest import assert_equal, history, last_state

Make = Callable[..., RoundRobin]


@pytest.fixture
def voices(make_data_dir: Callable[..., Path]) -> Path:
    return make_data_dir("voices", speakers=6, utterances=4, seconds=0.6)


@pytest.fixture
def make(config: Callable[..., TrainConfig], voices: Path) -> Make:
    """Batches whose store has read nothing yet."""

    def build(*overrides: str) -> RoundRobin:
        settings, data = config("batch.held_out=0", *overrides), DataDir.load(voices)
        return RoundRobin(settings, make_corpus(data, settings), AudioStore(data, 8000), (0, 1))

    return build


def remove(voices: Path, *utterances: str) -> None:
    for name in utterances:
        (voices / "wav" / f"{name}.wav").unlink()


def talkers(batch: MixtureBatch) -> list[list[str]]:
    return [name.split("+") for name in batch.ids]


def speaker(utterance: str) -> str:
    return utterance.split("-")[0]


def test_another_utterance_of_the_speaker_comes_in_and_the_rest_is_as_it_was(make: Make, voices: Path) -> None:
    used = make()
    before = [used[step] for step in range(8)]
    remove(voices, "spk2-utt1")
    fresh = make()
    missed = 0
    for step in (5, 0, 3, 7, 1, 2, 6, 4):
        # `used` still has the samples in memory, `fresh` meets the steps in another order: neither changes anything.
        one, two = used[step], fresh[step]
        assert one.ids == two.ids and torch.equal(one.mixture, two.mixture) and one.lost == two.lost
        assert torch.equal(one.labels, before[step].labels)
        heard = {name for pair in talkers(before[step]) for name in pair}
        assert bool(one.lost) == ("spk2-utt1" in heard)
        missed += bool(one.lost)
        for place, (was, now) in enumerate(zip(talkers(before[step]), talkers(one), strict=True)):
            if "spk2-utt1" not in was:
                assert now == was and torch.equal(one.mixture[place], before[step].mixture[place])
            else:
                new = set(now) - set(was)
                assert len(new) == 1 and speaker(new.pop()) == "spk2" and "spk2-utt1" not in now
        if one.lost:
            assert one.lost[0][0] == "spk2-utt1" and "wav.scp:10" in one.lost[0][1] and "is not there" in one.lost[0][1]
    assert missed


def test_where_nothing_of_a_speaker_is_left_another_speaker_comes_in(make: Make, voices: Path) -> None:
    remove(voices, *(f"spk3-utt{number}" for number in range(4)))
    batches, replaced = make(), 0
    for step in range(8):
        whole = batches.draw(step)
        batch = batches[step]
        assert all(speaker(one) != speaker(two) for one, two in talkers(batch))
        assert {speaker(name) for pair in talkers(batch) for name in pair} <= {f"spk{n}" for n in (0, 1, 2, 4, 5)}
        for pair, rows in zip(talkers(batch), batch.labels.tolist(), strict=True):
            assert rows == [batches.corpus.rows[speaker(name), 1.0] for name in pair]
        present = {speaker(name) for pair in talkers(batch) for name in pair}
        assert len(present) == 2
        replaced += any(utterance.speaker == "spk3" for utterance, _ in whole)
        assert bool(batch.lost) == any(utterance.speaker == "spk3" for utterance, _ in whole)
    assert replaced


def test_last_utterance_of_a_speaker_is_brought_twice(make: Make, voices: Path) -> None:
    remove(voices, "spk1-utt0", "spk1-utt2", "spk1-utt3")
    batches = make()
    heard = {name for step in range(10) for pair in talkers(batches[step]) for name in pair if speaker(name) == "spk1"}
    assert heard == {"spk1-utt1"}


def test_without_labels_any_other_utterance_comes_in_and_none_twice(make: Make, voices: Path) -> None:
    remove(voices, "spk0-utt0", "spk5-utt3", "spk2-utt2")
    batches, lost = make("inventory.label=utterance", "batch.utterances=8"), set()
    for step in range(8):
        batch = batches[step]
        lost |= {name for name, _ in batch.lost}
        names = [pair[0] for pair in talkers(batch)]
        assert len(set(names)) == 8 and not set(names) & {"spk0-utt0", "spk5-utt3", "spk2-utt2"}
        assert [row[0] for row in batch.labels.tolist()] == [batches.corpus.rows[name, 1.0] for name in names]
    assert lost == {"spk0-utt0", "spk5-utt3", "spk2-utt2"}


def test_nobody_left_is_an_error(make: Make, voices: Path) -> None:
    remove(voices, *(f"spk{speaker}-utt{number}" for speaker in range(4) for number in range(4)))
    batches = make("batch.utterances=12")
    with pytest.raises(DataError, match="nobody is left to train on in the place of spk"):
        batches[0]


def test_held_out_mixtures_of_a_lost_utterance_are_left_out(config: Callable[..., TrainConfig], voices: Path) -> None:
    settings, data = config(), DataDir.load(voices)
    corpus = make_corpus(data, settings)
    whole = list(held_out_batches(settings, corpus, AudioStore(data, 8000), 2))
    victim = whole[0].ids[0].split("+")[0]
    remove(voices, victim)
    store = AudioStore(data, 8000)
    left = list(held_out_batches(settings, corpus, store, 2))
    kept = [name for batch in whole for name in batch.ids if victim not in name.split("+")]
    assert [name for batch in left for name in batch.ids] == kept and len(kept) < 4
    assert all(batch.lost[0][0] == victim for batch in left)


def test_each_is_named_once_and_more_than_the_share_end_it(capsys: pytest.CaptureFixture) -> None:
    count = LostCount(0.02, 100)
    for _ in range(3):
        count.add([("one", "wav.scp:1: gone"), ("two", "wav.scp:2: gone")])
    assert capsys.readouterr().err.count("gone") == 2 and count.figures() == {"lost": 2}
    resumed = LostCount(0.02, 100)
    resumed.load(count.state())
    with pytest.raises(DataError, match=r"3 of 100 utterances cannot be read.*share batch\.lost=0\.02.*restore them"):
        resumed.add([("three", "wav.scp:3: gone")])


SETTINGS = ("batch.lost=0.1", "tracking.held_out_every=8", "optimiser.steps=12")


def test_training_goes_on_names_them_and_is_the_same_whatever_the_workers(
    make_trainer: Callable[..., Trainer], voices: Path, capsys: pytest.CaptureFixture
) -> None:
    trainers = [make_trainer(*SETTINGS, data=voices, name=f"workers{count}") for count in (0, 2)]
    remove(voices, "spk2-utt1", "spk4-utt0")
    for trainer, count in zip(trainers, (0, 2), strict=True):
        trainer.workers = count
        said = trainer.run()
        assert "trained 12 of 12" in said and "left out: spk" in said and "could not be read" in said
        err = capsys.readouterr().err
        assert err.count("utterance 'spk2-utt1'") == err.count("utterance 'spk4-utt0'") == 1, err
        assert "(2 of 24 utterances)" in err
        rows = [json.loads(line) for line in (trainer.directory / "train.jsonl").read_text().splitlines()]
        assert rows[-2]["lost"] == 2
    assert_equal(last_state(trainers[0].directory), last_state(trainers[1].directory))


def test_too_many_end_it_and_the_last_checkpoint_is_whole(make_trainer: Callable[..., Trainer], voices: Path) -> None:
    trainer = make_trainer("optimiser.steps=100", data=voices)
    update = trainer.update

    def vanish(parts: Sequence[MixtureBatch]) -> dict[str, float]:
        if trainer.step == 5:
            remove(voices, *(f"spk{number}-utt0" for number in range(6)))
        return update(parts)

    trainer.update = vanish  # type: ignore[method-assign]
    with pytest.raises(DataError, match=r"batch\.lost=0\.01.*goes on from the last checkpoint"):
        trainer.run()
    assert last_state(trainer.directory)["step"] == 4


def test_a_rerun_that_finds_the_same_files_goes_on_exactly(make_trainer: Callable[..., Trainer], voices: Path) -> None:
    """The file goes at step 3; a run stopped at 6 and gone on with, its memory empty, equals the one that was not."""
    before = make_trainer(*SETTINGS, data=voices).batches
    victim = before.draw(9)[0][0].id
    kept = (voices / "wav" / f"{victim}.wav").read_bytes()

    def run(name: str, stop: int) -> Trainer:
        (voices / "wav" / f"{victim}.wav").write_bytes(kept)
        trainer = make_trainer(*SETTINGS, data=voices, name=name)
        update = trainer.update

        def at(parts: Sequence[MixtureBatch]) -> dict[str, float]:
            if trainer.step == 3:
                remove(voices, victim)
            if trainer.step == stop:
                signal.raise_signal(signal.SIGTERM)
            return update(parts)

        trainer.update = at  # type: ignore[method-assign]
        if stop > 0:
            with pytest.raises(Interrupted):
                trainer.run()
        else:
            trainer.run()
        return trainer

    whole, parts = run("whole", -1), run("parts", 6)
    assert "trained 5 of 12" in make_trainer(*SETTINGS, data=voices, name="parts").run()
    assert victim in whole.lost.faults
    assert_equal(last_state(whole.directory), last_state(parts.directory))
    assert history(whole.directory) == history(parts.directory)


def test_nobody_babbles_who_cannot_be_read(make: Make, voices: Path) -> None:
    settings = ("mixtures.noise.probability=1", "mixtures.noise.kinds=[babble]", "mixtures.noise.babble=[2, 2]")
    whole = [make(*settings)[step] for step in range(4)]
    remove(voices, "spk0-utt0", "spk1-utt1")
    (voices / "wav" / "spk2-utt2.wav").write_bytes(b"RIFF")
    used, fresh = make(*settings), make(*settings)
    for step in (3, 1, 0, 2):
        one = fresh[step]
        assert torch.equal(used[step].mixture, one.mixture)
        assert one.lost or torch.equal(one.mixture, whole[step].mixture)
    assert any(fresh[step].lost for step in range(4))
