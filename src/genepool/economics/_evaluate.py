"""All strategies side by side: present value, break-even, sensitivity, Monte Carlo."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from genepool.economics._model import COSTS, LOSSES, Course, monthly_rate, npv, run, values_of
from genepool.economics._report import BreakEven, CostReport, Outcome, Swing
from genepool.errors import UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from genepool.degradation import Forecaster
    from genepool.economics._assumptions import Assumptions, Strategy
    from genepool.economics._debt import Debt

    Array = NDArray[np.float64]

__all__ = ["article_forecaster", "evaluate"]

B2 = "forecast.b2"
_ASKED = ("data.human_image", "market.revenue", "market.loss", "web.synthetic")
"""Assumptions whose break-even value is looked for."""
_STEPS = 400


def article_forecaster() -> Forecaster:
    """The forecast that the article's own table implies: b² = 0.39. A claim, not a measurement."""
    from genepool.degradation import ARTICLE, Forecaster

    return Forecaster.fit(
        [claim.retention for claim in ARTICLE],
        [claim.human for claim in ARTICLE],
        measure="the article's table",
    )


def evaluate(
    assumptions: Assumptions | None = None,
    forecaster: Forecaster | None = None,
    *,
    draws: int = 2000,
    seed: int = 0,
    alpha: float = 0.05,
    debt: Debt | None = None,
    compare: tuple[str, str] | None = None,
) -> CostReport:
    """What each strategy costs, earns and is worth.

    Args:
        assumptions: None: the packaged ones.
        forecaster: Retention of coming generations; None: what the article's own table implies.
        draws: Of the Monte Carlo, at least 100.
        seed: Of the draws.
        alpha: 1 − confidence of intervals.
        debt: Counted from the log; replaces the assumed counts downstream.
        compare: Two strategies for sensitivity and break-even; None: ``hybrid`` and ``scrape``, else the
            first and the last.

    Raises:
        UsageError: Fewer than 100 draws, an unknown strategy.
        ConfigError: Counts that are no assumptions.
    """
    from genepool.economics._assumptions import Assumptions as Packaged

    given = assumptions or Packaged.default()
    if draws < 100 or not 0 < alpha < 1:
        raise UsageError(f"cost: expected at least 100 draws and 0 < alpha < 1, found {draws} and {alpha}")
    if debt is not None:
        given = given.with_values(
            debt__images=debt.images, debt__models=debt.models, debt__certificates=debt.certificates
        )
    made = forecaster or article_forecaster()
    pair = _pair(given, compare)
    middle = values_of(given)
    single = np.array([made.b2.value])
    courses = {one.name: run(one, middle, single) for one in given.strategies}
    sampled = _sampled(given, draws, seed)
    rng = np.random.default_rng([seed, 1])
    b2 = rng.choice(made.draws, draws)
    months = int(middle["general.horizon"][0])
    noise = rng.standard_normal((months + 1, draws)) * made.error
    # The same draws for every strategy: differences are between strategies, not between draws.
    many = {one.name: run(one, sampled, b2, noise) for one in given.strategies}
    rate = monthly_rate(sampled["general.discount_rate"])
    worth = {name: npv(rate, course.cash) for name, course in many.items()}
    best = np.stack(list(worth.values())).argmax(axis=0)
    outcomes = tuple(
        _outcome(courses[one.name], many[one.name], middle, rate, float((best == i).mean()), alpha)
        for i, one in enumerate(given.strategies)
    )
    gap = worth[pair[0]] - worth[pair[1]]
    return CostReport(
        assumptions=given,
        forecast=made.to_json(),
        from_article=forecaster is None,
        outcomes=outcomes,
        compared=pair,
        difference=(
            outcomes[_index(given, pair[0])].npv - outcomes[_index(given, pair[1])].npv,
            float(np.quantile(gap, alpha / 2)),
            float(np.quantile(gap, 1 - alpha / 2)),
        ),
        chance=float((gap > 0).mean()),
        break_even=_break_even(given, made, pair, courses, middle),
        swings=_tornado(given, made, pair),
        draws=draws,
        seed=seed,
        alpha=alpha,
        debt=None if debt is None else debt.to_json(),
    )


# ----------------------------------------------------------------------------------------- private


def _index(given: Assumptions, name: str) -> int:
    return [one.name for one in given.strategies].index(name)


def _pair(given: Assumptions, compare: tuple[str, str] | None) -> tuple[str, str]:
    names = [one.name for one in given.strategies]
    if compare is None:
        first = "hybrid" if "hybrid" in names else names[0]
        last = "scrape" if "scrape" in names and first != "scrape" else names[-1]
        return first, last
    for name in compare:
        if name not in names:
            raise UsageError(f"cost: expected a strategy, found {name!r}", hint=f"one of {', '.join(names)}")
    return compare


def _sampled(given: Assumptions, draws: int, seed: int) -> dict[str, Array]:
    """Each number drawn by itself from a triangle with its peak at the value."""
    found = {}
    for i, (name, one) in enumerate(sorted(given.numbers.items())):
        # A stream for each name: adding an assumption does not change the draws of the others much.
        rng = np.random.default_rng([seed, 2, i])
        found[name] = (
            np.full(draws, one.value) if one.certain else rng.triangular(one.low, one.value, one.high, draws)
        )
    return found


