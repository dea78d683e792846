"""Tables written: what is refused, what appears when, and what an interruption leaves behind."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import kaldiio
import numpy as np
import pytest

from csc_cli.errors import DataError
from csc_cli.kaldi.tables import MatrixWriter, VectorWriter, read_matrices, read_vectors_dict
from csc_cli.kaldi.writers import PENDING_BYTES


@pytest.mark.parametrize(
    ("key", "vector", "message"),
    [
        ("a b", [1.0], "cannot be a key"),
        ("", [1.0], "cannot be a key"),
        ("a", [], "shape"),
        ("a", [[1.0]], "shape"),
        ("a", [np.nan], "not finite"),
        ("a", [np.inf], "not finite"),
        ("sound", [1.0], "written twice"),
    ],
)
def test_what_must_not_be_written(tmp_path: Path, key: str, vector: list, message: str) -> None:
    with pytest.raises(DataError, match=message), VectorWriter(f"ark,scp:{tmp_path}/a.ark,{tmp_path}/a.scp") as writer:
        writer.write("sound", np.ones(1))
        writer.write(key, np.array(vector))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.filterwarnings("error")
def test_great_values_are_finite(tmp_path: Path) -> None:
    vector = np.full(9, np.finfo(np.float32).max)
    with VectorWriter(f"ark:{tmp_path}/a") as writer:
        writer.write("a", vector)
    assert read_vectors_dict(f"ark:{tmp_path}/a")["a"].tolist() == vector.tolist()


@pytest.mark.parametrize("dtype", [">f4", ">f8", "f2", "i8", "?"])
def test_other_types_become_kaldis(tmp_path: Path, dtype: str) -> None:
    matrix = np.array([[0, 1], [1, 0], [1, 1]], dtype).T  # not contiguous either
    with MatrixWriter(f"ark:{tmp_path}/a") as writer:
        writer.write("a", matrix)
    read = next(read_matrices(f"ark:{tmp_path}/a"))[1]
    assert read.dtype == (np.float64 if dtype == ">f8" else np.float32) and np.array_equal(read, matrix)


@pytest.mark.parametrize("method", range(1, 8))
def test_compressed_matrices(tmp_path: Path, method: int) -> None:
    matrix = np.random.default_rng(0).uniform(0, 1, (20, 3)).astype(np.float32)
    with MatrixWriter(f"ark,scp:{tmp_path}/a.ark,{tmp_path}/a.scp", method) as writer:
        writer.write("a", matrix)
        writer.write("b", matrix)
    table = dict(read_matrices(f"scp:{tmp_path}/a.scp"))
    for key, known in kaldiio.load_ark(f"{tmp_path}/a.ark"):
        np.testing.assert_allclose(table[key], known, rtol=1e-4, atol=1e-2 if method == 4 else 1e-5)
    with pytest.raises(DataError, match="'c' has a range"), MatrixWriter(f"ark:{tmp_path}/c", 5) as writer:
        writer.write("c", np.array([[-3e38, 3e38]]))


def test_files_that_an_scp_names(tmp_path: Path) -> None:
    (tmp_path / "out.scp").write_text(f"a {tmp_path}/x/a.vec\nb | cat > {tmp_path}/b.vec\n")
    with VectorWriter(f"scp:{tmp_path}/out.scp") as writer:
        writer.write("b", np.full(2, 2.0))
        writer.write("a", np.full(2, 1.0))
    (tmp_path / "in.scp").write_text(f"a {tmp_path}/x/a.vec\nb {tmp_path}/b.vec\n")
    table = read_vectors_dict(f"scp:{tmp_path}/in.scp")
    assert {key: vector.tolist() for key, vector in table.items()} == {"a": [1, 1], "b": [2, 2]}
    with pytest.raises(DataError, match=r"out.scp: no line for 'c'"), VectorWriter(f"scp:{tmp_path}/out.scp") as writer:
        writer.write("c", np.ones(2))
    with VectorWriter(f"scp,p,t:{tmp_path}/out.scp") as writer:
        writer.write("c", np.ones(2))
        writer.write("a", np.ones(2))
    assert (tmp_path / "x" / "a.vec").read_text() == " [ 1.0 1.0 ]\n"
    with pytest.raises(DataError, match="written twice"), VectorWriter(f"scp:{tmp_path}/out.scp") as writer:
        writer.write("a", np.ones(2))
        writer.write("a", np.ones(2))


def test_flush_passes_each_value_on_at_once(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    with VectorWriter(f"ark,t,f:| cat > {pipe}") as writer:
        for count in (1, 2):
            writer.write(f"k{count}", np.ones(1))
            for _ in range(500):
                if pipe.exists() and pipe.read_text().count("\n") == count:
                    break
                subprocess.run(["sleep", "0.01"], check=True)
            else:
                pytest.fail("nothing came")


@pytest.mark.parametrize("form", ["ark,scp", "ark,scp,t"])
def test_an_error_leaves_what_was_there(tmp_path: Path, form: str) -> None:
    wspecifier = f"{form}:{tmp_path}/a.ark,{tmp_path}/a.scp"
    with VectorWriter(wspecifier) as writer:
        writer.write("old", np.ones(2))
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(KeyError), VectorWriter(wspecifier) as writer:
        for index in range(3):
            writer.write(f"new{index}", np.ones(PENDING_BYTES // 8))
        raise KeyError
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


SCRIPT = """
import os, sys
from unittest import mock
import numpy as np
from csc_cli.kaldi.tables import VectorWriter
count, wspecifier = int(sys.argv[1]), sys.argv[2]
calls = 0
def dying(function):
    def run(*arguments, **options):
        global calls
        if calls == count:
            os.kill(os.getpid(), 9)
        calls += 1
        return function(*arguments, **options)
    return run
