"""Facility location: a batch in which every candidate finds something like itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from genepool.errors import MissingExtra

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["representatives"]

_NAIVE = 200_000_000
"""Comparisons up to which the plain greedy choice is faster than starting the lazy one."""


def representatives(similarity: NDArray[np.float64], count: int) -> NDArray[np.intp]:
    """Greedy maximum of Σᵢ maxⱼ∈chosen sᵢⱼ.

    The sum is submodular, so this is at least 1 − 1/e of the best possible (Nemhauser, Wolsey & Fisher 1978;
    Lin & Bilmes 2011).

    Small problems are solved here. Large ones go to apricot's lazy greedy optimizer (Schreiber et al., JMLR
    21 (2020) 161), which makes the same choice with fewer comparisons, but needs seconds to be compiled
    first.

    Args:
        similarity: ``(n, n)``, symmetric, not negative.
        count: How many to choose.

    Returns:
        Positions in the order in which they were chosen; of equals the first.

    Raises:
        MissingExtra: The problem is large and ``apricot-select`` is not installed.
    """
    n = len(similarity)
    count = min(count, n)
    if count * n * n > _NAIVE:
        return _lazy(similarity, count)
    covered = np.zeros(n)
    free = np.ones(n, bool)
    chosen = np.empty(count, np.intp)
    for k in range(count):
        gains = np.maximum(similarity, covered).sum(axis=1)
        gains[~free] = -np.inf
        chosen[k] = best = int(np.argmax(gains))
        covered = np.maximum(covered, similarity[best])
        free[best] = False
    return chosen


def _lazy(similarity: NDArray[np.float64], count: int) -> NDArray[np.intp]:
    try:
        from apricot import FacilityLocationSelection
    except ImportError:
        raise MissingExtra(needs="apricot-select", extra="inject") from None
    found = FacilityLocationSelection(count, metric="precomputed", optimizer="lazy").fit(similarity)
    return np.asarray(found.ranking, np.intp)
