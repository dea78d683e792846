"""The training loop: one class, in which a rerun finds its checkpoint and goes on."""

from __future__ import annotations

import ctypes
import hashlib
import math
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import DataLoader

from csc_cli import config as configs
from csc_cli import seeds
from csc_cli.errors import CscError, DataError, some
from csc_cli.kaldi.datadir import DataDir
from csc_cli.mixtures.store import AudioStore, detector
from csc_cli.mixtures.surroundings import Surroundings
from csc_cli.nn.contrastive import entropy
from csc_cli.nn.model import new_model, pick_device, save_model
from csc_cli.progress import note, track
from csc_cli.training import checkpoint, distributed
from csc_cli.training.batches import Carried, Corpus, MixtureBatch, RoundRobin, held_out_batches, make_corpus
from csc_cli.training.config import TrainConfig, completed
from csc_cli.training.ema import MovingAverage
from csc_cli.training.history import History
from csc_cli.training.initial import Initial, freeze, make_learner, take_weights
from csc_cli.training.memory import explain, is_full
from csc_cli.training.objective import Learner
from csc_cli.training.pace import Pace
from csc_cli.training.patience import Patience
from csc_cli.training.schedule import learning_rate, scheduled
from csc_cli.training.streams import permutation_nats
from csc_cli.training.verification import Verification

GRACE = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)  # USR1: Slurm, --signal=USR1@SECONDS before its limit


class Interrupted(CscError):
    """The run was asked to stop, and saved a checkpoint first."""


def choose_precision(name: str, device: torch.device) -> torch.dtype:
    """The dtype of autocast: `auto` is bfloat16 where the hardware multiplies it faster."""
    if name != "auto":
        return torch.bfloat16 if name == "bfloat16" else torch.float32
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float32
    capabilities = torch.cpu.get_capabilities()
    fast = capabilities.get("avx512_bf16", False) or capabilities.get("amx_bf16", False)
    return torch.bfloat16 if fast else torch.float32


