"""What TensorBoard shows of held-out mixtures, read back with TensorBoard's own reader."""

from __future__ import annotations

import io
import json
import wave
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from csc_cli.nn.si_snr import pairwise_si_snr
from csc_cli.plots.examples import draw_examples as pictures
from csc_cli.training.examples import draw_examples, make_examples
from csc_cli.training.history import History
from csc_cli.training.trainer import Trainer

HELD_OUT = ("tracking.held_out_every=4", "batch.held_out=0.34")


def events(directory: Path) -> EventAccumulator:
    found = EventAccumulator(str(directory / "tensorboard"), size_guidance={"audio": 0, "images": 0, "scalars": 0})
    return found.Reload()


def samples(sound: bytes) -> tuple[np.ndarray, int]:
    with wave.open(io.BytesIO(sound)) as stream:
        return np.frombuffer(stream.readframes(stream.getnframes()), "<i2") / 32768, stream.getframerate()


def test_sounds_pictures_and_all_figures_are_there(make_trainer: Callable[..., Trainer]) -> None:
    trainer = make_trainer(*HELD_OUT)
    trainer.draw = pictures
    trainer.run()
    seen = events(trainer.directory)
    tags = seen.Tags()
    assert {"embeddings by speaker", "attention"} <= set(tags["images"])
    assert [one.step for one in seen.Images("attention")] == [4, 8]
    rows = [json.loads(line) for line in (trainer.directory / "train.jsonl").read_text().splitlines()]
    for key in ("si_snri", "bound", "held_out_si_snri", "held_out_bound"):
        expected = [(row["step"], row[key]) for row in rows if key in row]
        assert expected and expected == [
            (one.step, pytest.approx(one.value, rel=1e-6)) for one in seen.Scalars(key)
        ]  # fmt: skip
    separated = [name for name in tags["audio"] if "separated" in name]
    assert len(separated) == 4 and [one.step for one in seen.Audio(separated[0])] == [4, 8]
    mixture, rate = samples(seen.Audio("example 1/mixture")[0].encoded_audio_string)
    assert rate == 8000 and len(mixture) == 4000 and np.abs(mixture).max() == pytest.approx(0.9, abs=1e-3)
    # Without noise, or with it: the two true voices together are most of the mixture.
    names = [name for name in tags["audio"] if name.startswith("example 1/true")]
    truth = [samples(seen.Audio(name)[0].encoded_audio_string)[0] for name in names]
    fitted = np.linalg.lstsq(np.stack(truth, 1), mixture, rcond=None)[0]
    assert np.square(mixture - np.stack(truth, 1) @ fitted).mean() < 0.2 * np.square(mixture).mean()


def test_streams_are_named_by_the_talker_whom_they_are_nearest_to(make_trainer: Callable[..., Trainer]) -> None:
    trainer = make_trainer(*HELD_OUT)
    batch = draw_examples(trainer.config, trainer.corpus, trainer.store)
    assert batch is not None
    speakers = {utterance.id: utterance.speaker for utterance in trainer.corpus.held_out}
    found = make_examples(trainer.stepper, batch, speakers)
    for place, name in enumerate(batch.ids[:2], start=1):
        pair = [speakers[one] for one in name.split("+")]
        streams = torch.from_numpy(np.stack([found.sounds[f"example {place}/separated {one}"] for one in pair]))
        truth = torch.from_numpy(np.stack([found.truth[f"example {place}/true {one}"] for one in pair]))
        snr = pairwise_si_snr(streams[None], truth[None], torch.ones(1, streams.shape[1], dtype=torch.bool))[0]
        assert snr.diagonal().sum() >= snr.flip(1).diagonal().sum()
    assert len(found.arrays["vectors"]) == len(found.arrays["speakers"]) == 2 * len(batch.ids)
    counts = np.unique(found.arrays["speakers"], return_counts=True)[1]
    assert len(set(counts)) == 1 and counts[0] > 1, "each talker as often as any other"
    assert found.arrays["attention"].sum(-1) == pytest.approx(1, abs=1e-5)
    again = draw_examples(trainer.config, trainer.corpus, trainer.store)
    assert again is not None and torch.equal(again.mixture, batch.mixture)


@pytest.mark.parametrize("settings", [("batch.held_out=0",), ("model.encoder.streams=3",)])
def test_fewer_talkers_or_more_streams(make_trainer: Callable[..., Trainer], settings: tuple[str, ...]) -> None:
    trainer = make_trainer(*HELD_OUT, *settings)
    batch = draw_examples(trainer.config, trainer.corpus, trainer.store)
    assert (batch is None) == (settings == ("batch.held_out=0",))
    if batch is not None:
        speakers = {utterance.id: utterance.speaker for utterance in trainer.corpus.held_out}
        shown = pictures(make_examples(trainer.stepper, batch, speakers).arrays)
        assert all(picture.dtype == np.uint8 and len(np.unique(picture)) > 10 for picture in shown.values())


def test_network_that_has_diverged_is_not_shown(
    make_trainer: Callable[..., Trainer], capsys: pytest.CaptureFixture
) -> None:
    trainer = make_trainer(*HELD_OUT)
    trainer.draw = pictures
    track, head = trainer.track, trainer.learner.model.encoder.speaker_out

    def spoiled(history: History | None) -> bool:
        """Its weights are no numbers when it is measured at step 4."""
        kept = head.weight.detach().clone()
        with torch.no_grad():
            head.weight.mul_(float("nan") if trainer.step == 4 else 1.0)
            changed = track(history)
            head.weight.copy_(kept)
        return changed

    trainer.track = spoiled  # type: ignore[method-assign]
    trainer.run()
    assert "step 4: what the model makes of held-out mixtures is not finite; not shown" in capsys.readouterr().err
    seen = events(trainer.directory)
    assert [one.step for one in seen.Images("attention")] == [8]
    assert [one.step for one in seen.Audio("example 1/mixture")] == [8], "what does not change is shown all the same"


def test_what_comes_after_a_checkpoint_is_forgotten_at_resume(make_trainer: Callable[..., Trainer]) -> None:
    trainer = make_trainer(*HELD_OUT)
    update = trainer.update

    def fail(parts: object) -> dict[str, float]:
        if trainer.step == 7:
            raise KeyboardInterrupt
        return update(parts)  # type: ignore[arg-type]

    trainer.update = fail  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        trainer.run()
    make_trainer(*HELD_OUT).run()
    assert [one.step for one in events(trainer.directory).Scalars("loss")] == [2, 4, 6, 8]
