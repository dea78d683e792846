"""A disk that is full: one line, nothing half written, and a run that goes on when there is room."""

from __future__ import annotations

import errno
import os
import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from csc_cli.errors import CscError
from csc_cli.mixtures import tables
from csc_cli.mixtures.plan import MixtureConfig
from csc_cli.mixtures.produce import Product
from csc_cli.mixtures.simulate import simulate_data_dir
from csc_cli.mixtures.write import AudioFormat
from tests.mixtures.conftest import CONFIG, contents

FLAC, FLOAT = Product(form=AudioFormat("flac")), Product(form=AudioFormat(unrounded=True))


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """The system refuses to write beyond `size` bytes of any file, as a disk that is full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)


@pytest.mark.parametrize("product", [Product(), FLAC, FLOAT], ids=["wav", "flac", "float"])
def test_a_full_disk_leaves_nothing_half_written(data, tmp_path, product, csc):
    making = {"count": 6, "seed": 2, "audio": True, "product": product}
    simulate_data_dir(data.path, tmp_path / "whole", CONFIG, **making)
    of_each = ((tmp_path / "whole").glob(f"*/mix{number:07d}.*") for number in range(6))
    sizes = [max(path.stat().st_size for path in files) for files in of_each]
    assert max(sizes) > sizes[0]
    out = tmp_path / "out"
    with files_of_at_most(max(sizes) - 1), pytest.raises(CscError, match=r"mix.jsonl:\d: .*cannot be written: .*space"):
        simulate_data_dir(data.path, out, CONFIG, **making)
    assert not list(out.rglob(".tmp*"))
    assert not (out / "wav.scp").exists()
    whole = contents(tmp_path / "whole")
    assert all(value == whole[name] for name, value in contents(out).items() if name != "mixtures.part")
    before = {path: path.stat().st_mtime_ns for path in (out / "wav").iterdir()}
    assert before
    simulate_data_dir(data.path, out, CONFIG, **making)
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert contents(out) == whole


@pytest.mark.parametrize("name", ["spk2.scp", "sha256sums", "mix.jsonl", "utt2spk"])
def test_a_disk_that_is_full_at_the_tables_is_one_line(data, tmp_path, monkeypatch, name, csc):
    def refuse(path, *rest, original=tables.open_atomic):
        if path.name == name:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        return original(path, *rest)

    arguments = ["simulate", "--num", 3, "--write-audio", data.path, tmp_path / "out"]
    monkeypatch.setattr(tables, "open_atomic", refuse)
    said = csc(*arguments, "--quiet", status=1).stderr
    assert said.count("\n") == 1
    assert "No space left on device; free space" in said
    assert not (tmp_path / "out" / "mix.jsonl").exists()
    assert not list((tmp_path / "out").rglob(".tmp*"))
    monkeypatch.undo()
    csc(*arguments)
    simulate_data_dir(data.path, tmp_path / "whole", MixtureConfig(crop_s=None), count=3, audio=True)
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")
