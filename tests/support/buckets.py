"""A real S3 server on loopback (moto's), and a proxy in front of it that injects faults and keeps count."""

from __future__ import annotations

import contextlib
import functools
import http.client
import os
import re
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

KEY, SECRET = "AKIAIOSFODNN7GENEPOOL", "wJalrXUtnFEMI-K7MDENG-bPxRfiCYGENEPOOLKEY"


@dataclass
class Fault:
    """What happens to the next ``times`` requests that match."""

    kind: str  # error (500), denied (403), reset, truncated, short (claims to be whole), slow, lost (a put)
    path: str = ""
    method: str = "GET"
    times: int = 1 << 30

    def takes(self, method: str, path: str) -> bool:
        if self.times <= 0 or method != self.method or not re.search(self.path, path):
            return False
        self.times -= 1
        return True


@dataclass
class Proxy:
    """An HTTP proxy for one server, faults included."""

    target: tuple[str, int]
    faults: list[Fault] = field(default_factory=list)
    seen: list[tuple[str, str]] = field(default_factory=list)
    pause: float = 0.3

    def __post_init__(self) -> None:
        proxy, self.guard = self, threading.Lock()
        self.puts = threading.Lock()  # moto looks and then puts; a store does both at once

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *args: object) -> None:
                pass

            def handle_any(self) -> None:
                with contextlib.suppress(ConnectionError, TimeoutError):
                    proxy.serve(self)

            do_GET = do_PUT = do_HEAD = do_DELETE = do_POST = handle_any  # noqa: N815

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}"

    def clear(self) -> None:
        self.faults.clear()
        self.seen.clear()

    def count(self, method: str, path: str) -> int:
        return sum(m == method and re.search(path, p) is not None for m, p in self.seen)

    def serve(self, request: BaseHTTPRequestHandler) -> None:
        body = request.rfile.read(int(request.headers.get("Content-Length") or 0))
        with self.guard:
            self.seen.append((request.command, request.path))
            fault = next((f.kind for f in self.faults if f.takes(request.command, request.path)), "")
        if fault == "error":
            return self.answer(request, 500, [("Content-Type", "application/xml")], _ERROR)
        if fault == "denied":
            return self.answer(request, 403, [("Content-Type", "application/xml")], _DENIED)
        if fault == "reset":
            request.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            request.connection.close()
            request.close_connection = True
            return None
        if fault == "slow":
            time.sleep(self.pause)
        headers = {k: v for k, v in request.headers.items() if k.lower() not in ("connection", "expect")}
        with self.puts if request.command == "PUT" else contextlib.nullcontext():
            upstream = http.client.HTTPConnection(*self.target, timeout=30)
            upstream.request(request.command, request.path, body, headers)
            answer = upstream.getresponse()
            data = answer.read()
            upstream.close()
        if request.command == "PUT" and fault == "lost":  # stored, but nobody hears of it
            request.close_connection = True
            return request.connection.close()
        kept = [(k, v) for k, v in answer.getheaders() if k.lower() not in _HOP]
        return self.answer(request, answer.status, kept, data, fault, dict(answer.getheaders()))

    def answer(
        self,
        request: BaseHTTPRequestHandler,
        status: int,
        headers: list[tuple[str, str]],
        data: bytes,
        fault: str = "",
        original: dict[str, str] | None = None,
    ) -> None:
        request.send_response_only(status)
        for name, value in headers:
            request.send_header(name, value)
        if request.command == "HEAD":
            length = (original or {}).get("Content-Length", "0")
        elif fault == "short":
            data = data[: len(data) // 2]
            length = str(len(data))
        else:
            length = str(len(data))
        request.send_header("Content-Length", length)
        request.end_headers()
        if request.command != "HEAD":
            request.wfile.write(data[: len(data) // 2] if fault == "truncated" else data)
        request.wfile.flush()
        if fault == "truncated":
            request.close_connection = True
            request.connection.shutdown(socket.SHUT_RDWR)


_ERROR = b"<Error><Code>InternalError</Code><Message>We encountered an internal error.</Message></Error>"
_DENIED = b"<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"
_HOP = {"connection", "content-length", "transfer-encoding", "keep-alive", "server", "date"}


@dataclass
class Store:
    """A bucket of one's own behind the proxy."""

    bucket: str
    proxy: Proxy
    direct: str

    @property
    def url(self) -> str:
        return f"s3://{self.bucket}"

    def fs(self) -> Any:
        """A client that goes past the proxy."""
        return _client(self.direct)

    def upload(self, folder: Path, to: str = "data") -> str:
        fs = self.fs()
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                fs.pipe_file(f"{self.bucket}/{to}/{path.relative_to(folder)}", path.read_bytes())
        return f"{self.url}/{to}"

    def names(self, under: str = "") -> list[str]:
        found = self.fs().find(f"{self.bucket}/{under}".rstrip("/"))
        return [name.removeprefix(f"{self.bucket}/") for name in found]


@functools.cache
def _client(url: str) -> Any:
    import s3fs

    return s3fs.S3FileSystem(key=KEY, secret=SECRET, endpoint_url=url, use_listings_cache=False)


def _wait(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        if process.poll() is not None:
            break
        time.sleep(0.05)
    raise RuntimeError(f"moto's server did not start: exit status {process.poll()}")


def _moto() -> tuple[int, subprocess.Popen[bytes]]:
    """The server and its port, which somebody else may take before the server does: then another one."""
    for attempt in range(5):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        )
        try:
            _wait(port, process)
        except BaseException as error:
            process.terminate()
            process.wait()
            if attempt == 4 or not isinstance(error, RuntimeError):
                raise
        else:
            return port, process
    raise AssertionError


@pytest.fixture(scope="session")
def s3_server() -> Iterator[tuple[Proxy, str]]:
    """moto's server as a process of its own, and the proxy."""
    pytest.importorskip("moto", reason="moto[s3], flask: pip install -r requirements-dev.txt")
    pytest.importorskip("s3fs", reason="pip install 'genepool[s3]'")
    port, process = _moto()
    try:
        proxy = Proxy(("127.0.0.1", port))
        yield proxy, f"http://127.0.0.1:{port}"
        proxy.server.shutdown()
        proxy.server.server_close()
    finally:
        process.terminate()
        process.wait()


_numbers = iter(range(1 << 30))


@pytest.fixture
def s3(s3_server: tuple[Proxy, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """An empty bucket; genepool and its workers reach it through the proxy by the usual variables."""
    from genepool.remote import _calls
    from genepool.store import _copies

    # Copies of this test's workspaces end with it: no later verb of this process publishes them.
    monkeypatch.setattr(_copies, "_MIRRORS", {})
    proxy, direct = s3_server
    proxy.clear()
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.url)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("GENEPOOL_PATIENCE", "0.3")
    _calls._system.cache_clear()
    store = Store(f"bucket-{os.getpid()}-{next(_numbers)}", proxy, direct)
    store.fs().mkdir(store.bucket)
    yield store
    proxy.clear()
    _calls._system.cache_clear()
