"""What has a closed form, simulated and compared: the laboratory's own check."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["Check", "theory"]


@dataclass(frozen=True, slots=True)
class Check:
    """A simulated number beside its closed form.

    Attributes:
        name: What.
        simulated: Mean over the repetitions.
        error: Its Monte-Carlo standard error.
        exact: The closed form.
        formula: In words.
        n: Repetitions.
    """

    name: str
    simulated: float
    error: float
    exact: float
    formula: str
    n: int

    @property
    def z(self) -> float:
        """Distance from the closed form in standard errors."""
        return (self.simulated - self.exact) / self.error

    @property
    def holds(self) -> bool:
        """Within four standard errors: chance alone exceeds that once in 16,000 checks."""
        return abs(self.z) < 4.0

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "name": self.name,
            "simulated": self.simulated,
            "error": self.error,
            "exact": self.exact,
            "formula": self.formula,
            "n": self.n,
            "z": round(self.z, 3),
            "holds": self.holds,
        }


def theory(seed: int = 0, tick: Callable[[int, str], None] | None = None) -> list[Check]:
    """Every check; a few seconds on one processor.

    Args:
        seed: Of the simulations.
        tick: Called with 1 and the name after each.
    """
    from genepool.lineage import steady_inbreeding

    rng = np.random.default_rng(seed)
    found: list[Check] = []

    def note(check: Check) -> None:
        found.append(check)
        if tick is not None:
            tick(1, check.name)

    for generations in (1, 4, 10):
        note(_replace(rng, 100, generations))
    note(_heterozygosity(rng, 50, 10))
    for generations in (5, 30):
        note(_accumulate(rng, 100, generations))
    for b in (0.9, 0.8, 0.627):
        for h in (0.2, 0.5, 0.7):
            note(_fixed_point(rng, h, b))
    for n, h in ((20, 0.2), (50, 0.1)):
        note(_inbreeding(rng, n, h, steady_inbreeding(h, n)))
    return found


def _check(name: str, values: Any, exact: float, formula: str) -> Check:
    n = len(values)
    error = float(values.std(ddof=1)) / math.sqrt(n)
    return Check(name, float(values.mean()), error, exact, formula, n)


def _replace(rng: np.random.Generator, n: int, generations: int) -> Check:
    """A Gaussian fitted (maximum likelihood) to n draws of the one before; Shumailov et al. 2024."""
    mean, variance = np.zeros(20_000), np.ones(20_000)
    for _ in range(generations):
        drawn = mean[:, None] + np.sqrt(variance)[:, None] * rng.standard_normal((len(mean), n))
        mean, variance = drawn.mean(axis=1), drawn.var(axis=1)
    exact = (1 - 1 / n) ** generations
    return _check(f"replace, n = {n}, variance of generation {generations}", variance, exact, "(1 − 1/n)^g")


def _heterozygosity(rng: np.random.Generator, n: int, generations: int) -> Check:
    """Shares of 8 styles redrawn n at a time: the chance that two pictures differ (Wright, Fisher)."""
    shares = np.full((20_000, 8), 1 / 8)
    for _ in range(generations):
        shares = rng.multinomial(n, shares) / n
    differ = 1 - (shares**2).sum(axis=1)
    exact = (1 - 1 / 8) * (1 - 1 / n) ** generations
    return _check(f"replace, n = {n}, two styles differ after {generations}", differ, exact, "H₀ (1 − 1/n)^g")


def _accumulate(rng: np.random.Generator, n: int, generations: int) -> Check:
    """The mean of all pictures so far draws the next n; Gerstgrasser et al. 2024."""
    mean = np.zeros(200_000)
    for t in range(1, generations + 1):
        # The mean of n unit normals around the last estimate, averaged into the t − 1 batches before it.
        batch = mean + rng.standard_normal(len(mean)) / math.sqrt(n)
        mean = ((t - 1) * mean + batch) / t
    exact = sum(1 / t**2 for t in range(1, generations + 1)) / n
    formula = f"Σ 1/(n t²), below its bound π²/(6n) = {math.pi**2 / 6 / n:.5f}"
    return _check(f"accumulate, n = {n}, squared error of generation {generations}", mean**2, exact, formula)


def _fixed_point(rng: np.random.Generator, h: float, b: float) -> Check:
    """A sampler that shrinks deviations by b, mixed with a fresh human share h, mean known."""
    n, runs = 400, 2_000
    variance = np.ones(runs)
    human = round(h * n)
    for _ in range(40):
        fresh = rng.standard_normal((runs, human))
        made = b * np.sqrt(variance)[:, None] * rng.standard_normal((runs, n - human))
        variance = ((fresh**2).sum(axis=1) + (made**2).sum(axis=1)) / n
    share = human / n
    exact = share / (1 - (1 - share) * b * b)
    return _check(
        f"mix, h = {share:g}, b = {b:g}, variance in the long run", variance, exact, "h / (1 − (1 − h) b²)"
    )


def _inbreeding(rng: np.random.Generator, n: int, h: float, exact: float) -> Check:
    """Wright's island model, gene by gene: do two genes of one generation share an ancestor?"""
    runs = 400_000
    same = np.zeros(runs, bool)
    # Backwards: both genes must be no migrants; then they meet with chance 1/n, or go on.
    open_ = np.ones(runs, bool)
    for _ in range(400):
        at = np.flatnonzero(open_)
        if not len(at):
            break
        stay = (rng.random(len(at)) > h) & (rng.random(len(at)) > h)
        meet = rng.random(len(at)) < 1 / n
        same[at[stay & meet]] = True
        open_[at] = stay & ~meet
    return _check(
        f"migration, N = {n}, h = {h:g}, inbreeding",
        same.astype(float),
        exact,
        "(1 − h)² / (N − (N − 1)(1 − h)²)",
    )
