"""Write out what the gate found nothing against, and let the log follow it."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genepool.gate._card import card

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pyarrow as pa

    from genepool.config import Config
    from genepool.dataset import Manifest
    from genepool.records import Case, Decision
    from genepool.store import Catalogue, Workspace

__all__ = ["export_approved"]

# Formats that people lay on a hub, where a card is what a set is read by.
_CARDED = ("imagefolder", "parquet", "csv", "croissant")


def export_approved(
    catalogue: Catalogue,
    workspace: Workspace,
    decision: Decision | None,
    out: str | Path,
    *,
    format: str = "folder",
    config: Config | None = None,
) -> Manifest:
    """Export every image without a case against it, byte for byte.

    Formats with columns get what was concluded about each image (`genepool.dataset.FACTS`); those that are
    laid on a hub get a dataset card.

    Args:
        catalogue: The scanned set.
        workspace: Its workspace; the logs it reads are linked into that of the new set, so that
            attestations hold there too.
        decision: What was decided about exactly these images; None: export every readable one.
        out: New or empty folder.
        format: One of `genepool.dataset.EXPORT_FORMATS`.
        config: Names further logs that are read.

    Raises:
        UsageError: ``out`` is not empty.
        CannotFinish: The disk is full.
        IntegrityError: A log that the set's origins rest on does not verify.
    """
    from genepool import dataset, provenance, store

    # Every log that was read for this set, nested ones too; a damaged one stops the export here.
    logs = [log.path for log in provenance.open_trail(workspace, config, dataset=catalogue.dataset).logs]
    against: dict[str, Case] = {case.uri: case for case in catalogue.cases()}
    if decision is not None:
        for failure in decision.failures:
            against.update((case.uri, case) for case in failure.cases)
        for case in decision.set_aside:
            against.setdefault(case.uri, case)
    digests: dict[str, bytes] = {}
    for batch in catalogue.batches(["uri", "sha256"]):
        uris, sha256 = (batch.column(name).to_pylist() for name in ("uri", "sha256"))
        digests.update((u, d) for u, d in zip(uris, sha256, strict=True) if u not in against)
    dropped = [against[uri] for uri in sorted(against)]
    known = _Known(catalogue, _origins(catalogue, workspace, decision, config))

    def beside(manifest: Manifest) -> dict[str, bytes]:
        if format not in _CARDED:
            return {}
        title = Path(os.fspath(out)).name or "images"
        return {"README.md": card(title, manifest, known.tallies(), decision, known.licenses).encode()}

    manifest = dataset.export(
        catalogue.dataset,
        digests,
        out,
        format=format,
        dropped=dropped,
        sha256=digests,
        facts=known,
        beside=beside,
    )
    fresh = store.workspace_for(dataset.open(out))
    for log in logs:
        if "://" not in log and log != str(fresh.ledger):
            fresh.link(log)
    return manifest


def _origins(
    catalogue: Catalogue, workspace: Workspace, decision: Decision | None, config: Config | None
) -> pa.Table:
    """What the check settled; settled here where none was made."""
    from genepool.config import load
    from genepool.origin import settle

    found = catalogue.origins() if decision is not None else None
    if found is not None and found.num_rows == catalogue.n:
        return found
    with workspace.lock():
        return settle(catalogue, workspace, config or load())


class _Known:
    """What is known about each image, and how often; counts what it was asked for."""

    def __init__(self, catalogue: Catalogue, origins: pa.Table) -> None:
        names = ("origin", "tier", "human", "ai", "p_human", "lo", "hi", "model")
        self._columns = {name: origins.column(name).combine_chunks() for name in names}
        self._declared = catalogue.table(["declared"]).column("declared").combine_chunks()
        self._row = {uri: i for i, uri in enumerate(origins.column("uri").to_pylist())}
        self._counts: dict[str, Counter[str]] = {name: Counter() for name in ("origin", "tier", "generation")}
        self.licenses: Counter[str] = Counter()

    def __call__(self, uri: str) -> Mapping[str, Any]:
        row = self._row[uri]
        found = {name: column[row].as_py() for name, column in self._columns.items()}
        lo, hi = found.pop("lo"), found.pop("hi")
        self._counts["origin"][found["origin"]] += 1
        self._counts["tier"][found["tier"]] += 1
        self._counts["generation"][_age(lo, hi, found)] += 1
        self._license(self._declared[row].as_py())
        ends = {"generation_lo": lo, "generation_hi": hi} if found["ai"] or found["human"] else {}
        return {f"genepool_{name}": value for name, value in {**found, **ends}.items()}

    def _license(self, text: str | None) -> None:
        import orjson

        if text and "license" in text:
            declared = orjson.loads(text)
            if isinstance(declared, dict) and isinstance(declared.get("license"), str):
                self.licenses[declared["license"]] += 1

    def tallies(self) -> dict[str, dict[str, int]]:
        """Counts over the images that were written, the commonest first."""
        return {
            name: dict(sorted(counts.items(), key=lambda kv: (-kv[1], kv[0])))
            for name, counts in self._counts.items()
        }


def _age(lo: int, hi: int | None, found: Mapping[str, Any]) -> str:
    if not (found["ai"] or found["human"]):
        return "not known"
    return f"{lo} or later" if hi is None else f"{lo}" if lo == hi else f"{lo} to {hi}"
