"""Fixed sampling plans for auditors: look at n, accept up to c misses.

The equivalent of an (n, c) plan of ISO 2859-2, computed exactly instead of looked up.
"""

from __future__ import annotations

import math

import numpy as np

from genepool.errors import MeasureError

__all__ = ["acceptance_plan"]


def acceptance_plan(floor: float, misses: int = 0, alpha: float = 0.05, population: int | None = None) -> int:
    """Smallest sample that proves "at least ``floor``" when at most ``misses`` images in it are not human.

    Exact: binomial for an endless population, hypergeometric for a finite one. Decided before the first look;
    `genepool.prevalence.audit` may be stopped at any time instead.

    Args:
        floor: Share to be proven, in (0, 1).
        misses: Images that may be found not human.
        alpha: Probability of accepting although the share is below the floor.
        population: Images in the set; None: endless.

    Returns:
        The sample size; for a finite set at most all of it.

    Raises:
        MeasureError: Impossible numbers, or a set that may hold no more misses than allowed.
    """
    from scipy.special import gammaln, logsumexp

    if not 0 < floor < 1 or not 0 < alpha < 1 or misses < 0:
        raise MeasureError(
            f"plan: expected shares in (0, 1) and misses ≥ 0, found {floor}, {alpha}, {misses}"
        )
    k = np.arange(misses + 1)
    # The fewest misses that a set below the floor can hold.
    bad = None if population is None else population - (math.ceil(floor * population - 1e-9) - 1)
    if bad is not None and bad <= misses:
        raise MeasureError(f"plan: a set of {population} below the floor may hold only {bad} misses")

    def risk(n: int) -> float:
        if bad is None or population is None:
            terms = gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1)
            return float(np.exp(logsumexp(terms + k * math.log(1 - floor) + (n - k) * math.log(floor))))
        able = k[(n - k <= population - bad) & (k <= bad) & (k <= n)]
        if not len(able):
            return 0.0
        good = population - bad
        terms = gammaln(bad + 1) - gammaln(able + 1) - gammaln(bad - able + 1)
        terms = terms + gammaln(good + 1) - gammaln(n - able + 1) - gammaln(good - n + able + 1)
        whole = gammaln(population + 1) - gammaln(n + 1) - gammaln(population - n + 1)
        return float(np.exp(logsumexp(terms) - whole))

    low, high = misses + 1, misses + 1
    while risk(high) > alpha:
        low, high = high, high * 2 if population is None else min(population, high * 2)
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if risk(middle) <= alpha else (middle + 1, high)
    return high
