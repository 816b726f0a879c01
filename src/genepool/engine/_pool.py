"""One worker process as its parent sees it."""

from __future__ import annotations

import contextlib
import mmap
import os
import socket
import subprocess
import sys
import tempfile
import time
from multiprocessing.connection import Connection
from typing import Any

from genepool.engine import _progress
from genepool.errors import EngineError
from genepool.records import Unit

# One thread per worker: the pool itself fills the cores, and nested pools would fight over them.
_SINGLE = dict.fromkeys(
    (
        "OMP_NUM_THREADS",
        "OPENBLAS_NUM_THREADS",
        "MKL_NUM_THREADS",
        "BLIS_NUM_THREADS",
        "VECLIB_MAXIMUM_THREADS",
        "NUMEXPR_NUM_THREADS",
        "RAYON_NUM_THREADS",
    ),
    "1",
)
_OUTPUT = 1 << 20


class Worker:
    """A process that runs one unit at a time.

    Args:
        job: The pickled job.

    Attributes:
        unit: What it is working on, or None.
        retried: Whether ``unit`` already killed a worker once.
        ready: Whether it has prepared the job.
    """

    def __init__(self, job: bytes) -> None:
        self.unit: Unit | None = None
        self.retried = False
        self.ready = False
        ours, theirs = socket.socketpair()
        life, self._life = os.pipe()
        memory = _shared_page()
        self._page = mmap.mmap(memory, mmap.PAGESIZE)
        # Native libraries write warnings to stderr; they are kept for our messages, not shown.
        self._output = tempfile.TemporaryFile(mode="w+b", buffering=0)  # noqa: SIM115  # closed in `end`
        try:
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-m", "genepool.engine._worker", str(theirs.fileno()), str(memory)],
                stdin=subprocess.DEVNULL,
                stdout=self._output,
                stderr=self._output,
                pass_fds=(theirs.fileno(), memory, life),
                env={**os.environ, **_SINGLE, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            )
        except OSError as error:
            ours.close()
            os.close(self._life)
            self._page.close()
            self._output.close()
            raise EngineError(
                f"worker: {sys.executable or 'no interpreter'} cannot be started: {error.strerror or error}",
                hint="LocalEngine(inline=True) works without workers",
            ) from error
        finally:
            theirs.close()
            os.close(memory)
            os.close(life)
        self.connection = Connection(ours.detach())
        self._beats = -1
        self._since = time.monotonic()
        with contextlib.suppress(OSError):  # it died at birth: the parent finds out by waiting for it
            self.connection.send({"path": list(sys.path), "job": job, "life": life})

    def send(self, unit: Unit, *, retried: bool) -> None:
        """Hand over a unit; the worker is idle, so this does not block."""
        self.unit, self.retried = unit, retried
        self._page[0 : _progress.SLOT] = b"\0" * _progress.SLOT
        self._beats = -1
        self._since = time.monotonic()
        with contextlib.suppress(OSError):  # it just died: `receive` will say so
            self.connection.send(unit)

    def receive(self) -> tuple[str, Any] | None:
        """The message that is waiting, or None when the worker has died."""
        try:
            message: tuple[str, Any] = self.connection.recv()
        except (EOFError, OSError):
            return None
        if os.fstat(self._output.fileno()).st_size > _OUTPUT:
            os.ftruncate(self._output.fileno(), 0)
            self._output.seek(0)  # the offset is shared with the worker
        return message

    def stalled(self, timeout: float) -> bool:
        """Whether nothing has moved for ``timeout`` seconds."""
        beats, _ = _progress.read(self._page[0 : _progress.SLOT])
        now = time.monotonic()
        if beats != self._beats:
            self._beats, self._since = beats, now
        return now - self._since > timeout

    @property
    def suspect(self) -> int | None:
        """Position of the item it was at, or None if the job never said."""
        beats, item = _progress.read(self._page[0 : _progress.SLOT])
        return item if beats else None

    def end(self, *, grace: float) -> tuple[int, str]:
        """Stop the process and release everything.

        Args:
            grace: Seconds in which it may leave by itself; 0: killed at once.

        Returns:
            Its exit status (negative: signal) and the tail of what it wrote to stderr.
        """
        self.connection.close()
        if grace <= 0:
            self.process.kill()
        try:
            status = self.process.wait(max(grace, 0.001) if grace > 0 else None)
        except subprocess.TimeoutExpired:
            self.process.kill()
            status = self.process.wait()
        os.close(self._life)
        self._page.close()
        size = os.fstat(self._output.fileno()).st_size
        tail = os.pread(self._output.fileno(), 2000, max(0, size - 2000)).decode("utf-8", "replace")
        self._output.close()
        return status, tail.strip()


def _shared_page() -> int:
    with tempfile.TemporaryFile(mode="w+b") as file:
        file.truncate(mmap.PAGESIZE)
        return os.dup(file.fileno())
