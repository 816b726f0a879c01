"""Davidson's model of votes with ties: its most likely strengths, and what the votes tell about them.

R. R. Davidson, "On extending the Bradley-Terry model to accommodate ties in paired comparison experiments",
JASA 65 (1970) 317: with d = θa − θb the chances of a, b and a tie are as e^(d/2), e^(−d/2) and 2ν. This is
an exponential family, so the logarithm of the likelihood is concave in (θ, log ν) and its second derivative
is minus the Fisher information: a trust-region Newton method (`scipy`) ends at the one maximum. Fixed-point
iterations need thousands of rounds, or run away, where images are held together by imagined votes alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["LEAST_TIE", "information", "most_likely"]

LEAST_TIE = 1e-6
"""ν where nobody voted for a tie: the likelihood grows as ν falls to 0."""


def most_likely(
    a: NDArray[np.int64],
    b: NDArray[np.int64],
    won: NDArray[np.int64],
    weights: NDArray[np.float64],
    n: int,
) -> tuple[NDArray[np.float64], float]:
    """Strengths and tie parameter under which the votes are likeliest.

    Args:
        a: ``(votes,)`` left item, 0 to n; item n has strength 0. Every item needs a win and a loss of some
            weight against it, directly or through others, or its strength is not finite.
        b: ``(votes,)`` right item.
        won: ``(votes,)`` 1: a won, −1: b won, 0: a tie.
        weights: ``(votes,)`` how often each counts, from 0.
        n: Items beside the fixed one.

    Returns:
        ``(n + 1,)`` θ, the last 0; ν.
    """
    from scipy.optimize import minimize

    tied = bool(weights[won == 0].sum() > 0)

    def split(x: NDArray[np.float64]) -> tuple[NDArray[np.float64], float]:
        return np.append(x[:n], 0.0), float(x[n]) if tied else float(np.log(LEAST_TIE))

    def value(x: NDArray[np.float64]) -> float:
        theta, log_tie = split(x)
        half, draw = (theta[a] - theta[b]) / 2, np.log(2.0) + log_tie
        total = np.logaddexp(np.logaddexp(half, -half), draw)
        return -float((weights * (np.where(won == 0, draw, won * half) - total)).sum())

    def slope(x: NDArray[np.float64]) -> NDArray[np.float64]:
        theta, log_tie = split(x)
        mean, draw = _expected(theta[a] - theta[b], float(np.exp(log_tie)))
        push = weights * (won / 2 - mean)
        found = np.asarray(np.bincount(a, push, n + 1) - np.bincount(b, push, n + 1), np.float64)
        found[n] = (weights * ((won == 0) - draw)).sum()
        return -found if tied else -found[:n]

    def curve(x: NDArray[np.float64]) -> NDArray[np.float64]:
        theta, log_tie = split(x)
        found = information(theta, float(np.exp(log_tie)), a, b, weights, n)
        return found if tied else found[:n, :n]

    start = np.zeros(n + tied)
    if tied:
        start[n] = np.log(0.5)
    found = minimize(value, start, jac=slope, hess=curve, method="trust-exact", options={"gtol": 1e-8})
    theta, log_tie = split(found.x)
    return theta, max(float(np.exp(log_tie)), LEAST_TIE) if tied else LEAST_TIE


def information(
    theta: NDArray[np.float64],
    tie: float,
    a: NDArray[np.int64],
    b: NDArray[np.int64],
    weights: NDArray[np.float64],
    n: int,
) -> NDArray[np.float64]:
    """Fisher information ``(n + 1, n + 1)`` of (θ, log ν); item n is fixed.

    The statistics of the family are (wins − losses) / 2 for d and ties for log ν: this is their covariance.
    """
    mean, draw = _expected(theta[a] - theta[b], tie)
    dd = weights * ((1 - draw) / 4 - mean**2)
    dt = -weights * mean * draw
    full = np.zeros((n + 2, n + 2))
    for i, j, sign in ((a, a, 1), (b, b, 1), (a, b, -1), (b, a, -1)):
        np.add.at(full, (i, j), sign * dd)
    full[: n + 1, n + 1] = np.bincount(a, dt, n + 1) - np.bincount(b, dt, n + 1)
    full[n + 1, : n + 1] = full[: n + 1, n + 1]
    full[n + 1, n + 1] = (weights * draw * (1 - draw)).sum()
    keep = [*range(n), n + 1]
    return np.asarray(full[np.ix_(keep, keep)])


def _expected(d: NDArray[np.float64], tie: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Expected (wins − losses) / 2 and ties at each vote."""
    half = np.exp(d / 2)
    total = half + 1 / half + 2 * tie
    return (half - 1 / half) / total / 2, 2 * tie / total
