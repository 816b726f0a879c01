"""``ray``: the same jobs and units on a Ray cluster."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from genepool.engine._local import terminable
from genepool.engine._ray_crew import Crew, line
from genepool.engine._ray_session import Session, require_ray
from genepool.errors import EngineError
from genepool.records import Job, Unit, UnitResult


class RayEngine:
    """Runs units on an existing Ray cluster, or on one of its own on this machine.

    Args:
        address: See `genepool.engine._ray_session.Session`: ``ray://host:port``, ``host:port``, ``auto``,
            ``local``; empty: ``$RAY_ADDRESS``, else a cluster of our own, ended with the run.
        workers: Worker processes; 0: one per CPU of the cluster, also of nodes that join later.
        timeout: Seconds without progress (see `genepool.engine.beat`) after which a worker is replaced.
        gpus: GPUs, or a share of one, that each worker asks the cluster for.

    Each worker is a process of the kind that `LocalEngine` runs, with the job prepared once. Workers are
    spread over the nodes; up to four on one node are held by one actor, which retries, bisects and times
    units beside them, and is asked for again in halves where it finds no room. Units whose actor or node is
    lost go to another one, the third time to one that has nothing else to do; after three losses a unit is
    halved, and one item that was lost three times alone goes to ``job.quarantine``. What a job writes must be
    seen by all nodes, or the job is `Portable`: its files are then carried to this process.

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
            crew = Crew(session, job, iter(units), self._asked, self.timeout, self.gpus)
            with terminable():
                try:
                    yield from crew.results()
                except (session.ray.exceptions.RayError, ConnectionError) as error:
                    raise EngineError(
                        f"ray: the cluster was lost: {line(error)}",
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
