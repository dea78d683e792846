"""Finished batches on disk, so that a rerun goes on; the stamp that says that an output is whole."""

from __future__ import annotations

import hashlib
import json
import shutil
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from csc_cli.errors import DataError
from csc_cli.extraction.recordings import Failure
from csc_cli.files import atomic_path, write_json
from csc_cli.kaldi.specifiers import unwritable
from csc_cli.kaldi.text import write_map

SHOWN = 20


def digest(*values: Any) -> str:
    """A checksum of plain values."""
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


class Parts:
    """A hidden folder of OUT with a file of arrays for each finished batch."""

    def __init__(self, out: Path, identity: str) -> None:
        """`identity` is a checksum of all that the arrays depend on."""
        self.out, self.folder = out, out / f".parts-{identity[:16]}"

    def save(self, number: int, arrays: Mapping[str, np.ndarray], failures: Iterable[Failure]) -> None:
        """Keep the arrays of batch `number`, whole or not at all. Raises DataError where the disk is full."""
        failed = np.array([(failure.id, failure.message) for failure in failures], dtype=np.str_).reshape(-1, 2)
        try:
            with atomic_path(self.folder / f"{number:07d}.npz") as path:
                np.savez(path, failed=failed, **arrays)  # type: ignore[arg-type]
        except OSError as error:
            raise unwritable(self.folder, error) from error

    def load(self, number: int) -> tuple[dict[str, np.ndarray], list[Failure]] | None:
        """Arrays and failures of batch `number`; None where it is not there, or damaged."""
        try:
            with np.load(self.folder / f"{number:07d}.npz", allow_pickle=False) as archive:
                arrays = {name: archive[name] for name in archive.files}
            return arrays, [Failure(*row) for row in arrays.pop("failed").tolist()]
        except (OSError, ValueError, KeyError, zipfile.BadZipFile):
            return None

    def is_done(self, number: int) -> bool:
        """Whether batch `number` was processed without a failure."""
        part = self.load(number)
        return part is not None and not part[1]

    def remove(self) -> None:
        """Take all parts away, those of other settings too."""
        for folder in self.out.glob(".parts-*"):
            shutil.rmtree(folder, ignore_errors=True)


def is_whole(stamp: Path, identity: str) -> bool:
    """Whether `stamp` says that all is done with this identity, and the files that it names are there, as long."""
    try:
        said = json.loads(stamp.read_text(encoding="utf-8"))
        return (
            said["identity"] == identity
            and not said["failed"]
            and all((stamp.parent / name).stat().st_size == size for name, size in said["files"].items())
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False


def write_stamp(stamp: Path, identity: str, files: Iterable[Path], failed: int, settings: Mapping[str, Any]) -> None:
    """Say that `files`, in the stamp's folder, are written; the last thing that a run does."""
    sizes = {str(file.relative_to(stamp.parent)): file.stat().st_size for file in files}
    write_json(stamp, {"identity": identity, "files": sizes, "failed": failed, "settings": dict(settings)})


def report_failures(out: Path, failures: list[Failure], total: int) -> None:
    """Write OUT/failed (a line a recording), or take it away where there is none.

    Raises:
        DataError: there are failures; it lists the first of them.
    """
    listing = out / "failed"
    if not failures:
        listing.unlink(missing_ok=True)
        return
    failures = sorted(failures, key=lambda failure: failure.id)
    write_map(listing, {failure.id: " ".join(failure.message.split()) for failure in failures})
    lines = [f"  {failure.message}" for failure in failures[:SHOWN]]
    more = [f"  ... all are listed in {listing}"] if len(failures) > SHOWN else []
    done = f"the other {total - len(failures)} are done" if total > len(failures) else "none is done"
    raise DataError("\n".join([f"{len(failures)} of {total} recordings failed, {done}:", *lines, *more]))
