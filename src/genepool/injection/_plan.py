"""Plan first, then do: what would change, by how much, and why it is allowed."""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from genepool.errors import UsageError
from genepool.injection._convex import Pictures, cheapest, minimise
from genepool.injection._pool import Pool, load, scanned

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from genepool.config import Config
    from genepool.dataset import Dataset
    from genepool.diversity import StyleEstimate

__all__ = ["InjectionPlan", "plan_injection"]

LEAST = 0.25
"""Re-weighting keeps at least this share of the images that are no near-copies."""
_SIZES = 12
_log = logging.getLogger("genepool.injection")


@dataclass(frozen=True, slots=True, eq=False)
class InjectionPlan:
    """What `inject_diversity` would do to a dataset.

    Attributes:
        accepted: Whether it may be carried out: the index's lower bound rises and the human share holds.
        method: ``retrieve``, ``reweight``, ``retrieve+reweight`` or ``none``.
        before, after: The index of the set as it is and as it would be.
        kept: Uris of the dataset that stay.
        dropped: Uris of the dataset that go.
        added: Uris of the reserve that come in.
        human: Verified human share of all images, before and after.
        gap: How far above the least possible purity the weighting behind the choice is at most; NaN where
            nothing was re-weighted.
        reasons: Sentences.
    """

    dataset: Dataset
    reserve: Dataset | None
    accepted: bool
    method: str
    before: StyleEstimate
    after: StyleEstimate
    kept: tuple[str, ...]
    dropped: tuple[str, ...]
    added: tuple[str, ...]
    human: tuple[float, float]
    gap: float
    reasons: tuple[str, ...]

    def apply(self) -> Dataset:
        """The dataset after the plan; the dataset as it was where the plan is not accepted."""
        from genepool.dataset import union

        if not self.accepted:
            return self.dataset
        kept = self.dataset.select(self.kept) if self.dropped else self.dataset
        if not self.added or self.reserve is None:
            return kept
        return union([kept, self.reserve.select(self.added)])


def plan_injection(
    dataset: Any,
    *,
    reserve: Any = None,
    floor: float | None = None,
    human_ratio: float | None = None,
    workspace: str | Path | None = None,
    config: Config | None = None,
) -> InjectionPlan:
    """Plan how a dataset's style diversity can be raised.

    With a reserve, its rarest images come first: whatever is less common than the set's own mean similarity
    raises the index (first-order condition of the purity). If that is not enough, or there is no reserve,
    over-represented styles are thinned out: the weights of least purity under the human quota, found by
    Frank–Wolfe, rounded to the largest subset that clears the floor. Nothing is ever repeated, and images off
    the panel's support are never brought in.

    Args:
        dataset: Anything that `genepool.open` takes.
        reserve: Further images to draw on, likewise.
        floor: Index that the lower bound should reach; None: ``policy.diversity``.
        human_ratio: Verified human share that must not be undercut; None: ``policy.human_ratio``. Where the
            set does not reach it, its own share must not fall.
        workspace: Where results are kept; None: beside the dataset.
        config: Settings; None: ``genepool.toml`` of the current folder, else the defaults.

    Raises:
        UsageError: A floor or a ratio outside [0, 1].
        SourceError: Nothing to read.
        MeasureError: Fewer than two images.
    """
    from genepool import config as configs
    from genepool import dataset as datasets
    from genepool.diversity import StyleDiversityIndex

    settings = config or configs.load()
    floor = settings.policy.diversity if floor is None else floor
    human_ratio = settings.policy.human_ratio if human_ratio is None else human_ratio
    for name, value in (("floor", floor), ("human_ratio", human_ratio)):
        if not 0 <= value <= 1:
            raise UsageError(f"{name}: expected a number in [0, 1], found {value!r}")
    opened = datasets.open(dataset)
    store = None if reserve is None else datasets.open(reserve)
    parts = [scanned(part, workspace, settings) for part in (opened, store) if part is not None]
    pool = load(parts, StyleDiversityIndex(config=settings).panel, settings)
    return _decide(_Planner(pool, floor, human_ratio), opened, store)


