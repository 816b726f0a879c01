"""Reviewers err: how often is measured on controls, and what that does to the number that is tested.

Two kinds of bound move the tested share, and both are paid for out of alpha:

* **Rates.** On controls whose origin is verified, a reviewer says "human" to k of n human pictures and to j
  of m machine-made ones. For any pair of true rates (h, c), P(Bin(n, h) ≤ k) and P(Bin(m, c) ≤ j) are
  p-values: the tails that C. J. Clopper and E. S. Pearson invert (Biometrika 26 (1934) 404). The two kinds
  of control are different pictures, so the p-values are independent, and the product of two is at most x with
  probability at most x·(1 − ln x) (R. A. Fisher's combination). The pairs not refuted so are a confidence
  region for (h, c); it is covered from above by a staircase of corners (Clopper-Pearson upper bounds at
  levels π and x/π′), and the worst corner counts. Several reviewers: one corner, the largest bounds.
* **Luck.** Even at known rates h = P(says human | human) ≥ c = P(says human | machine-made), a set of U
  unverified pictures with at most G human ones may draw more "human" answers than G·h + (U − G)·c. Answers
  are independent given the truth (their rates may differ from picture to picture, as long as the average
  is bounded), so by Chernoff's bound and the concavity of log(1 + p(e^s − 1)) in p

      P(answers "human" in the whole set ≥ q) ≤ exp(−s·q)·(1 − h + h·e^s)^G·(1 − c + c·e^s)^(U−G)

  for each s > 0. With the right side set to a small probability, q is the *ceiling* of G.

If at most G of the pictures are human, then at most ceiling(G) of them would be called human were all of them
shown. The audit is a draw without replacement from exactly these answers, so it tests ceiling(G) in place of
G; detector, order and stopping play no part in this.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from genepool.errors import MeasureError
from genepool.stats import clopper_pearson

__all__ = ["CONTROLS", "YOUDEN", "Rates", "Reviewer", "audit_share", "ceiling", "panel_rates"]

CONTROLS = 100
"""Controls of each kind that a qualification needs."""
YOUDEN = 0.5
"""Who may certify by sight: human-recall + AI-recall − 1 is above this at the lower bounds."""

# Shares of alpha: rates and luck behind "at least", rates and luck behind "at most"; the rest is the audit's.
_SPLIT = ((0.12, 0.03), (0.06, 0.02))
_CORNERS = 16
_STEPS = np.exp(np.linspace(math.log(1e-4), math.log(30.0), 96))


@dataclass(frozen=True, slots=True)
class Reviewer:
    """What controls say about one reviewer.

    Attributes:
        human_shown: Human controls judged, each picture once.
        human_right: Of these, called human.
        human_wrong: Of these, called AI; the rest were "unsure".
        ai_shown: Machine-made controls judged.
        ai_right: Of these, called AI.
        ai_wrong: Of these, called human.
        name: The reviewer.
        share: Part of alpha that the bounds may use; below 1 where they are looked at more than once.
    """

    human_shown: int
    human_right: int
    human_wrong: int
    ai_shown: int
    ai_right: int
    ai_wrong: int
    name: str = ""
    share: float = 1.0

    def __post_init__(self) -> None:
        counts = (self.human_right, self.human_wrong, self.ai_right, self.ai_wrong)
        if (
            min(counts) < 0
            or self.human_right + self.human_wrong > self.human_shown
            or self.ai_right + self.ai_wrong > self.ai_shown
        ):
            raise MeasureError(
                f"reviewer {self.name!r}: expected right and wrong answers up to the controls shown, "
                f"found {counts} of {self.human_shown} and {self.ai_shown}"
            )
        if not 0 < self.share <= 1:
            raise MeasureError(f"reviewer: expected a share of alpha in (0, 1], found {self.share}")

    @classmethod
    def of(cls, human_right: int, human_shown: int, ai_right: int, ai_shown: int, name: str = "") -> Reviewer:
        """A reviewer who was never unsure: what was not right was wrong."""
        return cls(
            human_shown,
            human_right,
            human_shown - human_right,
            ai_shown,
            ai_right,
            ai_shown - ai_right,
            name,
        )

    def human_recall(self, alpha: float = 0.05) -> tuple[float, float]:
        """Clopper-Pearson interval of P(says human | human); "unsure" counts as a miss."""
        return clopper_pearson(self.human_right, self.human_shown, alpha)

    def ai_recall(self, alpha: float = 0.05) -> tuple[float, float]:
        """Clopper-Pearson interval of P(says AI | machine-made); "unsure" counts as a miss."""
        return clopper_pearson(self.ai_right, self.ai_shown, alpha)

    def youden(self, alpha: float = 0.05) -> float:
        """Lower bound, at confidence 1 − alpha, on Youden's J = human-recall + AI-recall − 1."""
        return self.human_recall(alpha)[0] + self.ai_recall(alpha)[0] - 1

    def refusal(self, alpha: float = 0.05) -> str:
        """Why this reviewer may not certify by sight; empty: may."""
        if min(self.human_shown, self.ai_shown) < CONTROLS:
            return (
                f"{self.human_shown} human and {self.ai_shown} AI controls judged, "
                f"a qualification needs {CONTROLS} of each"
            )
        if (j := self.youden(alpha)) <= YOUDEN:
            return f"Youden's J is only proven to be above {j:.2f}, to certify by sight takes {YOUDEN}"
        return ""


