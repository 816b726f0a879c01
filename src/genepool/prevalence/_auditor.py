"""The certificate's engine: two games per candidate, one confidence sequence, many audits at once.

The possible numbers of human images, T = K … n − A (K verified human, A verified machine-made), are cut into
cells of whole numbers [a, b]. For each cell two games are played (`genepool.stats.BettingGame`): one on the
answers "human" against T ≤ b, one on the answers "AI" against T ≥ a. If the truth lies in the cell both
hypotheses hold, so the weighted mean of the two capitals, e = w·E₁ + (1 − w)·E₂, is an e-process for it, and
by Ville's inequality the cell of the truth ever falls (e ≥ 1/α) with probability at most α. The cells
standing between the first and the last survivor are therefore a two-sided confidence sequence: it covers
the truth at all times together, hence at any stopping time, with probability at least 1 − α.

Where α is spent is a choice: w = 0.9 for cells below the floor (only a proof that there are *more* human
images matters there), w = 0.1 from the floor on. So the decision costs hardly more than a one-sided
test, and still both ends hold together. Where the floor is a whole number of images, that number
is a cell of its own, and ``pass`` asks for more than the refutation of everything below: the game against
T ≤ floor must be won as well (or the floor counted), so that a set of exactly the floor passes with
probability at most α too.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from genepool.prevalence._reviewers import Rates, ceiling
from genepool.stats import BettingGame

__all__ = ["Auditor", "Population"]

_CELLS = 200
_WEIGHT = 0.9


@dataclass(frozen=True, slots=True)
class Population:
    """The finite set that is audited.

    Attributes:
        n: Images of the whole set.
        human: Verified human, counted without a look.
        ai: Verified machine-made, or computed; counted without a look.
        judged: Unverified images that had a verdict before the order was drawn.
        before: All images that had a verdict by then.
    """

    n: int
    human: int = 0
    ai: int = 0
    judged: int = 0
    before: int = 0

    @property
    def units(self) -> int:
        """Images that may be drawn."""
        return self.n - self.human - self.ai


class Auditor:
    """``r`` audits of sets of one size, step by step.

    Args:
        scores: ``(r, units)`` or ``(units,)`` p(human) in [0, 1] of the images that may be drawn.
        population: How many there are of what.
        floor: Share to be proven.
        alpha: What the games may spend (the audit's own part).
        rates: Per run the bounds on "human" and on "AI" answers; None: answers are right.
        starts: First whole number of each cell, beside the floor's; None: 200 even ones.
    """

    def __init__(
        self,
        scores: NDArray[np.float64],
        population: Population,
        floor: float,
        alpha: float,
        rates: list[tuple[Rates, Rates]] | None = None,
        *,
        starts: Sequence[int] | None = None,
    ) -> None:
        table = np.atleast_2d(scores)
        self.population, self.floor, self.alpha, self.sure = population, floor, alpha, rates is None
        self.a, self.b, self.mark = _cells(population, floor, starts)
        known, units = population.human, population.units
        below = self.b < floor * population.n - 1e-6
        weight = np.where(below, _WEIGHT, 1 - _WEIGHT)
        self._weights = np.log(weight), np.log1p(-weight)
        pairs: list[tuple[Rates, Rates]] | list[tuple[None, None]] = rates or [(None, None)]
        past = {"judged": population.judged, "before": population.before}
        most, least = (self.b - known).astype(np.float64), (self.a - known).astype(np.float64)
        more = np.stack([ceiling(most, units, human, **past) for human, _ in pairs])
        fewer = np.stack([ceiling(units - least, units, ai, **past) for _, ai in pairs])
        self.games = BettingGame(table, more), BettingGame(1 - table, fewer)
        self.best = np.full((len(table), len(self.a)), -math.inf)
        self._note()

    def see(
        self,
        score: NDArray[np.float64] | float,
        human: NDArray[np.bool_] | bool,
        ai: NDArray[np.bool_] | bool,
    ) -> None:
        """Take in one answer per run: "human", "AI", or neither (which counts against both claims)."""
        self.games[0].see(score, human)
        self.games[1].see(1 - np.asarray(score, np.float64), ai)
        self._note()

    def fallen(self) -> NDArray[np.bool_]:
        """``(r, cells)``: which cells are refuted by now."""
        return self.best >= math.log(1 / self.alpha)

    def bounds(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """``(r,)`` lower and upper ends of the share of human images in the whole set."""
        down, p = self.fallen(), self.population
        standing = ~down
        none = ~standing.any(axis=1)
        first = np.where(none, 0, standing.argmax(axis=1))
        last = np.where(none, len(self.a) - 1, down.shape[1] - 1 - standing[:, ::-1].argmax(axis=1))
        lower, upper = self.a[first].astype(np.float64), self.b[last].astype(np.float64)
        if self.mark >= 0:
            # Less than the floor is refuted, but exactly the floor could look like this too often.
            thin = (first == self.mark) & (self.games[0].best[:, self.mark] < math.log(1 / self.alpha))
            lower = np.where(thin & ~none, np.maximum(lower - 1, p.human), lower)
        if self.sure:
            # With right answers everything seen is counted, like everything verified.
            lower = np.maximum(lower, p.human + self.games[0].ones)
            upper = np.minimum(upper, p.n - p.ai - self.games[1].ones)
        return lower / p.n, upper / p.n

    def toward(self) -> tuple[float, float]:
        """Of the first run, in nats: the capital against "below the floor" now, and what refutes it."""
        below = np.flatnonzero(self._weights[0] > self._weights[1])
        at = self.mark if self.mark >= 0 else int(below[-1]) if len(below) else 0
        needed = math.log(1 / (_WEIGHT * self.alpha))
        return float(self.games[0].log_capital[0, at]), needed

    def _note(self) -> None:
        # The mean of the two capitals is the process; its running maximum is what Ville speaks about.
        up, down = self._weights
        mixed = np.logaddexp(up + self.games[0].log_capital, down + self.games[1].log_capital)
        self.best = np.maximum(self.best, mixed)


def _cells(
    p: Population, floor: float, given: Sequence[int] | None
) -> tuple[NDArray[np.int64], NDArray[np.int64], int]:
    """First and last whole number of each cell, and which cell is exactly the floor (−1: none)."""
    low, high = p.human, p.n - p.ai
    exact = floor * p.n
    whole = abs(exact - round(exact)) < 1e-6
    target = round(exact) if whole else math.ceil(exact)
    starts = {low, target, target + 1} if whole else {low, target}
    even = np.linspace(low, high + 1, _CELLS + 1)[:-1]
    starts |= {low, *(int(x) for x in (even if given is None else given))}
    a = np.array(sorted(s for s in starts if low <= s <= high), np.int64)
    b = np.append(a[1:] - 1, high)
    mark = int(np.searchsorted(a, target)) if whole and low <= target <= high else -1
    return a, b, mark
