"""Archives of corpora: downloaded, unpacked into one tree, and not touched again once that is done."""

from __future__ import annotations

import bisect
import io
import os
import shutil
import tarfile
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from csc_cli.corpora.download import Remote, fetch
from csc_cli.errors import DataError
from csc_cli.files import open_atomic
from csc_cli.progress import note, track

FOLDER = "archives"


@dataclass(frozen=True)
class Archive:
    """A .tar.gz or .zip of one file or of parts that follow each other; or a plain file, which is only copied.

    Attributes:
        parts: in order.
        into: the folder below the corpus in which it is unpacked.
    """

    parts: tuple[Remote, ...]
    into: str = "."

    @property
    def name(self) -> str:
        return self.parts[0].name


def download(archives: Iterable[Archive], corpus: Path, mirror: str | None = None) -> None:
    """Bring the archives to corpus/archives and unpack them into `corpus`; what was unpacked before is skipped.

    corpus/archives/NAME.done says that an archive was unpacked; the archive itself can then be removed.

    Args:
        mirror: the address of a folder that holds the files in place of the published addresses.

    Raises:
        DownloadError, ConfigError: as `download.fetch`. DataError: an archive that cannot be unpacked.
    """
    for archive in archives:
        done = corpus / FOLDER / f"{archive.name}.done"
        if done.exists():
            continue
        paths = [fetch(part.at(mirror), corpus / FOLDER) for part in archive.parts]
        target = corpus / archive.into
        if archive.name.endswith((".txt", ".csv")):
            target.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(paths[0], target / archive.name)
        else:
            unpack(paths, target)
        with open_atomic(done) as stream:
            stream.write("".join(f"{path.name}\n" for path in paths))


def unpack(paths: Sequence[Path], target: Path) -> None:
    """Unpack an archive (in one file, or in parts that follow each other) into the folder `target`.

    It is unpacked beside its place and moved there at the end, into folders that may be there already.

    Raises:
        DataError: a damaged archive, or one with names that lead out of the folder.
    """
    aside = target / f".unpacking-{paths[0].name}"
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    note(f"{paths[0]}: unpacking into {target}")
    try:
        with io.BufferedReader(Joined(paths), 1 << 20) as stream:
            for name, content in track(_members(stream), "unpacking"):
                _put(aside, name, content)
        _merge(aside, target)
    except (tarfile.TarError, zipfile.BadZipFile, EOFError, zlib.error) as error:
        raise DataError(f"{paths[0]}: cannot be unpacked: {error}; remove it and download it again") from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _members(stream: IO[bytes]) -> Iterator[tuple[str, IO[bytes] | None]]:
    """Name and content of each file, name and None of each folder; a corpus holds nothing else, links above all."""
    if zipfile.is_zipfile(stream):
        with zipfile.ZipFile(stream) as archive:
            for entry in archive.infolist():
                yield entry.filename, None if entry.is_dir() else archive.open(entry)
        return
    stream.seek(0)
    # TarFile.extractall can only be told to be careful from Python 3.11.4 on.
    with tarfile.open(fileobj=stream, mode="r:*") as tar:
        for member in tar:
            if not (member.isfile() or member.isdir()):
                raise tarfile.TarError(f"'{member.name}' is neither a file nor a folder")
            yield member.name, tar.extractfile(member)


def _put(folder: Path, name: str, content: IO[bytes] | None) -> None:
    """Write a member of an archive. Raises TarError for a name that leads out of the folder."""
    place = folder / name
    if not place.resolve().is_relative_to(folder.resolve()):
        raise tarfile.TarError(f"'{name}' leads out of the folder")
    if content is None:
        place.mkdir(parents=True, exist_ok=True)
        return
    place.parent.mkdir(parents=True, exist_ok=True)
    with content, open(place, "wb") as stream:
        shutil.copyfileobj(content, stream, 1 << 20)


def _merge(source: Path, target: Path) -> None:
    """Move what is in the folder `source` into the folder `target`; files of the same name are replaced."""
    for entry in sorted(os.scandir(source), key=lambda entry: entry.name):
        place = target / entry.name
        if entry.is_dir(follow_symlinks=False) and place.is_dir():
            _merge(Path(entry.path), place)
        else:
            os.replace(entry.path, place)


class Joined(io.RawIOBase):
    """Files that follow each other, read as one without making it."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self.files = [io.FileIO(path) for path in paths]
        self.ends = [0]
        for path in paths:
            self.ends.append(self.ends[-1] + path.stat().st_size)
        self.place = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self.place = max(0, offset + (0, self.place, self.ends[-1])[whence])
        return self.place

    def tell(self) -> int:
        return self.place

    def readinto(self, buffer) -> int:  # type: ignore[no-untyped-def]
        if self.place >= self.ends[-1]:
            return 0
        index = bisect.bisect_right(self.ends, self.place) - 1
        file = self.files[index]
        file.seek(self.place - self.ends[index])
        count = file.readinto(buffer)
        self.place += count
        return count

    def close(self) -> None:
        for file in self.files:
            file.close()
        super().close()
