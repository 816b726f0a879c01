"""Whoever draws again gets less alpha: all draws of one set together err with probability at most alpha.

A random order is drawn once for a population. Whoever changes the set a little may draw again, and whoever
does so until the certificate says PASS would be wrong more often than alpha. So draw k of a set may only
spend alpha·w(k), with w(1) = 0.8 and w(k) = 0.2/(k·(k − 1)) from the second on: the weights sum to one, so by
the union bound the probability that *any* of these certificates is false is at most alpha, however one
decides to draw again (spending of alpha over looks: K. K. G. Lan and D. L. DeMets, Biometrika 70 (1983) 659).
"""

from __future__ import annotations

from genepool.errors import MeasureError

__all__ = ["alpha_share"]

_FIRST = 0.8


def alpha_share(attempt: int) -> float:
    """Part of alpha that the given draw of a set may spend.

    Args:
        attempt: 1 for the first draw of a set, 2 for the second, …

    Returns:
        In (0, 1]; the sum over all draws is 1.

    Raises:
        MeasureError: A number below 1.
    """
    if attempt < 1:
        raise MeasureError(f"draws: expected a number of at least 1, found {attempt}")
    return _FIRST if attempt == 1 else (1 - _FIRST) / (attempt * (attempt - 1))
