"""The driver's side of a run on Ray: actors, the workers that each of them holds, and who has which unit."""

from __future__ import annotations

import contextlib
import os
import pickle
import secrets
import sys
import time
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from genepool._version import __version__
from genepool.engine._ray_plan import largest, rooms, teams
from genepool.engine._ray_session import Session
from genepool.engine._ray_worker import FOLDER, Answer, Hello, Poison, Supervisor
from genepool.engine._run import failure, pickled, split
from genepool.errors import EngineError
from genepool.records import Job, Unit, UnitResult

_TICK = 0.5
_BIRTHS = 3
_LOSSES = 3
_STARTUP = 300.0
_LOOK = 10.0
_FAREWELL = 3.0
"""Seconds within which the calls of an actor that was just killed come to their end, each in its own way."""
_ROOM = 10.0
_DOUBT = 40.0
"""Seconds after which an actor of several workers that has not said a word is asked for again in halves:
where it is certain that one of ours has no place, and where it may merely be slow to start."""


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


class Slot:
    """One worker of a team: ``step`` (hello, take, idle, work) says what ``ref`` will answer."""

    def __init__(self, team: Team, number: int) -> None:
        self.team = team
        self.number = number
        self.step = "hello"
        self.ref: Any = None
        self.unit: Unit | None = None


class Team:
    """One actor and its workers; ``ref`` is its hello while that is awaited."""

    def __init__(self, actor: Any, size: int) -> None:
        self.actor = actor
        self.size = size
        self.asked = time.monotonic()
        self.ref: Any = actor.hello.remote()
        self.host = ""
        self.slots = [Slot(self, i) for i in range(size)]


