"""Betting on a finite set: an e-process for its number of ones, with scores as a control variate.

**Setting.** ``m`` units carry zeros and ones; T, the number of ones, is not known. The units are drawn in a
uniformly random order, without replacement, and each shows its value. Every unit has a score, known from
the start.

**Why it is a fair game** (I. Waudby-Smith and A. Ramdas, *Estimating means of bounded random variables by
betting*, JRSS B 86 (2024) 1, sections 4 and 5; without replacement, section 5.1; the same martingale as in
P. B. Stark, *ALPHA*, Ann. Appl. Stat. 17 (2023) 641). Before draw t, let S ones have been seen, R units be
left, and f̄ be the mean score of those left. Given all that came before, unit t is uniform among those left,
so its value Y and score f have

    E[Y | past] = (T − S) / R        and        E[f | past] = f̄ exactly, since all scores are known.

Let λ and b ≥ 0 be computed from the past alone, x = Y − λ·(f − f̄), and μ = (G − S)/R for a candidate G. Then
E[x | past] = (T − S)/R whatever λ is, and under the hypothesis T ≤ G

    E[1 + b·(x − μ) | past] = 1 + b·(T − G)/R ≤ 1.

With b ≤ c / (μ − min x), c < 1, each factor is positive, so the product K of the factors is a non-negative
supermartingale that starts at 1: an e-process. By Ville's inequality P(K ever reaches 1/α) ≤ α if T ≤ G.
Nothing was assumed about the scores: a bad detector makes x noisier and the game slower, never unfair; no
matter how λ and b are learnt, as long as it is from the past. Where S exceeds G, the hypothesis is
refuted for certain.

**How it is played.** λ is the regression slope of Y on f among past draws (shrunk towards a first guess), and
b is the bet that maximises expected log growth to second order, b = e/(v + e²), where e is the expected edge
mean(x) − μ and v the variance of x, both from the past. These choices decide the speed only.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

__all__ = ["BettingGame"]

Array = NDArray[np.float64]

# Share of the largest admissible bet: one wrong answer must not cost everything that was won.
_BOLD = 0.75
# Pseudo-draws behind the first estimates, and the slope they suggest.
_WEIGHT = 5.0
_SLOPE = 0.5
_SPREAD = 0.05
_MIN_VARIANCE = 0.005
# Without scores nothing hints at the mean: the first guess lies this far from the candidate towards all ones,
# and weighs this many draws, so that the first bets are small.
_AHEAD = 0.25
_PATIENCE = 30.0


class BettingGame:
    """Many plays of the game at once: ``r`` independent orders, ``g`` candidates each.

    Args:
        scores: ``(r, m)`` or ``(m,)`` scores in [0, 1] of all units, in any order.
        candidates: ``(g,)`` or ``(r, g)`` candidate totals G: the game is against T ≤ G.

    Attributes:
        log_capital: ``(r, g)`` natural logarithm of the capital now; inf: refuted for certain.
        best: ``(r, g)`` its running maximum: what Ville's inequality speaks about.
        count: Draws so far.
        ones: ``(r,)`` ones among them.
        left: Units not yet drawn.
    """

    def __init__(self, scores: Array, candidates: Array) -> None:
        table = np.atleast_2d(np.asarray(scores, np.float64))
        self.candidates = np.atleast_2d(np.asarray(candidates, np.float64))
        runs, self.left = map(int, table.shape)
        self.count = 0
        self.ones = np.zeros(runs)
        self.rest = table.sum(axis=1)
        empty = self.left == 0
        self._low = np.zeros(runs) if empty else table.min(axis=1)
        self._high = np.zeros(runs) if empty else table.max(axis=1)
        self._prior = np.full(runs, 0.5) if empty else table.mean(axis=1)
        self._silent = (self._high - self._low < 1e-9)[:, None]
        share = np.clip(self.candidates / max(self.left, 1), 0.0, 1.0)
        self._guess = share + _AHEAD * (1 - share)
        self._sums = np.zeros((4, runs))  # of y, f, y·f, f·f over the draws
        start = np.where(self.candidates < -1e-9, math.inf, 0.0)
        self.log_capital = np.broadcast_to(start, (runs, self.candidates.shape[1])).copy()
        self.best = self.log_capital.copy()

    def see(self, score: Array | float, one: NDArray[np.bool_] | bool) -> None:
        """Take in the next draw of every run: its score and whether it is a one."""
        f, y = np.atleast_1d(np.asarray(score, np.float64)), np.atleast_1d(np.asarray(one, np.float64))
        slope, mean, variance = self._expected()
        average = np.clip(self.rest / self.left, self._low, self._high)
        x = y - slope * (f - average)
        lowest = np.minimum(-slope * (self._low - average), -slope * (self._high - average))
        mu = (self.candidates - self.ones[:, None]) / self.left
        edge = mean - mu
        room = np.maximum(mu - lowest[:, None], 1e-12)
        bet = np.clip(edge / (variance + edge * edge), 0.0, _BOLD / room)
        # A candidate that more ones were seen than it allows for is refuted, not played against.
        impossible = mu < -1e-12
        gain = np.log1p(np.where(impossible, 0.0, bet * (x[:, None] - mu)))
        self.log_capital = np.where(impossible, math.inf, self.log_capital + gain)
        self.ones = self.ones + y
        self.rest = self.rest - f
        self.left -= 1
        self.count += 1
        self._sums += np.stack([y, f, y * f, f * f])
        # The last draw may have refuted a candidate that had just been allowed.
        over = self.candidates - self.ones[:, None] < -1e-9
        self.log_capital = np.where(over, math.inf, self.log_capital)
        self.best = np.maximum(self.best, self.log_capital)

    def learnt(self) -> tuple[Array, Array, Array]:
        """Slope of the control variate, and mean and variance of x, ``(r,)`` each, from past draws only."""
        y, f, yf, ff = self._sums
        k = self.count + _WEIGHT
        p = self._prior
        y, f = (y + _WEIGHT * p) / k, (f + _WEIGHT * p) / k
        ff = (ff + _WEIGHT * (p * p + _SPREAD)) / k
        yf = (yf + _WEIGHT * (p * p + _SLOPE * _SPREAD)) / k
        var_f = np.maximum(ff - f * f, 1e-6)
        cov = yf - y * f
        slope = np.clip(cov / var_f, -1.0, 1.0)
        var_y = np.maximum(y * (1 - y), 0.01)
        variance = np.maximum(var_y - 2 * slope * cov + slope * slope * var_f, _MIN_VARIANCE)
        return slope, y - slope * (f - p), variance

    def saved(self) -> Array:
        """``(r,)`` share of the variance that the scores take away, as learnt so far; 0 without scores."""
        y, f, yf, ff = self._sums
        k = self.count + _WEIGHT
        p = self._prior
        cov = (yf + _WEIGHT * p * p) / k - (y + _WEIGHT * p) * (f + _WEIGHT * p) / k**2
        var_f = (ff + _WEIGHT * p * p) / k - ((f + _WEIGHT * p) / k) ** 2
        share = (y + _WEIGHT * p) / k
        both = np.maximum(share * (1 - share) * var_f, 1e-9)
        return np.asarray(np.where(self._silent[:, 0], 0.0, np.clip(cov * cov / both, 0.0, 0.99)))

    def drift(self) -> Array:
        """``(r,)`` mean score of what was drawn, less that of what is left: the luck of the draw."""
        if not self.left or not self.count:
            return np.zeros(len(self.ones))
        return np.asarray(self._sums[1] / self.count - self.rest / self.left)

    def _expected(self) -> tuple[Array, Array, Array]:
        """As `learnt`, mean and variance per candidate where the scores are silent."""
        slope, mean, variance = self.learnt()
        if not self._silent.any():
            return slope, mean[:, None], variance[:, None]
        plain = (self._sums[0][:, None] + _PATIENCE * self._guess) / (self.count + _PATIENCE)
        spread = np.maximum(plain * (1 - plain), 0.01)
        return (
            slope,
            np.where(self._silent, plain, mean[:, None]),
            np.where(self._silent, spread, variance[:, None]),
        )
