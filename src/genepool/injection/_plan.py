"""Plan first, then do: what would change, by how much, and why it is allowed."""

from __future__ import annotations

import hashlib
import logging
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from genepool.errors import UsageError
from genepool.injection._planner import Planner
from genepool.injection._pool import Pool, load, scanned
from genepool.injection._quality import Change, Quality, measure_quality, no_quality
from genepool.injection._transfers import Transfer, choose_transfers

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from genepool.config import Config
    from genepool.dataset import Dataset
    from genepool.diversity import StyleEstimate
    from genepool.injection._apply import Injected
    from genepool.store import Catalogue, Workspace

__all__ = ["DROP", "InjectionPlan", "plan_injection"]

DROP = 0.05
"""Share of the quality's scale by which mean quality may fall."""
_log = logging.getLogger("genepool.injection")


@dataclass(frozen=True, slots=True, eq=False)
class InjectionPlan:
    """What `inject_diversity` would do to a dataset.

    Attributes:
        accepted: Whether it may be carried out: the index's lower bound rises, the human share holds, and
            mean quality falls by no more than it may. With transfers the last word is spoken when they are
            made.
        method: Steps joined by ``+``: ``retrieve``, ``reweight``, ``transfer``; or ``none``.
        before, after: The index of the set as it is and as it would be, transfers left out: what they are
            worth is measured once they exist.
        kept: Uris of the dataset that stay.
        dropped: Uris of the dataset that go.
        added: Uris of the reserve that come in.
        outliers: Of those, how many are outliers: on support, but far from every style of the panel.
        transfers: Pictures that would be made.
        human: Verified human share of all images, before and after (transfers counted as machine-made).
        quality: Change of mean quality; None: not known, `reasons` say why.
        gap: How far above the least possible purity the weighting behind the choice is at most; NaN where
            nothing was re-weighted.
        optimum: Largest effective number of styles that any weighting at that cap can have; NaN likewise.
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
    outliers: int
    transfers: tuple[Transfer, ...]
    human: tuple[float, float]
    quality: Change | None
    gap: float
    optimum: float
    reasons: tuple[str, ...]
    _work: _Work | None = field(default=None, repr=False)

    def apply(self) -> Dataset:
        """The dataset after the plan, without copying anything; as it was where the plan is not accepted.

        Transfers need a place to be written to: `write`.
        """
        from genepool.dataset import union

        if not self.accepted:
            return self.dataset
        kept = self.dataset.select(self.kept) if self.dropped else self.dataset
        if not self.added or self.reserve is None:
            return kept
        return union([kept, self.reserve.select(self.added)])

    def write(
        self,
        out: str | Path,
        *,
        format: str = "folder",
        progress: Callable[[int, int], None] | None = None,
    ) -> Injected:
        """Carry the plan out: make the transfers, measure, register them, write the new set.

        See `genepool.injection.write_injection`.
        """
        from genepool.injection._apply import write_injection

        return write_injection(self, out, format=format, progress=progress)

    @property
    def digest(self) -> str:
        """SHA-256 over what the plan does: two plans with the same digest write the same set."""
        text = hashlib.sha256(f"{self.dataset.uri}\n{self.reserve and self.reserve.uri}\n".encode())
        for uris in (self.kept, self.added):
            text.update(("\n".join(uris) + "\n\n").encode())
        for transfer in self.transfers:
            text.update(f"{transfer.to_json()}\n".encode())
        return text.hexdigest()

    def to_json(self) -> dict[str, Any]:
        """Plain data, ``genepool.injection/1``; NaN as null."""
        numbers = {
            k: v if math.isfinite(v) else None
            for k, v in (("gap", self.gap), ("styles_at_most", self.optimum))
        }
        return {
            "schema": "genepool.injection/1",
            "dataset": self.dataset.uri,
            "reserve": None if self.reserve is None else self.reserve.uri,
            "accepted": self.accepted,
            "method": self.method,
            "before": self.before.to_json(),
            "after": self.after.to_json(),
            "human": {"before": self.human[0], "after": self.human[1]},
            "quality": None if self.quality is None else self.quality.to_json(),
            **numbers,
            "n_kept": len(self.kept),
            "outliers": self.outliers,
            "dropped": list(self.dropped),
            "added": list(self.added),
            "transfers": [transfer.to_json() for transfer in self.transfers],
            "reasons": list(self.reasons),
            "digest": self.digest,
        }


@dataclass(slots=True, eq=False)
class _Work:
    """What a plan was made from, kept for carrying it out."""

    pool: Pool
    planner: Planner
    start: NDArray[np.intp]
    chosen: NDArray[np.intp]
    parts: list[tuple[Catalogue, Workspace]]
    config: Config
    drop: float
    style: str = ""


def plan_injection(
    dataset: Any,
    *,
    reserve: Any = None,
    floor: float | None = None,
    human_ratio: float | None = None,
    quality_drop: float | None = None,
    transfers: int = 0,
    style: str = "strokes",
    seed: int = 0,
    workspace: str | Path | None = None,
    config: Config | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> InjectionPlan:
    """Plan how a dataset's style diversity can be raised.

    With a reserve, its rarest images come first: whatever is less common than the set's own mean similarity
    raises the index (first-order condition of the purity); each batch is spread by facility location. If that
    is not enough, or there is no reserve, over-represented styles are thinned out: the weights of least
    purity under the human quota and the floor of quality, found by Frank–Wolfe, rounded to the largest subset
    that clears the floor. Nothing is ever repeated. Images off the panel's support, of too high or unknown a
    generation, against their owner's wish, and outliers that no person made or vouched for, are never brought
    in.

    Args:
        dataset: Anything that `genepool.open` takes.
        reserve: Further images to draw on, likewise.
        floor: Index that the lower bound should reach; None: ``policy.diversity``.
        human_ratio: Verified human share that must not be undercut; None: ``policy.human_ratio``. Where the
            set does not reach it, its own share must not fall.
        quality_drop: By how much mean quality may fall, in its own unit; None: 5 % of its scale (5 points of
            PIQE, half a point of votes); infinity: quality is not looked at.
        transfers: Pictures to make by style transfer from under-represented artists.
        style: Plug-in that makes them, ``name`` or ``name:argument``.
        seed: Of whatever is drawn at random.
        workspace: Where results are kept; None: beside the dataset.
        config: Settings; None: ``genepool.toml`` of the current folder, else the defaults.
        progress: Called as ``progress(done, total)`` while quality is measured.

    Raises:
        UsageError: A floor or a ratio outside [0, 1], a negative number.
        SourceError: Nothing to read.
        MeasureError: Fewer than two images.
        PluginError: There is no such style.
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
    if transfers < 0 or (quality_drop is not None and not quality_drop >= 0):
        raise UsageError(
            f"expected transfers and quality_drop of at least 0, found {transfers} and {quality_drop}"
        )
    opened = datasets.open(dataset)
    store = None if reserve is None else datasets.open(reserve)
    parts = [scanned(part, workspace, settings) for part in (opened, store) if part is not None]
    quality = _quality(parts, quality_drop, progress)
    drop = DROP * quality.scale if quality_drop is None else quality_drop
    pool = load(parts, StyleDiversityIndex(config=settings).panel, settings, quality)
    planner = Planner(pool, floor, human_ratio, drop)
    plan, work = decide(planner, opened, store, drop)
    work.parts, work.config = parts, settings
    if transfers:
        plan = _with_transfers(plan, work, transfers, style, seed)
    return plan


