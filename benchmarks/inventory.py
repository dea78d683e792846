#!/usr/bin/env python3
"""One training step against inventories of growing size: time and peak memory; L_inv in blocks and dense, side by side.

    python benchmarks/inventory.py [--conf conf/train/csc-speechocean762.yaml] [--dim 256]
                                   [--rows 330 10000 100000 1000000] [--dense-up-to 100000] [--block 8192]

A step is the whole of it (network, losses, gradients, clipping, AdamW) on a batch of the config's size, of noise in
place of recordings, on one thread, in float32. Each figure is of a process of its own: seconds of processor time of the
second step, and the most memory that the process ever held. "dense" is L_inv from all logits at once, as plain torch
does it.
"""

from __future__ import annotations

import argparse
import contextlib
import multiprocessing
import resource
import time
from pathlib import Path
from typing import NamedTuple

import torch
from machine import machine
from torch import Tensor
from torch.nn import functional

from csc_cli import config as configs
from csc_cli.nn.inventory import Inventory
from csc_cli.nn.model import CscModel, new_model
from csc_cli.training import objective
from csc_cli.training.batches import MixtureBatch
from csc_cli.training.config import TrainConfig
from csc_cli.training.objective import Learner

ROOT = Path(__file__).resolve().parents[1]


class Found(NamedTuple):
    seconds: float
    megabytes: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--conf", type=Path, default=ROOT / "conf/train/csc-speechocean762.yaml")
    parser.add_argument("--dim", type=int, default=256)
    parser.add_argument("--rows", type=int, nargs="+", default=[330, 10_000, 100_000, 1_000_000])
    parser.add_argument("--dense-up-to", type=int, default=100_000)
    parser.add_argument("--block", type=int, default=8192)
    settings = parser.parse_args()
    overrides = (f"model.encoder.embedding={settings.dim}", f"inventory.block={settings.block}")
    config = configs.load(TrainConfig, settings.conf, overrides)
    count = config.batch.utterances * config.batch.conditions
    print(
        f"machine: {machine()}, one used; torch {torch.__version__}; {settings.conf.name}, {count} mixtures of ", end=""
    )
    print(f"{config.mixtures.crop_s} s, rows of {settings.dim} dimensions in blocks of {settings.block}")
    print("rows      form    s a step   peak MB   rows, moments and gradient MB")
    for rows in settings.rows:
        own = 4 * 4 * rows * settings.dim / 1e6
        for form in ["blocks"] + ["dense"] * (rows <= settings.dense_up_to):
            found = apart(config, rows, form == "dense")
            print(f"{rows:<9} {form:<7} {found.seconds:8.2f} {found.megabytes:9.0f} {own:9.0f}", flush=True)


def apart(config: TrainConfig, rows: int, dense: bool) -> Found:
    """The measurement in a process of its own, whose peak is not an earlier one's."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(measure, (config, rows, dense))


def measure(config: TrainConfig, rows: int, dense: bool) -> Found:
    """Two steps; the first one allocates."""
    torch.set_num_threads(1)
    if dense:
        objective.inventory_loss = dense_loss
    model = new_model(config.model, 0)
    if not isinstance(model, CscModel):
        raise SystemExit("--conf: a config of CSC, not of a rival")
    learner = Learner(model, Inventory(config.inventory, rows, config.model.embedding), config)
    optimiser = torch.optim.AdamW(learner.parameters(), lr=1e-4, fused=True)
    batch = noise(config, rows)
    seconds = 0.0
    for step in range(2):
        began = time.process_time()
        losses = learner(batch, torch.Generator().manual_seed(step), contextlib.nullcontext(), 0.0)
        losses.total.backward()
        torch.nn.utils.clip_grad_norm_(learner.parameters(), config.optimiser.clip)
        optimiser.step()
        optimiser.zero_grad()
        seconds = time.process_time() - began
    return Found(seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def noise(config: TrainConfig, rows: int) -> MixtureBatch:
    """A batch of the config's size."""
    count, streams = config.batch.utterances * config.batch.conditions, config.slots
    length = round((config.mixtures.crop_s or 1) * config.model.sample_rate)
    sources = 0.05 * torch.randn(count, streams, length, generator=torch.Generator().manual_seed(0))
    labels = torch.arange(count * streams).view(count, streams) // 2 * (rows // count) % rows
    return MixtureBatch(sources.sum(1), sources, torch.full((count,), length), labels, ("",) * count)


def dense_loss(
    vectors: Tensor, rows: Tensor, alpha: Tensor, candidates: Tensor, valid: Tensor | None, unit: bool, block: int
) -> Tensor:
    """L_inv of unit vectors, as in csc_cli.nn.streamed.inventory_loss, from the (A, N) logits."""
    logits = 2 * alpha * (vectors @ functional.normalize(rows, dim=-1).mT - 1)
    return logits.logsumexp(1, keepdim=True) - logits.gather(1, candidates)


if __name__ == "__main__":
    main()