def keep_memory() -> None:
    """Have glibc keep freed memory: giving large tensors back and faulting them in again costs a fifth of a step.

    Nothing happens where the C library is another one.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return
    most = 2**31 - 1
    mallopt(-3, most)  # M_MMAP_THRESHOLD: no mapping of its own for each large tensor
    mallopt(-1, most)  # M_TRIM_THRESHOLD: nothing is given back


class Trainer:
    """Trains the model that `config` describes on `data`, in the model directory `directory`."""

    def __init__(self, config: TrainConfig, data: DataDir, directory: Path, device: torch.device, workers: int = 0,
                 initial: Sequence[Initial] = (), dev: DataDir | None = None):  # fmt: skip
        self.config, self.directory, self.workers = config, directory, workers
        self.device = distributed.start(device)
        self.corpus: Corpus = make_corpus(data, config)
        surroundings = Surroundings.of(config.mixtures.noise, config.mixtures.room)
        surroundings.check()
        self.store = AudioStore(
            data, config.model.sample_rate, vad=detector(data, config.mixtures.activity), surroundings=surroundings
        )
        self.batches = RoundRobin(config, self.corpus, self.store, (distributed.rank(), distributed.world()))
        # A rival's streams have nothing to learn before they hear one talker alone.
        self.batches.parted = config.model.embedder is not None
        self.settings = configs.to_dict(config)
        ids = "\n".join(f"{utterance.id} {utterance.speaker}" for utterance in data.utterances)
        self.identity = hashlib.sha256((ids + surroundings.digest()).encode()).hexdigest()
        model = new_model(config.model, seeds.derive(config.seed, "weights"))
        take_weights(model, initial)
        self.learner = make_learner(model, len(self.corpus.rows), config).to(self.device)
        self.frozen = freeze(self.learner.model, config.optimiser.frozen)
        decayed = [p for p in self.learner.parameters() if p.requires_grad and p.dim() >= 2]
        others = [p for p in self.learner.parameters() if p.requires_grad and p.dim() < 2]
        groups = [
            {"params": decayed, "weight_decay": config.optimiser.weight_decay},
            {"params": others, "weight_decay": 0.0},
        ]
        self.optimiser = torch.optim.AdamW(groups, lr=config.optimiser.learning_rate, fused=True)
        dtype = choose_precision(config.optimiser.precision, self.device)
        self.autocast = torch.autocast(self.device.type, dtype=dtype, enabled=dtype != torch.float32)
        self.precision = str(dtype).removeprefix("torch.")
        self.average = MovingAverage(self.learner.model, config.optimiser.ema)
        self.step, self.seconds, self.skipped, self.stopping = 0, 0.0, 0, ""
        self.pace = Pace(config, distributed.world())
        self.verification = Verification(dev, config) if dev and distributed.rank() == 0 else None
        self.patience = Patience(config.tracking)
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
        before = {number: signal.signal(number, self._stop) for number in GRACE}
        history = History(self.directory, self.step) if distributed.rank() == 0 else None
        try:
            for _ in track(self.steps(history, on_checkpoint), "training", steps - first, self.pace.words):
                pass
            self.save(on_checkpoint)
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
            if history:
                history.close()
        minutes = (time.monotonic() - began) / 60
        return f"trained {steps - first} of {steps} steps in {minutes:.1f} min ({self.precision}): {self.directory}"

    def steps(self, history: History | None, on_checkpoint: Callable[[Path], None]) -> Iterator[int]:
        """Do the steps that are left, tracking and saving at their intervals."""
        tracking = self.config.tracking
        mark = time.monotonic()
        while self.step < self.config.optimiser.steps:
            for batch in self.load():
                figures = self.update_or_explain(batch)
                self.step += 1
                self.pace.done()
                for key, value in figures.items():
                    self.sums[key] = self.sums.get(key, 0.0) + value
                self.sums["steps"] = self.sums.get("steps", 0.0) + bool(figures)
                if self.step % tracking.log_every == 0 or self.step == self.config.optimiser.steps:
                    now = time.monotonic()
                    self.seconds, mark = self.seconds + now - mark, now
                    if history:
                        history.add(self.summary(self.sums))
                    self.sums = {}
                yield self.step
                changed = False
                if self.step % tracking.held_out_every == 0 or self.step == self.config.optimiser.steps:
                    with self.average.applied():
                        measured = self.held_out()
                        if distributed.rank() == 0 and self.patience.look(self.step, measured):
                            save_model(self.learner.model, self.directory / "best", configs.dumps(self.config))
                    if history and measured:
                        history.add({"step": self.step, **measured})
                    mark = time.monotonic()
                    changed = self.part(measured.get("held_out_si_snri"))
                # Last, so that a checkpoint knows all that was decided at its step.
                stopping = distributed.any_rank(bool(self.stopping))
                if stopping or self.step % tracking.checkpoint_every == 0:
                    self.save(on_checkpoint)
                if stopping and self.step < self.config.optimiser.steps:
                    where = f"step {self.step} of {self.config.optimiser.steps}"
                    raise Interrupted(f"stopped at {where}{self.stopping}; the same command goes on from there")
                if distributed.any_rank(self.patience.is_over):
                    self.save(on_checkpoint)
                    note(
                        f"step {self.step}: {self.patience.key} was best at step {self.patience.best_step}, and not "
                        f"better in {self.patience.since} measurements: {self.directory}/best is that model"
                    )
                    return
                if changed:
                    break  # the loader must draw by the new rule from the next step on

    def load(self) -> Iterator[MixtureBatch]:
        """The batches from this step to the next place where the rule of drawing may change."""
        every = self.config.tracking.held_out_every
        end = self.config.optimiser.steps
        if not self.batches.parted:
            end = min(end, (self.step // every + 1) * every)
        loader = DataLoader(
            Carried(self.batches), batch_size=None, sampler=range(self.step, end), num_workers=self.workers,
            prefetch_factor=2 if self.workers else None, pin_memory=self.device.type == "cuda",
        )  # fmt: skip
        for batch in self.pace.waits(loader):
            if isinstance(batch, CscError):
                raise batch
            yield batch

    def update_or_explain(self, batch: MixtureBatch) -> dict[str, float]:
        """`update`; where memory is full, what to lower."""
        try:
            return self.update(batch)
        except (RuntimeError, MemoryError) as error:
            if not is_full(error):
                raise
            raise explain(error, self.config, self.device) from error

    def update(self, batch: MixtureBatch) -> dict[str, float]:
        """One optimiser step; returns its figures, summed over ranks."""
        config = self.config.optimiser
        self.learner.train()
        for part in self.frozen:
            part.eval()
        torch.manual_seed(seeds.derive(self.config.seed, "dropout", self.step, distributed.rank()))
        choice = torch.Generator().manual_seed(seeds.derive(self.config.seed, "subsets", self.step) % 2**63)
        losses = self.learner(batch.to(self.device), choice, self.autocast, *scheduled(self.config, self.step))
        losses.total.backward()
        parameters = [p for group in self.optimiser.param_groups for p in group["params"]]
        distributed.add_gradients(parameters)
        norm = torch.nn.utils.clip_grad_norm_(parameters, config.clip)
        figures = torch.stack([losses.total.detach(), *losses.figures.values()])
        values = distributed.total(figures).tolist()
        if not math.isfinite(values[0]) or not torch.isfinite(norm):
            self.optimiser.zero_grad()
            self.skip(batch, f"the loss is {values[0]} and the gradient's norm {float(norm)}")
            return {}
        for group in self.optimiser.param_groups:
            group["lr"] = learning_rate(config, self.step)
        self.optimiser.step()
        self.optimiser.zero_grad()
        self.learner.update_inventory()
        self.average.update()
        return {"loss": values[0], **dict(zip(losses.figures, values[1:], strict=True)), "gradient_norm": float(norm)}

    def skip(self, batch: MixtureBatch, what: str) -> None:
        """Pass over a step, as often as the settings allow.

        Raises:
            DataError: once too often.
        """
        self.skipped += 1
        allowed = self.config.optimiser.skipped
        message = f"step {self.step}: {what}, from the mixtures {some(batch.ids)}"
        if self.skipped > allowed:
            raise DataError(f"{message}; it was step {self.skipped} of the kind, the last checkpoint is whole: lower "
                            "optimiser.learning_rate")  # fmt: skip
        note(f"{message}; passed over ({self.skipped} of {allowed})")

    def summary(self, sums: dict[str, float]) -> dict[str, float | int | bool]:
        """A line of train.jsonl: means over the steps since the last one."""
        count = max(1.0, sums["steps"])  # those passed over have no figures
        means = {key: round(value / count, 5) for key, value in sums.items() if key != "steps"}
        return {
            "step": self.step, "seconds": round(self.seconds, 1), **means, "ceiling": round(self.ceiling(), 5),
            **self.learner.scalars(), "parted": self.batches.parted,
        }  # fmt: skip

    def ceiling(self, rows: list[int] | None = None) -> float:
        """H(K) in nats of those of `rows` (default: all) that take part: each set is drawn from uniformly."""
        visited = self.learner.taking_part().cpu()
        visited = visited if rows is None else visited[rows]
        return entropy(visited.float()) if visited.any() else 0.0

    @torch.no_grad()
    def held_out(self) -> dict[str, float]:
        """SI-SNRi and bound on mixtures of utterances that are never trained on; rank by rank a part."""
        self.learner.eval()
        sums = torch.zeros(4)
        size = max(1, self.config.batch.utterances * self.config.batch.conditions // distributed.world())
        for index, batch in enumerate(held_out_batches(self.config, self.corpus, self.store, size)):
            if index % distributed.world() == distributed.rank():
                sums += self.learner.measure(batch.to(self.device), self.autocast).cpu()
        gain, streams, loss, rows = distributed.total(sums).tolist()
        figures: dict[str, float] = {}
        if streams:
            figures["held_out_si_snri"] = round(gain / streams, 5)
        if rows:
            ceiling = self.ceiling(self.corpus.held_out_rows(self.config))
            figures["held_out_ceiling"] = round(ceiling, 5)
            streams = self.config.model.streams
            if streams > 1 and (self.config.objective.separation == "none" or not self.config.model.separates):
                ceiling -= permutation_nats(streams)  # the permutation is chosen by the labels
            figures["held_out_bound"] = round(ceiling - loss / rows, 5)
        verified = self.verification.measure(self.learner.model, self.autocast) if self.verification else {}
        return {**figures, **self.held_out_silent(size), **verified}

    def held_out_silent(self, size: int) -> dict[str, float]:
        """The median energy of the empty streams of one-talker mixtures, dB relative to the mixture."""
        if not isinstance(self.learner, Learner) or self.config.objective.separation == "none":
            return {}
        levels = torch.zeros(self.config.batch.held_out_mixtures)
        place = 0
        for index, batch in enumerate(held_out_batches(self.config, self.corpus, self.store, size, talkers=1)):
            if index % distributed.world() == distributed.rank():
                found = self.learner.measure_silent(batch.to(self.device), self.autocast)
                levels[place : place + len(found)] = found.cpu()
            place += len(batch.ids)
        levels = distributed.total(levels)
        return {"held_out_silent_db": round(float(levels.quantile(0.5)), 3)} if place else {}

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

    def save(self, on_checkpoint: Callable[[Path], None]) -> None:
        """The checkpoint of this step and the model as it is now."""
        if distributed.rank() == 0:
            state = {
                "learner": self.learner.state_dict(), "optimiser": self.optimiser.state_dict(),
                "parted": self.batches.parted, "seconds": self.seconds, "sums": self.sums,
                "skipped": self.skipped, "average": self.average.state(),
                "patience": self.patience.state(),
                "settings": self.settings, "identity": self.identity,
            }  # fmt: skip
            checkpoint.save(self.directory / "checkpoints", self.step, state, self.config.tracking.kept)
            with self.average.applied():
                save_model(self.learner.model, self.directory, configs.dumps(self.config))
            on_checkpoint(self.directory)
        distributed.wait()

    def restore(self) -> None:
        """Go on from the newest checkpoint, if there is one."""
        state: dict[str, Any] | None = checkpoint.load_latest(
            self.directory / "checkpoints", self.settings, self.identity, completed
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
        self.batches.parted, self.skipped = state["parted"], state.get("skipped", 0)
        if "average" in state:
            self.average.load(state["average"])
        if "patience" in state:
            self.patience.load(state["patience"])
        note(f"going on from step {self.step}")

    def _stop(self, number: int, _frame: Any) -> None:
        self.stopping = f" ({signal.Signals(number).name})"


def other_speakers(dev: DataDir, data: DataDir) -> DataDir:
    """The development data, whose speakers are not trained on.

    Raises:
        DataError: some are.
    """
    common = sorted(dev.spk2utt.keys() & data.spk2utt.keys())
    if common:
        raise DataError(
            f"--dev {dev.path}: speakers {some(common)} are trained on, too; take them out of one of the two"
        )
    return dev


def train_model(
    conf: Path,
    data_dir: Path,
    directory: Path,
    overrides: tuple[str, ...] = (),
    device: str = "auto",
    nj: int = 1,
    workers: int = 0,
    initial: Sequence[Initial] = (),
    dev_dir: Path | None = None,
    on_checkpoint: Callable[[Path], None] = lambda directory: None,
) -> str:
    """Train as the config file says, on `nj` local processes; the entry of `csc train`.

    Args:
        initial: models, or parts of them, whose weights it begins from.
        dev_dir: a data directory of other speakers, whose EER is measured as training goes on.

    Returns:
        A line about what was done.

    Raises:
        CscError: the settings or the data are unfit; a loss is not finite; the run was interrupted.
    """
    config = configs.load(TrainConfig, conf, overrides)
    config = replace(config, initial=tuple(model.digest(config.model.sample_rate) for model in initial))
    data, chosen = DataDir.load(data_dir), pick_device(device)
    dev = other_speakers(DataDir.load(dev_dir), data) if dev_dir else None
    keep_memory()
    others = distributed.launch(nj)
    try:
        return Trainer(config, data, directory, chosen, workers, initial, dev).run(on_checkpoint)
    except RuntimeError as error:
        if distributed.world() > 1 and any(other.poll() for other in others):
            raise CscError("another process of this training ended early; its message stands above") from error
        raise
    finally:
        distributed.stop()
        for other in others:
            other.wait(timeout=60)