@dataclass(frozen=True, slots=True)
class Rates:
    """Upper bounds on how often "X" is answered: to pictures that are X (hit), and to others (slip).

    Attributes:
        corners: Pairs (hit, slip), hit ≥ slip; the true pair is at most some one of them.
        luck: Probability spent on the luck of the answers.
    """

    corners: tuple[tuple[float, float], ...]
    luck: float


def audit_share(reviewers: Sequence[Reviewer]) -> float:
    """Part of alpha that is left for the audit once the bounds on both sides are paid."""
    return 1 - sum(map(sum, _SPLIT)) if reviewers else 1.0


def panel_rates(
    reviewers: Sequence[Reviewer], alpha: float, *, together: bool = False
) -> tuple[Rates, Rates]:
    """Bounds on the combined answers of several reviewers: for "human", and for "AI".

    *One look per picture*: whoever looked, the rates are at most the largest bound of any reviewer. *Several
    looks* (``together``): the answer is the first that two reviewers give. It is wrong only if two of
    three are wrong, and by Markov's inequality that has at most probability (c₁ + c₂ + c₃)/2, however
    strongly they err together. Right answers may become more frequent than any single reviewer's: their
    bound is 1. Between two reviewers it takes both, which neither's own bound exceeds.

    Args:
        reviewers: Everybody whose answers may be used, at least one.
        alpha: Of the whole certificate.
        together: Whether some picture was judged by more than one of them.

    Returns:
        Rates of saying "human" and of saying "AI"; see `audit_share` for what they cost.
    """
    sides = []
    for (rate, luck), names in zip(_SPLIT, (_HUMAN, _AI), strict=True):
        counts = [tuple(int(getattr(r, name)) for name in names) for r in reviewers]
        if len(reviewers) == 1 and not together:
            corners = _staircase(counts[0], rate * alpha * reviewers[0].share)
        else:
            corners = (_corner(counts, [rate * alpha * r.share / len(counts) for r in reviewers], together),)
        sides.append(Rates(corners, luck * alpha))
    return sides[0], sides[1]


_HUMAN = ("human_right", "human_shown", "ai_wrong", "ai_shown")
_AI = ("ai_right", "ai_shown", "human_wrong", "human_shown")


def _upper(k: int, n: int, alpha: float) -> float:
    # Two-sided at twice the level: the upper end alone errs with probability alpha.
    return clopper_pearson(k, n, 2 * alpha)[1] if alpha < 0.5 else 1.0


