"""Peak memory of one training step, measured on noise: no data directory is needed."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from csc_cli.extraction.memory import Memory, peak_while
from csc_cli.kaldi.audio import write_audio
from csc_cli.kaldi.datadir import DataDir, Utterance
from csc_cli.parallel import in_fresh_process
from csc_cli.training.config import TrainConfig
from csc_cli.training.trainer import Trainer


def training_memory(config: TrainConfig, device: str = "cpu") -> Memory:
    """Of one optimiser step of the config's batch, on as many speakers as the batch has.

    Each further row of the inventory adds its E floats four times (with gradient and optimiser).

    Raises:
        CscError: the process was killed, for memory most likely.
    """
    return in_fresh_process(_train, config, device)


def _train(config: TrainConfig, device: str) -> Memory:
    one = replace(
        config,
        optimiser=replace(config.optimiser, steps=1),
        batch=replace(config.batch, held_out=0.0),
        tracking=replace(config.tracking, log_every=1),
    )
    with tempfile.TemporaryDirectory(prefix="csc-info-") as folder:
        data = noise_data_dir(Path(folder) / "data", config)
        trainer = Trainer(one, data, Path(folder) / "exp", torch.device(device))
        return peak_while(trainer.run, device)


def noise_data_dir(folder: Path, config: TrainConfig) -> DataDir:
    """As many speakers as a batch asks for, with two utterances of noise each, long enough at every speed."""
    rng = np.random.default_rng(0)
    rate = config.model.sample_rate
    samples = round(((config.mixtures.crop_s or 1.0) + 0.5) * max(config.mixtures.speeds) * rate)
    utterances = []
    for number in range(config.batch.utterances):
        for part in range(2):
            name = f"noise{number:05d}"
            path = folder / f"{name}-{part}.wav"
            write_audio(path, (0.1 * rng.standard_normal(samples)).clip(-0.9, 0.9), rate)
            utterances.append(Utterance(f"{name}-{part}", name, str(path)))
    data = DataDir(folder, tuple(utterances))
    data.save(folder)
    return data
