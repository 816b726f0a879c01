"""Is there a trend, and when did it show? Tests over generations, the alarm, and its lead."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from genepool.errors import MeasureError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from genepool.records import Estimate

__all__ = ["Alarm", "Trend", "alarm_of", "mann_kendall", "trend_of"]

_EXACT = 8  # up to 8! = 40,320 orders are counted one by one


@dataclass(frozen=True, slots=True)
class Trend:
    """The change of one measure from generation to generation.

    Attributes:
        measure: Which.
        slope: Change per generation, weighted least squares, in the measure's unit.
        lower: Lower end of its interval.
        upper: Upper end.
        p: Two-sided probability of such a slope from drawing other pictures of generations that do not
            differ; Holm-adjusted over the measures (`p_raw` is not).
        p_raw: Before adjustment.
        tau: Kendall's τ, −1 … 1.
        p_order: Two-sided exact Mann–Kendall probability; it cannot be below 2 / g! for g generations.
        n: Generations.
    """

    measure: str
    slope: float
    lower: float
    upper: float
    p: float
    p_raw: float
    tau: float
    p_order: float
    n: int

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Alarm:
    """The first generation at which something is worse than tolerated, and how long before the floor.

    Attributes:
        generation: Counted from 1; None: nothing is worse.
        measures: What was worse there.
        crossing: First generation whose retention (of generation 1's) is below the floor, its value being the
            best guess; None: neither measured nor forecast.
        forecast: Whether ``crossing`` was predicted, not measured.
        lead: ``crossing − generation``: generations that were left to act; negative: the floor was crossed
            before anything was certain; None where either is unknown.
        keep: Share of generation 1's value that is tolerated.
        floor: The floor.
    """

    generation: int | None
    measures: tuple[str, ...]
    crossing: int | None
    forecast: bool
    lead: int | None
    keep: float
    floor: float

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {**asdict(self), "measures": list(self.measures)}


def mann_kendall(values: Sequence[float]) -> tuple[float, float]:
    """Kendall's τ against time and its two-sided probability under no trend (Mann 1945; Kendall 1975).

    Exact over all orders up to 8 values, by the normal limit with continuity correction beyond; ties count
    half.

    Raises:
        MeasureError: Fewer than two values, NaN.
    """
    from scipy.special import ndtr

    y = np.asarray(values, np.float64)
    if len(y) < 2 or not np.isfinite(y).all():
        raise MeasureError(f"trend: expected at least two finite values, found {len(y)}")
    n = len(y)
    pairs = n * (n - 1) / 2
    s = _score(y)
    if n <= _EXACT:
        orders = np.array(list(itertools.permutations(range(n))))
        scores = np.array([_score(y[order]) for order in orders]) if n <= 6 else _scores(y[orders])
        return s / pairs, float((np.abs(scores) >= abs(s) - 1e-9).mean())
    _, times = np.unique(y, return_counts=True)
    variance = (n * (n - 1) * (2 * n + 5) - (times * (times - 1) * (2 * times + 5)).sum()) / 18
    if variance <= 0:
        return 0.0, 1.0
    z = max(0.0, abs(s) - 1) / math.sqrt(variance)
    return s / pairs, float(2 * (1 - ndtr(z)))


def _score(y: NDArray[np.float64]) -> float:
    i, j = np.triu_indices(len(y), 1)
    return float(np.sign(y[j] - y[i]).sum())


def _scores(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    i, j = np.triu_indices(rows.shape[1], 1)
    total: NDArray[np.float64] = np.sign(rows[:, j] - rows[:, i]).sum(axis=1)
    return total


def trend_of(measure: str, series: Sequence[Estimate], alpha: float) -> Trend:
    """The trend of one measure (``p`` not yet adjusted).

    Raises:
        MeasureError: Fewer than two generations.
    """
    from scipy.special import ndtr, ndtri

    from genepool.degradation._fit import standard_error

    values = np.array([float(x) for x in series])
    if len(values) < 2:
        raise MeasureError(f"trend: {measure}: expected at least two generations, found {len(values)}")
    errors = np.array([standard_error(x) for x in series])
    least = max(1e-9, 1e-6 * float(np.abs(values).max()))
    # Equal weights where an error is nothing (a value by definition): 1/0 would make it the whole fit.
    errors = np.where(
        errors > least, errors, float(np.median(errors[errors > least])) if (errors > least).any() else least
    )
    w = 1.0 / errors**2
    time = np.arange(1.0, len(values) + 1)
    middle = float((w * time).sum() / w.sum())
    across = float((w * (time - middle) ** 2).sum())
    slope = float((w * (time - middle) * values).sum() / across)
    error = 1.0 / math.sqrt(across)
    reach = float(ndtri(1 - alpha / 2)) * error
    p = float(2 * ndtr(-abs(slope) / error))
    tau, order = mann_kendall(values.tolist())
    return Trend(measure, slope, slope - reach, slope + reach, p, p, tau, order, len(values))


def alarm_of(
    series: Mapping[str, Sequence[Estimate | None]],
    rising: Mapping[str, bool],
    *,
    keep: float,
    floor: float,
    alpha: float,
    retention: Sequence[float],
    forecast: int | None,
) -> Alarm:
    """The first generation that is worse than tolerated by more than the intervals explain.

    A measure alarms where the whole interval of its ratio to generation 1 lies below ``keep`` (above 1/keep
    for measures that rise with damage, and higher by 1 − keep at least), at confidence 1 − alpha / measures
    (Bonferroni).

    Args:
        series: Measure → its estimates, generation by generation.
        rising: Measure → whether more of it is worse.
        keep: Share of generation 1's value that is tolerated, in (0, 1).
        floor: Retention of generation 1's that must be kept.
        alpha: 1 − confidence.
        retention: Of each generation, as a share of generation 1's.
        forecast: Generation at which the floor is predicted to be crossed, counted from 1; None: unknown.
    """
    from scipy.special import ndtri

    from genepool.degradation._fit import standard_error

    z = float(ndtri(1 - alpha / (2 * max(1, len(series)))))
    found: dict[int, list[str]] = {}
    for name, row in series.items():
        first = row[0]
        if first is None:
            continue
        for number, now in enumerate(row[1:], 2):
            if now is None:
                continue
            # keep · first − now, or now − first / keep: a linear contrast needs no positive values.
            a, b = (-1.0, keep) if not rising[name] else (1.0, -1.0 / keep)
            contrast = a * float(now) + b * float(first)
            if rising[name]:  # near 0 the ratio means little: at least 1 − keep in the measure's unit
                contrast = min(contrast, float(now) - float(first) - (1.0 - keep))
            error = math.hypot(a * standard_error(now), b * standard_error(first))
            if contrast > z * error:
                found.setdefault(number, []).append(name)
    alarm = min(found, default=None)
    measured = next((number for number, v in enumerate(retention, 1) if v < floor), None)
    crossing = measured if measured is not None else forecast
    lead = None if alarm is None or crossing is None else crossing - alarm
    names = tuple(found.get(alarm, ())) if alarm is not None else ()
    return Alarm(alarm, names, crossing, measured is None and forecast is not None, lead, keep, floor)
