"""A pedigree as plain data with its numbers: what the tree, the picture, the report and the JSON show."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

from genepool.lineage._intervals import Interval
from genepool.lineage._pedigree import Pedigree

__all__ = ["describe"]

SCHEMA = "genepool.lineage/1"


def describe(
    pedigree: Pedigree,
    roots: Sequence[str] = (),
    *,
    b2: float = 0.8,
    generations: Mapping[str, Interval] | None = None,
    most: int = 60,
    founders: int = 4,
) -> dict[str, Any]:
    """The ancestry of some cohorts, each with its numbers.

    Args:
        pedigree: Where they stand.
        roots: Cohorts whose ancestry is asked for; empty: those that nothing descends from.
        b2: Variance kept by one pass through a model, in (0, 1], for the expected retention.
        generations: What is believed of some cohorts where it differs from what the pedigree gives.
        most: Datasets and models that are described, nearest to the roots first.
        founders: Human cohorts that are described, largest contribution to what is shown first; the others
            are merged into one.

    Returns:
        ``{"schema", "roots", "b2", "exact", "nodes", "merged", "omitted"}``. A node holds ``name, kind, size,
        generation`` ([lo, hi or null]), ``mean_generation, human_share, inbreeding`` (with interval),
        ``retention, founder_genomes, parts`` (name → share or null), ``base`` and ``rest`` (share that nobody
        named); numbers that are not known are null. Nodes come ancestors first. ``merged`` counts human
        cohorts behind the node called "… more by people", ``omitted`` ancestors that are not described.

    Raises:
        UsageError: Nobody ever named a root.
        MeasureError: b² outside (0, 1].
    """
    tops = list(roots) or _tops(pedigree)
    order = pedigree.ancestors(tops)
    near = _nearest(pedigree, tops, most)
    people = _largest(pedigree, near, founders)
    shown = [name for name in order if name in near or name in people]
    others = [name for name in order if pedigree.kind(name) == "founders" and name not in people]
    line = _free(f"{len(others):,} more by people", pedigree)
    believed = generations or {}
    nodes = [_node(pedigree, name, set(shown), others, line, b2, believed) for name in shown]
    seen = {part for node in nodes for part in (*node["parts"], node["base"]) if part} - set(shown)
    extra = []
    if line in seen:
        size = sum(pedigree.size(name) for name in others)
        extra.append({**_blank(line, "founders"), "size": size, "generation": [0, 0], "human_share": 1.0})
        extra[-1] |= {"inbreeding": _exactly(0.0), "retention": 1.0, "mean_generation": 0.0}
    for name in sorted(seen - {line}):
        known = name in pedigree
        stub = _blank(name, pedigree.kind(name) if known else "unknown")
        extra.append({**stub, "generation": list(pedigree.generation(name))})
    return {
        "schema": SCHEMA,
        "roots": tops,
        "b2": b2,
        "exact": pedigree.exact,
        "nodes": [*extra, *nodes],
        "merged": len(others) if line in seen else 0,
        "omitted": len(order) - len(shown) - (len(others) if line in seen else 0),
    }


def _tops(pedigree: Pedigree) -> list[str]:
    used = {parent for name in pedigree.names for parent in (*pedigree.parts(name), pedigree.base(name))}
    return [name for name in pedigree.names if name not in used]


def _nearest(pedigree: Pedigree, tops: Sequence[str], most: int) -> set[str]:
    """Datasets and models within the fewest steps from the roots."""
    found: dict[str, None] = {}
    queue = deque(tops)
    seen = set(tops)
    while queue and len(found) < most:
        name = queue.popleft()
        if name not in pedigree or pedigree.kind(name) == "founders":
            continue
        found[name] = None
        for parent in (pedigree.base(name), *pedigree.parts(name)):
            if parent and parent not in seen:
                seen.add(parent)
                queue.append(parent)
    return set(found)


def _largest(pedigree: Pedigree, near: set[str], count: int) -> set[str]:
    weight: dict[str, float] = {}
    for name in near:
        for part, share in pedigree.parts(name).items():
            if part in pedigree and pedigree.kind(part) == "founders":
                weight[part] = weight.get(part, 0.0) + (share or 0.0)
    ranked = sorted(weight, key=lambda name: (-weight[name], name))
    # One more than allowed is shown rather than "1 further".
    return set(ranked if len(ranked) <= count + 1 else ranked[:count])


def _free(name: str, pedigree: Pedigree) -> str:
    while name in pedigree:
        name += "…"
    return name


def _blank(name: str, kind: str) -> dict[str, Any]:
    empty = dict.fromkeys(("mean_generation", "human_share", "inbreeding", "retention", "founder_genomes"))
    return {
        "name": name,
        "kind": kind,
        "size": None,
        "generation": [0, None],
        **empty,
        "parts": {},
        "base": "",
        "rest": 0.0,
    }


def _exactly(value: float) -> dict[str, Any]:
    return {"value": value, "lower": value, "upper": value, "method": "exact"}


def _node(
    pedigree: Pedigree,
    name: str,
    shown: set[str],
    others: Sequence[str],
    line: str,
    b2: float,
    believed: Mapping[str, Interval],
) -> dict[str, Any]:
    f, genomes = pedigree.estimate(name), pedigree.estimate(name, "founder_genome_equivalents")
    hidden = set(others)
    parts: dict[str, float | None] = {}
    for part, share in pedigree.parts(name).items():
        label = line if part in hidden else part
        held = parts.get(label, 0.0)
        parts[label] = None if share is None or held is None else held + share
    return {
        "name": name,
        "kind": pedigree.kind(name),
        "size": pedigree.size(name),
        "generation": list(believed.get(name) or pedigree.generation(name)),
        "mean_generation": _number(pedigree.mean_generation(name)),
        "human_share": _number(pedigree.human_share(name)),
        "inbreeding": None if math.isnan(f) else f.to_json(),
        "retention": _number(pedigree.expected_retention(name, b2)),
        "founder_genomes": None if not math.isfinite(genomes) else genomes.to_json(),
        "parts": parts,
        "base": pedigree.base(name),
        "rest": pedigree.rest(name) if pedigree.kind(name) != "founders" else 0.0,
    }


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None
