"""The mathematics without images: pure functions of numbers."""

from __future__ import annotations

from genepool.stats._betting import BettingGame
from genepool.stats._proportions import (
    bonferroni,
    clopper_pearson,
    finite_bounds,
    finite_lower,
    finite_upper,
    holm,
    wilson,
)

__all__ = [
    "BettingGame",
    "bonferroni",
    "clopper_pearson",
    "finite_bounds",
    "finite_lower",
    "finite_upper",
    "holm",
    "wilson",
]
