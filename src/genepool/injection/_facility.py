"""Facility location: a batch in which every candidate finds something like itself."""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["representatives"]


def representatives(similarity: NDArray[np.float64], count: int) -> NDArray[np.intp]:
    """Greedy maximum of Σᵢ maxⱼ∈chosen sᵢⱼ.

    The sum is submodular, so this is at least 1 − 1/e of the best possible (Nemhauser, Wolsey & Fisher 1978;
    Lin & Bilmes 2011). What a candidate adds can only shrink: it is worked out again only when it comes up
    (Minoux 1978). The choice is that of apricot's `FacilityLocationSelection` (Schreiber et al., JMLR 21,
    2020), which the tests ask; it needs seconds to be compiled, this does not.

    Args:
        similarity: ``(n, n)``, symmetric, not negative.
        count: How many to choose.

    Returns:
        Positions in the order in which they were chosen; of equals the first.
    """
    n = len(similarity)
    covered = np.zeros(n)
    heap = [(-float(gain), k) for k, gain in enumerate(similarity.sum(axis=1))]
    heapq.heapify(heap)
    chosen: list[int] = []
    while heap and len(chosen) < min(count, n):
        _, k = heapq.heappop(heap)
        gain = float(np.maximum(similarity[k], covered).sum() - covered.sum())
        if heap and (-gain, k) > heap[0]:
            heapq.heappush(heap, (-gain, k))
            continue
        chosen.append(k)
        covered = np.maximum(covered, similarity[k])
    return np.array(chosen, np.intp)
