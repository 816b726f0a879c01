"""``local``: one process per core on this machine."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Iterable, Iterator

from genepool.engine._run import Run, pickled
from genepool.records import Job, Unit, UnitResult


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
        run = Run(pickled(job), iter(units), self.workers, self.timeout, job.quarantine)
        with terminable():
            try:
                yield from run.results()
            finally:
                run.stop()


@contextlib.contextmanager
def terminable() -> Iterator[None]:
    """While workers run, SIGTERM raises `SystemExit`, so that they are ended too; other handlers are kept."""
    if (
        threading.current_thread() is not threading.main_thread()
        or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL
    ):
        yield
        return

    status = 0

    def leave(number: int, frame: object) -> None:
        nonlocal status
        status = 128 + number
        raise SystemExit(status)

    signal.signal(signal.SIGTERM, leave)
    try:
        yield
    except BaseException:
        if status:  # whatever a library in between made of it
            raise SystemExit(status) from None
        raise
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
