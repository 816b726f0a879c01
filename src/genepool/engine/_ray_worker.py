"""What stands on a node: an actor that holds a few worker processes of the local kind and watches them.

The job runs in the worker processes, not in the actor: a decoder that crashes or hangs is seen, timed and
narrowed down on the node by exactly the code that `LocalEngine` uses, and costs neither the actor nor a
message. An actor holds more than one because Ray's runtime in it is half as large as a worker.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import platform
import shutil
import socket
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any, NamedTuple

from genepool._version import __version__
from genepool.engine._run import Run
from genepool.engine._worker import describe
from genepool.records import Unit, UnitResult

FOLDER = "genepool-carried-"
_STALE = 86_400.0


class Hello(NamedTuple):
    """Who answers: host, process, versions, its temporary folder, and whether it sees the driver's folder."""

    host: str
    pid: int
    version: str
    python: str
    temporary: str
    sees: bool


class Poison(NamedTuple):
    """A one-item unit that killed or stalled its worker, for the driver to set aside."""

    unit: Unit
    reason: str


class Answer(NamedTuple):
    """What became of a unit.

    Attributes:
        outcomes: Results and poisoned items; together they are the whole unit.
        files: What the job wrote, name and bytes, where that is carried to the driver.
        error: Why the run has to stop: an error of ours, or text.
        unseen: A local path that does not exist on this node.
    """

    outcomes: tuple[UnitResult | Poison, ...] = ()
    files: tuple[tuple[str, bytes], ...] = ()
    error: Any = None
    unseen: str = ""


class Supervisor:
    """The actor. Its methods are called by `RayEngine` only, those of different workers at the same time.

    Args:
        timeout: Seconds without progress after which an image's worker is replaced.
        path: The driver's ``sys.path``: jobs may come from modules that lie beside its program.
        token: A file that the driver wrote and what it holds; empty: nothing to compare.
    """

    def __init__(self, timeout: float, path: list[str], token: tuple[str, str]) -> None:
        self.timeout = timeout
        self.token = token
        self.slots: dict[int, _Slot] = {}
        sys.path.extend(p for p in path if p not in sys.path and os.path.exists(p))  # noqa: PTH110

    def hello(self) -> Hello:
        """Who this is, once it stands."""
        place, text = self.token
        sees = not place
        with contextlib.suppress(OSError):
            sees = sees or Path(place).read_text(encoding="ascii") == text
        return Hello(
            socket.gethostname(),
            os.getpid(),
            __version__,
            platform.python_version(),
            tempfile.gettempdir(),
            sees,
        )

    def take(self, number: int, job: bytes, carried: str) -> None:
        """Get the job for one worker.

        Args:
            number: Which of this actor's workers.
            job: Pickled; only the worker process unpickles it.
            carried: Folder to be made here, to which the job writes, when what it writes is carried to the
                driver; empty: it writes to its place itself. Each worker has its own, so that it is known
                what belongs to which unit.
        """
        if carried:
            _sweep()
        self.slots[number] = _Slot(job, carried, self.timeout)

    def work(self, number: int, data: bytes, *, look: bool) -> Answer:
        """Run one unit to its end.

        Args:
            number: Which of this actor's workers.
            data: The pickled unit.
            look: First see whether this node has the file of its first item.
        """
        try:
            # The unit was pickled by our driver, whose code this actor runs anyway.
            unit: Unit = pickle.loads(data)  # noqa: S301
            first = unit.items[0].path if unit.items else ""
            if look and os.path.isabs(first) and not os.path.exists(first):  # noqa: PTH110, PTH117
                return Answer(unseen=first)
            return self.slots[number].work(unit)
        except Exception as error:
            return Answer(error=describe(error))

    def end(self) -> None:
        """Kill the worker processes, even in the middle of a unit, and leave no file behind."""
        slots = list(self.slots.values())  # another thread may be adding one
        for slot in slots:
            slot.run.halt()
        for slot in slots:
            slot.end()


class _Slot:
    """One worker process, or the place for one, with the folder to which it writes."""

    def __init__(self, job: bytes, carried: str, timeout: float) -> None:
        self.busy = threading.Lock()
        self.run: Run[Poison] = Run(job, iter(()), 1, timeout, Poison)
        self.carried = Path(carried) if carried else None
        if self.carried is not None:
            self.carried.mkdir(mode=0o700)

    def work(self, unit: Unit) -> Answer:
        with self.busy:
            self.run.more([unit])
            outcomes = tuple(self.run.results())
            return Answer(outcomes, self._files())

    def end(self) -> None:
        with self.busy:  # `work` runs in another thread, and gives up now
            self.run.stop()
        if self.carried is not None:
            shutil.rmtree(self.carried, ignore_errors=True)

    def _files(self) -> tuple[tuple[str, bytes], ...]:
        if self.carried is None:
            return ()
        found = sorted(p for p in self.carried.iterdir() if p.is_file())
        # Hidden ones were begun by a worker that died over them.
        files = tuple((p.name, p.read_bytes()) for p in found if not p.name.startswith("."))
        for path in found:
            path.unlink()
        return files


def _sweep() -> None:
    """Folders of actors that were killed with their driver: nothing was written there for a day."""
    for path in Path(tempfile.gettempdir()).glob(f"{FOLDER}*"):
        with contextlib.suppress(OSError):
            if time.time() - path.stat().st_mtime > _STALE:
                shutil.rmtree(path, ignore_errors=True)
