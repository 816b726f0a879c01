"""Least squares on v' = h + (1 − h)·b²·v: reading sequences, the profile over b², draws from it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genepool.errors import MeasureError
from genepool.records import Estimate

__all__ = [
    "MOST_B2",
    "Run",
    "checked_shares",
    "path",
    "posterior",
    "profile",
    "runs_of",
    "scales",
    "scatter_of",
    "standard_error",
]

MOST_B2 = 1.5
"""Largest b² that is considered: above 1 the variance grows from pass to pass."""
_DRAWS = 4000


def path(human: Any, b2: Any, start: Any = 1.0) -> NDArray[np.float64]:
    """The recursion itself.

    Args:
        human: ``(g,)`` fresh human share of each coming training set, in [0, 1]; or ``(g, k)``.
        b2: Variance kept by one pass, a number or ``(k,)``.
        start: v before the first of them, a number or ``(k,)``.

    Returns:
        ``(g,)`` or ``(g, k)``: v after each.
    """
    shares = np.asarray(human, np.float64)
    v = np.asarray(start, np.float64)
    found = []
    for h in shares:
        v = h + (1.0 - h) * b2 * v
        found.append(v)
    out: NDArray[np.float64] = np.array(found, np.float64)
    return out


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """One sequence: values, human shares, standard errors where they are known."""

    values: NDArray[np.float64]
    human: NDArray[np.float64]
    errors: NDArray[np.float64] | None


def checked_shares(human: Any) -> NDArray[np.float64]:
    """Human shares as an array.

    Raises:
        MeasureError: None, or one outside [0, 1].
    """
    shares = np.asarray(human, np.float64)
    if shares.ndim != 1 or not len(shares) or not ((shares >= 0) & (shares <= 1)).all():
        raise MeasureError(f"forecast: expected human shares in [0, 1], found {human!r}")
    return shares


def standard_error(value: Any) -> float:
    """Half the interval over its normal quantile; NaN of plain numbers."""
    from scipy.special import ndtri

    if not isinstance(value, Estimate):
        return math.nan
    return (value.upper - value.lower) / (2.0 * float(ndtri(1 - value.alpha / 2)))


def runs_of(values: Sequence[Any], human: Sequence[Any], errors: Sequence[Any] | None) -> list[Run]:
    """The sequences, checked.

    Raises:
        MeasureError: What `Forecaster.fit` refuses.
    """
    nested = len(values) > 0 and isinstance(values[0], (list, tuple, np.ndarray))
    many = values if nested else [values]
    shares = human if nested else [human]
    given = [None] * len(many) if errors is None else errors if nested else [errors]
    if not len(many) == len(shares) == len(given):
        raise MeasureError(
            f"forecast: expected shares and errors for each of {len(many)} sequences, found {len(shares)} "
            f"and {len(given)}"
        )
    runs = []
    for row, share, error in zip(many, shares, given, strict=True):
        points = np.array([float(x) for x in row])
        h = checked_shares(share)
        if len(points) < 2 or len(h) != len(points):
            raise MeasureError(
                f"forecast: expected at least two generations with their human shares, found {len(points)} "
                f"values and {len(h)} shares",
                hint="measure one more generation, or say how its training set was mixed: --human 1,0.5",
            )
        if not (np.isfinite(points).all() and (points > 0).all()):
            raise MeasureError(f"forecast: expected positive finite values, found {points.tolist()}")
        spread = (
            np.array([standard_error(x) for x in row]) if error is None else np.asarray(error, np.float64)
        )
        useful = len(spread) == len(points) and np.isfinite(spread).all() and (spread > 0).all()
        runs.append(Run(points, h, spread if useful else None))
    if all((run.human[1:] >= 1).all() for run in runs):
        raise MeasureError(
            "forecast: expected a generation trained on synthetic images, found none",
            hint="b² can only be learnt from a generation whose human share is below 1",
        )
    return runs


def _weights(runs: list[Run], run: Run) -> NDArray[np.float64]:
    if any(r.errors is None for r in runs) or run.errors is None:
        return np.full(len(run.values), 1.0 / run.values[0] ** 2)
    return 1.0 / run.errors**2


def profile(
    runs: list[Run], grid: NDArray[np.float64], free: bool
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Weighted squares at each b², and unweighted ones relative to the scale, levels profiled out."""
    loss, plain = np.zeros(len(grid)), np.zeros(len(grid))
    for run in runs:
        v = np.vstack([np.ones(len(grid)), path(run.human[1:], grid, np.ones(len(grid)))])
        w = _weights(runs, run)[:, None]
        y = run.values[:, None]
        size = (w * y * v).sum(axis=0) / (w * v * v).sum(axis=0) if free else run.values[0]
        gap = y - size * v
        loss += (w * gap**2).sum(axis=0)
        plain += ((gap / size) ** 2).sum(axis=0)
    return loss, plain


def scales(runs: list[Run], b2: float, free: bool) -> list[float]:
    """Level of each sequence at a given b²: its first value, or the best one."""
    found = []
    for run in runs:
        v = np.concatenate(([1.0], path(run.human[1:], b2)))
        w = _weights(runs, run)
        found.append(float((w * run.values * v).sum() / (w * v * v).sum()) if free else float(run.values[0]))
    return found


def posterior(
    grid: NDArray[np.float64], loss: NDArray[np.float64], dof: int, known: bool, rng: np.random.Generator
) -> tuple[NDArray[np.float64], str]:
    """Draws of b²: Gaussian where errors are known, Student's t where they are judged by the residuals."""
    least = float(loss.min())
    excess = loss - least
    note = "It covers which pictures were drawn and, as far as residuals show it, how training runs differ."
    if known and (dof < 1 or least <= dof):
        weight = np.exp(-0.5 * excess)
        if dof < 1:
            note = "Two generations: it covers which pictures were drawn, not how training runs differ."
    elif dof >= 1:
        weight = (1.0 + excess / max(least, 1e-12)) ** (-0.5 * (dof + 1))
    else:
        weight = np.ones(len(grid))
        note = (
            "One step without errors says nothing about its own uncertainty: the interval is the whole range."
        )
    total = np.cumsum(weight)
    ranks = (np.arange(_DRAWS) + rng.random(_DRAWS)) / _DRAWS
    return np.interp(ranks, total / total[-1], grid), note


def scatter_of(runs: list[Run], size: list[float], squares: float, dof: int, known: bool) -> float:
    """Standard deviation of a measurement around the equation, relative to the scale."""
    seen = math.sqrt(squares / dof) if dof >= 1 else 0.0
    if not known:
        return seen
    own = [
        float((run.errors**2).mean()) / s**2
        for run, s in zip(runs, size, strict=True)
        if run.errors is not None
    ]
    return max(seen, math.sqrt(float(np.mean(own))))
