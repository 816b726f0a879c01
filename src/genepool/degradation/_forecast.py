"""What will be left after generations that nobody has trained yet.

Retention follows v' = h + (1 − h)·b²·v: a training set of which the share h is fresh human work, the rest
samples of the model before, of whose variance one pass through the model keeps the part b². v is 1 at the
first generation. One number, b², is fitted; everything else follows. A good fit to a few points is no proof
that the equation is true: `backtest` says how well it predicts what it has not seen.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genepool.degradation._fit import (
    MOST_B2,
    checked_shares,
    path,
    posterior,
    profile,
    runs_of,
    scales,
    scatter_of,
)
from genepool.errors import MeasureError
from genepool.records import Estimate

__all__ = ["Crossing", "Forecaster"]

_GRID = 6001
_RANKS = (np.arange(400) + 0.5) / 400

Numbers = Sequence[float]


@dataclass(frozen=True, slots=True)
class Crossing:
    """When a floor is crossed.

    Attributes:
        generation: First generation below the floor, counted from 1 for the first one predicted; None: none
            of those asked about.
        earliest: The same at the pessimistic end of the interval.
        latest: At the optimistic end; None: not within what was asked.
        chance: Probability that one of them is below, in [0, 1].
    """

    generation: int | None
    earliest: int | None
    latest: int | None
    chance: float

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {name: getattr(self, name) for name in ("generation", "earliest", "latest", "chance")}


@dataclass(frozen=True, slots=True, eq=False)
class Forecaster:
    """A fitted forecast of one measure.

    Attributes:
        b2: Share of the variance that one pass through the model keeps, with its interval; `n`: values
            fitted.
        scale: Value of the measure at the first generation, which counts as 1.
        residual: Root of the mean squared difference between fit and values, in the measure's unit.
        error: Standard deviation that a new measurement has around the equation, relative to ``scale``: what
            the residuals say, or the values' own errors.
        last: v at the last fitted generation of a single sequence (1.0 where several were fitted).
        measure: Its name.
        draws: ``(k,)`` draws of b², sorted, behind every interval; 4000, or 400 when read back.
        note: What the interval does not cover.
        alpha: 1 − confidence.
    """

    b2: Estimate
    scale: float
    residual: float
    error: float
    last: float
    measure: str
    draws: NDArray[np.float64]
    note: str
    alpha: float

    # ------------------------------------------------------------------------------------ fitting

    @classmethod
    def fit(
        cls,
        values: Sequence[Any],
        human: Sequence[Any],
        *,
        errors: Sequence[Any] | None = None,
        measure: str = "",
        scale: str | None = None,
        alpha: float = 0.05,
        seed: int = 0,
    ) -> Forecaster:
        """Fit b² to one sequence of generations, or to several that share a generator.

        Args:
            values: The measure at generations 1, 2, …: numbers or `Estimate`; or a list of such sequences.
            human: Fresh human share of each generation's training set, in [0, 1], same shape; what is said of
                generation 1 is not used: it is where the count begins.
            errors: Standard errors, same shape; None: from the intervals of the `Estimate`, where there are.
            measure: Name, for people.
            scale: ``first``: generation 1 is exactly 1, as in a table without errors; ``free``: its value has
                an error like all others, and the level is fitted. None: ``free`` where errors are known.
            alpha: 1 − confidence.
            seed: Of the draws behind intervals.

        Raises:
            MeasureError: Fewer than two generations, none of them with synthetic data, values that are not
                positive and finite, shares outside [0, 1], shapes that differ.
        """
        runs = runs_of(values, human, errors)
        known = all(run.errors is not None for run in runs)
        free = known if scale is None else scale == "free"
        if scale not in (None, "first", "free"):
            raise MeasureError(f"forecast: expected scale first or free, found {scale!r}")
        grid = np.linspace(0.0, MOST_B2, _GRID)
        loss, squares = profile(runs, grid, free)
        points = sum(len(run.values) for run in runs)
        fitted = points if free else points - len(runs)
        dof = fitted - 1 - (len(runs) if free else 0)
        best = int(loss.argmin())
        draws, note = posterior(grid, loss, dof, known, np.random.default_rng(seed))
        lower, upper = (float(x) for x in np.quantile(draws, [alpha / 2, 1 - alpha / 2]))
        b2 = float(grid[best])
        method = (
            f"least squares on v' = h + (1 − h)·b²·v, {len(runs)} sequence(s) of {points} values; interval "
            "from the profile of the squares on a grid"
        )
        size = scales(runs, b2, free)
        relative = math.sqrt(max(0.0, float(squares[best])) / max(1, fitted))
        error = scatter_of(runs, size, float(squares[best]), dof, known)
        return cls(
            Estimate(b2, min(lower, b2), max(upper, b2), points, method, alpha),
            float(np.mean(size)),
            relative * float(np.mean(size)),
            error,
            float(runs[0].values[-1] / size[0]) if len(runs) == 1 else 1.0,
            measure,
            np.sort(draws),
            note,
            alpha,
        )

    # --------------------------------------------------------------------------------- prediction

    def predict(self, human: Numbers, start: float | None = None) -> list[Estimate]:
        """The measure at generations that were not run, with prediction intervals.

        Args:
            human: Fresh human share of each coming training set, in [0, 1].
            start: Value of the measure at the generation before, in its unit; None: the last fitted one (the
                first, where several sequences were fitted).

        Returns:
            One estimate for each, in the measure's unit. The interval covers the uncertainty of b² and how
            far a single measurement lies from the equation; see ``note`` for what it does not cover.

        Raises:
            MeasureError: A share outside [0, 1].
        """
        shares = checked_shares(human)
        begin = self.last if start is None else float(start) / self.scale
        middle = path(shares, self.b2.value, begin)
        many = path(shares, self.draws, np.full(len(self.draws), begin))
        # Quantiles of the standard normal at even ranks, in a fixed random order: noise without a seed of its
        # own.
        noise = self.error * _noise(len(self.draws))
        found = []
        for value, row in zip(middle, many, strict=True):
            lower, upper = np.quantile(row + noise, [self.alpha / 2, 1 - self.alpha / 2])
            low, high = max(0.0, min(float(lower), value)), max(float(upper), value)
            method = f"v' = h + (1 − h)·b²·v with b² = {self.b2.value:.3f}; prediction interval. {self.note}"
            found.append(
                Estimate(
                    self.scale * float(value),
                    self.scale * low,
                    self.scale * high,
                    self.b2.n,
                    method,
                    self.alpha,
                )
            )
        return found

    def required_human_ratio(self, target: float) -> Estimate:
        """The fresh human share that keeps long-run retention at a target: (T − T·b²) / (1 − T·b²).

        Args:
            target: Share of the first generation's value, in [0, 1].

        Raises:
            MeasureError: A target outside [0, 1].
        """
        from genepool.lineage import required_human_ratio

        value = required_human_ratio(min(1.0, max(1e-12, self.b2.value)), target)
        kept = np.clip(self.draws, 0.0, 1.0)
        below = 1.0 - target * kept
        many = np.where(kept >= 1.0, 0.0, target * (1.0 - kept) / np.where(below > 0, below, 1.0))
        lower, upper = (float(x) for x in np.quantile(many, [self.alpha / 2, 1 - self.alpha / 2]))
        method = f"(T − T·b²) / (1 − T·b²) for T = {target:g}; interval from that of b²"
        return Estimate(value, min(lower, value), max(upper, value), self.b2.n, method, self.alpha)

    def crossing(self, human: Numbers, floor: float, start: float | None = None) -> Crossing:
        """The first coming generation whose retention is below a floor.

        Args:
            human: Shares of as many generations as are to be looked ahead.
            floor: Share of the first generation's value.
            start: As in `predict`.
        """
        shares = checked_shares(human)
        begin = self.last if start is None else float(start) / self.scale
        many = path(shares, self.draws, np.full(len(self.draws), begin)) < floor
        first = np.where(many.any(axis=0), many.argmax(axis=0) + 1.0, np.inf)
        ends = np.quantile(first, [self.alpha / 2, 1 - self.alpha / 2], method="nearest")
        early, late = (int(x) if math.isfinite(x) else None for x in ends)
        middle = np.flatnonzero(path(shares, self.b2.value, begin) < floor)
        return Crossing(
            int(middle[0]) + 1 if len(middle) else None, early, late, float(np.isfinite(first).mean())
        )

    def to_json(self) -> dict[str, Any]:
        """Plain data; draws thinned to 400."""
        return {
            "measure": self.measure,
            "b2": {**self.b2.to_json(), "alpha": self.alpha},
            "scale": self.scale,
            "residual": self.residual,
            "error": self.error,
            "last": self.last,
            "note": self.note,
            "draws": [round(float(x), 6) for x in np.quantile(self.draws, _RANKS, method="hazen")],
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Forecaster:
        """Back from plain data.

        Raises:
            MeasureError: Not what `to_json` gives.
        """
        try:
            b2, alpha = data["b2"], float(data["b2"]["alpha"])
            draws = np.array(data["draws"], np.float64)
            numbers = [float(data[name]) for name in ("scale", "residual", "error", "last")]
            estimate = Estimate(b2["value"], b2["lower"], b2["upper"], b2["n"], b2["method"], alpha)
        except (KeyError, TypeError, ValueError) as error:
            raise MeasureError(
                f"forecast: expected a saved forecaster, found {type(error).__name__}: {error}"
            ) from None
        if not len(draws) or not np.isfinite([*draws, *numbers]).all() or numbers[0] <= 0:
            raise MeasureError("forecast: expected a saved forecaster, found numbers that make none")
        scale, residual, scatter, last = numbers
        return cls(estimate, scale, residual, scatter, last, data["measure"], draws, data["note"], alpha)


def _noise(n: int) -> NDArray[np.float64]:
    from scipy.special import ndtri

    even: NDArray[np.float64] = ndtri((np.arange(n) + 0.5) / n)
    return np.random.default_rng(20261128).permutation(even)
