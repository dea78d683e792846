"""Everything that several processes share; in one process these functions do nothing.

`torchrun`, or `launch` on one machine, sets WORLD_SIZE, RANK and LOCAL_RANK; gloo carries CPU tensors, nccl CUDA's.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterable
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor


def launch(count: int) -> list[subprocess.Popen[bytes]]:
    """Make this process rank 0 of `count` local ones, by running this same command in the others.

    Nothing happens for a count of 1, or where torchrun has made the group. The others end with this one: a
    signal reaches them as a vote at the next step (`any_rank`).
    """
    if count == 1 or "WORLD_SIZE" in os.environ:
        return []
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    group = {"WORLD_SIZE": str(count), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    command = [sys.executable, "-m", "csc_cli.cli.main", *sys.argv[1:]]
    os.environ.update(group, RANK="0", LOCAL_RANK="0")
    return [
        subprocess.Popen(command, env={**os.environ, "RANK": str(other), "LOCAL_RANK": str(other)})
        for other in range(1, count)
    ]


def start(device: torch.device) -> torch.device:
    """Join the group that torchrun made, if any; returns this rank's device."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1 or dist.is_initialized():
        return device
    if device.type == "cuda":
        device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
        torch.cuda.set_device(device)
    # Each rank computes alone: more threads than cores only wait for each other.
    torch.set_num_threads(max(1, torch.get_num_threads() // int(os.environ["WORLD_SIZE"])))
    # Counts and votes are CPU tensors even where the model is not.
    dist.init_process_group("cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo")
    return device


def stop() -> None:
    """Leave the group."""
    if dist.is_initialized():
        dist.destroy_process_group()
        # gloo's threads let go of Python's tensors a little later. One that does so while the interpreter is
        # ending aborts the process (github.com/pytorch/pytorch/pull/179291): seen now and then.
        time.sleep(0.2)


def rank() -> int:
    return dist.get_rank() if dist.is_initialized() else 0


def world() -> int:
    return dist.get_world_size() if dist.is_initialized() else 1


def wait() -> None:
    """Until every rank is here."""
    if dist.is_initialized():
        dist.barrier()


def total(value: Tensor) -> Tensor:
    """The sum over ranks, without gradient."""
    value = value.detach().clone()
    if dist.is_initialized():
        dist.all_reduce(value)
    return value


def any_rank(flag: bool) -> bool:
    """Whether the flag is set on some rank."""
    return bool(total(torch.tensor(float(flag))) > 0)


class _Gather(torch.autograd.Function):
    """Concatenation over ranks whose backward pass adds up what every rank's loss says of a part."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        parts = [torch.empty_like(x) for _ in range(world())]
        dist.all_gather(parts, x.contiguous())
        ctx.size = x.shape[0]
        return torch.cat(parts)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        gradient = gradient.contiguous()
        dist.all_reduce(gradient)
        return gradient[rank() * ctx.size : (rank() + 1) * ctx.size]


def gather(x: Tensor) -> Tensor:
    """(A, ...) of each rank -> (world A, ...), with gradient to every rank's part."""
    return _Gather.apply(x) if dist.is_initialized() else x


class _Total(torch.autograd.Function):
    """The sum over ranks; its gradient is the sum over ranks too."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return total(x)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return total(gradient)


def total_with_gradient(x: Tensor) -> Tensor:
    """The sum over ranks, with gradient to every rank's part."""
    return _Total.apply(x) if dist.is_initialized() else x


def add_gradients(parameters: Iterable[torch.nn.Parameter]) -> None:
    """Sum the gradients over ranks in one message; each rank's loss is its share of the global loss."""
    if not dist.is_initialized():
        return
    gradients = [p.grad for p in parameters if p.grad is not None]
    flat = torch.cat([g.reshape(-1) for g in gradients])
    dist.all_reduce(flat)
    for gradient, part in zip(gradients, flat.split([g.numel() for g in gradients]), strict=True):
        gradient.copy_(part.view_as(gradient))
