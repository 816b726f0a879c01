"""The mathematics without images: pure functions of numbers."""

from __future__ import annotations

from genepool.stats._betting import BettingGame
from genepool.stats._plans import acceptance_plan
from genepool.stats._proportions import (
    bonferroni,
    clopper_pearson,
    finite_bounds,
    finite_lower,
    finite_upper,
    holm,
    wilson,
)
from genepool.stats._triage import ppi_mean, rogan_gladen

__all__ = [
    "BettingGame",
    "acceptance_plan",
    "bonferroni",
    "clopper_pearson",
    "finite_bounds",
    "finite_lower",
    "finite_upper",
    "holm",
    "ppi_mean",
    "rogan_gladen",
    "wilson",
]
