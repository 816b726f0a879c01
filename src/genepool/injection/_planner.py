"""One plan in the making: what comes in from the reserve, what is thinned out, and why no more of it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from genepool.injection._convex import Pictures, minimise
from genepool.injection._facility import representatives
from genepool.injection._linear import cheapest

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from genepool.injection._pool import Pool

__all__ = ["LEAST", "Planner"]

LEAST = 0.25
"""Re-weighting keeps at least this share of the images that are no near-copies."""
_SIZES = 12
_BATCH = 512
_SHORTLIST = 4


class Planner:
    """The pool, the goals, and how much of each quota an image uses up.

    Args:
        pool: The set and the reserve.
        floor: Index that the lower bound should reach.
        human_ratio: Verified human share that must not be undercut.
        drop: By how much mean quality may fall, in its own unit.

    Attributes:
        claim: ``(n,)`` quota − 1 for a human image, the quota for another: a choice keeps it where the sum is
            ≤ 0.
        demands: ``(k, n)`` the claim and, where quality is known, the least mean quality − that of each
            image.
        found: What was found out on the way: reason → images of the reserve that it kept out.
        optimum: Largest effective number of styles that any weighting of the candidates can have; NaN: not
            asked.
        gap: Duality gap of the weighting behind the choice.
    """

    def __init__(self, pool: Pool, floor: float, human_ratio: float, drop: float = math.inf) -> None:
        self.pool = pool
        self.floor = floor
        self.found: dict[str, int] = {}
        self.optimum = self.gap = math.nan
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
        rows = [self.claim]
        quality = pool.quality
        if quality is not None and quality.known and math.isfinite(drop):
            rows.append(float(quality.values[own].mean()) - drop - quality.values)
        self.demands = np.stack(rows)
        # What is rare by itself may be art or accident: it comes in, or stays in a thinned set, if a person
        # made it or says so.
        self.welcome = pool.free & pool.on & (~pool.outlying | pool.vouched)

    def run(self, start: NDArray[np.intp], reasons: list[str]) -> tuple[NDArray[np.intp], str]:
        """Retrieve, then re-weight, until the floor is cleared."""
        chosen, methods = start, []
        if self.pool.reserve.any():
            more = self.retrieve(start)
            if len(more) > len(start):
                chosen, methods = more, ["retrieve"]
            reasons += self._about_reserve(len(more) - len(start))
            if self.pool.index(chosen).lower >= self.floor:
                return chosen, "+".join(methods)
        thinned = self.reweight()
        if thinned is None:
            reasons.append(
                "too few different images on support to thin out under the human share and quality"
            )
            return chosen, "+".join(methods) or "none"
        if self.pool.index(thinned).lower > self.pool.index(chosen).lower:
            chosen, methods = thinned, [*methods, "reweight"]
        if self.pool.index(chosen).lower < self.floor:
            reasons.append(
                f"the floor {self.floor:.2f} is out of reach: no weighting of these images holds more than "
                f"{self.optimum:.1f} styles, and {self._needed():.1f} are needed; bring in others: "
                "inject_diversity(dataset, reserve=…)"
            )
        return chosen, "+".join(methods) or "none"

    def _needed(self) -> float:
        return float(self.pool.panel.reference**self.floor)

    def _about_reserve(self, taken: int) -> list[str]:
        total = int(self.pool.reserve.sum())
        why = ", ".join(f"{count:,} {reason}" for reason, count in self.found.items() if count)
        if taken:
            return [
                f"{taken:,} of {total:,} images of the reserve come in"
                + (f"; left out: {why}" if why else "")
            ]
        why = f": {why}" if why else ""
        return [f"of {total:,} images of the reserve none may come in that is rarer than the set itself{why}"]

    # ------------------------------------------------------------------------------------ retrieve

    def candidates(self, start: NDArray[np.intp]) -> NDArray[np.intp]:
        """Images of the reserve that may come in, one of each cluster; counts the others by reason."""
        pool = self.pool
        reserve = np.flatnonzero(pool.reserve)
        fresh = np.isin(reserve, pool.keepers(np.arange(len(pool.uris))))
        fresh &= ~np.isin(pool.cluster[reserve], pool.cluster[start])
        free, on = pool.free[reserve], pool.on[reserve]
        gates = (
            ("repeat an image", ~fresh),
            ("off support", ~on),
            ("of too high a generation, unknown generation or against the owner's wish", ~free),
            ("outliers that nobody vouches for", ~self.welcome[reserve]),
        )
        left = np.ones(len(reserve), bool)
        for reason, out in gates:
            self.found[reason] = int((left & out).sum())
            left &= ~out
        return reserve[left]

    def retrieve(self, start: NDArray[np.intp]) -> NDArray[np.intp]:
        """Add the reserve's rarest images, a few at a time, while they are rarer than the set is alike.

        First-order condition: an image raises the index where its mean similarity to the set is below the
        set's own purity. Of those, the rarest come first, and each batch is spread over them by facility
        location.
        """
        pool = self.pool
        reserve = self.candidates(start)
        theirs = Pictures(pool.panel, pool.whitened[reserve], pool.on[reserve])
        chosen, own = start, pool.keepers(start)
        moment = Pictures(pool.panel, pool.whitened[own], pool.on[own]).moment(np.ones(len(own)))
        weight, used = float(len(own)), self.demands[:, start].sum(axis=1)
        allowed = np.maximum(0.0, used)
        batch = min(_BATCH, max(1, len(own) // 50))
        self.found["as common as the set itself"] = self.found[
            "not within the human share or the quality"
        ] = 0
        left = np.ones(len(reserve), bool)
        alike = theirs.commonness(moment)
        while left.any():
            purity = float(np.einsum("ij,ij->", moment, moment)) / weight**2
            rare = np.flatnonzero(left & (alike / weight < purity))
            if not len(rare):
                self.found["as common as the set itself"] = int(left.sum())
                break
            rare = self._spread(theirs, rare[np.argsort(alike[rare], kind="stable")], batch)
            take, used = self._within(reserve[rare], used, allowed)
            if not len(take):
                self.found["not within the human share or the quality"] = int(left.sum())
                break
            new = np.flatnonzero(np.isin(reserve, take))
            left[new] = False
            moment += theirs.moment(np.isin(np.arange(len(reserve)), new).astype(float))
            alike += theirs.likeness(new)
            weight += len(take)
            chosen = np.concatenate((chosen, take))
            # The interval costs as much as the step: it is asked for once the value is there.
            if -math.log(purity) >= self.floor * math.log(pool.panel.reference) and (
                pool.index(chosen).lower >= self.floor
            ):
                break
        return np.sort(chosen)

    def _spread(self, pictures: Pictures, order: NDArray[np.intp], batch: int) -> NDArray[np.intp]:
        """The next batch: of the rarest, those that stand for all of them."""
        short = order[: max(_SHORTLIST * batch, 8)]
        if len(short) <= batch or batch < 2:
            # One by one, or all of them: nothing to spread.
            return short[:batch]
        return np.asarray(short[representatives(pictures.similarity(short), batch)])

    def _within(
        self, images: NDArray[np.intp], used: NDArray[np.float64], allowed: NDArray[np.float64]
    ) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
        """Those images, human first, that leave every quota whole."""
        take = []
        used = used.copy()
        for i in images[np.argsort(self.claim[images], kind="stable")]:
            after = used + self.demands[:, i]
            if ((after <= allowed + 1e-9) | (self.demands[:, i] <= 0)).all():
                take.append(int(i))
                used = after
        return np.array(take, np.intp), used

    # ------------------------------------------------------------------------------------ re-weight

    def reweight(self) -> NDArray[np.intp] | None:
        """The largest subset, on support and without near-copies, whose index clears the floor.

        Returns:
            The images; `gap` and `optimum` are set. None: fewer than four candidates that keep the quotas.
        """
        pool = self.pool
        among = pool.keepers(np.arange(len(pool.uris)))
        among = among[self.welcome[among] | (pool.on & pool.free & ~pool.reserve)[among]]
        # With the images that add to the human share first: so many at most can keep it.
        most = int((np.cumsum(np.sort(self.claim[among])) <= 1e-9 * len(among)).sum())
        if most < 4:
            return None
        least = min(most, max(4, math.ceil(LEAST * len(among))))
        pictures = Pictures(pool.panel, pool.whitened[among], pool.on[among])
        demands = self.demands[:, among]
        optimum = minimise(pictures, least, demands)
        sizes = np.unique(np.geomspace(most, least, _SIZES).round().astype(int))[::-1]
        # Most weight first, then the rarest against the optimum: one order serves every size.
        cost = np.where(optimum.weights > 1e-12, -1.0 - optimum.weights, optimum.commonness)

        def subset(count: int) -> tuple[NDArray[np.intp], float]:
            rows = cheapest(cost, count, demands)[1]
            picked = np.sort(among[rows])
            # So many images cannot meet the quotas: there are too few human ones, or good ones.
            whole = bool((demands[:, rows].sum(axis=1) <= 1e-6 * count).all())
            return picked, pool.index(picked).lower if whole else -1.0

        best, lower = subset(int(sizes[-1]))
        if lower < self.floor:
            # Fewer images widen the interval: the best bound may lie in between.
            for count in sizes[:-1:3]:
                trial, bound = subset(int(count))
                if bound > lower:
                    best, lower = trial, bound
            sizes = sizes[-1:]
        if lower < 0:
            return None
        # The index falls with the size: the largest one that clears the floor, by bisection.
        low, high = 0, len(sizes) - 1
        while lower >= self.floor and low < high:
            middle = (low + high) // 2
            trial, bound = subset(int(sizes[middle]))
            if bound >= self.floor:
                best, high = trial, middle
            else:
                low = middle + 1
        if len(best) > least:
            # The certificate for the size that was chosen.
            start = _capped(optimum.weights, len(best), demands)
            optimum = minimise(pictures, len(best), demands, start=start)
        self.gap = optimum.gap
        self.optimum = 1.0 / max(optimum.purity - optimum.gap, 1e-300)
        return best


def _capped(
    weights: NDArray[np.float64], count: int, demands: NDArray[np.float64]
) -> NDArray[np.float64] | None:
    """The weights under a lower cap, as a start, where that keeps the demands; None otherwise."""
    cap = 1.0 / count
    now = np.minimum(weights, cap)
    for _ in range(50):
        short = 1.0 - now.sum()
        if short <= 1e-12:
            break
        room = (now < cap - 1e-15) & (weights > 0)
        if not room.any():
            room = now < cap - 1e-15
        now = np.minimum(now + room * short / max(1, int(room.sum())), cap)
    good = abs(now.sum() - 1.0) < 1e-9 and (demands @ now <= 1e-9).all()
    return now if good else None
