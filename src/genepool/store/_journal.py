"""The run journal: what ran, when, which units are done, how it ended.

``journal.jsonl`` in the workspace, one JSON object a line, appended only under the workspace's lock. A run
begins with ``{"event": "begin", "run": n, …}``, tells every finished unit, and ends with its outcome; a run
without an end whose process no longer holds the lock was killed, which the next run writes down. The numbers
only grow, whatever the clock does, and every part carries the number of the run that made it.

The journal decides nothing about rows: finished parts are known by themselves. It tells people what happened,
and it keeps the parts of a run that was cut short from being collected as unused.
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genepool.errors import GenepoolError
from genepool.store._aside import move_aside
from genepool.store._files import wrapped, write_atomic
from genepool.store._parts import newest_run

if TYPE_CHECKING:
    from genepool.store._workspace import Workspace

_NAME = "journal.jsonl"
_LARGE = 1 << 20
"""Bytes beyond which the units of runs that ended are left out, when the next run begins."""
_REMEMBERED = 1000
"""Runs that are kept then."""

OPEN = "open"


@dataclass(slots=True)
class Run:
    """One run.

    Attributes:
        number: 1, 2, 3 …; grows with every run of the workspace.
        what: ``scan``, ``check``, ``compact``, ``repair``.
        dataset: Uri of the dataset; empty where the run is about the whole workspace.
        begun, ended: ISO 8601, UTC; ``ended`` is empty as long as nobody wrote an end.
        process: ``host:pid``.
        outcome: ``open`` (running, or killed and not yet noticed), ``finished``, ``failed``, ``interrupted``,
            ``killed``.
        message: Why it failed.
        facts: Counts and other plain data that the run told.
        units: Part name → images in it, of the units that were finished.
        thinned: The units of this run are no longer listed one by one.
    """

    number: int
    what: str
    dataset: str = ""
    begun: str = ""
    ended: str = ""
    process: str = ""
    outcome: str = OPEN
    message: str = ""
    facts: dict[str, Any] = field(default_factory=dict)
    units: dict[str, int] = field(default_factory=dict)
    thinned: bool = False

    def to_json(self) -> dict[str, Any]:
        """Plain data; units as counts."""
        names = ("number", "what", "dataset", "begun", "ended", "process", "outcome", "message", "facts")
        return {**{k: getattr(self, k) for k in names}, "units": len(self.units)}


class Recording:
    """The run that is being recorded; told by `Journal.record`."""

    def __init__(self, journal: Journal, number: int) -> None:
        self._journal = journal
        self.number = number
        self.facts: dict[str, Any] = {}

    def unit(self, part: str, n: int, aside: int = 0) -> None:
        """A unit is done: its part is on the disk.

        Raises:
            WorkspaceError: The journal cannot be written.
        """
        self._journal.append({"event": "unit", "run": self.number, "part": part, "n": n, "aside": aside})


_OPEN: set[tuple[str, int]] = set()
_GUARD = threading.Lock()


class Journal:
    """The journal of one workspace.

    Args:
        workspace: Where; the file is made by the first run.
    """

    def __init__(self, workspace: Workspace) -> None:
        self.path = workspace.root / _NAME
        self._parts = workspace.parts

    @contextlib.contextmanager
    def record(self, what: str, dataset: str = "", **facts: Any) -> Iterator[Recording]:
        """Record a run; call only under the workspace's lock. An exception is its outcome, and goes on.

        Raises:
            WorkspaceError: The journal cannot be written.
        """
        number = self._begin(what, dataset, facts)
        key = (str(self.path), number)
        recording = Recording(self, number)
        with _GUARD:
            _OPEN.add(key)
        try:
            yield recording
        except BaseException as error:
            # The error itself is what has to be seen, not that the journal of a full disk cannot be written.
            with contextlib.suppress(GenepoolError):
                self._end(number, _outcome(error), _why(error), recording.facts)
            raise
        else:
            self._end(number, "finished", "", recording.facts)
        finally:
            with _GUARD:
                _OPEN.discard(key)

    def runs(self) -> list[Run]:
        """All runs that are remembered, oldest first; lines that are not readable are passed over."""
        return self.read()[0]

    def read(self) -> tuple[list[Run], int]:
        """The runs, and how many lines are not readable.

        Raises:
            WorkspaceError: The file cannot be read at all.
        """
        runs: dict[int, Run] = {}
        lines, broken = _lines(self.path)
        for line in lines:
            try:
                _take(runs, line)
            except (KeyError, TypeError, ValueError, AttributeError):
                broken += 1
        return sorted(runs.values(), key=lambda run: run.number), broken

    def append(self, line: dict[str, Any], *, durable: bool = False) -> None:
        """Append one line, in one write.

        Raises:
            WorkspaceError: It cannot be written.
        """
        import orjson

        data = orjson.dumps(line) + b"\n"
        with wrapped(self.path, "written"):
            flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
            descriptor = os.open(self.path, flags, 0o644)
            try:
                size = os.fstat(descriptor).st_size
                if size and os.pread(descriptor, 1, size - 1) != b"\n":
                    data = b"\n" + data  # a line that a full disk cut short
                while data:
                    data = data[os.write(descriptor, data) :]
                if durable:
                    os.fsync(descriptor)
            finally:
                os.close(descriptor)

    def rewrite(self, runs: list[Run], *, thin: bool = False) -> None:
        """Write the journal anew, atomically.

        Args:
            runs: What it holds then.
            thin: Leave out the units of runs that ended.
        """
        import orjson

        out: list[bytes] = []
        for run in runs:
            number = {"run": run.number}
            begin = {"what": run.what, "dataset": run.dataset, "at": run.begun, "process": run.process}
            out.append(orjson.dumps({"event": "begin", **number, **begin}))
            thinned = run.thinned or (thin and run.outcome != OPEN)
            if not thinned:
                out += [
                    orjson.dumps({"event": "unit", **number, "part": part, "n": n})
                    for part, n in run.units.items()
                ]
            ended = {"at": run.ended, "outcome": run.outcome, "message": run.message, "facts": run.facts}
            out.append(orjson.dumps({"event": "end", **number, **ended, "thinned": thinned}))
        write_atomic(self.path, b"".join(line + b"\n" for line in out))

    # ------------------------------------------------------------------------------------ private

    def _begin(self, what: str, dataset: str, facts: dict[str, Any]) -> int:
        """Mend the file where it needs mending, note who was killed, write the first line."""
        _tidy(self.path.parent)
        runs, broken = self.read()
        if broken:
            move_aside(self.path, copy=True)
        if broken or (self.path.exists() and self.path.stat().st_size > _LARGE):
            runs = runs[-_REMEMBERED:]
            self.rewrite(runs, thin=True)
        for run in runs:
            if run.outcome == OPEN and (str(self.path), run.number) not in _OPEN:
                self._end(run.number, "killed", "", run.facts)
        # A journal that was lost must not make old parts look newer than new ones.
        last = runs[-1].number if runs else 0
        number = 1 + (max(last, newest_run(self._parts)) if broken or not runs else last)
        line = {"event": "begin", "run": number, "what": what, "dataset": _text(dataset), "at": _now()}
        self.append(
            {**line, "process": f"{socket.gethostname()}:{os.getpid()}", "facts": facts}, durable=True
        )
        return number

    def _end(self, number: int, outcome: str, message: str, facts: dict[str, Any]) -> None:
        line = {"event": "end", "run": number, "at": _now(), "outcome": outcome, "message": message}
        self.append({**line, "facts": facts}, durable=True)


def _tidy(root: Path) -> None:
    """Remove half-written files of writers that are gone; whoever begins a run holds the lock."""
    for place in (root, root / "catalogue", root / "catalogue" / "parts", *root.glob("catalogue/sets/*")):
        for path in (*place.glob(".*.tmp"), *place.glob(".*.partial")):
            # ``.name.PID.token.tmp``, ``.name.PID.partial``: some small files are written without the lock.
            owner = ("", *path.name.split("."))[-3 if path.suffix == ".tmp" else -2]
            if owner in ("", str(os.getpid())) or not Path(f"/proc/{owner}").exists():
                with contextlib.suppress(OSError):
                    path.unlink()


def unfinished(runs: list[Run]) -> set[int]:
    """Numbers of the runs that were cut short and that no later run of the same set made good."""
    found: dict[tuple[str, ...], set[int]] = {}
    for run in runs:
        of = (run.dataset, str(run.facts.get("set", "")))
        if run.outcome != "finished":
            found.setdefault((run.what, *of), set()).add(run.number)
            continue
        # A check scans.
        for what in ("scan", "check") if run.what == "check" else (run.what,):
            found.pop((what, *of), None)
    return set().union(*found.values())


def _take(runs: dict[int, Run], line: dict[str, Any]) -> None:
    number, event = int(line["run"]), line["event"]
    if event == "begin":
        runs[number] = Run(
            number,
            str(line["what"]),
            str(line["dataset"]),
            str(line["at"]),
            process=str(line["process"]),
            facts=dict(line.get("facts") or {}),
        )
    elif event == "unit":
        runs[number].units[str(line["part"])] = int(line["n"])
    elif event == "end":
        run = runs[number]
        run.ended, run.outcome = str(line["at"]), str(line["outcome"])
        run.message, run.thinned = str(line["message"]), bool(line.get("thinned"))
        run.facts = {**run.facts, **line["facts"]}
    else:
        raise ValueError(f"event {event!r}")


def _lines(path: Path) -> tuple[list[dict[str, Any]], int]:
    import orjson

    with wrapped(path, "read"):
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            return [], 0
    found, broken = [], 0
    for raw in data.split(b"\n"):
        if raw:
            try:
                line = orjson.loads(raw)
            except orjson.JSONDecodeError:
                broken += 1
            else:
                found.append(line)
    return found, broken


def _outcome(error: BaseException) -> str:
    return "failed" if isinstance(error, Exception) else "interrupted"


def _why(error: BaseException) -> str:
    text = (str(error).splitlines() or [""])[0]
    code = f"{error.code} " if isinstance(error, GenepoolError) else f"{type(error).__name__} "
    return _text(code + text).strip()


def _text(value: str) -> str:
    return value.encode("utf-8", "backslashreplace").decode()


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
