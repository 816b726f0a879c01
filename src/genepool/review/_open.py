"""Opening the queue of a set, and reading its sample."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from genepool.prevalence import detector_scores
from genepool.review._draw import drawn, outputs_of, population_of, truths_of
from genepool.review._mixture import Mixture
from genepool.review._queue import ReviewQueue
from genepool.store import ReviewRecord

if TYPE_CHECKING:
    import pyarrow as pa

    from genepool.store import Catalogue, Workspace

__all__ = ["queue", "sampled_verdicts"]


def queue(
    workspace: Workspace,
    catalogue: Catalogue,
    origins: pa.Table,
    *,
    controls: Mapping[str, str] | None = None,
    mixture: Mixture | None = None,
    outputs: int = 0,
    keep: bool = False,
    clock: Callable[[], float] = time.time,
) -> ReviewQueue:
    """Open the queue of a set: the recorded draw over its unverified images, or a new one.

    Args:
        workspace: Where it is recorded.
        catalogue: The set.
        origins: What `genepool.origin.settle` returned for it.
        controls: Further controls, digest → ``human`` or ``ai``; the set's own verified images always serve.
        mixture: Shares of controls, repeats and overlap.
        outputs: So many outputs of each known model in the set are shown to somebody, among the controls.
        keep: Keep the file open, for a server.
        clock: Unix seconds now.

    Raises:
        WorkspaceError: The review file cannot be read or written.
    """
    record = ReviewRecord(workspace, keep=keep)
    population = population_of(origins)
    # Scores are fixed when the order is drawn; a queue that is opened again need not read them.
    known = any(d.population == population.digest for d in record.draws())
    scores = "" if known else detector_scores(catalogue, workspace).digest(population.rows)
    draw = drawn(record, population, catalogue.dataset.uri, clock(), scores)
    sampled = outputs_of(origins, draw.seed, outputs)
    own = truths_of(origins, draw.seed) | dict.fromkeys(sampled, "ai")
    record.add_controls(own, "verified in the set")
    if controls:
        record.add_controls(controls, "given")
    truths = {**(controls or {}), **own}
    return ReviewQueue(record, draw, population, truths, outputs=sampled, mixture=mixture, clock=clock)


def sampled_verdicts(workspace: Workspace, draw: int | None = None) -> list[tuple[int, str, str, str]]:
    """Blind verdicts in the recorded random order; see `genepool.store.Verdicts.sampled`.

    Returns:
        ``(position, sha256, answer, reviewer)``: positions from 0 without a gap; several rows where several
        people looked.
    """
    with ReviewRecord(workspace) as record:
        return record.sampled(draw)
