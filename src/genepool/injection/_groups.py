"""The images of several pools, grouped by where they come from, with what the policy says about each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from genepool.injection._convex import Pictures
from genepool.injection._pool import Pool, forbidden, load

if TYPE_CHECKING:
    import pyarrow as pa

    from genepool.config import Config
    from genepool.diversity import Panel
    from genepool.store import Catalogue, Workspace

__all__ = ["REASONS", "Group", "Stock", "stock_of"]

GROUPS = 120
"""Groups that are told apart; of more, the smallest of each kind are taken together."""
SAMPLE = 1500
"""Images of a group by which its styles are known."""
REASONS = ("generation", "unknown generation", "rights", "repeats")
"""Why images are left out, in the order in which the first that applies is named."""


@dataclass(frozen=True, slots=True)
class Group:
    """Images that are one to the composer.

    Attributes:
        pool: Number of the pool.
        label: Cohort, model, or what is known.
        kind: ``human``, ``model`` or ``unknown``.
        generation: ``(lo, hi)``; hi None = no upper end.
        retention: Expected retention of its lineage, in [0, 1]; what is unknown counts as 0.
        weight: The policy's weight of its generation.
        reason: Why the policy leaves it out (one of `REASONS`); empty: it may be taken.
        rows: Its images, as positions in the stock.
    """

    pool: int
    label: str
    kind: str
    generation: tuple[int, int | None]
    retention: float
    weight: float
    reason: str
    rows: NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Stock:
    """All images of all pools.

    Attributes:
        images: Vectors, clusters and flags, pools one after the other.
        starts: ``(pools + 1,)`` where each begins.
        groups: Every image is in just one.
        similarity: ``(g, g)`` mean squared style similarity between images of two groups.
        digests: SHA-256 of each image, hex.
    """

    images: Pool
    starts: NDArray[np.int64]
    groups: tuple[Group, ...]
    similarity: NDArray[np.float64]
    digests: tuple[str, ...]


def stock_of(parts: Sequence[tuple[Catalogue, Workspace]], panel: Panel, config: Config) -> Stock:
    """Settle the pools' origins and group their images.

    Raises:
        MeasureError: Fewer than two images; vectors of another embedder than the panel's.
    """
    from genepool import origin

    # Settled anew: the logs may have grown since the last check.
    tables = [origin.settle(catalogue, place, config) for catalogue, place in parts]
    images = load(list(parts), panel, config, settled=tables)
    starts = np.concatenate(([0], np.cumsum([table.num_rows for table in tables]))).astype(np.int64)
    repeats = np.ones(len(images.uris), bool)
    found = [_judged(*part, table, config) for part, table in zip(parts, tables, strict=True)]
    reasons = np.concatenate([f.reasons for f in found])
    # Of a cluster one image is kept, and one that may be taken before one that may not.
    free = np.flatnonzero(reasons == "")
    repeats[images.keepers(free)] = False
    reasons[repeats & (reasons == "")] = "repeats"
    groups: list[Group] = []
    for number, (judged, at) in enumerate(zip(found, starts, strict=False)):
        groups += judged.groups(number, int(at), reasons[at : starts[number + 1]])
    groups = _merged(groups)
    digests = tuple(
        digest.hex() if isinstance(digest, bytes) else digest
        for table in tables
        for digest in table.column("sha256").to_pylist()
    )
    return Stock(images, starts, tuple(groups), _similarity(images, groups), digests)


@dataclass(frozen=True, slots=True, eq=False)
class _Judged:
    """One pool's images with what is known of them."""

    labels: NDArray[Any]
    kinds: NDArray[Any]
    lo: NDArray[np.int64]
    hi: NDArray[np.int64]
    retention: NDArray[np.float64]
    weights: NDArray[np.float64]
    reasons: NDArray[Any]

    def groups(self, pool: int, at: int, reasons: NDArray[Any]) -> list[Group]:
        keys: dict[tuple[Any, ...], list[int]] = {}
        columns = (self.kinds, self.labels, reasons, self.lo, self.hi, self.retention, self.weights)
        for i, key in enumerate(zip(*(column.tolist() for column in columns), strict=True)):
            keys.setdefault(key, []).append(i)
        return [
            Group(pool, label, kind, (lo, None if hi < 0 else hi), r, w, reason, np.array(rows) + at)
            for (kind, label, reason, lo, hi, r, w), rows in keys.items()
        ]


