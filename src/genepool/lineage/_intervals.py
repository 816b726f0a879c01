"""Generation arithmetic: generation(human) = 0, generation(synthetic) = 1 + that of what made it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from genepool.errors import MeasureError

__all__ = [
    "UNBOUNDED",
    "Interval",
    "generation_weights",
    "image_generation",
    "settle_generations",
    "tolerant_top",
]

Interval: TypeAlias = "tuple[int, int | None]"

UNBOUNDED = int(np.iinfo(np.int32).max)
"""Stands for "no upper end" in integer arrays."""


def _checked(interval: Interval) -> Interval:
    lo, hi = interval
    if lo < 0 or (hi is not None and hi < lo):
        raise MeasureError(f"generation: expected an interval 0 ≤ lo ≤ hi, found [{lo}, {hi}]")
    return lo, hi


def image_generation(model: Interval, parents: Iterable[Interval] = ()) -> Interval:
    """Generation of one synthetic image.

    Args:
        model: Generation of the outputs of the model that made it; ``(1, None)`` for an unknown model.
        parents: Generations of the images it was made from (img2img, references).

    Returns:
        ``(lo, hi)``: the model's, or one more than the highest parent's, whichever is higher; hi None where
        either has no upper end.

    Raises:
        MeasureError: An interval that is none.
    """
    lo, hi = _checked(model)
    for parent in parents:
        parent_lo, parent_hi = _checked(parent)
        lo = max(lo, 1 + parent_lo)
        hi = None if hi is None or parent_hi is None else max(hi, 1 + parent_hi)
    return max(lo, 1), hi if hi is None else max(hi, 1)


def tolerant_top(shares: Mapping[float, float], tolerance: float) -> float:
    """The least generation above which no more than the tolerated share lies.

    Args:
        shares: Generation (∞: no upper end) → share of a training set.
        tolerance: Share that is passed over, in [0, 1).
    """
    above = 0.0
    for generation in sorted(shares, reverse=True):
        above += shares[generation]
        # Shares are sums of floats: the tolerated share itself must not be exceeded by its last bit.
        if above > tolerance * (1 + 1e-9):
            return generation
    return 0.0


def generation_weights(
    hi: NDArray[np.integer], machine: NDArray[np.bool_], weights: Sequence[float]
) -> NDArray[np.float64]:
    """Sampling weights by generation, the policy's ``generation.weights`` applied to images.

    Args:
        hi: ``(n,)`` upper ends of the generations; `UNBOUNDED` or a negative number for none.
        machine: ``(n,)`` which images a model made; the others weigh 1.
        weights: Weight of generation 1, 2, …; the last one holds for all later generations and for images
            whose generation has no upper end. Empty: 1 for all.

    Raises:
        MeasureError: Arrays of different length, a weight that is negative or not finite.
    """
    table = np.asarray(weights, np.float64)
    if not (np.isfinite(table).all() and (table >= 0).all()):
        raise MeasureError(
            f"generation weights: expected finite numbers that are not negative, found {weights}"
        )
    high, made = np.asarray(hi, np.int64), np.asarray(machine, np.bool_)
    if len(high) != len(made):
        raise MeasureError(f"generation weights: expected {len(high)} flags, found {len(made)}")
    found = np.ones(len(high))
    if len(table):
        place = np.where(high < 0, UNBOUNDED, high) - 1
        found[made] = table[np.clip(place[made], 0, len(table) - 1)]
    return found


def settle_generations(
    lo: NDArray[np.integer],
    hi: NDArray[np.integer],
    child: NDArray[np.integer],
    parent: NDArray[np.integer],
    step: NDArray[np.integer] | int = 1,
) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.bool_]]:
    """Carry generations along the edges between images of one set.

    Args:
        lo: ``(n,)`` lower ends known so far (from models, logs, claims).
        hi: ``(n,)`` upper ends; `UNBOUNDED` for none.
        child: ``(m,)`` indices of images …
        parent: ``(m,)`` … and of the images they were made from.
        step: ``(n,)`` or one number: what a child adds to its parent, 1 for synthetic images, 0 for edits.

    Returns:
        lo, hi after propagation (int32), and a mask of images on or behind a loop of ancestry: theirs is
        ``[lo, UNBOUNDED]``, because a loop cannot be true.

    Raises:
        MeasureError: Arrays of different length, or an index outside the set.
    """
    low, high = np.array(lo, np.int64), np.array(hi, np.int64)
    child, parent = np.asarray(child, np.int64), np.asarray(parent, np.int64)
    n = len(low)
    if len(high) != n or len(child) != len(parent):
        raise MeasureError(
            f"generations: expected arrays of equal length, found {n} and {len(high)} ends, "
            f"{len(child)} children and {len(parent)} parents"
        )
    if len(child) and not (min(child.min(), parent.min()) >= 0 and max(child.max(), parent.max()) < n):
        raise MeasureError(f"generations: expected indices below {n}, found one outside")
    steps = np.broadcast_to(np.asarray(step, np.int64), (n,))
    by_parent = np.argsort(parent, kind="stable")
    child, parent = child[by_parent], parent[by_parent]
    starts = np.searchsorted(parent, np.arange(n + 1))
    waiting = np.bincount(child, minlength=n)
    front = np.flatnonzero((waiting == 0) & (starts[1:] > starts[:-1]))
    while len(front):
        edges = _ranges(starts[front], starts[front + 1])
        kids, source = child[edges], parent[edges]
        np.maximum.at(low, kids, np.minimum(low[source] + steps[kids], UNBOUNDED - 1))
        above = np.where(high[source] >= UNBOUNDED, UNBOUNDED, high[source] + steps[kids])
        np.maximum.at(high, kids, np.minimum(above, UNBOUNDED))
        np.subtract.at(waiting, kids, 1)
        touched = np.unique(kids)
        front = touched[(waiting[touched] == 0) & (starts[touched + 1] > starts[touched])]
    looped = waiting > 0
    high[looped] = UNBOUNDED
    return low.astype(np.int32), np.maximum(high, low).astype(np.int32), looped


def _ranges(start: NDArray[np.int64], stop: NDArray[np.int64]) -> NDArray[np.int64]:
    """The integers of many half-open ranges, one after the other."""
    lengths = stop - start
    offsets = np.repeat(start - np.concatenate(([0], np.cumsum(lengths)[:-1])), lengths)
    return np.arange(int(lengths.sum())) + offsets
