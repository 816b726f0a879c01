"""``ray``: the same jobs and units on a Ray cluster."""

from __future__ import annotations

import contextlib
import os
import pickle
import secrets
import sys
import time
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from genepool._version import __version__
from genepool.engine._local import terminable
from genepool.engine._ray_session import Session, require_ray
from genepool.engine._ray_worker import FOLDER, Answer, Hello, Poison, Supervisor
from genepool.engine._run import failure, pickled, split
from genepool.errors import EngineError
from genepool.records import Job, Unit, UnitResult

_TICK = 0.5
_BIRTHS = 3
_LOSSES = 3
_STARTUP = 300.0
_LOOK = 10.0


@runtime_checkable
class Portable(Protocol):
    """A job whose files can be carried from nodes that do not see ``folder``."""

    folder: Path

    def at(self, folder: Path) -> Job:
        """The same job, writing below another folder."""

    def take(self, files: Sequence[tuple[str, bytes]]) -> None:
        """Put files that `at` made elsewhere, name and bytes, durably into ``folder``."""


class Unseen(EngineError):
    """A node does not see a folder that its workers would have to read or write."""


class RayEngine:
    """Runs units on an existing Ray cluster, or on one of its own on this machine.

    Args:
        address: See `genepool.engine._ray_session.Session`: ``ray://host:port``, ``host:port``, ``auto``,
            ``local``; empty: ``$RAY_ADDRESS``, else a cluster of our own, ended with the run.
        workers: Worker processes; 0: one per CPU of the cluster, also of nodes that join later.
        timeout: Seconds without progress (see `genepool.engine.beat`) after which a worker is replaced.
        gpus: GPUs, or a share of one, that each worker asks the cluster for.

    Each worker is an actor that holds one process of the kind that `LocalEngine` runs, with the job prepared
    once; the actor retries, bisects and times units beside it. A unit whose actor or node is lost goes to
    another one; after three losses it is halved, and one item that was lost three times alone goes to
    ``job.quarantine``. What a job writes must be seen by all nodes, or the job is `Portable`: its files are
    then carried to this process.

    Raises:
        MissingExtra: Ray is not installed.
    """

    name = "ray"

    def __init__(
        self, address: str = "", workers: int = 0, timeout: float = 300.0, *, gpus: float = 0.0
    ) -> None:
        require_ray()
        self.address = address
        self.timeout = timeout
        self.gpus = gpus
        self._asked = workers
        self._session: Session | None = None
        self._kept = 0

    @property
    def workers(self) -> int:
        """Worker processes; where none were asked for, the cluster's CPUs (connects).

        Raises:
            EngineError: No cluster.
        """
        return self._asked or self._connected().cpus()

    def run(self, job: Job, units: Iterable[Unit]) -> Iterator[UnitResult]:
        """Run ``job`` on every unit; results come in the order in which units finish.

        At most one unit per worker is in flight; ``units`` is consumed lazily. Leaving the iterator, Ctrl-C
        and SIGTERM end all workers.

        Raises:
            EngineError: No cluster, no free CPU in it for five minutes, actors that cannot start, a node that
                does not see the data, a job that cannot be pickled, or one that raised an error that is not
                about one item.
            GenepoolError: Whatever deliberate error the job raised.
        """
        session = self._connected()
        crew = None
        try:
            crew = _Crew(session, job, iter(units), self)
            with terminable():
                try:
                    yield from crew.results()
                except (session.ray.exceptions.RayError, ConnectionError) as error:
                    raise EngineError(
                        f"ray: the cluster was lost: {_line(error)}",
                        hint="run the same command again: finished parts are kept",
                    ) from error
        finally:
            if crew is not None:
                crew.stop()
            if not self._kept:
                self.close()

    def __enter__(self) -> RayEngine:
        """Keep the connection between runs, to the end of the block; blocks may lie in one another."""
        self._kept += 1
        return self

    def __exit__(self, *_: object) -> None:
        self._kept -= 1
        if not self._kept:
            self.close()

    def connect(self) -> None:
        """Connect now rather than when the first unit runs.

        Raises:
            EngineError: No cluster.
        """
        self._connected()

    def close(self) -> None:
        """End the connection if this engine made it."""
        session, self._session = self._session, None
        if session is not None:
            session.close()

    def _connected(self) -> Session:
        if self._session is None:
            self._session = Session(self.address, self._asked)
        return self._session


