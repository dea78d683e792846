"""Keys of tables: none twice, at a small price for millions of them."""

from __future__ import annotations

import operator
from array import array
from collections.abc import Sequence

from csc_cli.errors import DataError


class Unique:
    """Refuses a key that comes a second time.

    Of each key 8 bytes are kept, and as long as the keys ascend, as in a data directory, nothing is looked up. Two
    keys of one hash (64 bits) would be taken for one: among ten million in no order, one time in 300,000.
    """

    def __init__(self, where: str, why: str = "stands in it twice; keep one of the two") -> None:
        self.where, self.why = where, why
        self.last = ""
        self.hashes = array("q")
        self.seen: set[int] | None = None

    @property
    def count(self) -> int:
        """How many keys there were."""
        return len(self.hashes) if self.seen is None else len(self.seen)

    def add(self, keys: Sequence[str]) -> None:
        """Raises DataError where one of the keys was there before."""
        if self.seen is None:
            if self.last < keys[0] and all(map(operator.lt, keys, keys[1:])):
                self.hashes.extend(map(hash, keys))
                self.last = keys[-1]
                return
            self.seen = set(self.hashes)
            self.hashes = array("q")
        hashes = list(map(hash, keys))
        if not self.seen.isdisjoint(hashes) or len(set(hashes)) < len(hashes):
            raise DataError(f"{self.where}: the key '{self._first_double(keys)}' {self.why}")
        self.seen.update(hashes)

    def _first_double(self, keys: Sequence[str]) -> str:
        seen = set(self.seen or ())
        for key in keys:
            if hash(key) in seen:
                break
            seen.add(hash(key))
        return key
