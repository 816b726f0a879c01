"""The pedigree of one set: its images by cohort and model, their ancestors, and what is wrong in the records.

`settle` works it out once, while it holds the logs, and lets it travel with the table of origins (as metadata
of its schema), so that the gate, the composer and the report need not read the logs again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from genepool.lineage import Interval, Pedigree
from genepool.origin._ancestry import Ancestry

if TYPE_CHECKING:
    import pyarrow as pa

    from genepool.provenance import Trail

__all__ = ["SET", "SetLineage", "attach", "lineage_findings", "lineage_of", "log_lineage", "set_lineage"]

SET = "this set"
"""Name of the set itself in its pedigree."""
OTHER = "other verified human work"
"""Images that are human work without a registered cohort: a trusted camera, a trusted archive."""
_KEY = b"genepool.lineage"


@dataclass(frozen=True, slots=True)
class SetLineage:
    """A set's ancestry as the logs state it.

    Attributes:
        pedigree: The set (named `SET`, a dataset), its cohorts and models, and all their ancestors.
        generations: Registered model → ``(lo, hi)`` of its outputs as it is believed; hi None = no upper end.
        believed: Models that a trusted key registered: their shares may be reckoned with.
        findings: Sentences about records that contradict each other or name what is not there.
    """

    pedigree: Pedigree
    generations: Mapping[str, Interval] = field(default_factory=dict)
    believed: frozenset[str] = frozenset()
    findings: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Plain data, ``genepool.set-lineage/1``."""
        return {
            "schema": "genepool.set-lineage/1",
            "pedigree": self.pedigree.to_json(),
            "generations": {name: list(ends) for name, ends in self.generations.items()},
            "believed": sorted(self.believed),
            "findings": list(self.findings),
        }


def set_lineage(
    graph: Pedigree,
    trail: Trail,
    generations: Mapping[str, Interval],
    leaves: Counter[str],
    human: int,
    total: int,
) -> SetLineage:
    """The lineage of a set.

    Args:
        graph: `genepool.origin.pedigree` of the logs.
        trail: The logs.
        generations: Model → interval, as believed.
        leaves: Cohort or model → images of the set that are known to belong to it.
        human: Verified human images without a registered cohort.
        total: Images of the set.
    """
    known = {name: n for name, n in leaves.items() if n}
    strangers = [name for name in known if name not in graph]
    part = graph.only(name for name in known if name in graph)
    for name in strangers:
        if name not in part.unknown:
            part.add_model(name, None)
    if human:
        part.add_founders(OTHER, human)
        known[OTHER] = human
    if known and SET not in part:
        part.add_dataset(SET, {name: n / max(total, 1) for name, n in known.items()})
    here = set(part.names)
    return SetLineage(
        part,
        {name: ends for name, ends in generations.items() if name in here},
        frozenset(name for name, record in trail.models.items() if record.trusted and name in here),
        lineage_findings(trail, here),
    )


def log_lineage(trail: Trail) -> SetLineage:
    """Everything that the logs say about cohorts and models, without any set."""
    known = Ancestry(trail)
    believed = frozenset(name for name, record in trail.models.items() if record.trusted)
    return SetLineage(known.graph, known.generations, believed, lineage_findings(trail))


def lineage_findings(trail: Trail, among: Collection[str] | None = None) -> tuple[str, ...]:
    """What the records of models name that is not there, and claims below what was computed.

    Args:
        trail: The logs.
        among: Only these models; None: all.
    """
    withdrawn = _withdrawn(trail)
    roots = {root for cohort in trail.cohorts.values() for root in cohort.roots}
    sets = {body["root"] for state in getattr(trail, "logs", ()) for _, body in state.datasets}
    found: list[str] = []
    for name, record in trail.models.items():
        if among is not None and name not in among:
            continue
        for ref, _ in record.trained_on:
            if ref in withdrawn:
                found.append(
                    f"model {name!r} was trained on {ref!r}, which was withdrawn: its outputs may be of any "
                    f"generation from {record.generation[0]}"
                )
            elif ref == "unknown" or ref in trail.cohorts or ref in trail.models or ref in roots | sets:
                continue
            else:
                found.append(f"model {name!r} was trained on {ref!r}, which nobody registered")
        if record.base and record.base != "unknown" and record.base not in trail.models:
            found.append(f"model {name!r} was fine-tuned from {record.base!r}, which nobody registered")
    # The logs' own reader compares each registered generation with the one that follows from the parts.
    told = (f"model {name!r}: " for name in (among if among is not None else trail.models))
    marks = tuple(told)
    found += [text for text in getattr(trail, "problems", ()) if text.startswith(marks)] if marks else []
    return tuple(dict.fromkeys(found))


def _withdrawn(trail: Trail) -> set[str]:
    """Cohorts, and roots of registered folders, of which no attestation stands any more."""
    gone: set[str] = set()
    for state in getattr(trail, "logs", ()):
        for batch in state.batches:
            name, root = batch.predicate.get("cohort"), batch.predicate.get("dataset")
            if batch.role == "attest" and isinstance(name, str) and name and name not in trail.cohorts:
                gone.add(name)
                if isinstance(root, str):
                    gone.add(root)
    return gone


# ----------------------------------------------------------------------------------------- travelling


def attach(origins: pa.Table, lineage: SetLineage) -> pa.Table:
    """The table with the lineage in its schema's metadata."""
    import orjson

    metadata = {**(origins.schema.metadata or {}), _KEY: orjson.dumps(lineage.to_json())}
    return origins.replace_schema_metadata(metadata)


def lineage_of(origins: pa.Table) -> SetLineage:
    """The lineage that `settle` attached; an empty one where there is none."""
    import orjson

    text = (origins.schema.metadata or {}).get(_KEY)
    if text is None:
        return SetLineage(Pedigree())
    data = orjson.loads(text)
    ends: dict[str, Sequence[Any]] = data["generations"]
    return SetLineage(
        Pedigree.from_json(data["pedigree"]),
        {name: (int(lo), None if hi is None else int(hi)) for name, (lo, hi) in ends.items()},
        frozenset(data["believed"]),
        tuple(data["findings"]),
    )
