"""How well the forecast predicts generations that it has not seen, beside carrying the last value forward."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genepool.degradation._forecast import Forecaster
from genepool.errors import MeasureError
from genepool.records import Estimate

__all__ = ["Backtest", "backtest", "score"]

_ROUNDS = 4000


@dataclass(frozen=True, slots=True)
class Backtest:
    """Errors on held-out generations, in the measure's unit.

    Attributes:
        rmse: Of the forecast, root mean squared, over all predictions.
        carried: Of the last value carried forward.
        gain: ``carried − rmse`` of the same predictions; above 0: the forecast is better.
        inside: Share of the predictions whose interval held the value.
        predictions: How many were made.
        sequences: Of how many sequences; intervals are bootstraps over these.
    """

    rmse: Estimate
    carried: Estimate
    gain: Estimate
    inside: float
    predictions: int
    sequences: int

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "rmse": self.rmse.to_json(),
            "carried": self.carried.to_json(),
            "gain": self.gain.to_json(),
            "inside": self.inside,
            "predictions": self.predictions,
            "sequences": self.sequences,
        }


def backtest(
    sequences: Sequence[Sequence[Any]],
    shares: Sequence[Sequence[float]],
    *,
    least: int = 2,
    alpha: float = 0.05,
    seed: int = 0,
) -> Backtest:
    """Each sequence by itself: fit its first k generations, predict all later ones, for every k.

    Args:
        sequences: Values (numbers or `Estimate`) of several runs, generation by generation.
        shares: Human share of each generation's training set, same shape.
        least: Generations that are fitted at least, ≥ 2.
        alpha: 1 − confidence.
        seed: Of the bootstrap.

    Raises:
        MeasureError: No sequence is longer than ``least``; what `Forecaster.fit` raises.
    """
    rows = []
    for values, human in zip(sequences, shares, strict=True):
        found = []
        for k in range(max(2, least), len(values)):
            if all(h >= 1 for h in human[1:k]):
                continue
            made = Forecaster.fit(values[:k], human[:k], alpha=alpha, seed=seed)
            found += _compared(made, values, human, k)
        rows.append(found)
    return _summed(rows, alpha, seed)


def score(
    forecaster: Forecaster,
    sequences: Sequence[Sequence[Any]],
    shares: Sequence[Sequence[float]],
    *,
    known: int = 1,
    alpha: float = 0.05,
    seed: int = 0,
) -> Backtest:
    """A fitted forecast on sequences that it has not seen, each continued from its ``known``-th generation.

    Args:
        forecaster: Fitted elsewhere: to other runs, to another mix.
        sequences: As in `backtest`; in the unit of the fitted measure.
        shares: As in `backtest`.
        known: Generations whose values may be used.
        alpha: 1 − confidence.
        seed: Of the bootstrap.

    Raises:
        MeasureError: No sequence is longer than ``known``.
    """
    rows = [
        _compared(forecaster, values, human, known) for values, human in zip(sequences, shares, strict=True)
    ]
    return _summed(rows, alpha, seed)


def _compared(
    made: Forecaster, values: Sequence[Any], human: Sequence[float], k: int
) -> list[tuple[float, ...]]:
    if k >= len(values):
        return []
    last = float(values[k - 1])
    return [
        (float(found) - float(true), last - float(true), float(found.lower <= float(true) <= found.upper))
        for found, true in zip(made.predict(human[k:], last), values[k:], strict=True)
    ]


def _summed(rows: list[list[tuple[float, ...]]], alpha: float, seed: int) -> Backtest:
    rows = [row for row in rows if row]
    if not rows:
        raise MeasureError(
            "backtest: expected a sequence with a generation to hold out, found none",
            hint="give at least three generations",
        )
    table = np.concatenate([np.array(row) for row in rows])
    sums = np.array([(np.array(row)[:, :2] ** 2).sum(axis=0) for row in rows])
    counts = np.array([len(row) for row in rows], np.float64)
    rng = np.random.default_rng(seed)
    chosen = rng.integers(len(rows), size=(_ROUNDS, len(rows)))
    many = np.sqrt(sums[chosen].sum(axis=1) / counts[chosen].sum(axis=1)[:, None])
    whole = np.sqrt(sums.sum(axis=0) / counts.sum())
    n = len(table)
    method = f"{n} held-out generations of {len(rows)} sequences; percentile bootstrap over sequences"
    if len(rows) < 2:
        method = f"{n} held-out generations of one sequence: no interval"

    def estimate(value: float, replicas: NDArray[np.float64]) -> Estimate:
        if len(rows) < 2:
            return Estimate(value, math.nan, math.nan, n, method, alpha)
        lower, upper = (float(x) for x in np.quantile(replicas, [alpha / 2, 1 - alpha / 2]))
        return Estimate(value, min(lower, value), max(upper, value), n, method, alpha)

    return Backtest(
        estimate(float(whole[0]), many[:, 0]),
        estimate(float(whole[1]), many[:, 1]),
        estimate(float(whole[1] - whole[0]), many[:, 1] - many[:, 0]),
        float(table[:, 2].mean()),
        n,
        len(rows),
    )