def _quality(
    parts: list[tuple[Catalogue, Workspace]],
    drop: float | None,
    progress: Callable[[int, int], None] | None,
) -> Quality:
    if drop is not None and math.isinf(drop):
        return no_quality(sum(catalogue.n for catalogue, _ in parts), "quality is not looked at, as asked")
    return measure_quality(parts, progress)


def decide(
    planner: Planner, opened: Dataset, store: Dataset | None, drop: float = math.inf
) -> tuple[InjectionPlan, _Work]:
    """The plan without transfers."""
    pool, start = planner.pool, np.flatnonzero(~planner.pool.reserve)
    before = pool.index(start)
    chosen, method, reasons = start, "none", []
    if before.lower >= planner.floor:
        reasons.append(
            f"nothing to do: the index is at least {before.lower:.2f}, the floor {planner.floor:.2f}"
        )
    else:
        chosen, method = planner.run(start, reasons)
    after = pool.index(chosen) if method != "none" else before
    shares = float(pool.human[start].mean()), float(pool.human[chosen].mean())
    change = None if pool.quality is None else pool.quality.change(start, chosen)
    refused = ["nothing changed"]
    if method != "none":
        refused = list(objections(planner, before, after, start, chosen, change, drop))
        reasons += refused
        reasons.append(
            f"{method}: index {before.value:.2f} [{before.lower:.2f}, {before.upper:.2f}] → "
            f"{after.value:.2f} [{after.lower:.2f}, {after.upper:.2f}], floor {planner.floor:.2f}, images "
            f"{len(start)} → {len(chosen)}, verified human {shares[0]:.2f} → {shares[1]:.2f}"
        )
        if pool.quality is not None and pool.quality.note:
            reasons.append(pool.quality.note)
    stay = np.zeros(len(pool.uris), bool)
    stay[chosen] = True
    plan = InjectionPlan(
        dataset=opened,
        reserve=store,
        accepted=not refused,
        method=method,
        before=before,
        after=after,
        kept=_uris(pool, stay & ~pool.reserve),
        dropped=_uris(pool, ~stay & ~pool.reserve),
        added=_uris(pool, stay & pool.reserve),
        outliers=int((stay & pool.reserve & pool.outlying).sum()),
        transfers=(),
        human=shares,
        quality=change,
        gap=planner.gap,
        optimum=planner.optimum,
        reasons=tuple(reasons),
    )
    for reason in reasons:
        _log.info("%s: %s", opened.uri, reason)
    work = _Work(pool, planner, start, chosen if not refused else start, [], None, drop)  # type: ignore[arg-type]
    return _replaced(plan, _work=work), work