def _decide(planner: _Planner, opened: Dataset, store: Dataset | None) -> InjectionPlan:
    pool, start = planner.pool, np.flatnonzero(~planner.pool.reserve)
    before = pool.index(start)
    chosen, method, gap, reasons = start, "none", math.nan, []
    if before.lower >= planner.floor:
        reasons.append(
            f"nothing to do: the index is at least {before.lower:.2f}, the floor {planner.floor:.2f}"
        )
    else:
        chosen, method, gap = planner.run(start, reasons)
    after = pool.index(chosen) if method != "none" else before
    shares = float(pool.human[start].mean()), float(pool.human[chosen].mean())
    refused = _objections(planner, before, after, start, chosen) if method != "none" else ["nothing changed"]
    accepted = not refused
    if method != "none":
        reasons += refused
        reasons.append(
            f"{method}: index {before.value:.2f} [{before.lower:.2f}, {before.upper:.2f}] → "
            f"{after.value:.2f} [{after.lower:.2f}, {after.upper:.2f}], floor {planner.floor:.2f}, images "
            f"{len(start)} → {len(chosen)}, verified human {shares[0]:.2f} → {shares[1]:.2f}"
        )
    stay = np.zeros(len(pool.uris), bool)
    stay[chosen] = True
    plan = InjectionPlan(
        dataset=opened,
        reserve=store,
        accepted=accepted,
        method=method,
        before=before,
        after=after,
        kept=_uris(pool, stay & ~pool.reserve),
        dropped=_uris(pool, ~stay & ~pool.reserve),
        added=_uris(pool, stay & pool.reserve),
        human=shares,
        gap=gap,
        reasons=tuple(reasons),
    )
    for reason in reasons:
        _log.info("%s: %s", opened.uri, reason)
    return plan


def _uris(pool: Pool, mask: NDArray[np.bool_]) -> tuple[str, ...]:
    return tuple(pool.uris[i] for i in np.flatnonzero(mask))


def _objections(
    planner: _Planner,
    before: StyleEstimate,
    after: StyleEstimate,
    start: NDArray[np.intp],
    chosen: NDArray[np.intp],
) -> list[str]:
    """Why a plan must not be carried out; empty: it may."""
    found = []
    if after.lower <= before.lower:
        found.append(
            f"refused: the index's lower bound would not rise ({before.lower:.3f} → {after.lower:.3f})"
        )
    excess = float(planner.claim[chosen].sum())
    if excess > 1e-9 * len(chosen) and planner.claim[start].sum() <= 1e-9 * len(start):
        found.append(f"refused: the verified human share would fall below {planner.quota:.2f}")
    return found


