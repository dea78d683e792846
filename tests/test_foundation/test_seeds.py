"""A generator for each item: the same everywhere, another for every other item."""

from __future__ import annotations

import subprocess
import sys

import numpy as np

from csc_cli import seeds


def test_each_part_of_the_key_matters() -> None:
    keys = [
        (0,), (1,), (-1,), (0, "a"), (0, "b"), (0, "a", 0), (0, "a", 1), (0, "a", "1"), (0, "a", "b"), (0, "ab"),
        (0, "b", "a"), (0, 1, "a"), (0, "a", 11), (0, "a", 1, 1),
    ]  # fmt: skip
    assert len({seeds.derive(*key) for key in keys}) == len(keys)


def test_numpy_and_python_values_name_the_same_item() -> None:
    assert seeds.derive(np.int64(5), np.str_("mixture"), np.int32(3)) == seeds.derive(5, "mixture", 3)


def test_the_same_in_another_process() -> None:
    code = "from csc_cli import seeds; print(seeds.derive(3, 'noise', 7), seeds.generator(3, 'noise', 7).random())"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.split() == [str(seeds.derive(3, "noise", 7)), str(seeds.generator(3, "noise", 7).random())]


def test_generators_of_neighbouring_items_are_independent() -> None:
    draws = np.stack([seeds.generator(0, "item", index).standard_normal(2000) for index in range(40)])
    correlation = np.corrcoef(draws)[~np.eye(40, dtype=bool)]
    # 780 pairs with a standard deviation of 1 / sqrt(2000) = 0.022 each: five of them are never met by chance.
    assert np.abs(correlation).max() < 5 / np.sqrt(2000)