def _judged(catalogue: Catalogue, place: Workspace, table: pa.Table, config: Config) -> _Judged:
    from genepool import lineage, origin

    n = table.num_rows
    human, ai = (np.asarray(table.column(k).to_numpy(zero_copy_only=False), bool) for k in ("human", "ai"))
    verdict = origin.judge_generations(table, config.generation)
    reasons = np.full(n, "", object)
    if config.policy.rights != "ignore":
        reasons[forbidden(catalogue)] = "rights"
    reasons[verdict.maybe] = "unknown generation"
    reasons[verdict.toxic] = "generation"
    models, cohorts = table.column("model").to_pylist(), table.column("cohort").to_pylist()
    kinds = np.where(human, "human", np.where(ai, "model", "unknown")).astype(object)
    labels = np.full(n, "of unknown origin", object)
    for i in np.flatnonzero(human).tolist():
        labels[i] = cohorts[i] or "verified human"
    for i in np.flatnonzero(ai).tolist():
        labels[i] = models[i] or "some model"
    pedigree = origin.lineage_of(table)
    kept: dict[str, float] = {}
    retention = human.astype(np.float64)
    for i in np.flatnonzero(ai & (verdict.hi >= 0)).tolist():
        name = models[i] or ""
        if name not in kept:
            known = name in pedigree.believed
            kept[name] = pedigree.pedigree.expected_retention(name, config.generation.b2) if known else 0.0
        retention[i] = kept[name]
    weights = lineage.generation_weights(verdict.hi, ai, config.generation.weights)
    lo, hi = verdict.lo.astype(np.int64), verdict.hi.astype(np.int64)
    return _Judged(labels, kinds, lo, hi, retention, weights, reasons)


def _merged(groups: list[Group]) -> list[Group]:
    """At most `GROUPS`: the smallest ones that the policy treats alike become one."""
    groups = sorted(groups, key=lambda g: (g.pool, g.kind, g.reason, g.label, g.generation[0]))
    if len(groups) <= GROUPS:
        return groups
    ranked = sorted(groups, key=lambda g: -len(g.rows))
    kept, rest = ranked[: GROUPS // 2], ranked[GROUPS // 2 :]
    alike: dict[tuple[Any, ...], list[Group]] = {}
    for group in rest:
        alike.setdefault((group.pool, group.kind, group.reason, group.generation), []).append(group)
    for (pool, kind, reason, generation), several in alike.items():
        sizes = np.array([len(g.rows) for g in several], np.float64)
        mean = float(np.average([g.retention for g in several], weights=sizes))
        weight = float(np.average([g.weight for g in several], weights=sizes))
        rows = np.sort(np.concatenate([g.rows for g in several]))
        label = several[0].label if len(several) == 1 else f"{len(several)} further"
        kept.append(Group(pool, label, kind, generation, mean, weight, reason, rows))
    return sorted(kept, key=lambda g: (g.pool, g.kind, g.reason, g.label, g.generation[0]))


def _similarity(images: Pool, groups: Sequence[Group]) -> NDArray[np.float64]:
    """Mean squared similarity of an image of one group with one of another, never of one with itself."""
    moments: list[NDArray[np.float32]] = []
    own = np.empty(len(groups))
    for k, group in enumerate(groups):
        rows = group.rows[:: max(1, len(group.rows) // SAMPLE)]
        pictures = Pictures(images.panel, images.whitened[rows], images.on[rows])
        n = len(rows)
        moment = pictures.moment(np.full(n, 1.0 / n))
        whole = float(np.einsum("ij,ij->", moment, moment))
        own[k] = (n * n * whole - n) / (n * (n - 1)) if n > 1 else whole
        moments.append(moment.astype(np.float32).ravel())
    stacked = np.stack(moments)
    gram = (stacked @ stacked.T).astype(np.float64)
    gram[np.diag_indices(len(groups))] = own.clip(0.0)
    gram = (gram + gram.T) / 2
    # Without the pairs of one image with itself, small groups can leave the cone: the nearest Gram matrix.
    values, vectors = np.linalg.eigh(gram)
    return np.asarray((vectors * values.clip(0.0)) @ vectors.T)