class _Planner:
    """One plan in the making: the pool, the goals, and how much of the human quota each image uses up."""

    def __init__(self, pool: Pool, floor: float, human_ratio: float) -> None:
        self.pool = pool
        self.floor = floor
        own = ~pool.reserve
        human = pool.human
        known = human | pool.ai
        if human[own].mean() >= human_ratio:
            # The share of all images holds: whatever is not verified human uses it up.
            self.quota = human_ratio
            self.claim = self.quota - human.astype(float)
        else:
            # It does not: among the images of known origin it must not fall below the quota or what it is.
            share = float(human[own & known].mean()) if (own & known).any() else 0.0
            self.quota = min(human_ratio, share)
            self.claim = np.where(known, self.quota - human, 0.0)

    def run(self, start: NDArray[np.intp], reasons: list[str]) -> tuple[NDArray[np.intp], str, float]:
        """Retrieve, then re-weight, until the floor is cleared."""
        chosen, methods, gap = start, [], math.nan
        if self.pool.reserve.any():
            more = self.retrieve(start)
            if len(more) > len(start):
                chosen, methods = more, ["retrieve"]
            else:
                reasons.append("the reserve holds nothing on support that is rarer than the set itself")
            if self.pool.index(chosen).lower >= self.floor:
                return chosen, "+".join(methods), gap
        found = self.reweight()
        if found is None:
            reasons.append("too few different images on support to thin out")
            return chosen, "+".join(methods) or "none", gap
        thinned, gap, optimum = found
        if self.pool.index(thinned).lower > self.pool.index(chosen).lower:
            chosen, methods = thinned, [*methods, "reweight"]
        if self.pool.index(chosen).lower < self.floor:
            reasons.append(
                f"the floor {self.floor:.2f} is out of reach: no weighting of these images holds more than "
                f"{optimum:.1f} styles; bring in others: inject_diversity(dataset, reserve=…)"
            )
        return chosen, "+".join(methods) or "none", gap

    def retrieve(self, start: NDArray[np.intp]) -> NDArray[np.intp]:
        """Add the reserve's rarest images, a few at a time, while they are rarer than the set is alike."""
        pool = self.pool
        every = np.arange(len(pool.uris))
        left = np.setdiff1d(pool.keepers(every), start)
        left = left[pool.on[left] & ~np.isin(pool.cluster[left], pool.cluster[start])]
        chosen = start
        own = pool.keepers(start)
        mine = Pictures(pool.panel, pool.whitened[own], pool.on[own])
        moment = mine.moment(np.ones(len(own)))
        weight, used = float(len(own)), float(self.claim[start].sum())
        allowed = max(0.0, used)
        batch = max(1, len(own) // 50)
        while len(left):
            theirs = Pictures(pool.panel, pool.whitened[left], pool.on[left])
            common = theirs.commonness(moment) / weight
            purity = float(np.einsum("ij,ij->", moment, moment)) / weight**2
            order = np.argsort(common, kind="stable")
            order = order[common[order] < purity][:batch]
            take, used = self._within(left[order], used, allowed)
            if not len(take):
                break
            mask = np.isin(left, take)
            moment += theirs.moment(mask.astype(float))
            weight += len(take)
            chosen, left = np.concatenate((chosen, take)), left[~mask]
            # The interval costs as much as the step: it is asked for once the value is there.
            if -math.log(purity) >= self.floor * math.log(pool.panel.reference) and (
                pool.index(chosen).lower >= self.floor
            ):
                break
        return np.sort(chosen)

    def _within(
        self, images: NDArray[np.intp], used: float, allowed: float
    ) -> tuple[NDArray[np.intp], float]:
        """Those images, human first, that leave the quota whole."""
        take = []
        for i in images[np.argsort(self.claim[images], kind="stable")]:
            if self.claim[i] <= 0 or used + self.claim[i] <= allowed + 1e-9:
                take.append(int(i))
                used += float(self.claim[i])
        return np.array(take, np.intp), used

    def reweight(self) -> tuple[NDArray[np.intp], float, float] | None:
        """The largest subset, on support and without near-copies, whose index clears the floor.

        Returns:
            The images, the duality gap of the weighting behind them, and the largest effective number of
            styles that any weighting at this cap can have. None: fewer than four candidates.
        """
        pool = self.pool
        among = pool.keepers(np.arange(len(pool.uris)))
        among = among[pool.on[among]]
        least = max(4, math.ceil(LEAST * len(among)))
        if len(among) < 4:
            return None
        pictures = Pictures(pool.panel, pool.whitened[among], pool.on[among])
        claim = self.claim[among]
        optimum = minimise(pictures, least, claim)
        best, best_lower = None, -1.0
        sizes = np.unique(np.geomspace(len(among), least, _SIZES).round().astype(int))[::-1]
        # Most weight first, then the rarest against the optimum: one order serves every size.
        cost = np.where(optimum.weights > 1e-12, -1.0 - optimum.weights, optimum.commonness)
        for count in sizes:
            _, picked = cheapest(cost, int(count), claim)
            subset = np.sort(among[picked])
            lower = pool.index(subset).lower
            if lower > best_lower:
                best, best_lower = subset, lower
            if lower >= self.floor:
                break
        assert best is not None  # noqa: S101  # there is at least one size
        if best_lower >= self.floor and len(best) > least:
            # The certificate for the size that was chosen.
            optimum = minimise(pictures, len(best), claim)
        bound = max(optimum.purity - optimum.gap, 1e-300)
        return best, optimum.gap, 1.0 / bound