names = ("replace", "unlink", "fsync", "close")
with mock.patch.multiple(os, **{name: dying(getattr(os, name)) for name in names}):
    with VectorWriter(wspecifier) as writer:
        for key in ("new-one", "new-two"):
            writer.write(key, np.full(3, 2.0))
"""


@pytest.mark.long
def test_a_kill_at_any_moment_leaves_the_old_table_or_none_or_the_new(tmp_path: Path) -> None:
    seen = set()
    for count in range(20):
        folder = tmp_path / str(count)
        wspecifier = f"ark,scp:{folder}/a.ark,{folder}/a.scp"
        with VectorWriter(wspecifier) as writer:
            writer.write("old", np.ones(3))
        run = subprocess.run([sys.executable, "-c", SCRIPT, str(count), wspecifier], cwd=Path(__file__).parents[2])
        ark = read_vectors_dict(f"ark:{folder}/a.ark")
        assert sorted(ark) in (["old"], ["new-one", "new-two"])
        if (folder / "a.scp").exists():
            scp = read_vectors_dict(f"scp:{folder}/a.scp")
            assert {key: vector.tolist() for key, vector in scp.items()} == {
                key: vector.tolist() for key, vector in ark.items()
            }
        seen.add(("new-one" in ark, (folder / "a.scp").exists()))
        if run.returncode == 0:
            break
    assert run.returncode == 0 and {(False, True), (True, False), (True, True)} <= seen


LIMITED = """
import resource, signal, sys
import numpy as np
from csc_cli.errors import DataError
from csc_cli.kaldi.tables import VectorWriter
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    with VectorWriter(sys.argv[1]) as writer:
        for index in range(1000):
            writer.write(f"new{index}", np.ones(100))
except DataError as error:
    sys.exit(str(error))
"""


@pytest.mark.parametrize("form", ["ark,scp", "ark,scp,t"])
def test_a_disk_that_becomes_full_leaves_what_was_there(tmp_path: Path, form: str) -> None:
    wspecifier = f"{form}:{tmp_path}/a.ark,{tmp_path}/a.scp"
    with VectorWriter(wspecifier) as writer:
        writer.write("old", np.ones(2))
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    command = [sys.executable, "-c", LIMITED, wspecifier]
    run = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True)
    assert run.returncode == 1 and f"{tmp_path}/a.ark: cannot be written: File too large" in run.stderr
    assert len(run.stderr.splitlines()) == 1
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_full_disk_is_an_error(tmp_path: Path) -> None:
    if not os.path.exists("/dev/full"):
        pytest.skip("no /dev/full here")
    with pytest.raises(DataError, match="cannot be written: No space left"), VectorWriter("ark:/dev/full") as writer:
        writer.write("a", np.ones(3))