def _outcome(
    course: Course, many: Course, middle: Mapping[str, Array], rate: Array | float, best: float, alpha: float
) -> Outcome:
    ends = [alpha / 2, 0.5, 1 - alpha / 2]
    steady = monthly_rate(middle["general.discount_rate"])
    worth = npv(rate, many.cash)
    time = np.arange(len(course.cash), dtype=np.float64)
    factor = (1.0 + np.asarray(rate)) ** -time[:, None]
    band = np.quantile(np.cumsum(many.cash * factor, axis=0), ends, axis=1)
    own = (1.0 + np.asarray(steady)) ** -time[:, None]
    first = np.quantile(many.crossed, ends, method="nearest")
    low, middle_worth, high = (float(x) for x in np.quantile(worth, ends))
    return Outcome(
        strategy=course.strategy,
        npv=float(npv(steady, course.cash)[0]),
        npv_interval=(low, high),
        npv_median=middle_worth,
        chance_best=best,
        totals={name: float(course.flows[name].sum()) for name in (*COSTS, *LOSSES, "revenue")},
        crossed=_month(float(course.crossed[0])),
        crossed_interval=(_month(float(first[0])), _month(float(first[2]))),
        chance_crossed=float(np.isfinite(many.crossed).mean()),
        repairs=int(course.repairs[0]),
        retention=tuple(float(x) for x in course.retention[:, 0]),
        retention_band=_band(np.quantile(many.retention, ends, axis=1)),
        cumulative=tuple(float(x) for x in np.cumsum(course.cash * own, axis=0)[:, 0]),
        cumulative_band=_band(band),
        monthly={name: tuple(float(x) for x in flow[:, 0]) for name, flow in course.flows.items()},
    )


def _band(rows: Array) -> tuple[tuple[float, ...], tuple[float, ...]]:
    return tuple(float(x) for x in rows[0]), tuple(float(x) for x in rows[2])


def _month(value: float) -> int | None:
    return int(value) if math.isfinite(value) else None


def _worth(given: Assumptions, made: Forecaster, name: str, values: Mapping[str, Array], b2: Array) -> Array:
    strategy: Strategy = given.strategies[_index(given, name)]
    course = run(strategy, values, b2)
    return npv(monthly_rate(values["general.discount_rate"]), course.cash)


def _varied(given: Assumptions, made: Forecaster, name: str, points: Array) -> tuple[dict[str, Array], Array]:
    """All numbers at their values but one, which takes the points."""
    values = values_of(given, len(points))
    b2 = np.full(len(points), made.b2.value)
    if name == B2:
        return values, points
    values[name] = points
    return values, b2


def _tornado(given: Assumptions, made: Forecaster, pair: tuple[str, str]) -> tuple[Swing, ...]:
    """Each number at both its ends, all others at their values: difference of present values of the pair."""
    found = []
    ranges = {name: (one.low, one.high) for name, one in given.numbers.items() if not one.certain}
    if made.b2.upper > made.b2.lower:
        ranges[B2] = (made.b2.lower, made.b2.upper)
    for name, (low, high) in ranges.items():
        values, b2 = _varied(given, made, name, np.array([low, high]))
        gap = _worth(given, made, pair[0], values, b2) - _worth(given, made, pair[1], values, b2)
        found.append(Swing(name, low, high, float(gap[0]), float(gap[1])))
    return tuple(sorted(found, key=lambda s: (-abs(s.at_high - s.at_low), s.name)))


def _break_even(
    given: Assumptions,
    made: Forecaster,
    pair: tuple[str, str],
    courses: Mapping[str, Course],
    middle: Mapping[str, Array],
) -> tuple[BreakEven, ...]:
    """The month from which the first of the pair is ahead for good, and values at which both are equal."""
    rate = np.asarray(monthly_rate(middle["general.discount_rate"]))
    time = np.arange(len(courses[pair[0]].cash), dtype=np.float64)
    gap = np.cumsum(((courses[pair[0]].cash - courses[pair[1]].cash) * (1 + rate) ** -time[:, None])[:, 0])
    behind = np.flatnonzero(gap < 0)
    first = 0 if not len(behind) else int(behind[-1]) + 1
    month = float(first) if first < len(gap) else None
    found = [BreakEven("month", month, 0.0, float(len(gap) - 1))]
    return (*found, *(_crossing_of(given, made, pair, name) for name in _ASKED))


def _crossing_of(given: Assumptions, made: Forecaster, pair: tuple[str, str], name: str) -> BreakEven:
    """Where the difference changes its sign, looked for from 0 to a hundred times the value."""
    from scipy.optimize import brentq

    from genepool.economics._assumptions import most_of

    value = given.numbers[name].value
    top = min(100.0 * max(value, 1e-9), most_of(name))

    def gap(points: Array) -> Array:
        values, b2 = _varied(given, made, name, points)
        return _worth(given, made, pair[0], values, b2) - _worth(given, made, pair[1], values, b2)

    grid = np.concatenate(([0.0], np.geomspace(top * 1e-4, top, _STEPS)))
    signs = np.sign(gap(grid))
    turns = np.flatnonzero(signs[1:] != signs[:-1])
    if not len(turns):
        return BreakEven(name, None, 0.0, top)
    # Of several, the one nearest to what is assumed.
    at = min(turns, key=lambda i: abs(math.log(max(grid[i + 1], 1e-12) / max(value, 1e-12))))
    where = brentq(lambda x: float(gap(np.array([x]))[0]), float(grid[at]), float(grid[at + 1]), xtol=1e-9)
    return BreakEven(name, float(where), 0.0, top)
