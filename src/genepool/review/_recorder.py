"""Verdicts into the log: signed batches in the background, every one exactly once, also after a crash."""

from __future__ import annotations

import itertools
import threading
import time
from typing import TYPE_CHECKING

from genepool.errors import GenepoolError

if TYPE_CHECKING:
    from genepool.config import Config
    from genepool.review._queue import ReviewQueue
    from genepool.store import ReviewRecord, Workspace

__all__ = ["Recorder", "record_in_log"]

_BATCH = 5000


def record_in_log(
    workspace: Workspace, record: ReviewRecord, config: Config | None = None, *, audited: bool = False
) -> int:
    """Append what is not in the log yet: draws first, then verdicts in the order given.

    What a batch will hold is noted before the log is written, so after a crash in between the log is asked
    whether the batch arrived, and nothing is written twice.

    Args:
        workspace: Where the log lies.
        record: The workspace's review file.
        config: Key.
        audited: This process has appended to this log before.

    Returns:
        Verdicts appended.

    Raises:
        IntegrityError: The log does not verify.
        WorkspaceError: Not writable, or another process is writing it.
    """
    from genepool import provenance

    done, begun = record.sealed()
    if begun is not None:
        done = _finish(workspace, record, done, *begun)
    total = 0
    while True:
        rows = list(itertools.islice(record.since(done), _BATCH))
        draws = [draw for draw in record.draws() if draw.leaf is None]
        if not rows and not draws:
            return total
        if rows:
            record.begin_seal(rows[-1][0], provenance.log_size(workspace))
        batch = provenance.append_verdicts(
            workspace, [v for _, v in rows], config, draws=draws, audited=audited
        )
        if rows:
            record.end_seal(batch.first)
            done = rows[-1][0]
        for draw, leaf in zip(draws, batch.draws, strict=True):
            record.drawn(draw.id, leaf)
        total += len(rows)


def _finish(workspace: Workspace, record: ReviewRecord, done: int, last: int, size: int) -> int:
    """Settle a batch that was begun: is it in the log?"""
    from genepool import provenance

    there = provenance.find_verdicts(workspace, size)
    leaf = None
    for number, verdict in record.since(done):
        if number > last:
            break
        found = there.get(provenance.verdict_digest(verdict))
        if found is None:
            record.drop_seal()
            return done
        leaf = found if leaf is None else min(leaf, found)
    record.end_seal(leaf if leaf is not None else size)
    return last


class Recorder:
    """Writes new verdicts into the log every few seconds, and once more at the end.

    Args:
        workspace: Where the log lies.
        queue: Whose record is read; its standings are judged on the way.
        config: Key.
        every: Seconds between batches; a verdict is in the log within twice that.
    """

    def __init__(
        self, workspace: Workspace, queue: ReviewQueue, config: Config | None = None, *, every: float = 2.0
    ) -> None:
        self.problem = ""
        self.at = 0.0
        self._workspace, self._queue, self._config, self._every = workspace, queue, config, every
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="genepool-review-log", daemon=True)
        self._judged, self._rest, self._audited = -1, 0.0, False

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """Write what is left and end."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()
        self.flush()

    def flush(self) -> None:
        """Write now. What cannot be written stays in SQLite and is tried again; `problem` says why."""
        from genepool.review._board import judge_standings
        from genepool.store import ReviewRecord

        try:
            self._queue.record.checkpoint()
            with ReviewRecord(self._workspace) as record:
                record_in_log(self._workspace, record, self._config, audited=self._audited)
                self._audited = record.draws()[-1].leaf is not None
                count = record.count()
                # Judging reads every verdict: at most a tenth of the time goes into it.
                if count != self._judged and time.monotonic() >= self._rest:
                    start = time.monotonic()
                    self._judged = count
                    if judge_standings(record):
                        self._queue.refresh()
                    self._rest = time.monotonic() + 10 * (time.monotonic() - start)
            self.problem, self.at = "", time.time()
        except GenepoolError as error:
            self.problem = f"{error.code} {error.message}"

    def _run(self) -> None:
        while not self._stop.wait(self._every):
            self.flush()
