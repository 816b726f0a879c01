"""Write out what the gate found nothing against, and let the log follow it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from genepool.config import Config
    from genepool.dataset import Manifest
    from genepool.records import Case, Decision
    from genepool.store import Catalogue, Workspace

__all__ = ["export_approved"]


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

    Args:
        catalogue: The scanned set.
        workspace: Its workspace; the logs it reads are linked into that of the new set, so that
            attestations hold there too.
        decision: What was decided about exactly these images; None: export every readable one.
        out: New or empty folder.
        format: ``folder``, ``imagefolder``, ``webdataset`` or ``parquet``.
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
    manifest = dataset.export(catalogue.dataset, digests, out, format=format, dropped=dropped, sha256=digests)
    fresh = store.workspace_for(dataset.open(out))
    for log in logs:
        if "://" not in log and log != str(fresh.ledger):
            fresh.link(log)
    return manifest