class _Member:
    """One actor: ``step`` says what ``ref`` will answer."""

    def __init__(self, actor: Any) -> None:
        self.actor = actor
        self.step = "hello"
        self.ref: Any = actor.hello.remote()
        self.host = ""
        self.unit: Unit | None = None

    @property
    def idle(self) -> bool:
        return self.step == "idle"


class _Crew:
    """The state of one call of `RayEngine.run`."""

    def __init__(self, session: Session, job: Job, units: Iterator[Unit], engine: RayEngine) -> None:
        self.session = session
        self.ray = session.ray
        self.job = job
        self.units = units
        self.asked = engine._asked
        self.target = engine.workers
        self.looked = time.monotonic()
        self.members: list[_Member] = []
        self.again: deque[Unit] = deque()
        self.losses: Counter[str] = Counter()
        self.done = False
        self.births_failed = 0
        self.moved = time.monotonic()
        self.secret = secrets.token_hex(16)
        self.job_ref = self.ray.put(pickled(job))
        self.token = self._token()
        self.number = 0
        options = {"num_cpus": 1, "max_concurrency": 2, "max_restarts": 0, "scheduling_strategy": "SPREAD"}
        if engine.gpus:
            options["num_gpus"] = engine.gpus
        self.birth = self.ray.remote(**options)(Supervisor)
        self.timeout = engine.timeout

    def results(self) -> Iterator[UnitResult]:
        """Drive the actors until every unit has its result."""
        while True:
            self._hire()
            self._feed()
            if all(m.unit is None for m in self.members) and not self._waiting(1):
                return
            refs = {m.ref: m for m in self.members if m.ref is not None}
            ready, _ = self.ray.wait(list(refs), num_returns=1, timeout=_TICK)
            for ref in ready:
                yield from self._hear(refs[ref])
            if not ready and not any(m.idle or m.unit for m in self.members):
                self._patience()

    def stop(self) -> None:
        """End all actors; their worker processes end with them, at once."""
        with contextlib.suppress(Exception):
            ends = [m.actor.end.remote() for m in self.members if m.step in ("take", "idle", "work")]
            if ends:
                self.ray.wait(ends, num_returns=len(ends), timeout=3.0)
        for member in self.members:
            with contextlib.suppress(Exception):
                self.ray.kill(member.actor, no_restart=True)
        self.members = []
        if self.token[0]:
            with contextlib.suppress(OSError):
                Path(self.token[0]).unlink()

    # ------------------------------------------------------------------------------- private

    def _token(self) -> tuple[str, str]:
        """A file beside what the job writes, by which a node sees whether it sees that folder."""
        folder = getattr(self.job, "folder", None)
        if folder is None:
            return "", ""
        path = Path(folder).absolute() / f".ray.{self.secret}.tmp"
        try:
            path.write_text(self.secret, encoding="ascii")
        except OSError as error:
            raise EngineError(f"ray: {folder}: cannot be written: {error.strerror or error}") from error
        return str(path), self.secret

    def _waiting(self, n: int) -> int:
        """How many units wait for a worker, looking no further than ``n``."""
        while len(self.again) < n and not self.done:
            unit = next(self.units, None)
            if unit is None:
                self.done = True
            else:
                self.again.append(unit)
        return len(self.again)

    def _hire(self) -> None:
        now = time.monotonic()
        if not self.asked and now - self.looked > _LOOK:
            self.target, self.looked = self.session.cpus(), now
        starting = sum(m.step in ("hello", "take") for m in self.members) + sum(m.idle for m in self.members)
        while len(self.members) < self.target and starting < self._waiting(self.target):
            self.members.append(_Member(self.birth.remote(self.timeout, list(sys.path), self.token)))
            starting += 1

    def _feed(self) -> None:
        for member in self.members:
            if member.idle and self._waiting(1):
                self._send(member, self.again.popleft(), look=True)

    def _send(self, member: _Member, unit: Unit, *, look: bool) -> None:
        member.unit, member.step = unit, "work"
        member.ref = member.actor.work.remote(pickle.dumps(unit, protocol=5), look=look)

    def _hear(self, member: _Member) -> Iterator[UnitResult]:
        try:
            answer = self.ray.get(member.ref)
        except self.ray.exceptions.RayError as error:
            yield from self._lost(member, error)
            return
        self.moved = time.monotonic()
        if member.step == "hello":
            self._welcome(member, answer)
        elif member.step == "take":
            member.step, member.ref = "idle", None
        else:
            yield from self._answered(member, answer)

    def _welcome(self, member: _Member, hello: Hello) -> None:
        member.host = hello.host
        if hello.version != __version__:
            raise EngineError(
                f"ray: {hello.host} has genepool {hello.version}, this process {__version__}",
                hint="install the same version on every node",
            )
        self.births_failed = 0
        member.step = "take"
        if hello.sees:
            member.ref = member.actor.take.remote(self.job_ref, "")
        elif isinstance(self.job, Portable):
            self.number += 1
            folder = f"{hello.temporary}/{FOLDER}{self.secret}-{self.number}"
            member.ref = member.actor.take.remote(pickled(self.job.at(Path(folder))), folder)
        else:
            raise Unseen(
                f"ray: {hello.host} does not see {Path(self.token[0]).parent}",
                hint="put the workspace on a file system that all nodes share, or use --engine local",
            )

    def _answered(self, member: _Member, answer: Answer) -> Iterator[UnitResult]:
        unit = member.unit
        assert unit is not None  # noqa: S101  # it was at work
        if answer.unseen:
            if os.path.exists(answer.unseen):  # noqa: PTH110  # any kind of path a source knows
                raise EngineError(
                    f"ray: {member.host} does not see {answer.unseen}, this process does",
                    hint="put the data on a file system that all nodes share, or behind a URL",
                )
            self._send(member, unit, look=False)  # gone for everybody: the job says so in its own way
            return
        member.unit, member.step, member.ref = None, "idle", None
        if answer.error is not None:
            raise failure(answer.error, f"unit {unit.id} on {member.host}")
        if answer.files and isinstance(self.job, Portable):
            self.job.take(answer.files)
        for outcome in answer.outcomes:
            if isinstance(outcome, Poison):
                yield self.job.quarantine(outcome.unit, outcome.reason)
            else:
                yield outcome

    def _lost(self, member: _Member, error: Exception) -> Iterator[UnitResult]:
        """An actor that is gone, by itself or with its node; its unit goes to another one."""
        self.members.remove(member)
        with contextlib.suppress(Exception):
            self.ray.kill(member.actor, no_restart=True)
        unit = member.unit
        if unit is None:
            self.births_failed += 1
            if self.births_failed >= _BIRTHS:
                raise EngineError(
                    f"ray: workers cannot be started: {_line(error)}",
                    hint="genepool and ray must be installed in the same versions on every node",
                )
            time.sleep(_TICK)
            return
        self.losses[unit.id] += 1
        if self.losses[unit.id] < _LOSSES:
            self.again.appendleft(unit)
        elif len(unit.items) > 1:
            self.again.extend(split(unit, None))
        else:
            yield self.job.quarantine(
                unit, f"the node or actor that held it was lost {_LOSSES} times: {_line(error)}"
            )

    def _patience(self) -> None:
        """Nobody works and nobody can: the cluster has no room, or is on its way to make some."""
        waited = time.monotonic() - self.moved
        if waited > max(_STARTUP, self.timeout):
            raise EngineError(
                f"ray: no worker could be placed for {waited:.0f} s",
                hint="ray status shows what the cluster is busy with",
            )


def _line(error: BaseException) -> str:
    """The most telling line of one of Ray's long messages."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return next((line for line in reversed(lines) if "Error" in line), lines[0] if lines else repr(error))