class Crew:
    """The state of one call of `RayEngine.run`.

    Args:
        session: The connection.
        job: See `RayEngine.run`.
        units: Pulled as workers become free.
        asked: Workers; 0: one per CPU of the cluster.
        timeout: Seconds without progress.
        gpus: GPUs, or a share of one, for each worker.
    """

    def __init__(
        self,
        session: Session,
        job: Job,
        units: Iterator[Unit],
        asked: int,
        timeout: float,
        gpus: float,
    ) -> None:
        self.session = session
        self.ray = session.ray
        self.job = job
        self.units = units
        self.asked = asked
        self.timeout = timeout
        self.gpus = gpus
        self.target = asked or session.cpus()
        self.looked = time.monotonic()
        self.teams: list[Team] = []
        self.again: deque[Unit] = deque()
        self.losses: Counter[str] = Counter()
        self.done = False
        self.births_failed = 0
        self.moved = time.monotonic()
        self.secret = secrets.token_hex(16)
        self.birth = self.ray.remote(Supervisor)
        self.job_ref = self.ray.put(pickled(job))
        self.token = self._token()
        self.number = 0

    @property
    def slots(self) -> list[Slot]:
        """All workers, in the order of their actors."""
        return [slot for team in self.teams for slot in team.slots]

    def results(self) -> Iterator[UnitResult]:
        """Drive the actors until every unit has its result."""
        while True:
            self._hire()
            self._feed()
            slots = self.slots
            if all(s.unit is None for s in slots) and not self._waiting(1):
                return
            every: list[Team | Slot] = [*self.teams, *slots]
            refs = {one.ref: one for one in every if one.ref is not None}
            ready, _ = self.ray.wait(list(refs), num_returns=1, timeout=_TICK)
            for ref in ready:
                yield from self._hear(refs[ref])
            self._halve()
            if not ready and not any(s.step == "idle" or s.unit for s in slots):
                self._patience()

    def stop(self) -> None:
        """End all actors; their worker processes end with them, at once."""
        with contextlib.suppress(Exception):
            ends = [t.actor.end.remote() for t in self.teams if t.host]
            if ends:
                self.ray.wait(ends, num_returns=len(ends), timeout=3.0)
        for team in self.teams:
            self._kill(team)
        self.teams = []
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
            raise EngineError(
                f"ray: {folder}: cannot be written: {error.strerror or error}",
                hint="make room, or name another place: --workspace FOLDER",
            ) from error
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
        slots = self.slots
        starting = sum(s.step != "work" for s in slots)
        wanted = min(self.target - len(slots), self._waiting(self.target) - starting)
        if wanted > 0:
            free = rooms(self.ray.nodes(), self.gpus)
            for size in teams(wanted, free, [t.size for t in self.teams], largest(self.gpus)):
                self._ask(size)

    def _ask(self, size: int) -> None:
        """A further actor; it stands where Ray finds room, which may be never."""
        options: dict[str, Any] = {
            "num_cpus": size,
            "max_concurrency": size + 1,  # each worker's call, and `end` in the middle of them
            "max_restarts": 0,
            "scheduling_strategy": "SPREAD",
        }
        if self.gpus:
            options["num_gpus"] = round(self.gpus * size, 4)
        birth = self.birth.options(**options).remote(self.timeout, list(sys.path), self.token)
        self.teams.append(Team(birth, size))

    def _halve(self) -> None:
        """A node with room for some of a team's workers need not have it for all."""
        now = time.monotonic()
        late = [t for t in self.teams if t.ref is not None and t.size > 1 and now - t.asked > _ROOM]
        if not late:
            return
        free = self.session.free()
        sure = self.session.cpus() - free < sum(t.size for t in self.teams)  # less is taken than we asked for
        for team in late if free >= 1 else []:  # else there is no room for one worker either
            ready, _ = self.ray.wait([team.ref], timeout=0)
            if (sure or now - team.asked > _DOUBT) and not ready:
                self.teams.remove(team)
                self._kill(team)
                self._ask(team.size - team.size // 2)
                self._ask(team.size // 2)

    def _feed(self) -> None:
        for slot in [s for s in self.slots if s.step == "idle"]:
            if not self._waiting(1):
                return
            if not self._kept_apart(slot.team, self.again[0]):
                self._send(slot, self.again.popleft(), look=True)

    def _kept_apart(self, team: Team, unit: Unit) -> bool:
        """The last try of a unit is made by an actor that has no other: nothing is blamed for its company."""
        busy = [s.unit for s in team.slots if s.unit is not None]
        return bool(busy) and any(self.losses[u.id] >= _LOSSES - 1 for u in (*busy, unit))

    def _send(self, slot: Slot, unit: Unit, *, look: bool) -> None:
        slot.unit, slot.step = unit, "work"
        slot.ref = slot.team.actor.work.remote(slot.number, pickle.dumps(unit, protocol=5), look=look)

    def _hear(self, one: Team | Slot) -> Iterator[UnitResult]:
        try:
            answer = self.ray.get(one.ref)
        except self.ray.exceptions.RayError as error:
            yield from self._lost(one if isinstance(one, Team) else one.team, error)
            return
        self.moved = time.monotonic()
        if isinstance(one, Team):
            self._welcome(one, answer)
        elif one.step == "take":
            self.births_failed = 0
            one.step, one.ref = "idle", None
        else:
            yield from self._answered(one, answer)

    def _welcome(self, team: Team, hello: Hello) -> None:
        team.host, team.ref = hello.host, None
        if hello.version != __version__:
            raise EngineError(
                f"ray: {hello.host} has genepool {hello.version}, this process {__version__}",
                hint="install the same version on every node",
            )
        if not hello.sees and not isinstance(self.job, Portable):
            raise Unseen(
                f"ray: {hello.host} does not see {Path(self.token[0]).parent}",
                hint="put the workspace on a file system that all nodes share, or use --engine local",
            )
        for slot in team.slots:
            job, folder = self.job_ref, ""
            if not hello.sees and isinstance(self.job, Portable):
                self.number += 1
                folder = f"{hello.temporary}/{FOLDER}{self.secret}-{self.number}"
                job = pickled(self.job.at(Path(folder)))
            slot.step, slot.ref = "take", team.actor.take.remote(slot.number, job, folder)

    def _answered(self, slot: Slot, answer: Answer) -> Iterator[UnitResult]:
        unit, host = slot.unit, slot.team.host
        assert unit is not None  # noqa: S101  # it was at work
        if answer.unseen:
            if os.path.exists(answer.unseen):  # noqa: PTH110  # any kind of path a source knows
                raise EngineError(
                    f"ray: {host} does not see {answer.unseen}, this process does",
                    hint="put the data on a file system that all nodes share, or behind a URL",
                )
            self._send(slot, unit, look=False)  # gone for everybody: the job says so in its own way
            return
        slot.unit, slot.step, slot.ref = None, "idle", None
        if answer.error is not None:
            raise failure(answer.error, f"unit {unit.id} on {host}")
        if answer.files and isinstance(self.job, Portable):
            self.job.take(answer.files)
        for outcome in answer.outcomes:
            if isinstance(outcome, Poison):
                yield self.job.quarantine(outcome.unit, outcome.reason)
            else:
                yield outcome

    def _lost(self, team: Team, error: Exception) -> Iterator[UnitResult]:
        """An actor that is gone, by itself or with its node; its units go to others."""
        self.teams.remove(team)
        self._kill(team)
        working = [(s, s.unit) for s in team.slots if s.unit is not None]
        if not working:
            self._unborn(error)
        for slot, unit in working:
            try:
                answer = self.ray.get(slot.ref, timeout=_FAREWELL)
            except self.ray.exceptions.RayError:
                yield from self._requeue(unit, error)
            else:  # it had finished just before
                if answer.unseen:
                    self.again.appendleft(unit)
                else:
                    yield from self._answered(slot, answer)

    def _unborn(self, error: Exception) -> None:
        self.births_failed += 1
        if self.births_failed >= _BIRTHS:
            raise EngineError(
                f"ray: workers cannot be started: {line(error)}",
                hint="genepool and ray must be installed in the same versions on every node",
            )
        time.sleep(_TICK)

    def _requeue(self, unit: Unit, error: Exception) -> Iterator[UnitResult]:
        self.losses[unit.id] += 1
        if self.losses[unit.id] < _LOSSES:
            self.again.appendleft(unit)
        elif len(unit.items) > 1:
            self.again.extend(split(unit, None))
        else:
            yield self.job.quarantine(
                unit, f"the node or actor that held it was lost {_LOSSES} times: {line(error)}"
            )

    def _kill(self, team: Team) -> None:
        with contextlib.suppress(Exception):
            self.ray.kill(team.actor, no_restart=True)

    def _patience(self) -> None:
        """Nobody works and nobody can: the cluster has no room, or is on its way to make some."""
        waited = time.monotonic() - self.moved
        if waited > max(_STARTUP, self.timeout):
            raise EngineError(
                f"ray: no worker could be placed for {waited:.0f} s",
                hint="ray status shows what the cluster is busy with",
            )


def line(error: BaseException) -> str:
    """The most telling line of one of Ray's long messages."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return next((line for line in reversed(lines) if "Error" in line), lines[0] if lines else repr(error))
