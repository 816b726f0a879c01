"""Feature retention at a matched number of pictures, without chance in the matching.

A small sample misses rare features whoever drew it, so sets of different sizes are compared at the size of
the smallest. Instead of drawing that many pictures from the larger ones, the mean over all such draws is
computed (rarefaction; Hurlbert, Ecology 52 (1971) 577).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from genepool.records import Estimate

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Kept", "own_error", "ratio"]

_ROUNDS = 2000


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
    """How much of each prototype a set keeps, with bootstrap replicas.

    Args:
        counts: ``(K + 1,)`` as `FeatureAtlas.count` gives them.
        shares: ``(K,)`` the reference's.
        size: Pictures at which it is expressed, at most as many as were counted.
        seed: Of the multinomial bootstrap.
    """

    def __init__(self, counts: NDArray[np.int64], shares: NDArray[np.float64], size: int, seed: Any) -> None:
        total = int(counts.sum())
        expected = size * shares
        drawn = np.random.default_rng(seed).multinomial(total, counts / total, _ROUNDS)[:, :-1]
        top = int(max(drawn.max(initial=0), counts[:-1].max(initial=0)))
        table = _mean_kept(np.tile(np.arange(top + 1), (len(shares), 1)), total, size, expected)
        rows = np.arange(len(shares))
        self.value: NDArray[np.float64] = table[rows, counts[:-1]]
        self.replicas: NDArray[np.float64] = table[rows, drawn].astype(np.float32)

    def mean(self, which: Any = slice(None)) -> tuple[float, NDArray[np.float64]]:
        """Mean over prototypes, and its replicas shifted to it: resampling itself loses rare features."""
        value = float(self.value[which].mean())
        replicas = self.replicas[:, which].mean(axis=1, dtype=np.float64)
        return value, replicas + (value - replicas.mean())


def own_error(top: Kept, below: Kept) -> float:
    """Standard error of `ratio` in per cent from the upper set's pictures alone."""
    _, many = top.mean()
    b, _ = below.mean()
    return 100.0 * float(many.std(ddof=1)) / max(b, 1e-12)


def ratio(top: Kept, below: Kept, which: Any, n: int, method: str, alpha: float) -> Estimate:
    """One set's mean over another's, in per cent, with a percentile interval."""
    a, many = top.mean(which)
    b, fresh = below.mean(which)
    value = 100.0 * a / max(b, 1e-12)
    replicas = 100.0 * np.clip(many, 0, None) / np.clip(fresh, 1e-12, None)
    lower, upper = (float(v) for v in np.quantile(replicas, [alpha / 2, 1 - alpha / 2]))
    return Estimate(value, min(lower, value), max(upper, value), n, method, alpha)
