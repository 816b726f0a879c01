"""Agreement between reviewers: Krippendorff's alpha and Gwet's AC1, with bootstrap intervals over images.

Sources: K. Krippendorff, *Content Analysis*, 4th ed., Sage 2018, ch. 12 (nominal data, missing values
allowed); K. L. Gwet, Br. J. Math. Stat. Psychol. 61 (2008) 29, equations 13 and 14. Images with one rating
carry no information about agreement and drop out of the observed part of both.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Agreement", "agreement", "gwet_ac1", "krippendorff_alpha"]


@dataclass(frozen=True, slots=True)
class Agreement:
    """One coefficient.

    Attributes:
        value: 1 is perfect, 0 is chance; None where it is not defined (no image with two ratings, or, for
            alpha, only one category in use).
        lower: Lower end of the 1 − alpha bootstrap interval, None as above.
        upper: Its upper end.
        units: Images with at least two ratings.
        ratings: Ratings of these images.
    """

    value: float | None
    lower: float | None
    upper: float | None
    units: int
    ratings: int

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)


def _counts(ratings: Iterable[Mapping[Any, Hashable]]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Distinct patterns of ratings per image ``(p, categories)``, and how many images show each."""
    units = [Counter(unit.values()) for unit in ratings]
    names = sorted({name for unit in units for name in unit}, key=str)
    patterns = Counter(tuple(unit.get(name, 0) for name in names) for unit in units if unit)
    if not patterns:
        return np.zeros((0, 0)), np.zeros(0, np.int64)
    return np.array(list(patterns), np.float64), np.array(list(patterns.values()), np.int64)


def _alpha(table: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Nominal alpha for each row of weights ``(b, patterns)``; NaN where it is not defined."""
    size = table.sum(axis=1)
    able = size >= 2
    table, size, weights = table[able], size[able], weights[:, able]
    observed = weights @ ((table * (size[:, None] - table)).sum(axis=1) / np.maximum(size - 1, 1))
    totals = weights @ table
    n = totals.sum(axis=1)
    expected = (totals * (n[:, None] - totals)).sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(1 - (n - 1) * observed / expected)


def _ac1(table: NDArray[np.float64], weights: NDArray[np.float64], k: int) -> NDArray[np.float64]:
    size = table.sum(axis=1)
    able = size >= 2
    pairs = (table * (table - 1)).sum(axis=1) / np.maximum(size * (size - 1), 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        observed = (weights[:, able] @ pairs[able]) / weights[:, able].sum(axis=1)
        shares = (weights @ (table / size[:, None])) / weights.sum(axis=1, keepdims=True)
        rest = 1 - (shares**2).sum(axis=1)  # Σ π (1 − π): categories that nobody used add nothing
        chance = rest / (k - 1)
        return np.asarray((observed - chance) / (1 - chance))


def _estimate(
    ratings: Iterable[Mapping[Any, Hashable]], kind: str, categories: int, alpha: float, runs: int
) -> Agreement:
    table, counts = _counts(ratings)
    able = table.sum(axis=1) >= 2 if table.size else np.zeros(0, np.bool_)
    units = int(counts[able].sum())
    if not units:
        return Agreement(None, None, None, 0, 0)
    k = max(categories, table.shape[1], 2)

    def measure(weights: NDArray[np.float64]) -> NDArray[np.float64]:
        return _alpha(table, weights) if kind == "alpha" else _ac1(table, weights, k)

    rated = int((table[able].sum(axis=1) * counts[able]).sum())
    value = float(measure(counts[None].astype(np.float64))[0])
    if not np.isfinite(value):
        return Agreement(None, None, None, units, rated)
    rng = np.random.default_rng(20261123)  # the same data give the same interval
    total = int(counts.sum())
    found = measure(rng.multinomial(total, counts / total, runs).astype(np.float64))
    found = found[np.isfinite(found)]
    lower, upper = np.quantile(found, [alpha / 2, 1 - alpha / 2]) if len(found) else (-1.0, 1.0)
    return Agreement(value, min(float(lower), value), max(float(upper), value), units, rated)


def krippendorff_alpha(
    ratings: Iterable[Mapping[Any, Hashable]], *, alpha: float = 0.05, runs: int = 2000
) -> Agreement:
    """Krippendorff's alpha for nominal data, with a percentile bootstrap interval over images.

    Args:
        ratings: Per image, rater → category; raters may be missing anywhere.
        alpha: 1 − confidence of the interval.
        runs: Bootstrap samples.
    """
    return _estimate(ratings, "alpha", 0, alpha, runs)


def gwet_ac1(
    ratings: Iterable[Mapping[Any, Hashable]], *, categories: int = 0, alpha: float = 0.05, runs: int = 2000
) -> Agreement:
    """Gwet's AC1, which stays sensible where nearly all images fall in one category.

    Args:
        ratings: As for `krippendorff_alpha`.
        categories: How many there are; at least those in use.
        alpha: 1 − confidence of the interval.
        runs: Bootstrap samples.
    """
    return _estimate(ratings, "ac1", categories, alpha, runs)


def agreement(answers: Mapping[str, Mapping[str, str]]) -> tuple[Agreement, Agreement]:
    """Both coefficients over blind answers ``human`` and ``ai``; ``unsure`` is no rating.

    Args:
        answers: Digest → reviewer → answer.

    Returns:
        (alpha, AC1).
    """
    ratings = [{r: a for r, a in unit.items() if a != "unsure"} for unit in answers.values()]
    return krippendorff_alpha(ratings), gwet_ac1(ratings, categories=2)
