"""A pool of worker processes on this machine, and what becomes of units that kill or stall them."""

from __future__ import annotations

import itertools
import pickle
import signal
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from multiprocessing.connection import wait
from typing import Any, Generic, TypeVar

from genepool.engine._pool import Worker
from genepool.engine._worker import DONE, FAILED, READY
from genepool.errors import EngineError, GenepoolError
from genepool.records import Job, Unit, UnitResult

Q = TypeVar("Q")
_TICK = 0.5
_BIRTHS = 3
_STARTUP = 300.0


def pickled(job: Job) -> bytes:
    """The job as workers get it.

    Raises:
        EngineError: It cannot travel.
    """
    try:
        return pickle.dumps(job, protocol=5)
    except Exception as error:  # pickling runs strangers' code
        raise EngineError(
            f"job cannot be sent to workers: {type(error).__name__}: {error}",
            hint="probes must be picklable and come from an importable module, not a notebook",
        ) from error


class Run(Generic[Q]):
    """A pool of worker processes and the units that it has before it.

    Args:
        job: The pickled job, see `pickled`.
        units: Pulled one by one, as workers become free.
        workers: Largest number of processes.
        timeout: Seconds without progress after which a worker is replaced.
        quarantine: Called in this process with a one-item unit that killed or stalled its workers, and why;
            its answer is among the results.
    """

    def __init__(
        self,
        job: bytes,
        units: Iterator[Unit],
        workers: int,
        timeout: float,
        quarantine: Callable[[Unit, str], Q],
    ) -> None:
        self.pickled = job
        self.quarantine = quarantine
        self.units = units
        self.size = workers
        self.timeout = timeout
        self.again: deque[tuple[Unit, bool]] = deque()
        self.pool: list[Worker] = []
        self.births_failed = 0
        self.done = False
        self.halted = False

    def more(self, units: Iterable[Unit]) -> None:
        """Further units for a pool that has finished those it had; its workers are kept."""
        self.units, self.done = iter(units), False

    def results(self) -> Iterator[UnitResult | Q]:
        """Drive the pool until every unit has its result; the workers then wait for `more` or `stop`."""
        while True:
            self._feed()
            busy = [w for w in self.pool if w.unit is not None or not w.ready]
            if not any(w.unit is not None for w in self.pool) and self._exhausted():
                return
            for connection in wait([w.connection for w in busy], timeout=min(_TICK, self.timeout)):
                worker = next(w for w in busy if w.connection is connection)
                result = self._hear(worker)
                if result is not None:
                    yield from result
            for worker in [w for w in self.pool if w.unit is not None or not w.ready]:
                if worker.stalled(self.timeout if worker.ready else max(self.timeout, _STARTUP)):
                    yield from self._bury(worker, stalled=True)

    def stop(self) -> None:
        """End all workers: idle ones leave by themselves, the others are killed."""
        leaving = [w for w in self.pool if w.unit is None and w.ready]
        for worker in self.pool:
            if worker not in leaving:
                worker.end(grace=0)
        for worker in leaving:
            worker.end(grace=2.0)
        self.pool = []

    def halt(self) -> None:
        """Kill all workers while another thread drives the pool; `results` then raises."""
        self.halted = True
        for worker in list(self.pool):
            worker.process.kill()

    # ------------------------------------------------------------------------------- private

    def _exhausted(self) -> bool:
        if not self.again and not self.done:
            unit = next(self.units, None)
            if unit is None:
                self.done = True
            else:
                self.again.append((unit, False))
        return not self.again

    def _feed(self) -> None:
        for worker in self.pool:
            if worker.ready and worker.unit is None and not self._exhausted():
                unit, retried = self.again.popleft()
                worker.send(unit, retried=retried)
        # Workers are born as long as there is work that nobody is about to take.
        starting = sum(not w.ready for w in self.pool)
        while len(self.pool) < self.size and not self._exhausted() and starting < self._waiting():
            self.pool.append(Worker(self.pickled))
            starting += 1

    def _waiting(self) -> int:
        """How many units wait for a worker, as far as that matters for the size of the pool."""
        while len(self.again) < self.size and not self.done:
            unit = next(self.units, None)
            if unit is None:
                self.done = True
            else:
                self.again.append((unit, False))
        return len(self.again)

    def _hear(self, worker: Worker) -> Iterable[UnitResult | Q] | None:
        message = worker.receive()
        if message is None:
            return self._bury(worker, stalled=False)
        kind, content = message
        if kind == READY:
            worker.ready = True
            self.births_failed = 0
            return None
        if kind == DONE:
            worker.unit = None
            return [content]
        assert kind == FAILED  # noqa: S101  # there is no fourth kind
        unit = worker.unit
        raise failure(content, f"unit {unit.id}" if unit is not None else "a worker's preparation")

    def _bury(self, worker: Worker, *, stalled: bool) -> Iterable[UnitResult | Q]:
        """Remove a dead or stalled worker; decide what becomes of its unit."""
        if self.halted:
            raise EngineError("workers were stopped")
        self.pool.remove(worker)
        unit, retried, suspect = worker.unit, worker.retried, worker.suspect
        was_ready = worker.ready
        status, tail = worker.end(grace=0 if stalled else 1.0)
        if unit is None:
            if not was_ready:
                self._stillborn(status, tail)
            return []
        if not retried:
            self.again.append((unit, True))
            return []
        if len(unit.items) == 1:
            how = f"made no progress for {self.timeout:g} s" if stalled else f"ended with {_status(status)}"
            return [self.quarantine(unit, f"its worker {how}, again and again, at last with this item alone")]
        # Pieces get one try: a named suspect has had two already, and a half that fails is halved again.
        self.again.extend((piece, True) for piece in split(unit, suspect))
        return []

    def _stillborn(self, status: int, tail: str) -> None:
        self.births_failed += 1
        if self.births_failed >= _BIRTHS:
            raise EngineError(
                f"workers end before they are ready: {_status(status)}\n{tail}".rstrip(),
                hint="genepool doctor; try --workers 1",
            )
        time.sleep(0.1)


def failure(content: Any, what: str) -> GenepoolError:
    """What to raise for an error that a job raised: itself where it is ours, else one that quotes it."""
    if isinstance(content, GenepoolError):
        return content
    return EngineError(
        f"{what} failed: {str(content).strip().splitlines()[-1]}\n{content}",
        hint="genepool doctor; finished parts are kept",
    )


def split(unit: Unit, suspect: int | None) -> list[Unit]:
    """Smaller units: around the suspect where there is one, else two halves."""
    n = len(unit.items)
    if suspect is not None and 0 <= suspect < n:
        cuts = [0, suspect, suspect + 1, n]
    else:
        cuts = [0, n // 2, n]
    return [
        replace(unit, id=f"{unit.id}.{i}", items=unit.items[a:b])
        for i, (a, b) in enumerate(itertools.pairwise(cuts))
        if a < b
    ]


def _status(status: int) -> str:
    if status >= 0:
        return f"exit status {status}"
    try:
        return f"signal {signal.Signals(-status).name}"
    except ValueError:
        return f"signal {-status}"