def _with_transfers(plan: InjectionPlan, work: _Work, wanted: int, style: str, seed: int) -> InjectionPlan:
    """The same plan with pictures to be made on top of it."""
    reasons = list(plan.reasons)
    work.style = style
    transfers = choose_transfers(
        work.pool, work.planner, work.chosen, work.parts, work.config, wanted, style, seed, reasons
    )
    if not transfers:
        return _replaced(plan, reasons=tuple(reasons))
    total = len(work.chosen) + len(transfers)
    human = plan.human[0], float(work.pool.human[work.chosen].sum()) / total
    method = "transfer" if not plan.accepted else f"{plan.method}+transfer"
    reasons.append(
        f"transfer: {len(transfers):,} pictures after {len({t.artist for t in transfers}):,} "
        f"under-represented artists or styles, verified human {human[1]:.2f} if all are taken; each counts "
        "as machine-made and is taken only if it is rarer than the set, on support and nearer its artist "
        "than its source"
    )
    if not plan.accepted:
        work.chosen = work.start
        plan = _replaced(
            plan,
            kept=_uris(work.pool, ~work.pool.reserve),
            dropped=(),
            added=(),
            outliers=0,
            after=plan.before,
            quality=None,
        )
    return _replaced(
        plan, accepted=True, method=method, transfers=transfers, human=human, reasons=tuple(reasons)
    )


def _replaced(plan: InjectionPlan, **changes: Any) -> InjectionPlan:
    from dataclasses import replace

    return replace(plan, **changes)


def _uris(pool: Pool, mask: NDArray[np.bool_]) -> tuple[str, ...]:
    return tuple(pool.uris[i] for i in np.flatnonzero(mask))


def objections(
    planner: Planner,
    before: StyleEstimate,
    after: StyleEstimate,
    start: NDArray[np.intp],
    chosen: NDArray[np.intp],
    change: Change | None,
    drop: float,
) -> Iterator[str]:
    """Why a change must not be carried out, one sentence each; none: it may."""
    # More images narrow the interval: a lower bound that rises under a value that does not is no gain.
    if after.lower <= before.lower or after.value <= before.value:
        lower = f"its lower bound {before.lower:.3f} → {after.lower:.3f}"
        yield f"refused: the index would not rise ({before.value:.3f} → {after.value:.3f}, {lower})"
    excess = float(planner.claim[chosen].sum())
    if excess > 1e-9 * len(chosen) and planner.claim[start].sum() <= 1e-9 * len(start):
        yield f"refused: the verified human share would fall below {planner.quota:.2f}"
    if change is not None and -change.lower > drop + 1e-9 and not math.isinf(drop):
        yield (
            f"refused: mean quality ({change.name}) might fall by {-change.lower:.1f}, {change.before:.1f} → "
            f"{change.after:.1f}, at most {drop:.1f} is allowed"
        )
