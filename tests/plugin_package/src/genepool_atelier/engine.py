"""An engine: threads of this process, for code that releases the interpreter's lock."""

import copy
from concurrent.futures import ThreadPoolExecutor

from genepool.errors import EngineError, GenepoolError


class ThreadEngine:
    """Runs every unit in a thread; an item that kills the process kills everything: it isolates nothing."""

    name = "atelier-threads"

    def __init__(self, workers=0, timeout=300.0):
        self.workers = workers or 2
        self.timeout = timeout

    def run(self, job, units):
        def one(unit):
            mine = copy.copy(job)
            mine.prepare()
            return mine(unit)

        with ThreadPoolExecutor(self.workers) as pool:
            waiting = [pool.submit(one, unit) for unit in units]
            try:
                for future in waiting:
                    yield self._result(future)
            finally:
                for future in waiting:
                    future.cancel()

    @staticmethod
    def _result(future):
        try:
            return future.result()
        except GenepoolError:
            raise
        except Exception as error:
            raise EngineError(f"a unit failed: {type(error).__name__}: {error}") from error
