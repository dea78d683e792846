"""A disk that is full, in one line: what is whole, and how to go on."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from csc_cli.errors import CscError
from csc_cli.training import checkpoint

FULL = {errno.ENOSPC, errno.EDQUOT}
# safetensors tells what the system said in words alone.
SAID = tuple(f"(os error {number})" for number in FULL)


def is_full(error: BaseException) -> bool:
    """Whether the error, or one that it was raised from or after, says that a disk or quota is full."""
    seen: set[int] = set()
    waiting: list[BaseException | None] = [error]
    while waiting:
        one = waiting.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        # torch raises a RuntimeError of its own after the OSError of the file that it writes to.
        if (isinstance(one, OSError) and one.errno in FULL) or str(one).endswith(SAID):
            return True
        waiting += [one.__cause__, one.__context__]
    return False


@contextmanager
def explained_if_disk_full(directory: Path) -> Iterator[None]:
    """
    Raises:
        CscError: in the place of an error inside the block which says that the disk of EXP, `directory`, is full.
    """
    try:
        yield
    except Exception as error:
        if not is_full(error):
            raise
        found = checkpoint.steps(directory / "checkpoints")
        whole = f"the checkpoint of step {found[-1]} is whole" if found else "there was no checkpoint yet"
        raise CscError(f"{directory}: the disk is full; {whole}: free space, and the same command goes on") from error
