"""`compose`: how much to take of several pools under the policy, and what the policy costs."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from genepool.errors import PolicyError, UsageError
from genepool.injection._blend import Blend, Programme, solve
from genepool.injection._groups import REASONS, Stock, stock_of
from genepool.injection._pool import scanned

if TYPE_CHECKING:
    from pathlib import Path

    from genepool.config import Config
    from genepool.dataset import Dataset, Manifest
    from genepool.diversity import StyleEstimate
    from genepool.store import Workspace

__all__ = ["Composition", "Price", "Serving", "compose"]


@dataclass(frozen=True, slots=True)
class Serving:
    """How much is taken of one group of images.

    Attributes:
        pool: The pool's uri.
        label: Cohort, model, or what is known.
        kind: ``human``, ``model`` or ``unknown``.
        generation: ``(lo, hi)``; hi None = no upper end.
        retention: Expected retention of its lineage, in [0, 1].
        available, taken: Images.
        worth: What one image more of it would add to the score, per image of the set; 0 where not all of it
            is taken.
        reason: Why none of it may be taken; empty: it may.
    """

    pool: str
    label: str
    kind: str
    generation: tuple[int, int | None]
    retention: float
    available: int
    taken: int
    worth: float
    reason: str

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {**{k: getattr(self, k) for k in self.__slots__}, "generation": list(self.generation)}


@dataclass(frozen=True, slots=True)
class Price:
    """What one constraint of the policy costs.

    Attributes:
        constraint: ``human_ratio``, or a reason for which images are left out.
        binding: Whether the blend would be better without it.
        multiplier: Score lost per percentage point of the human quota at the optimum; NaN elsewhere.
        score, retention, styles: Of the best blend without it (styles: effective number).
        images: Images that it keeps out; for the quota, human images that it asks for.
    """

    constraint: str
    binding: bool
    multiplier: float
    score: float
    retention: float
    styles: float
    images: int

    def to_json(self) -> dict[str, Any]:
        """Plain data; NaN as null."""
        found = {k: getattr(self, k) for k in self.__slots__}
        return {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in found.items()}


@dataclass(frozen=True, slots=True, eq=False)
class Composition:
    """The blend.

    Attributes:
        size: Images.
        score: (1 − β)·retention − β·purity, purity relative to the pools taken as they are; larger is better.
        gap: How far below the best possible score it can be at most (before rounding to whole images).
        retention: Mean expected retention of what is taken.
        human: Verified human share.
        mean_generation: Mean of the lower ends.
        styles: Effective number of styles that the plan expects.
        diversity: The style diversity index of the chosen images.
        servings: One for each group, those that are taken first.
        prices: One for each constraint.
        chosen: Uris of the chosen images, one tuple a pool.
        pools: The pools.
    """

    size: int
    score: float
    gap: float
    retention: float
    human: float
    mean_generation: float
    styles: float
    diversity: StyleEstimate
    servings: tuple[Serving, ...]
    prices: tuple[Price, ...]
    chosen: tuple[tuple[str, ...], ...]
    pools: tuple[Dataset, ...]
    _digests: tuple[dict[str, bytes], ...]
    _places: tuple[Workspace, ...]

    def dataset(self) -> Dataset:
        """The chosen images as one dataset, uris prefixed by the number of their pool."""
        from genepool.dataset import union

        return union([pool.select(uris) for pool, uris in zip(self.pools, self.chosen, strict=True)])

    def export(self, out: str | Path, *, format: str = "folder") -> Manifest:
        """Write the chosen images, byte for byte, and let the new set read the pools' logs.

        Raises:
            UsageError: ``out`` is not empty, or lies inside a pool.
            CannotFinish: No room, no permission.
        """
        from genepool import dataset, store

        expected = {
            f"{number}/{uri}": digest
            for number, digests in enumerate(self._digests)
            for uri, digest in digests.items()
        }
        manifest = dataset.export(self.dataset(), expected, out, format=format, sha256=expected)
        fresh = store.workspace_for(dataset.open(str(out)))
        for place in self._places:
            for log in place.linkable():
                if str(log) != str(fresh.ledger):
                    fresh.link(log)
        return manifest

    def to_json(self) -> dict[str, Any]:
        """Plain data, ``genepool.composition/1``, without the list of images."""
        plain = {k: getattr(self, k) for k in ("size", "score", "gap", "retention", "human", "styles")}
        return {
            "schema": "genepool.composition/1",
            **plain,
            "mean_generation": self.mean_generation,
            "diversity": self.diversity.to_json(),
            "pools": [pool.uri for pool in self.pools],
            "servings": [serving.to_json() for serving in self.servings],
            "prices": [price.to_json() for price in self.prices],
        }


def compose(
    pools: Iterable[Any],
    size: int,
    *,
    balance: float = 0.5,
    human_ratio: float | None = None,
    workspace: str | Path | None = None,
    config: Config | None = None,
) -> Composition:
    """Choose how much of each cohort and model to take of several pools.

    The blend maximises expected retention and style diversity under the policy: the human quota, the
    generation rule, opt-outs, no image twice. Within a group, images are drawn by their digest: at
    random, and the same ones every time.

    Args:
        pools: Anything that `genepool.open` takes, several of them.
        size: Images wanted, at least 2.
        balance: β in [0, 1]: 1 looks at diversity only, 0 at retention only.
        human_ratio: Least verified human share; None: ``policy.human_ratio``.
        workspace: Where results are kept; None: beside each pool.
        config: Policy; None: ``genepool.toml`` of the current folder, else the defaults.

    Raises:
        UsageError: No pool, a size below 2, a balance or ratio outside [0, 1].
        PolicyError: Under the policy the pools do not hold that many images, or no human ones.
        SourceError: Nothing to read in a pool.
    """
    from genepool import config as configs
    from genepool import dataset as datasets
    from genepool.diversity import StyleDiversityIndex

    settings = config or configs.load()
    quota = settings.policy.human_ratio if human_ratio is None else human_ratio
    opened = tuple(datasets.open(pool) for pool in pools)
    if not opened:
        raise UsageError("compose: expected at least one pool, found none")
    if size < 2:
        raise UsageError(f"compose: expected a size of at least 2, found {size}")
    for name, value in (("balance", balance), ("human_ratio", quota)):
        if not 0 <= value <= 1:
            raise UsageError(f"compose: expected {name} in [0, 1], found {value}")
    parts = [scanned(pool, workspace, settings) for pool in opened]
    stock = stock_of(parts, StyleDiversityIndex(config=settings).panel, settings)
    return _Composer(stock, size, balance, quota).run(opened, tuple(place for _, place in parts))


class _Composer:
    def __init__(self, stock: Stock, size: int, balance: float, quota: float) -> None:
        self.stock, self.size = stock, size
        groups = stock.groups
        self.counts = np.array([len(g.rows) for g in groups], np.int64)
        self.free = np.array([not g.reason for g in groups], bool)
        self.human = np.array([g.kind == "human" for g in groups], bool)
        self.retention = np.array([g.retention for g in groups], np.float64)
        credit = self.retention * np.array([g.weight for g in groups], np.float64)
        self._feasible(quota)
        base = self.counts * self.free / max(1, int(self.counts[self.free].sum()))
        self.ask = Programme(
            similarity=stock.similarity,
            scale=max(float(base @ stock.similarity @ base), 1e-12),
            retention=np.minimum(credit, 1.0),
            balance=balance,
            cap=np.minimum(self.counts * self.free / size, 1.0),
            human=self.human,
            # A whole number of images: the quota of the set as it will be.
            quota=math.ceil(quota * size - 1e-9) / size,
        )

    def _feasible(self, quota: float) -> None:
        total, human = (int(self.counts[mask].sum()) for mask in (self.free, self.free & self.human))
        if quota > 0 and human == 0:
            raise PolicyError(
                f"compose: expected verified human images, found none among {int(self.counts.sum()):,}",
                hint="genepool register human FOLDER --workspace POOL.genepool",
            )
        most = min(total, math.floor(human / quota + 1e-9)) if quota > 0 else total
        if self.size <= most:
            return
        left: dict[str, int] = {}
        for group in self.stock.groups:
            if group.reason:
                left[group.reason] = left.get(group.reason, 0) + len(group.rows)
        why = f"{human:,} of {total:,} usable images are verified human, and {quota:.0%} must be"
        if most == total:
            why = f"{total:,} may be used"
        gone = ", ".join(f"{n:,} by {reason}" for reason, n in left.items())
        raise PolicyError(
            f"compose: expected pools for {self.size:,} images, found enough for {most:,}: {why}"
            + (f"; left out: {gone}" if gone else ""),
            hint=f"--size {most}" if most >= 2 else "add human work: genepool register human FOLDER",
        )

    def run(self, pools: tuple[Dataset, ...], places: tuple[Workspace, ...]) -> Composition:
        blend = solve(self.ask)
        assert blend is not None  # noqa: S101  # checked by _feasible
        taken = self._whole(blend.shares)
        rows = self._draw(taken)
        images = self.stock.images
        starts = self.stock.starts
        chosen, digests = [], []
        for k in range(len(pools)):
            mine = rows[(rows >= starts[k]) & (rows < starts[k + 1])]
            chosen.append(tuple(images.uris[i] for i in mine))
            digests.append({images.uris[i]: bytes.fromhex(self.stock.digests[i]) for i in mine})
        share = taken / self.size
        lows = np.array([g.generation[0] for g in self.stock.groups], np.float64)
        return Composition(
            size=self.size,
            score=-self.ask.value(share),
            gap=blend.gap,
            retention=float(self.retention @ share),
            human=float(share[self.human].sum()),
            mean_generation=float(lows @ share),
            styles=self._styles(share),
            diversity=images.index(rows),
            servings=self._servings(taken, blend, pools),
            prices=tuple(self._prices(blend)),
            chosen=tuple(chosen),
            pools=pools,
            _digests=tuple(digests),
            _places=places,
        )

    def _styles(self, share: NDArray[np.float64]) -> float:
        return 1.0 / max(float(share @ self.ask.similarity @ share), 1e-12)

    def _whole(self, shares: NDArray[np.float64]) -> NDArray[np.int64]:
        """Whole images: largest remainders, the human quota first, no group beyond what it holds."""
        cap = self.counts * self.free
        exact = shares * self.size
        taken = np.minimum(np.floor(exact + 1e-9).astype(np.int64), cap)
        need = math.ceil(self.ask.quota * self.size - 1e-6)
        order = np.argsort(-(exact - taken), kind="stable")
        for human_only in (True, False):
            for _ in range(2 * self.size):
                if int(taken.sum()) >= self.size or (human_only and int(taken[self.human].sum()) >= need):
                    break
                room = [i for i in order if taken[i] < cap[i] and (self.human[i] or not human_only)]
                left = self.size - int(taken.sum())
                for i in room[:left]:
                    if human_only and int(taken[self.human].sum()) >= need:
                        break
                    taken[i] += 1
        return np.asarray(taken)

    def _draw(self, taken: NDArray[np.int64]) -> NDArray[np.int64]:
        rows = []
        for group, count in zip(self.stock.groups, taken.tolist(), strict=True):
            drawn = sorted(group.rows.tolist(), key=lambda i: self.stock.digests[i])
            rows += drawn[:count]
        return np.array(sorted(rows), np.int64)

    def _servings(
        self, taken: NDArray[np.int64], blend: Blend, pools: Sequence[Dataset]
    ) -> tuple[Serving, ...]:
        found = [
            Serving(
                pools[g.pool].uri,
                g.label,
                g.kind,
                g.generation,
                g.retention,
                len(g.rows),
                int(taken[k]),
                float(blend.cap_prices[k]) if not g.reason else 0.0,
                g.reason,
            )
            for k, g in enumerate(self.stock.groups)
        ]
        return tuple(sorted(found, key=lambda s: (bool(s.reason), -s.taken, s.pool, s.label)))

    def _prices(self, blend: Blend) -> Iterable[Price]:
        """The best blend once more without each constraint."""
        if self.ask.quota > 0:
            needed = math.ceil(self.ask.quota * self.size - 1e-6)
            yield self._price(
                "human_ratio", replace(self.ask, quota=0.0), blend, blend.human_price / 100, needed
            )
        for reason in REASONS:
            here = np.array([g.reason == reason for g in self.stock.groups], bool)
            if here.any():
                cap = np.minimum(self.counts * (self.free | here) / self.size, 1.0)
                yield self._price(
                    reason, replace(self.ask, cap=cap), blend, math.nan, int(self.counts[here].sum())
                )

    def _price(self, name: str, ask: Programme, blend: Blend, multiplier: float, images: int) -> Price:
        other = solve(ask)
        assert other is not None  # noqa: S101  # fewer constraints than a feasible programme
        better = blend.value - other.value > max(1e-6, blend.gap + other.gap)
        return Price(
            name,
            better,
            multiplier,
            -other.value,
            float(self.retention @ other.shares),
            self._styles(other.shares),
            images,
        )
