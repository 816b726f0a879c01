"""``local``: one process per core on this machine."""

from __future__ import annotations

import contextlib
import itertools
import os
import pickle
import signal
import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import replace
from multiprocessing.connection import wait
from typing import Any

from genepool.engine._pool import Worker
from genepool.engine._worker import DONE, FAILED, READY
from genepool.errors import EngineError, GenepoolError
from genepool.records import Job, Unit, UnitResult

_TICK = 0.5
_BIRTHS = 3
_STARTUP = 300.0


def cores() -> int:
    """Cores that this process may use (affinity and, on Linux, the control group's quota)."""
    n = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    with contextlib.suppress(OSError, ValueError):
        with open("/sys/fs/cgroup/cpu.max", encoding="ascii") as file:  # noqa: PTH123
            quota, period = file.read().split()
        if quota != "max":
            n = min(n, max(1, round(int(quota) / int(period))))
    return n


class LocalEngine:
    """Runs units in worker processes.

    Args:
        workers: Processes; 0 = one per core.
        timeout: Seconds without progress (see `genepool.engine.beat`) after which a worker is replaced.
        inline: Run everything in this process: no isolation, for debugging and measurements.

    A unit whose worker dies or stalls is tried once more; then the item that the worker was at is tried
    alone, with the items before and after it as units of their own; an item that fails alone goes to
    ``job.quarantine``. Where a job does not say at which item it is, the unit is halved instead.
    """

    name = "local"

    def __init__(self, workers: int = 0, timeout: float = 300.0, *, inline: bool = False) -> None:
        self.workers = 1 if inline else workers or cores()
        self.timeout = timeout
        self.inline = inline

    def run(self, job: Job, units: Iterable[Unit]) -> Iterator[UnitResult]:
        """Run ``job`` on every unit; results come in the order in which units finish.

        At most one unit per worker is in flight; ``units`` is consumed lazily.

        Raises:
            EngineError: Workers cannot be started, the job cannot be pickled, or it raised an error
                that is not about one item.
            GenepoolError: Whatever deliberate error the job raised.
        """
        if self.inline:
            job.prepare()
            yield from map(job, units)
            return
        run = _Run(job, iter(units), self.workers, self.timeout)
        with _terminable():
            try:
                yield from run.results()
            finally:
                run.stop()


class _Run:
    """The state of one call of `LocalEngine.run`."""

    def __init__(self, job: Job, units: Iterator[Unit], workers: int, timeout: float) -> None:
        try:
            self.pickled = pickle.dumps(job, protocol=5)
        except Exception as error:  # pickling runs strangers' code
            raise EngineError(
                f"job cannot be sent to workers: {type(error).__name__}: {error}",
                hint="probes must be picklable and come from an importable module, not a notebook",
            ) from error
        self.job = job
        self.units = units
        self.size = workers
        self.timeout = timeout
        self.again: deque[tuple[Unit, bool]] = deque()
        self.pool: list[Worker] = []
        self.births_failed = 0
        self.done = False

    def results(self) -> Iterator[UnitResult]:
        """Drive the pool until every unit has its result."""
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

    def _hear(self, worker: Worker) -> Iterable[UnitResult] | None:
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
        self._raise(content, worker)
        return None

    def _raise(self, content: Any, worker: Worker) -> None:
        if isinstance(content, GenepoolError):
            raise content
        what = f"unit {worker.unit.id}" if worker.unit is not None else "a worker's preparation"
        raise EngineError(
            f"{what} failed: {str(content).strip().splitlines()[-1]}\n{content}",
            hint="genepool doctor; finished parts are kept",
        )

    def _bury(self, worker: Worker, *, stalled: bool) -> Iterable[UnitResult]:
        """Remove a dead or stalled worker; decide what becomes of its unit."""
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
            return [
                self.job.quarantine(unit, f"its worker {how}, again and again, at last with this item alone")
            ]
        # Pieces get one try: a named suspect has had two already, and a half that fails is halved again.
        self.again.extend((piece, True) for piece in _split(unit, suspect))
        return []

    def _stillborn(self, status: int, tail: str) -> None:
        self.births_failed += 1
        if self.births_failed >= _BIRTHS:
            raise EngineError(
                f"workers end before they are ready: {_status(status)}\n{tail}".rstrip(),
                hint="genepool doctor; try --workers 1",
            )
        time.sleep(0.1)


def _split(unit: Unit, suspect: int | None) -> list[Unit]:
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


@contextlib.contextmanager
def _terminable() -> Iterator[None]:
    """While workers run, SIGTERM raises `SystemExit`, so that they are ended too; other handlers are kept."""
    if (
        threading.current_thread() is not threading.main_thread()
        or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL
    ):
        yield
        return

    def leave(number: int, frame: object) -> None:
        raise SystemExit(128 + number)

    signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
