"""The index's interval where images come in groups: a bootstrap that draws artists or shards, not images."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from genepool.diversity._batches import aligned, grouped
from genepool.diversity._state import StyleState
from genepool.errors import MeasureError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from genepool.diversity._panel import Panel

__all__ = ["BlockStates"]

BLOCKS = 48
LEAST = 8
REPLICATES = 1000
FEW = 512
"""Images of a block that are gathered before they are added."""


class BlockStates:
    """First-pass states of up to 48 blocks of whole groups; states of parts add up block by block.

    Fewer groups than blocks have a block each; more are dealt out, the largest first, each to the lightest
    block.

    Args:
        panel: The reference.
        anchors: As in `StyleState`.
        groups: ``(n,)`` label of each image's artist or shard, any that can be sorted; images without a label
            (None or "") are groups of their own.

    Raises:
        MeasureError: Fewer than eight groups: no interval can be drawn from them.
    """

    def __init__(self, panel: Panel, anchors: NDArray[np.float64] | None, groups: Any) -> None:
        self.block = _dealt(groups)
        count = int(self.block.max()) + 1
        self.states = [StyleState(panel, anchors) for _ in range(count)]

    def fill(
        self,
        start: Callable[[], Iterator[NDArray[Any]]],
        verified: NDArray[np.bool_] | None,
        weights: NDArray[np.float64] | None,
    ) -> None:
        """One pass over the features.

        Raises:
            MeasureError: Lengths that differ, NaN.
        """
        waiting: list[list[list[Any]]] = [[] for _ in self.states]
        for part, (human, multiple, block) in aligned(start(), verified, weights, self.block):
            assert block is not None  # noqa: S101  # given above
            for k in np.unique(block).tolist():
                own = block == k
                waiting[k].append([None if c is None else c[own] for c in (part, human, multiple)])
                # Each update adds a whole matrix, whether it brings one image or hundreds.
                if sum(len(piece[0]) for piece in waiting[k]) >= FEW:
                    self._add(k, waiting[k])
        for k, pieces in enumerate(waiting):
            if pieces:
                self._add(k, pieces)

    def _add(self, k: int, pieces: list[list[Any]]) -> None:
        columns = zip(*pieces, strict=True)
        vectors, human, weights = (None if c[0] is None else np.concatenate(c) for c in columns)
        assert vectors is not None  # noqa: S101  # every piece has some
        self.states[k].update(vectors, human, weights)
        pieces.clear()

    def whole(self) -> StyleState:
        """All blocks added up, in a state of its own."""
        first = self.states[0]
        total = StyleState(first.panel, first.anchors)
        for state in self.states:
            total.merge(state)
        return total

    def deviation(self, seed: int = 0) -> float:
        """Standard deviation of ln purity over 1000 draws of as many blocks, with replacement.

        A block that is drawn twice is not compared with its own copy: pairs across blocks enter with the
        product of how often both were drawn, pairs inside one as often as it was.
        """
        moments = np.stack([s.moment.astype(np.float32).reshape(-1) for s in self.states])
        alike = (moments @ moments.T).astype(np.float64)
        off = np.array([s.weight_off for s in self.states])
        weight = np.array([s.weight for s in self.states])
        squares = np.array([s.squares_on + s.squares_off for s in self.states])
        alike += np.outer(off, off)
        pairs = np.outer(weight, weight)
        inside, held = alike.diagonal() - squares, pairs.diagonal() - squares
        np.fill_diagonal(alike, 0.0)
        np.fill_diagonal(pairs, 0.0)
        rng = np.random.default_rng(seed)
        count = len(self.states)
        logs = []
        for _ in range(REPLICATES):
            times = np.bincount(rng.integers(count, size=count), minlength=count).astype(np.float64)
            total = times @ pairs @ times + times @ held
            purity = (times @ alike @ times + times @ inside) / max(total, 1e-300)
            logs.append(math.log(max(purity, 1e-12)))
        return float(np.std(logs, ddof=1))


def _dealt(groups: Any) -> NDArray[np.int64]:
    """Block of each image."""
    labels = (f"\0{i}" if g is None or g == "" else f"={g}" for i, g in enumerate(groups))
    names, inverse = grouped(labels)
    sizes = np.bincount(inverse, minlength=len(names))
    if len(names) < LEAST:
        raise MeasureError(
            f"index: expected at least {LEAST} groups for an interval from whole groups, found {len(names)}",
            hint="leave groups out for the interval over images, or choose a finer column",
        )
    if len(names) <= BLOCKS:
        return inverse
    block, load = np.empty(len(names), np.int64), np.zeros(BLOCKS)
    for k in np.argsort(-sizes, kind="stable").tolist():
        lightest = int(load.argmin())
        block[k] = lightest
        load[lightest] += sizes[k]
    return block[inverse]
