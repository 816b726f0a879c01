"""Bounds on a share: of an endless population, of a finite one, and of several at once.

Sources: C. J. Clopper and E. S. Pearson, Biometrika 26 (1934) 404; E. B. Wilson, JASA 22 (1927) 209;
the finite-population bounds invert the hypergeometric tail test (T. Wright, *Exact Confidence Bounds when
Sampling from Small Finite Universes*, Springer 1991); S. Holm, Scand. J. Statist. 6 (1979) 65.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from genepool.errors import MeasureError

__all__ = ["bonferroni", "clopper_pearson", "finite_bounds", "finite_lower", "finite_upper", "holm", "wilson"]


def _counts(k: int, n: int, alpha: float) -> None:
    if not 0 <= k <= n:
        raise MeasureError(f"proportion: expected 0 ≤ k ≤ n, found k = {k}, n = {n}")
    if not 0.0 < alpha < 1.0:
        raise MeasureError(f"proportion: expected alpha between 0 and 1, found {alpha}")


def clopper_pearson(k: int, n: int, alpha: float = 0.05) -> tuple[float, float]:
    """Exact two-sided interval of a binomial share; it covers at least 1 − alpha for every true share.

    For a one-sided bound at level alpha, ask for ``2 * alpha`` and take one end.

    Args:
        k: Successes, 0 ≤ k ≤ n.
        n: Trials; 0 gives (0, 1).
        alpha: 1 − confidence, in (0, 1).

    Returns:
        (lower, upper), each in [0, 1].

    Raises:
        MeasureError: Impossible counts or alpha.
    """
    from scipy.special import betaincinv

    _counts(k, n, alpha)
    lower = 0.0 if k == 0 else float(betaincinv(k, n - k + 1, alpha / 2))
    upper = 1.0 if k == n else float(betaincinv(k + 1, n - k, 1 - alpha / 2))
    return lower, upper


def wilson(k: int, n: int, alpha: float = 0.05) -> tuple[float, float]:
    """Wilson's score interval: close to nominal on average, not guaranteed. For charts, never for a gate.

    Args:
        k: Successes, 0 ≤ k ≤ n.
        n: Trials; 0 gives (0, 1).
        alpha: 1 − confidence, in (0, 1).

    Returns:
        (lower, upper), each in [0, 1].

    Raises:
        MeasureError: Impossible counts or alpha.
    """
    from scipy.special import ndtri

    _counts(k, n, alpha)
    if n == 0:
        return 0.0, 1.0
    z2 = float(ndtri(1 - alpha / 2)) ** 2
    share = k / n
    centre = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = math.sqrt(z2) / (1 + z2 / n) * math.sqrt(share * (1 - share) / n + z2 / (4 * n * n))
    lower = 0.0 if k == 0 else max(0.0, centre - half)
    upper = 1.0 if k == n else min(1.0, centre + half)
    return lower, upper


def _upper_tail(k: int, n: int, population: int, successes: int) -> float:
    """P(X ≥ k) where X successes are among n drawn without replacement."""
    from scipy.special import gammaln, logsumexp

    low, high = max(0, n + successes - population), min(n, successes)
    if k <= low:
        return 1.0
    if k > high:
        return 0.0

    def choose(total: float, part: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(gammaln(total + 1) - gammaln(part + 1) - gammaln(total - part + 1), np.float64)

    x = np.arange(k, high + 1, dtype=np.float64)
    terms = choose(successes, x) + choose(population - successes, n - x)
    return float(min(1.0, math.exp(float(logsumexp(terms)) - float(choose(population, np.array([n]))[0]))))


def _first(low: int, high: int, holds: Callable[[int], bool]) -> int:
    """Smallest integer in [low, high] where a monotone condition holds (it does at ``high``)."""
    while low < high:
        middle = (low + high) // 2
        if holds(middle):
            high = middle
        else:
            low = middle + 1
    return low


def _finite(k: int, n: int, population: int, alpha: float) -> None:
    _counts(k, n, alpha)
    if population < n:
        raise MeasureError(f"finite population: expected at least the sample, {n}, found {population}")


def finite_lower(k: int, n: int, population: int, alpha: float = 0.05) -> int:
    """One-sided lower bound on the successes in a finite population, from a sample without replacement.

    The smallest number that the sample does not refute at level alpha: P(X ≥ k) > alpha.

    Args:
        k: Successes in the sample.
        n: Sample size.
        population: Size of the population, at least n.
        alpha: Error probability of this one bound, in (0, 1).

    Returns:
        A count in [k, population − (n − k)].

    Raises:
        MeasureError: Impossible counts or alpha.
    """
    _finite(k, n, population, alpha)
    return _first(k, population - (n - k), lambda m: _upper_tail(k, n, population, m) > alpha)


def finite_upper(k: int, n: int, population: int, alpha: float = 0.05) -> int:
    """One-sided upper bound on the successes in a finite population (see `finite_lower`).

    Raises:
        MeasureError: Impossible counts or alpha.
    """
    return population - finite_lower(n - k, n, population, alpha)


def finite_bounds(k: int, n: int, population: int, alpha: float = 0.05) -> tuple[int, int]:
    """Exact two-sided bounds on the successes in a finite population, alpha/2 on each side.

    Returns:
        (lower, upper) as counts. A sample of the whole population gives (k, k).

    Raises:
        MeasureError: Impossible counts or alpha.
    """
    return finite_lower(k, n, population, alpha / 2), finite_upper(k, n, population, alpha / 2)


def _p_values(p: Sequence[float] | NDArray[np.float64]) -> NDArray[np.float64]:
    values = np.asarray(p, np.float64)
    if values.ndim != 1 or not bool(((values >= 0) & (values <= 1)).all()):
        raise MeasureError("multiplicity: expected a list of p-values in [0, 1]")
    return values


def bonferroni(p: Sequence[float] | NDArray[np.float64]) -> NDArray[np.float64]:
    """p-values adjusted so that rejecting where the result is ≤ alpha errs anywhere with probability ≤ alpha.

    Raises:
        MeasureError: Not a list of numbers in [0, 1].
    """
    values = _p_values(p)
    return np.minimum(1.0, values * len(values))


def holm(p: Sequence[float] | NDArray[np.float64]) -> NDArray[np.float64]:
    """Holm's step-down adjustment: the same guarantee as `bonferroni`, never a larger value.

    Raises:
        MeasureError: Not a list of numbers in [0, 1].
    """
    values = _p_values(p)
    order = np.argsort(values, kind="stable")
    steps = np.maximum.accumulate(values[order] * (len(values) - np.arange(len(values))))
    adjusted = np.empty_like(values)
    adjusted[order] = np.minimum(1.0, steps)
    return adjusted
