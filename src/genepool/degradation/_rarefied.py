"""Feature retention at a matched number of pictures, without chance in the matching.

A small sample misses rare features whoever drew it, so sets of different sizes are compared at the size of
the smallest. Instead of drawing that many pictures from the larger ones, the mean over all such draws is
computed (rarefaction; Hurlbert, Ecology 52 (1971) 577).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from genepool.records import Estimate

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Kept", "own_error", "ratio"]


def _mean_kept(
    counts: NDArray[np.int64], total: int, size: int, expected: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Mean of min(1, X / expected) for X of ``size`` pictures drawn from ``total`` without replacement.

    Args:
        counts: ``(K, c)`` pictures at a prototype among the ``total``, for each prototype c different
            numbers.
        total: N.
        size: m ≤ N.
        expected: ``(K,)`` m × the reference's share, positive.
    """
    from scipy.special import gammaln

    def choose(n: Any, k: Any) -> Any:
        with np.errstate(invalid="ignore"):
            return np.where(
                (k >= 0) & (k <= n), gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1), -np.inf
            )

    whole = float(choose(float(total), float(size)))
    above = np.ones(counts.shape)  # P(X > x), for x from −1 on
    kept = np.zeros(counts.shape)
    for x in range(int(np.ceil(expected.max()))):
        above = above - np.exp(choose(counts, x) + choose(total - counts, size - x) - whole)
        weight = np.clip(expected - x, 0.0, 1.0)[:, None]
        kept += weight * np.clip(above, 0.0, 1.0)
    shares: NDArray[np.float64] = kept / expected[:, None]
    return shares


class Kept:
    """How much of each prototype a set keeps, with what deleting one picture would change.

    Args:
        counts: ``(K + 1,)`` as `FeatureAtlas.count` gives them.
        shares: ``(K,)`` the reference's.
        size: Pictures at which it is expressed, at most as many as were counted.
    """

    def __init__(self, counts: NDArray[np.int64], shares: NDArray[np.float64], size: int) -> None:
        self.counts, self.total = counts, int(counts.sum())
        here = counts[:-1, None]
        self.value: NDArray[np.float64] = _mean_kept(here, self.total, size, size * shares)[:, 0]
        less = min(size, self.total - 1)
        fewer = np.concatenate((np.maximum(here - 1, 0), here), axis=1)
        # A count above the total is impossible after a deletion; it is multiplied by no picture then.
        left = _mean_kept(np.minimum(fewer, self.total - 1), self.total - 1, less, less * shares)
        self._change = left[:, 0] - left[:, 1]
        self._one = float(_mean_kept(np.ones_like(here), self.total, size, size * shares).max())

    def mean(self, which: Any = slice(None)) -> tuple[float, float]:
        """Mean over prototypes and its standard error.

        The jackknife over pictures: for a function that saturates its variance is never too small in the mean
        (Efron & Stein, Annals of Statistics 9 (1981) 586), where a bootstrap's, which loses rare features a
        second time, is.
        """
        kept = self.value[which]
        weight = np.zeros(len(self.value))
        weight[which] = 1.0 / len(kept)
        change = np.append(weight * self._change, 0.0)
        middle = float((self.counts * change).sum()) / self.total
        square = float((self.counts * (change - middle) ** 2).sum()) * (self.total - 1) / self.total
        # Nothing seen is not nothing there: no less than what one picture would have shown.
        return float(kept.mean()), max(math.sqrt(square), self._one / len(kept) if not kept.any() else 0.0)


def own_error(top: Kept, below: Kept) -> float:
    """Standard error of `ratio` in per cent from the upper set's pictures alone."""
    return 100.0 * top.mean()[1] / max(below.mean()[0], 1e-12)


def ratio(top: Kept, below: Kept, which: Any, n: int, method: str, alpha: float) -> Estimate | None:
    """One set's mean over another's, in per cent; normal interval on the logarithm (on the value at 0).

    None where the other shows nothing at all: then there is no scale.
    """
    from scipy.special import ndtri

    z = float(ndtri(1 - alpha / 2))
    (a, error), (b, other) = top.mean(which), below.mean(which)
    if b <= 0:
        return None
    value = 100.0 * a / b
    if a <= 0:
        return Estimate(0.0, 0.0, 100.0 * z * error / b, n, method, alpha)
    reach = z * math.hypot(error / a, other / b)
    return Estimate(value, value * math.exp(-reach), value * math.exp(min(reach, 50.0)), n, method, alpha)
