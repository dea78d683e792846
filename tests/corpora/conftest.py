"""A file server on this machine, with the habits and faults of servers elsewhere; archives to serve."""

from __future__ import annotations

import io
import re
import tarfile
import threading
import zipfile
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest


class Served(ThreadingHTTPServer):
    """Files by name. `ranges`, `etag`, `break_after` (bytes a connection gives before it breaks) can be set."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files: dict[str, bytes] = {}
        self.ranges = True
        self.etag = '"one"'
        self.break_after: int | None = None
        self.status: list[int] = []  # of the next answers, instead of a file
        self.asked: list[tuple[str, str]] = []  # (path, Range)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    server: Served

    def log_message(self, *_arguments: object) -> None:
        pass

    def do_GET(self) -> None:
        server = self.server
        asked = self.headers.get("Range", "")
        server.asked.append((self.path, asked))
        data = server.files.get(Path(self.path).name)
        if server.status:
            self.send_error(server.status.pop(0))
            return
        if data is None:
            self.send_error(404)
            return
        start = 0
        if server.ranges and asked and self.headers.get("If-Range", server.etag) == server.etag:
            found = re.fullmatch(r"bytes=(\d+)-", asked)
            assert found
            start = int(found[1])
            if start >= len(data):
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{len(data)}")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        else:
            self.send_response(200)
        self.send_header("Content-Length", str(len(data) - start))
        self.send_header("ETag", server.etag)
        self.end_headers()
        self.wfile.write(data[start:][: server.break_after])
        self.close_connection = True


@pytest.fixture
def served() -> Iterator[Served]:
    server = Served()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def tar() -> Callable[[dict[str, bytes]], bytes]:
    """The bytes of a .tar.gz of these files."""

    def pack(files: dict[str, bytes]) -> bytes:
        stream = io.BytesIO()
        with tarfile.open(fileobj=stream, mode="w:gz") as archive:
            for name, data in files.items():
                entry = tarfile.TarInfo(name)
                entry.size = len(data)
                archive.addfile(entry, io.BytesIO(data))
        return stream.getvalue()

    return pack


@pytest.fixture
def zipped() -> Callable[[dict[str, bytes]], bytes]:
    """The bytes of a .zip of these files."""

    def pack(files: dict[str, bytes]) -> bytes:
        stream = io.BytesIO()
        with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, data in files.items():
                archive.writestr(name, data)
        return stream.getvalue()

    return pack
