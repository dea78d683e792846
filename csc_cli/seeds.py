"""One random generator for each item, so that order, workers and `--nj` never change a draw."""

from __future__ import annotations

import hashlib

import numpy as np


def derive(seed: int, *key: str | int) -> int:
    """A 64-bit seed for the item that `key` names, the same on every platform.

    >>> derive(0, "mixture", 3) == derive(0, "mixture", 3) != derive(0, "mixture", 4)
    True
    """
    text = "\x1f".join(map(_spell, (int(seed), *key)))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")


def generator(seed: int, *key: str | int) -> np.random.Generator:
    """A generator of its own for the item that `key` names (purpose first, then the id)."""
    return np.random.Generator(np.random.PCG64(derive(seed, *key)))


def _spell(part: str | int) -> str:
    # numpy's integers and texts count as Python's: an index from an array names the same item.
    return f"int:{int(part)}" if isinstance(part, (int, np.integer)) else f"str:{part}"
