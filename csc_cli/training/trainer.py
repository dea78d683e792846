"""The training loop: one class, in which a rerun finds its checkpoint and goes on."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import DataLoader

from csc_cli import config as configs
from csc_cli import seeds
from csc_cli.errors import CscError, DataError
from csc_cli.kaldi.datadir import DataDir
from csc_cli.mixtures.store import AudioStore, detector
from csc_cli.mixtures.surroundings import Surroundings
from csc_cli.nn.model import new_model, save_model
from csc_cli.progress import note, track
from csc_cli.training import checkpoint, distributed, identity
from csc_cli.training.batches import Carried, Corpus, MixtureBatch, RoundRobin, make_corpus
from csc_cli.training.config import TrainConfig, completed
from csc_cli.training.examples import Draw, draw_examples, make_examples
from csc_cli.training.held_out import HeldOut
from csc_cli.training.history import History
from csc_cli.training.initial import Initial, make_learner, take_weights
from csc_cli.training.interrupt import Interrupted, Requests
from csc_cli.training.lost import LostCount
from csc_cli.training.pace import Pace
from csc_cli.training.patience import Patience
from csc_cli.training.step import Stepper
from csc_cli.training.verification import Verification


class Trainer:
    """Trains the model that `config` describes on `data`, in the model directory `directory`."""

    def __init__(self, config: TrainConfig, data: DataDir, directory: Path, device: torch.device, workers: int = 0,
                 initial: Sequence[Initial] = (), dev: DataDir | None = None, draw: Draw | None = None):  # fmt: skip
        self.config, self.data, self.directory, self.workers = config, data, directory, workers
        self.surroundings = Surroundings.of(config.mixtures.noise, config.mixtures.room)
        self.surroundings.check()
        self.identity = identity.digest(data, self.surroundings.digest())
        self.fingerprints = identity.fingerprints(data)
        self.device = distributed.start(device)
        self.corpus: Corpus = make_corpus(data, config)
        speech = detector(data, config.mixtures.activity)
        self.store = AudioStore(data, config.model.sample_rate, vad=speech, surroundings=self.surroundings)
        self.batches = RoundRobin(config, self.corpus, self.store, (distributed.rank(), distributed.world()))
        # A rival's streams have nothing to learn before they hear one talker alone.
        self.batches.parted = config.model.embedder is not None
        model = new_model(config.model, seeds.derive(config.seed, "weights"))
        take_weights(model, initial)
        self.stepper = Stepper(make_learner(model, len(self.corpus.rows), config), config, self.device)
        self.learner, self.optimiser, self.average = self.stepper.learner, self.stepper.optimiser, self.stepper.average
        self.precision = str(self.stepper.dtype).removeprefix("torch.")
        self.lost = LostCount(config.batch.lost, len(data.utterances), aloud=distributed.rank() == 0)
        self.measured_on = HeldOut(self.stepper, config, self.corpus, self.store, self.lost)
        self.verification = Verification(dev, config) if dev and distributed.rank() == 0 else None
        self.patience = Patience(config.tracking)
        self.pace = Pace(config)
        self.requests, self.draw = Requests(), draw
        self.step, self.seconds, self.mark = 0, 0.0, time.monotonic()
        self.sums: dict[str, float] = {}  # of the figures since the last line of train.jsonl

    def run(self, on_checkpoint: Callable[[Path], None] = lambda directory: None) -> str:
        """Train from the last checkpoint to the last step; returns a line about what was done.

        Raises:
            Interrupted: SIGTERM, SIGUSR1 or Ctrl-C came; the checkpoint says where to go on.
            CscError: too many losses are not finite; memory is full; a checkpoint does not fit.
        """
        self.restore()
        steps = self.config.optimiser.steps
        first, began = self.step, time.monotonic()
        history = History(self.directory, self.step) if distributed.rank() == 0 else None
        try:
            with self.requests:
                for _ in track(self.steps(history, on_checkpoint), "training", steps - first, self.pace.words):
                    pass
                self.save(on_checkpoint)
        finally:
            if history:
                history.close()
        minutes = (time.monotonic() - began) / 60
        done = f"trained {steps - first} of {steps} steps in {minutes:.1f} min ({self.precision}): {self.directory}"
        return done + self.lost.words()

    def steps(self, history: History | None, on_checkpoint: Callable[[Path], None]) -> Iterator[int]:
        """Do the steps that are left, tracking and saving at their intervals."""
        self.mark = time.monotonic()
        while self.step < self.config.optimiser.steps:
            for parts in self.load():
                self.lost.add(one for part in parts for one in part.lost)
                figures = self.update_or_explain(parts)
                self.step += 1
                self.pace.done()
                self.log(figures, history)
                yield self.step
                changed = self.track(history)
                # Last, so that a checkpoint knows all that was decided at its step.
                if self.end(on_checkpoint):
                    return
                if changed:
                    break  # the loader must draw by the new rule from the next step on

    def update_or_explain(self, parts: Sequence[MixtureBatch]) -> dict[str, float]:
        """`update`; where memory is full, what to lower."""
        return self.stepper.explained(lambda: self.update(parts))

    def update(self, parts: Sequence[MixtureBatch]) -> dict[str, float]:
        """One optimiser step on the batches of `self.step`; returns its figures, summed over ranks."""
        return self.stepper.update(parts, self.step)

    def parts(self, step: int) -> list[MixtureBatch]:
        """This rank's share of the batches of a step."""
        count = self.config.batch.accumulate
        return [self.batches[index] for index in range(step * count, (step + 1) * count)]

    def load(self) -> Iterator[list[MixtureBatch]]:
        """The batches of each step, from this one to the next place where the rule of drawing may change."""
        every, count = self.config.tracking.held_out_every, self.config.batch.accumulate
        end = self.config.optimiser.steps
        if not self.batches.parted:
            end = min(end, (self.step // every + 1) * every)
        loader = DataLoader(
            Carried(self.batches), batch_size=None, sampler=range(self.step * count, end * count),
            num_workers=self.workers, prefetch_factor=2 if self.workers else None,
            pin_memory=self.device.type == "cuda",
        )  # fmt: skip
        return self.pace.waits(grouped(loader, count))

    def log(self, figures: dict[str, float], history: History | None) -> None:
        """Add up a step's figures, and write their means at each interval."""
        for key, value in figures.items():
            self.sums[key] = self.sums.get(key, 0.0) + value
        self.sums["steps"] = self.sums.get("steps", 0.0) + bool(figures)
        if self.is_time(self.config.tracking.log_every):
            now = time.monotonic()
            self.seconds, self.mark = self.seconds + now - self.mark, now
            if history:
                history.add(self.summary(self.sums))
            self.sums = {}

    def summary(self, sums: dict[str, float]) -> dict[str, float | int | bool]:
        """A line of train.jsonl: means over the steps since the last one."""
        count = max(1.0, sums["steps"])  # those passed over have no figures
        means = {key: round(value / count, 5) for key, value in sums.items() if key != "steps"}
        return {
            "step": self.step, "seconds": round(self.seconds, 1), **means, "ceiling": round(self.ceiling(), 5),
            **self.learner.scalars(), "parted": self.batches.parted, **self.lost.figures(),
        }  # fmt: skip

    def is_time(self, every: int) -> bool:
        """Whether something that is done every so many steps, and at the last one, is due."""
        return self.step % every == 0 or self.step == self.config.optimiser.steps

    def track(self, history: History | None) -> bool:
        """Measure what is held out at its interval; true where the rule of drawing changes with it."""
        if not self.is_time(self.config.tracking.held_out_every):
            return False
        with self.average.applied():
            measured = self.held_out()
            if distributed.rank() == 0 and self.patience.look(self.step, measured):
                save_model(self.learner.model, self.directory / "best", configs.dumps(self.config))
            self.show(history)
        if history and measured:
            history.add({"step": self.step, **measured})
        self.mark = time.monotonic()
        return self.part(measured.get("held_out_si_snri"))

    def show(self, history: History | None) -> None:
        """What the model makes of a few held-out mixtures, to TensorBoard."""
        batch = draw_examples(self.config, self.corpus, self.store) if history else None
        if history and batch:
            speakers = {utterance.id: utterance.speaker for utterance in self.corpus.held_out}
            examples = make_examples(self.stepper, batch, speakers)
            if examples.is_finite:
                history.show(self.step, examples, self.draw)
            else:
                note(f"step {self.step}: what the model makes of held-out mixtures is not finite; not shown")

    def held_out(self) -> dict[str, float]:
        """All that is measured while it trains, on held-out utterances and on development speakers."""
        figures = self.measured_on.measure()
        if self.verification:
            figures |= self.verification.measure(self.learner.model, self.stepper.autocast)
        return figures

    def ceiling(self, rows: list[int] | None = None) -> float:
        """H(K) in nats of those of `rows` (default: all) that take part."""
        return self.measured_on.ceiling(rows)

    def part(self, gain: float | None) -> bool:
        """Let one-talker mixtures in once the streams have parted; true at the step where that happens."""
        objective = self.config.objective
        late = self.step >= objective.parted_latest * self.config.optimiser.steps
        learned = objective.separation == "none" or (gain is not None and gain >= objective.parted_db)
        if self.batches.parted or not (late or learned):
            return False
        self.batches.parted = True
        note(f"step {self.step}: one-talker mixtures from here on")
        return True

    def end(self, on_checkpoint: Callable[[Path], None]) -> bool:
        """Save at the interval; true where patience is over.

        Raises:
            Interrupted: a signal came, to any of the ranks.
        """
        stopping = distributed.any_rank(bool(self.requests.name))
        if stopping or self.step % self.config.tracking.checkpoint_every == 0:
            self.save(on_checkpoint)
        if stopping and self.step < self.config.optimiser.steps:
            where = f"step {self.step} of {self.config.optimiser.steps}"
            name = f" ({self.requests.name})" if self.requests.name else ""
            raise Interrupted(f"stopped at {where}{name}; the same command goes on from there")
        if not distributed.any_rank(self.patience.is_over):
            return False
        self.save(on_checkpoint)
        note(
            f"step {self.step}: {self.patience.key} was best at step {self.patience.best_step}, and not "
            f"better in {self.patience.since} measurements: {self.directory}/best is that model"
        )
        return True

    def save(self, on_checkpoint: Callable[[Path], None]) -> None:
        """The checkpoint of this step and the model as it is now."""
        if distributed.rank() == 0:
            state = {
                "learner": self.learner.state_dict(), "optimiser": self.optimiser.state_dict(),
                "parted": self.batches.parted, "seconds": self.seconds, "sums": self.sums,
                "skipped": self.stepper.skipped, "average": self.average.state(),
                "patience": self.patience.state(), "lost": self.lost.state(),
                "settings": configs.to_dict(self.config), "identity": self.identity,
                "utterances": self.fingerprints,
            }  # fmt: skip
            checkpoint.save(self.directory / "checkpoints", self.step, state, self.config.tracking.kept)
            with self.average.applied():
                save_model(self.learner.model, self.directory, configs.dumps(self.config))
            on_checkpoint(self.directory)
        distributed.wait()

    def restore(self) -> None:
        """Go on from the newest checkpoint, if there is one."""
        if distributed.rank() == 0:
            checkpoint.clear(self.directory / "checkpoints")
        state: dict[str, Any] | None = checkpoint.load_latest(
            self.directory / "checkpoints",
            configs.to_dict(self.config),
            self.data,
            self.surroundings.digest(),
            completed,
        )
        if state is None:
            return
        try:
            self.learner.load_state_dict(state["learner"])
            self.optimiser.load_state_dict(state["optimiser"])
        except (RuntimeError, ValueError, KeyError) as error:
            where = checkpoint.path_of(self.directory / "checkpoints", state["step"])
            reason = str(error).splitlines()[-1].strip()
            raise DataError(f"{where}: does not fit the model ({reason}); use another EXP directory") from error
        self.step, self.seconds, self.sums = state["step"], state["seconds"], state.get("sums", {})
        self.batches.parted, self.stepper.skipped = state["parted"], state.get("skipped", 0)
        if "average" in state:
            self.average.load(state["average"])
        if "patience" in state:
            self.patience.load(state["patience"])
        self.lost.load(state.get("lost", {}))
        note(f"going on from step {self.step}")


def grouped(batches: Iterable[MixtureBatch | CscError], count: int) -> Iterator[list[MixtureBatch]]:
    """`count` batches at a time.

    Raises:
        CscError: one of them could not be made.
    """
    parts: list[MixtureBatch] = []
    for batch in batches:
        if isinstance(batch, CscError):
            raise batch
        parts.append(batch)
        if len(parts) == count:
            yield parts
            parts = []
