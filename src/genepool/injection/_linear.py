"""The linear step of the convex programme: cheapest weights under a cap and several demands."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["cheapest"]

_ROUNDS = 60


def cheapest(
    cost: NDArray[np.float64], count: int, demands: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """Least mean cost over weightings with cap 1/count whose mean of every demand is at most 0.

    A linear programme, solved exactly. Where the ``count`` cheapest images meet all demands they are the
    answer; where one demand binds, one Lagrange multiplier finds it (the answer mixes the two sets on either
    side of the multiplier at which the demand crosses 0); where several bind, HiGHS solves it (Huangfu & Hall
    2018).

    Args:
        cost: ``(n,)``.
        count: 1/cap, a whole number of images, at most n.
        demands: ``(n,)`` or ``(k, n)``: how much each image uses up of a quota (positive) or adds to it
            (negative).

    Returns:
        The weights, and the indices of a set of ``count`` images that meets the demands by itself, or comes
        as near to the first of them as any set does.
    """
    rows = np.atleast_2d(demands)
    tolerance = 1e-9 * count
    chosen = _top(cost, count)
    if (rows[:, chosen].sum(1) <= tolerance).all():
        return _spread(chosen, len(cost), count), chosen
    for row in rows:
        if row[chosen].sum() > tolerance:
            weights, whole = _one(cost, count, row, tolerance)
            # A demand that the answer meets without being asked for does not change it.
            if (rows @ weights <= 1e-9).all():
                return weights, _repaired(cost, count, rows, whole, tolerance, None)
    return _several(cost, count, rows, tolerance)


def _top(cost: NDArray[np.float64], count: int) -> NDArray[np.intp]:
    if count >= len(cost):
        return np.arange(len(cost), dtype=np.intp)
    return np.asarray(np.argpartition(cost, count - 1)[:count])


def _spread(chosen: NDArray[np.intp], n: int, count: int) -> NDArray[np.float64]:
    weights = np.zeros(n)
    weights[chosen] = 1.0 / count
    return weights


def _one(
    cost: NDArray[np.float64], count: int, demand: NDArray[np.float64], tolerance: float
) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """One demand: bisection of its multiplier."""
    n = len(cost)
    free = _top(cost, count)
    if demand[free].sum() <= tolerance:
        return _spread(free, n, count), free

    def best(multiplier: float) -> tuple[NDArray[np.intp], float]:
        chosen = _top(cost + multiplier * demand, count)
        return chosen, float(demand[chosen].sum())

    scale = float(np.ptp(cost)) or 1.0
    low, high = 0.0, scale
    while (inside := best(high))[1] > tolerance and high < 1e9 * scale:
        low, high = high, 4.0 * high
    if inside[1] > tolerance:  # no set meets it: the one that comes nearest
        nearest = np.asarray(np.lexsort((cost, demand))[:count])
        return _spread(nearest, n, count), nearest
    outside = best(low)
    for _ in range(_ROUNDS):
        middle = 0.5 * (low + high)
        trial = best(middle)
        if trial[1] > tolerance:
            low, outside = middle, trial
        else:
            high, inside = middle, trial
        if high - low <= 1e-13 * scale:
            break
    share = min(1.0, outside[1] / max(outside[1] - inside[1], 1e-300))
    mixed = share * _spread(inside[0], n, count) + (1.0 - share) * _spread(outside[0], n, count)
    return mixed, inside[0]


def _several(
    cost: NDArray[np.float64], count: int, rows: NDArray[np.float64], tolerance: float
) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    from scipy.optimize import linprog

    n = len(cost)
    scale = float(np.ptp(cost)) or 1.0
    found = linprog(
        cost / scale,
        A_ub=rows,
        b_ub=np.zeros(len(rows)),
        A_eq=np.ones((1, n)),
        b_eq=[float(count)],  # in images rather than in shares: the solver's tolerances are absolute
        bounds=(0.0, 1.0),
        method="highs",
    )
    if found.status != 0:
        return _one(cost, count, rows[0], tolerance)
    weights = np.clip(found.x, 0.0, 1.0) / count
    prices = np.maximum(0.0, -np.asarray(found.ineqlin.marginals)) * scale
    return weights, _repaired(
        cost, count, rows, _top(cost - 10.0 * scale * weights, count), tolerance, prices
    )


def _repaired(
    cost: NDArray[np.float64],
    count: int,
    rows: NDArray[np.float64],
    chosen: NDArray[np.intp],
    tolerance: float,
    prices: NDArray[np.float64] | None,
) -> NDArray[np.intp]:
    """A whole set that meets all demands: the prices are raised no more than that takes."""
    scale = float(np.ptp(cost)) or 1.0
    price = np.zeros(len(rows)) if prices is None else prices

    def meets(picked: NDArray[np.intp]) -> bool:
        return bool((rows[:, picked].sum(1) <= tolerance).all())

    def raised(by: float) -> NDArray[np.intp]:
        return _top(cost + (price * (1.0 + by) + by * scale) @ rows, count)

    if meets(chosen):
        return chosen
    high = 1e-9
    while not meets(best := raised(high)):
        high *= 4.0
        if high > 1e6:
            return _one_by_one(cost, count, rows, price, tolerance)
    low = high / 4.0
    for _ in range(20):
        middle = 0.5 * (low + high)
        if meets(trial := raised(middle)):
            best, high = trial, middle
        else:
            low = middle
    return best


def _one_by_one(
    cost: NDArray[np.float64],
    count: int,
    rows: NDArray[np.float64],
    price: NDArray[np.float64],
    tolerance: float,
) -> NDArray[np.intp]:
    """The same where one price must rise more than another: always that of the demand which is missed."""
    step = 1e-3 * (float(np.ptp(cost)) or 1.0)
    price = price.copy()
    for _ in range(300):
        chosen = _top(cost + price @ rows, count)
        missed = rows[:, chosen].sum(1) > tolerance
        if not missed.any():
            return chosen
        price[missed] = price[missed] * 1.1 + step
    # No whole set was found: the one that comes nearest to the first demand.
    return np.asarray(np.lexsort((cost, rows[0]))[:count])