def _staircase(counts: tuple[int, ...], alpha: float) -> tuple[tuple[float, float], ...]:
    """Corners that cover {(h, c): p(h)·p(c) > x} from above, where x·(1 − ln x) = alpha."""
    right, shown, wrong, others = counts
    x = _product_level(alpha)
    levels = np.exp(np.linspace(math.log(x), 0.0, _CORNERS + 1))
    # p(h) in (levels[i], levels[i+1]] leaves p(c) > x / levels[i+1].
    pairs = [
        (_bound(right, shown, low), _bound(wrong, others, min(1.0, x / high)))
        for low, high in itertools.pairwise(levels.tolist())
    ]
    return tuple((max(h, c), c) for h, c in pairs)


def _bound(k: int, n: int, level: float) -> float:
    """The largest rate whose lower tail P(Bin(n, rate) ≤ k) is at least ``level``."""
    from scipy.special import betaincinv

    if k >= n:
        return 1.0
    return float(betaincinv(k + 1, n - k, 1 - min(level, 1.0)))


def _product_level(alpha: float) -> float:
    low, high = 1e-18, alpha
    for _ in range(200):
        middle = math.sqrt(low * high)
        low, high = (middle, high) if middle * (1 - math.log(middle)) <= alpha else (low, middle)
    return low


def _corner(counts: list[tuple[int, ...]], alphas: list[float], together: bool) -> tuple[float, float]:
    hits = [_upper(right, shown, a / 2) for (right, shown, _, _), a in zip(counts, alphas, strict=True)]
    slips = [_upper(wrong, others, a / 2) for (_, _, wrong, others), a in zip(counts, alphas, strict=True)]
    hit, slip = max(hits), max(slips)
    if together and len(slips) > 2:
        hit, slip = 1.0, min(1.0, max(slip, sum(sorted(slips)[-3:]) / 2))
    return max(hit, slip), slip


def ceiling(
    totals: NDArray[np.float64], units: int, rates: Rates | None, *, judged: int = 0, before: int = 0
) -> NDArray[np.float64]:
    """Most pictures that would be called X if all were shown, were at most so many of them X.

    Pictures that were judged before the order was drawn are no fair sample of answers: the set may have been
    changed because of them. Of the ``before`` pictures judged then, at most Chernoff's number is wrongly
    called X, wherever they are now; all other X-answers to these pictures are right.

    Args:
        totals: ``(g,)`` candidate totals G; negative ones stay negative.
        units: U, pictures that may be drawn.
        rates: Bounds on the answers; None: answers are right.
        judged: Pictures among the units that had a verdict before the order was drawn.
        before: All pictures that had one, of this set or not.

    Returns:
        Ceilings, same shape, at most U; not whole numbers.
    """
    given = np.asarray(totals, np.float64)
    if rates is None:
        return given
    luck = rates.luck / (2 if judged else 1)
    inside = np.clip(given, 0, units)
    fresh = units - judged
    top = _chernoff(np.clip(inside - judged, 0, fresh), fresh, rates.corners, luck)
    if judged:
        slips = float(_chernoff(np.zeros(1), before, rates.corners, luck)[0])
        top = top + np.minimum(inside, judged) + min(slips, judged)
    return np.where(given < 0, given, np.minimum(top, units))


def _chernoff(
    totals: NDArray[np.float64], units: int, corners: tuple[tuple[float, float], ...], alpha: float
) -> NDArray[np.float64]:
    """``(g,)`` the smallest bound over s, at the worst corner."""
    if units <= 0:
        return np.zeros_like(totals)
    rates = np.array(corners)[:, :, None]
    powers = np.log1p(rates * np.expm1(_STEPS))  # (corner, 2, s)
    few, many = powers[:, 0], powers[:, 1]
    bounds = totals[:, None, None] * few + (units - totals)[:, None, None] * many + math.log(1 / alpha)
    best: NDArray[np.float64] = (bounds / _STEPS).min(axis=2).max(axis=1)
    return np.minimum(best, units)
