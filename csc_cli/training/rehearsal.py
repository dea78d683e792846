"""Before a long training: one batch through (`--dry-run`), a few mixtures learned by heart (`--overfit`), where the
time goes (`--profile`). None of them leaves a checkpoint."""

from __future__ import annotations

import resource
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch

from csc_cli import config as configs
from csc_cli.errors import ConfigError
from csc_cli.files import open_atomic
from csc_cli.kaldi.datadir import DataDir
from csc_cli.nn.model import pick_device
from csc_cli.progress import track
from csc_cli.training.batches import MixtureBatch
from csc_cli.training.config import TrainConfig
from csc_cli.training.device import keep_memory
from csc_cli.training.trainer import Trainer

TIMED = 5  # steps
PROFILED = 5


def dry_run(conf: Path, data_dir: Path, exp: Path, overrides: tuple[str, ...], device: str) -> str:
    """One warm-up step and a few timed ones; returns lines with speed, memory and the time of the whole training."""
    trainer = _trainer(conf, data_dir, exp, overrides, device)
    trainer.update_or_explain(trainer.parts(0))
    began = time.monotonic()
    waited = 0.0
    for step in range(1, 1 + TIMED):
        mark = time.monotonic()
        parts = trainer.parts(step)
        waited += time.monotonic() - mark
        trainer.update_or_explain(parts)
    step_s = (time.monotonic() - began) / TIMED
    config = trainer.config
    hours = step_s * config.optimiser.steps / 3600
    count = sum(p.numel() for p in trainer.learner.model.parameters())
    return "\n".join([
        f"{len(trainer.corpus.train)} utterances, {len(trainer.corpus.rows)} rows; {count:,} parameters",
        f"a step: {config.step_mixtures} mixtures, {step_s:.3g} s "
        f"({config.step_audio_s / step_s:.0f} s of audio a second), "
        f"{100 * waited / TIMED / step_s:.0f} % of it making the mixtures (--workers N makes them beside it)",
        f"memory: {peak_memory(trainer.device) / 2**30:.2f} GiB at most ({trainer.device}, {trainer.precision})",
        f"{config.optimiser.steps} steps: about {hours:.2g} h, measuring and saving not counted",
    ])  # fmt: skip


def peak_memory(device: torch.device) -> int:
    """Bytes: of the GPU, or resident in this process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def overfit(conf: Path, data_dir: Path, exp: Path, overrides: tuple[str, ...], device: str, count: int) -> str:
    """Train on the same `count` mixtures at each step: a network and losses that can learn get them by heart."""
    trainer = _trainer(conf, data_dir, exp, overrides, device)
    batch = first(trainer.batches[0], count)
    figures: dict[str, float] = {}
    detail = partial(_words, figures)
    for _ in track(range(trainer.config.optimiser.steps), f"{count} mixtures by heart", detail=detail):
        figures.update(trainer.update_or_explain([batch]))
        trainer.step += 1
    return f"{count} mixtures after {trainer.step} steps: {_words(figures)}"


def first(batch: MixtureBatch, count: int) -> MixtureBatch:
    """The first `count` mixtures.

    Raises:
        ConfigError: the batch has fewer.
    """
    if len(batch.ids) < count:
        raise ConfigError(f"--overfit {count}: a batch has {len(batch.ids)} mixtures; raise batch.utterances")
    return MixtureBatch(*(part[:count] for part in batch))  # type: ignore[arg-type]


def profile(conf: Path, data_dir: Path, exp: Path, overrides: tuple[str, ...], device: str) -> str:
    """Where the time of a few steps goes: EXP/profile.txt, and EXP/profile.json for a browser's trace viewer."""
    trainer = _trainer(conf, data_dir, exp, overrides, device)
    trainer.update_or_explain(trainer.parts(0))
    kinds = [torch.profiler.ProfilerActivity.CPU]
    if trainer.device.type == "cuda":
        kinds.append(torch.profiler.ProfilerActivity.CUDA)
    with torch.profiler.profile(activities=kinds) as profiler:
        for step in range(1, 1 + PROFILED):
            with torch.profiler.record_function("csc: mixtures"):
                parts = trainer.parts(step)
            with torch.profiler.record_function("csc: step"):
                trainer.update_or_explain(parts)
    table = profiler.key_averages().table(sort_by=f"self_{trainer.device.type}_time_total", row_limit=25)
    with open_atomic(exp / "profile.txt") as stream:
        stream.write(table)
    profiler.export_chrome_trace(str(exp / "profile.json"))
    return f"{PROFILED} steps -> {exp}/profile.txt, profile.json"


def _trainer(conf: Path, data_dir: Path, exp: Path, overrides: tuple[str, ...], device: str) -> Trainer:
    keep_memory()
    config = configs.load(TrainConfig, conf, overrides)
    config = replace(config, optimiser=replace(config.optimiser, skipped=0))
    return Trainer(config, DataDir.load(data_dir), exp, pick_device(device))


def _words(figures: dict[str, float]) -> str:
    wanted = ("loss", "si_snri", "inventory", "speaker")
    units = {"si_snri": " dB"}
    return ", ".join(f"{key} {figures[key]:.3g}{units.get(key, '')}" for key in wanted if key in figures)
