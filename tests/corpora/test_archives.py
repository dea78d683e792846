import io
import tarfile
from itertools import pairwise

import numpy as np
import pytest

from csc_cli.corpora.archives import Archive, Joined, download, unpack
from csc_cli.corpora.download import Remote
from csc_cli.errors import DataError


def tree(folder) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and "archives" not in path.parts
    }


@pytest.mark.parametrize("kind", ["tar", "zipped"])
def test_archives_of_one_tree_are_merged(served, tmp_path, request, kind):
    pack = request.getfixturevalue(kind)
    served.files["a.bin"] = pack({"Corpus/README": b"old", "Corpus/a/1": b"one"})
    served.files["b.bin"] = pack({"Corpus/README": b"new", "Corpus/b/2": b"two"})
    archives = [Archive((Remote(f"{served.url}/{name}.bin"),)) for name in "ab"]
    download(archives, tmp_path)
    assert tree(tmp_path) == {"Corpus/README": b"new", "Corpus/a/1": b"one", "Corpus/b/2": b"two"}
    (tmp_path / "archives" / "a.bin").unlink()
    download(archives, tmp_path)
    assert len(served.asked) == 2


def test_an_archive_in_parts_is_read_as_one(served, zipped, tmp_path):
    files = {f"dev/aac/id{n:05d}/x.m4a": np.random.default_rng(n).bytes(5000) for n in range(20)}
    data = zipped(files)
    cuts = [0, 1, 40_000, len(data) - 10, len(data)]
    for part, (start, stop) in zip("abcd", pairwise(cuts), strict=True):
        served.files[f"part{part}"] = data[start:stop]
    parts = tuple(Remote(f"{served.url}/part{part}") for part in "abcd")
    download([Archive(parts, "vox")], tmp_path)
    assert tree(tmp_path) == {f"vox/{name}": content for name, content in files.items()}


def test_plain_files_are_put_in_their_place(served, tmp_path):
    served.files["list.txt"] = b"1 a b\n"
    download([Archive((Remote("http://nowhere.invalid/list.txt"),), "meta")], tmp_path, mirror=served.url)
    assert tree(tmp_path) == {"meta/list.txt": b"1 a b\n"}


def test_interrupted_unpacking_leaves_the_tree_as_it_was(tar, tmp_path):
    (tmp_path / "whole.tar.gz").write_bytes(tar({"Corpus/1": b"x" * 100_000, "Corpus/2": b"y" * 100_000})[:-100])
    with pytest.raises(DataError, match=r"whole.tar.gz: cannot be unpacked"):
        unpack([tmp_path / "whole.tar.gz"], tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize("kind", ["tar", "zipped"])
@pytest.mark.parametrize("name", ["../outside", "a/../../../outside", "{folder}/outside"])
def test_names_that_lead_out_of_the_folder_are_refused(tmp_path, request, kind, name):
    pack = request.getfixturevalue(kind)
    (tmp_path / "bad.bin").write_bytes(pack({name.format(folder=tmp_path): b"x"}))
    with pytest.raises(DataError, match=r"cannot be unpacked.*leads out"):
        unpack([tmp_path / "bad.bin"], tmp_path / "out")
    assert not (tmp_path / "outside").exists() and list((tmp_path / "out").iterdir()) == []


def test_links_are_refused(tmp_path):
    link = tarfile.TarInfo("Corpus/link")
    link.type, link.linkname = tarfile.SYMTYPE, "/etc"
    with tarfile.open(tmp_path / "bad.tar", "w") as archive:
        archive.addfile(link)
    with pytest.raises(DataError, match=r"Corpus/link.*neither a file nor a folder"):
        unpack([tmp_path / "bad.tar"], tmp_path / "out")


def test_joined_reads_like_the_files_put_together(tmp_path):
    data = np.random.default_rng(0).bytes(1000)
    paths = [tmp_path / str(n) for n in range(4)]
    for path, (start, stop) in zip(paths, [(0, 300), (300, 300), (300, 301), (301, 1000)]):
        path.write_bytes(data[start:stop])
    rng = np.random.default_rng(1)
    with io.BufferedReader(Joined(paths), 64) as stream:
        for start, count in rng.integers(0, 1100, (200, 2)).tolist():
            stream.seek(start)
            assert stream.read(count) == data[start : start + count]
        assert stream.seek(-5, io.SEEK_END) == 995 and stream.read() == data[-5:]
