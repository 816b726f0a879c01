"""One strategy, month by month: what is trained on, what is left of retention, what it costs and earns.

All quantities are arrays over draws of the assumptions, so that a single path and a Monte Carlo are one
program.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from genepool.economics._assumptions import Assumptions, Strategy

__all__ = ["COSTS", "LOSSES", "Course", "monthly_rate", "npv", "run", "values_of"]

Array = NDArray[np.float64]

COSTS = ("acquire", "verify", "detect", "review", "train", "retrain", "debt")
"""Money that is spent."""
LOSSES = ("lost_share", "brand")
"""Revenue that does not come."""
_MOST_SYNTHETIC = 0.95


@dataclass(frozen=True, slots=True, eq=False)
class Course:
    """What happens to one strategy; arrays are ``(months + 1, draws)``, month 0 is today.

    Attributes:
        strategy: Which.
        retention: v of the model in service, 1 = the human-trained one.
        human: Fresh human share of the training that ended in this month; NaN where none did.
        flows: Name → money in the month: `COSTS`, `LOSSES` (both positive numbers) and ``revenue`` as it
            comes in, losses already taken off.
        cash: Revenue less costs.
        crossed: ``(draws,)`` first month in which retention is below the floor; infinity: never.
        repairs: ``(draws,)`` how often the model was repaired.
    """

    strategy: Strategy
    retention: Array
    human: Array
    flows: Mapping[str, Array]
    cash: Array
    crossed: Array
    repairs: Array


def monthly_rate(yearly: Array | float) -> Array | float:
    """A yearly rate as the monthly one that compounds to it."""
    return (1.0 + yearly) ** (1.0 / 12.0) - 1.0


def npv(rate: Array | float, flows: Array) -> Array:
    """Net present value, Σ flows_t / (1 + rate)^t over t = 0, 1, 2 and so on.

    Args:
        rate: Per period, a number or ``(draws,)``.
        flows: ``(periods,)`` or ``(periods, draws)``; the first one is not discounted.
    """
    time = np.arange(len(flows), dtype=np.float64)
    factor = (1.0 + np.asarray(rate, np.float64)[..., None]) ** -time
    value: Array = np.einsum("...t,t...->...", factor, flows)
    return value


def values_of(assumptions: Assumptions, draws: int = 1) -> dict[str, Array]:
    """Every number at its value, as arrays of that many draws."""
    return {name: np.full(draws, one.value) for name, one in assumptions.numbers.items()}


def run(strategy: Strategy, values: Mapping[str, Array], b2: Array, noise: Array | None = None) -> Course:
    """Simulate a strategy.

    The model in service today was trained on human work: v = 1. Every ``training.interval`` months the next
    generation is trained on the strategy's mix: v' = h + (1 − h)·b²·v. In the month in which v falls below
    the floor everything downstream is cleaned up, human images are bought up to the share that keeps v at the
    target, and ``training.remedy`` months later a repaired model is in service; the strategy then goes on as
    before.

    Args:
        strategy: Which.
        values: ``group.key`` → ``(draws,)``; counts of months are the same in all draws.
        b2: ``(draws,)`` share of the variance that one pass through the model keeps.
        noise: ``(months + 1, draws)`` added to v of a training that ends in the month: how trainings differ.
    """
    state = _State(strategy, values, b2, noise)
    for month in range(1, state.months + 1):
        state.step(month)
    return state.finish()


class _State:
    def __init__(
        self, strategy: Strategy, values: Mapping[str, Array], b2: Array, noise: Array | None
    ) -> None:
        self.strategy, self.values, self.noise = strategy, values, noise
        draws = len(b2)
        self.b2 = np.clip(b2, 0.0, None)
        self.months = int(values["general.horizon"][0])
        self.interval, self.remedy = (int(values[f"training.{k}"][0]) for k in ("interval", "remedy"))
        shape = (self.months + 1, draws)
        self.flows = {name: np.zeros(shape) for name in (*COSTS, *LOSSES, "revenue")}
        self.retention, self.human = np.ones(shape), np.full(shape, np.nan)
        self.v, self.share = np.ones(draws), np.ones(draws)
        self.crossed, self.repairs = np.full(draws, np.inf), np.zeros(draws)
        self.due = np.full(draws, np.inf)  # month in which a repair is ready
        # A repair that aims below the floor would be none.
        self._target = np.maximum(values["policy.target"], values["policy.floor"])
        self._earn(0, np.zeros(draws, bool))

    # ------------------------------------------------------------------------------------ a month

    def step(self, month: int) -> None:
        ready = self.due == month
        if ready.any():
            self._repaired(month, ready)
        if month % self.interval == 0:
            self._train(month, ~ready)
        low = self.v < self.values["policy.floor"]
        fresh = low & np.isinf(self.due)
        if fresh.any():
            self._order_repair(month, fresh)
        self.retention[month] = self.v
        self._earn(month, low)

    def _shares(self, month: int) -> Array:
        """Fresh human share of the training set that is put together in this month."""
        if not self.strategy.scraped:
            return np.full(len(self.b2), self.strategy.human)
        synthetic = self.values["web.synthetic"] + self.values["web.growth"] * month
        human: Array = 1.0 - np.minimum(synthetic, _MOST_SYNTHETIC)
        return human

    def _next(self, month: int, h: Array) -> Array:
        v = h + (1.0 - h) * self.b2 * self.v
        if self.noise is not None:
            v = v + self.noise[month]
        clipped: Array = np.clip(v, 0.0, 1.0)  # more varied than human work is worth no more
        return clipped

    def _train(self, month: int, which: NDArray[np.bool_]) -> None:
        """A regular generation; where a repair is under way, it waits for that."""
        which = which & np.isinf(self.due)
        h = self._shares(month)
        self.v = np.where(which, self._next(month, h), self.v)
        self.human[month] = np.where(which, h, self.human[month])
        x = self.values
        new = which * x["data.images"] * x["data.renewed"]
        if self.strategy.scraped:
            self.flows["acquire"][month] += new * x["data.scraped_image"]
        else:
            mean = h * x["data.human_image"] + (1.0 - h) * x["data.synthetic_image"]
            self.flows["acquire"][month] += new * mean
        if self.strategy.gated:
            self._check(month, new)
        self.flows["train"][month] += which * x["training.run"]

    def _check(self, month: int, images: Array) -> None:
        x = self.values
        self.flows["verify"][month] += images * x["checks.verify"]
        self.flows["detect"][month] += images * x["checks.detect"]
        seconds = images * x["checks.reviewed"] * x["checks.review_seconds"]
        self.flows["review"][month] += seconds / 3600.0 * x["checks.reviewer_wage"]

    def _order_repair(self, month: int, which: NDArray[np.bool_]) -> None:
        """Clean up downstream, and buy what the repair needs."""
        x = self.values
        debt = x["debt.images"] * (x["debt.purge"] + x["debt.reaudit"])
        debt = debt + x["debt.models"] * x["debt.retrain"] + x["debt.certificates"] * x["debt.certificate"]
        self.flows["debt"][month] += which * debt
        missing = np.clip(self._needed() - self._shares(month), 0.0, None) * x["data.images"]
        self.flows["retrain"][month] += which * (missing * x["data.human_image"] + x["training.run"])
        self._check(month, which * missing)
        self.crossed = np.where(which, np.minimum(self.crossed, month), self.crossed)
        self.repairs = self.repairs + which
        self.due = np.where(which, month + max(1, self.remedy), self.due)

    def _needed(self) -> Array:
        """Human share that keeps v at the target: (T − T·b²) / (1 − T·b²)."""
        target, kept = self._target, np.clip(self.b2, 0.0, 1.0)
        below = 1.0 - target * kept
        needed: Array = np.where(kept >= 1.0, 0.0, target * (1.0 - kept) / np.where(below > 0, below, 1.0))
        return needed

    def _repaired(self, month: int, ready: NDArray[np.bool_]) -> None:
        # The synthetic part of the repaired set comes from a model at the target: the worn one is purged.
        h = np.maximum(self._needed(), self._shares(month))
        v = h + (1.0 - h) * self.b2 * self._target
        if self.noise is not None:
            v = v + self.noise[month]
        v = np.clip(v, 0.0, 1.0)
        self.v = np.where(ready, v, self.v)
        self.human[month] = np.where(ready, h, self.human[month])
        self.due = np.where(ready, np.inf, self.due)

    def _earn(self, month: int, low: NDArray[np.bool_]) -> None:
        x = self.values
        goal = np.clip(1.0 - x["market.loss"] * np.clip(1.0 - self.v, 0.0, None), 0.0, 1.0)
        if month:
            self.share = self.share + x["market.speed"] * (goal - self.share)
        full = x["market.revenue"]
        brand = low * x["market.brand"] * full * self.share
        self.flows["lost_share"][month] = full * (1.0 - self.share)
        self.flows["brand"][month] = brand
        self.flows["revenue"][month] = full * self.share - brand

    def finish(self) -> Course:
        """The course as it went."""
        spent = sum((self.flows[name] for name in COSTS), np.zeros_like(self.retention))
        cash = self.flows["revenue"] - spent
        return Course(self.strategy, self.retention, self.human, self.flows, cash, self.crossed, self.repairs)
