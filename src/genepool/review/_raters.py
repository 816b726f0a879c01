"""How far a preference would move with other people: a bootstrap over raters.

Votes of one person hang together, so intervals that take them as independent are too narrow where people
differ. Whole raters are drawn with replacement and the model is fitted again (cluster bootstrap: A. C.
Cameron, J. B. Gelbach and D. L. Miller, Rev. Econ. Stat. 90 (2008) 414); the spread of the scores, with
Student's quantile for the number of raters, replaces the Fisher interval where it is wider.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from genepool.review._preference import Fit
    from genepool.store import Vote

__all__ = ["RATERS", "rater_widths"]

RATERS = 5
"""Fewer people than this say nothing about people at large: intervals then speak for these people alone."""
_RUNS = 200
_SEED = 20261123


def rater_widths(
    votes: Sequence[Vote],
    fit: Callable[[NDArray[np.float64]], Fit],
    measure: Callable[[Fit], NDArray[np.float64]],
    runs: int = _RUNS,
) -> NDArray[np.float64] | None:
    """Half widths of 95 % intervals by the bootstrap over raters.

    Args:
        votes: As fitted.
        fit: Fits the model with these weights, one per vote.
        measure: Numbers ``(k,)`` of a fit, on a scale where intervals are symmetric.
        runs: Bootstrap samples.

    Returns:
        ``(k,)`` half widths; None where fewer than `RATERS` people voted.
    """
    from scipy.special import stdtrit

    names = sorted({vote.reviewer for vote in votes})
    if len(names) < RATERS:
        return None
    g = len(names)
    rater = np.array([names.index(vote.reviewer) for vote in votes])
    rng = np.random.default_rng(_SEED)  # the same votes give the same interval
    times = rng.multinomial(g, np.full(g, 1 / g), runs).astype(np.float64)
    found = np.array([measure(fit(row[rater])) for row in times])
    error = found.std(axis=0, ddof=1) * np.sqrt(g / (g - 1))
    return np.asarray(error * float(stdtrit(g - 1, 0.975)), np.float64)
