"""The audit: prove or refute "at least this share is human" with as few looks as possible.

Images are drawn uniformly without replacement and shown to a person; the detector's scores only reduce the
variance (a control variate whose weight is learnt as the audit goes), so they cannot make a bound wrong,
however bad the detector is. The bounds are betting confidence sequences (I. Waudby-Smith and A. Ramdas,
*Estimating means of bounded random variables by betting*, JRSS B 86 (2024) 1, section 5 for sampling without
replacement; the same martingale as P. B. Stark's ALPHA audits): they hold at every moment at once, so one may
look after each answer and stop whenever one likes.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from genepool.errors import MeasureError

__all__ = ["AuditResult", "audit"]

_STEP = 0.005
# Share of the largest admissible bet: one wrong answer must not cost everything that was won.
_BOLD = 0.75
# Pseudo-answers behind the first estimates; they set the speed of the start, never the validity.
_WEIGHT = 5.0
_SLOPE = 0.5

METHOD = (
    "random audit without replacement, detector as control variate, betting e-process "
    "(Waudby-Smith & Ramdas 2024); each end holds at every stopping time with probability 1 − alpha"
)
ASSUMPTIONS = (
    "the images shown were drawn at random, and every image drawn was answered or counted against the claim",
    "the answers are right: reviewer error is not part of this bound",
    "images counted without a look are what their evidence says",
)


@dataclass(frozen=True, slots=True)
class AuditResult:
    """What an audit found.

    Attributes:
        status: ``pass`` (the floor is proven), ``fail`` (refuted) or ``undecided`` (labels ran out).
        n_labels: Images that were looked at.
        lower: Human share of the whole set that is proven, one-sided, at confidence 1 − alpha.
        upper: Largest share that is not refuted, one-sided, at confidence 1 − alpha.
        interval: Both ends at alpha/2: the truth lies inside with probability 1 − alpha.
        point: Best guess of the share.
        n: Images in the whole set.
        alpha: As given.
        trace: ``(n_labels, 2)`` lower and upper after each look.
        method: How, in words, with the source.
        assumptions: What must hold.
    """

    status: Literal["pass", "fail", "undecided"]
    n_labels: int
    lower: float
    upper: float
    interval: tuple[float, float]
    point: float
    n: int
    alpha: float
    trace: NDArray[np.float64] = field(repr=False)
    method: str = METHOD
    assumptions: tuple[str, ...] = ASSUMPTIONS


class _Lower:
    """A lower confidence sequence for the share of ones in a finite set, some of which are known.

    For every candidate share g it plays a game that cannot be won on average if the share is at most g:
    capital Π (1 + b·(x − μ_g)) with x = y − λ(f − f̄) and μ_g the mean that the rest of the set would have.
    f̄ is the mean score of the images not yet drawn, so x has mean μ whatever λ is; b ≥ 0 and λ depend on the
    past only. A candidate falls when its capital reaches 1/alpha; the bound lies just below the survivors.

    Args:
        scores: ``(m,)`` scores in [0, 1] of the images that may be drawn.
        known: Ones that need no look.
        n: Images in the whole set.
        grid: Candidate shares, ascending.
    """

    def __init__(self, scores: NDArray[np.float64], known: int, n: int, grid: NDArray[np.float64]) -> None:
        self.grid, self.known, self.n = grid, known, n
        self.left = len(scores)
        self.rest = math.fsum(scores)
        self.ends = (float(scores.min()), float(scores.max())) if len(scores) else (0.0, 0.0)
        self.ones = 0
        self.count = 0
        self.log_capital = np.zeros(len(grid))
        self.best = np.zeros(len(grid))
        # Sums over answers of y, f, yf, ff; the pseudo-answers lie around the mean score.
        self.mean_score = self.rest / self.left if self.left else 0.0
        self.sums = np.zeros(4)

    def see(self, score: float, one: bool) -> None:
        """Take in the answer about one image drawn at random from those left."""
        slope, mean, variance = self.learn()
        average = min(max(self.rest / self.left, self.ends[0]), self.ends[1])
        mu = (self.grid * self.n - self.known - self.ones) / self.left
        x = float(one) - slope * (score - average)
        lowest = min(-slope * (end - average) for end in self.ends)
        edge = mean - mu
        bet = np.clip(edge / (variance + edge * edge), 0.0, None)
        room = mu - lowest
        bet = np.minimum(bet, np.where(room > 0, _BOLD / np.maximum(room, 1e-12), 0.0))
        possible = (mu >= 0) & (self.log_capital < math.inf)
        gain = np.log1p(np.where(possible, bet * (x - mu), 0.0))
        # More ones than the candidate allows were seen already: it is refuted for certain.
        self.log_capital = np.where(mu < 0, math.inf, self.log_capital + gain)
        self.ones += one
        self.count += 1
        self.left -= 1
        self.rest -= score
        self.sums += (one, score, one * score, score * score)
        self.best = np.maximum(self.best, self.log_capital)

    def learn(self) -> tuple[float, float, float]:
        """Slope of the control variate, and mean and variance of x, from past answers."""
        y, f, yf, ff = self.sums
        k = self.count + _WEIGHT
        prior = self.mean_score
        spread = 0.05
        y, f = y + _WEIGHT * prior, f + _WEIGHT * prior
        ff = ff + _WEIGHT * (prior * prior + spread)
        yf = yf + _WEIGHT * (prior * prior + _SLOPE * spread)
        var_f = max(ff / k - (f / k) ** 2, 1e-6)
        cov = yf / k - y * f / k**2
        var_y = max(y / k * (1 - y / k), 0.01)
        slope = min(1.0, max(-1.0, cov / var_f))
        variance = max(var_y - 2 * slope * cov + slope * slope * var_f, 0.005)
        return slope, y / k - slope * (f / k - prior), variance

    def bound(self, alpha: float) -> float:
        """The proven share: every candidate up to it has fallen at some time; or what was counted."""
        counted = (self.known + self.ones) / self.n
        fallen = self.best >= math.log(1 / alpha)
        first = int(np.argmin(fallen)) if not fallen.all() else len(fallen)
        return max(counted, float(self.grid[first - 1]) if first else 0.0)


def audit(
    scores: NDArray[np.float64],
    oracle: Callable[[int], bool | None],
    *,
    floor: float = 0.70,
    alpha: float = 0.05,
    max_labels: int | None = None,
    strata: NDArray[np.integer] | None = None,
    rng: np.random.Generator | int | None = None,
) -> AuditResult:
    """Ask a person about images drawn at random until the floor is proven or refuted.

    The probability of ``pass`` when the share is at most ``floor`` is at most ``alpha``, and so is that of
    ``fail`` when it is at least ``floor``, whatever the scores are and whenever one stops.

    Args:
        scores: ``(n,)`` the detector's p(human) of every image of the whole set, in [0, 1]; NaN where it
            abstained.
        oracle: Called with an image's index; True for human, False for not, None when the person cannot say
            (counted against whatever would be claimed). Must give the same answer for the same image.
        floor: Share to be proven, in (0, 1).
        alpha: 1 − confidence of each claim, in (0, 1).
        max_labels: Most images to ask about; None: all.
        strata: ``(n,)`` 1 for verified human, 0 for verified machine-made (both are counted, not shown),
            −1 for unknown; None: all unknown.
        rng: Source of randomness, or its seed.

    Returns:
        Status, bounds on the share of the whole set, and the bounds after every look.

    Raises:
        MeasureError: Scores, strata or numbers that cannot be.
    """
    values, kinds = _checked(scores, strata, floor, alpha, max_labels)
    n = len(values)
    open_ = np.flatnonzero(kinds < 0)
    known_human, known_ai = int((kinds == 1).sum()), int((kinds == 0).sum())
    order = np.random.default_rng(rng).permutation(open_)
    grid = np.unique(np.append(np.arange(0, 1, _STEP), [floor, 1 - floor]))
    low = _Lower(values[open_], known_human, n, grid)
    high = _Lower(1 - values[open_], known_ai, n, grid)
    trace: list[tuple[float, float]] = []
    lower, upper = low.bound(alpha), 1 - high.bound(alpha)
    limit = len(order) if max_labels is None else min(max_labels, len(order))
    for index in order[:limit]:
        if lower >= floor or upper < floor:
            break
        answer = oracle(int(index))
        low.see(float(values[index]), answer is True)
        high.see(float(1 - values[index]), answer is False)
        lower, upper = _ends(low, high, alpha)
        trace.append((lower, upper))
    status: Literal["pass", "fail", "undecided"] = "undecided"
    if lower >= floor:
        status = "pass"
    elif upper < floor:
        status = "fail"
    interval = _ends(low, high, alpha / 2)
    return AuditResult(
        status=status,
        n_labels=len(trace),
        lower=lower,
        upper=upper,
        interval=interval,
        point=_point(low, high, lower, upper),
        n=n,
        alpha=alpha,
        trace=np.array(trace, np.float64).reshape(-1, 2),
    )


def _ends(low: _Lower, high: _Lower, alpha: float) -> tuple[float, float]:
    lower, upper = low.bound(alpha), 1 - high.bound(alpha)
    if lower > upper:
        # Possible only when one of the two errs (probability at most 2·alpha): claim what was counted.
        return (low.known + low.ones) / low.n, 1 - (high.known + high.ones) / high.n
    return lower, upper


def _point(low: _Lower, high: _Lower, lower: float, upper: float) -> float:
    """Counted images and, for the rest, the share among the answers corrected by the scores."""
    if low.left == 0 or low.count == 0:
        return min(upper, max(lower, (lower + upper) / 2))
    slope = low.learn()[0]
    decided = low.ones + high.ones
    share = low.ones / decided if decided else 0.5
    seen = float(low.sums[1]) / low.count
    rest = min(1.0, max(0.0, share - slope * (seen - low.rest / low.left)))
    unsure = low.count - decided
    total = low.known + low.ones + unsure * share + low.left * rest
    return min(upper, max(lower, total / low.n))


def _checked(
    scores: Any, strata: Any, floor: float, alpha: float, max_labels: int | None
) -> tuple[NDArray[np.float64], NDArray[np.int8]]:
    values = np.asarray(scores, np.float64)
    if values.ndim != 1 or not len(values):
        raise MeasureError(f"audit: expected scores of at least one image, found shape {values.shape}")
    known = np.isfinite(values)
    if np.isinf(values).any() or not ((values[known] >= 0) & (values[known] <= 1)).all():
        raise MeasureError("audit: expected scores in [0, 1] or NaN, found others")
    # An abstention says nothing: it gets the mean, which is fixed before anything is drawn.
    values = np.where(known, values, values[known].mean() if known.any() else 0.5)
    kinds = np.full(len(values), -1, np.int8) if strata is None else np.asarray(strata)
    if kinds.shape != values.shape or not np.isin(kinds, (-1, 0, 1)).all():
        raise MeasureError(f"audit: expected {len(values)} strata of −1, 0 or 1, found shape {kinds.shape}")
    if not 0 < floor < 1 or not 0 < alpha < 1:
        raise MeasureError(f"audit: expected floor and alpha between 0 and 1, found {floor} and {alpha}")
    if max_labels is not None and max_labels < 0:
        raise MeasureError(f"audit: expected a number of labels of at least 0, found {max_labels}")
    return values, kinds.astype(np.int8)
