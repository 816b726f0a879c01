"""Do the data and the paper that approves them belong together? Nothing is trained on unless they do."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genepool.errors import CertificateError, GateError, InsufficientHumanContent, Undecided, WorkspaceError
from genepool.records import Decision

if TYPE_CHECKING:
    import pyarrow as pa

    from genepool.config import Config
    from genepool.dataset import Dataset
    from genepool.store import Catalogue, Workspace

__all__ = ["Approved", "approve"]


@dataclass(frozen=True, slots=True)
class Approved:
    """What may be trained on.

    Attributes:
        dataset: As opened, all of it.
        catalogue: The approved images only.
        origins: Their settled origins, in the catalogue's order.
        root: Hex Merkle root over the approved images.
        decision: What was decided about the dataset.
        workspace: Where it was decided.
        config: Under which settings.
    """

    dataset: Dataset
    catalogue: Catalogue
    origins: pa.Table
    root: str
    decision: Decision
    workspace: Workspace
    config: Config


def approve(data: Any, proof: Any, workspace: Any, config: Config | None) -> Approved:
    """Match a dataset with the decision about it.

    The listing is compared with what was scanned; images whose file times changed are read again. The root
    over the digests must be the decision's, and that of the approved images must be the approved root.

    Args:
        data: Anything that `genepool.open` takes.
        proof: A `Decision`, a path of a decision in JSON or of a certificate, or None: the workspace's last
            decision.
        workspace: As for `genepool.store.workspace_for`.
        config: None: the settings that the decision was made with.

    Raises:
        CertificateError: The decision or certificate is about other data, or data have changed since.
        InsufficientHumanContent, GateError, Undecided: The decision is no pass.
        WorkspaceError: There is no decision yet.
    """
    from genepool import config as configs
    from genepool import dataset, gate, origin, scan, store

    opened = dataset.open(data)
    place = store.workspace_for(opened, workspace)
    claimed = _claimed(proof)
    decision = proof if isinstance(proof, Decision) else gate.load_decision(place)
    settings = config or configs.parse(decision.extra.get("config", {}), where="the decision's settings")
    catalogue = scan.scan(opened, place, config=settings)
    found = catalogue.root().hex()
    for root, where in ((claimed.get("root"), "the certificate"), (decision.root, "the decision")):
        if root is not None and root != found:
            raise CertificateError(
                f"{opened.uri}: expected the {decision.n:,} images with root {str(root)[:16]}… that {where} "
                f"is about, found {catalogue.n:,} images with root {found[:16]}…",
                hint=f"check what is there now: genepool check {opened.uri}",
            )
    _require_pass(decision, str(claimed.get("status", "pass")))
    aside = {case.uri for case in decision.set_aside}
    uris = catalogue.table(["uri"]).column("uri").to_pylist()
    chosen = catalogue.select(uri for uri in uris if uri not in aside) if aside else catalogue
    approved = decision.extra.get("approved", {}).get("root", decision.root)
    kept = chosen.root().hex()
    for root in (approved, claimed.get("approved")):
        if root is not None and root != kept:
            raise CertificateError(
                f"{opened.uri}: expected the approved images to have root {str(root)[:16]}…, found "
                f"{kept[:16]}… over {chosen.n:,} images",
                hint=f"the record of what was set aside is incomplete: genepool check {opened.uri}",
            )
    origins = chosen.origins()
    if origins is None:
        origins = origin.settle(chosen, place, settings)
    return Approved(opened, chosen, origins, kept, decision, place, settings)


def _require_pass(decision: Decision, claimed: str) -> None:
    if decision and claimed == "pass":
        return
    codes = [failure.code for failure in decision.failures]
    message = "; ".join(f"{f.code} {f.message}" for f in decision.failures) or f"the decision is {claimed}"
    hint = decision.failures[0].hint if decision.failures else ""
    kind: type[GateError] = GateError
    if decision.status == "undecided":
        kind = Undecided
    elif "GP101" in codes:
        kind = InsufficientHumanContent
    raise kind(f"{decision.uri}: not approved for training: {message}", hint=hint)


def _claimed(proof: Any) -> dict[str, str]:
    """Status and roots as a file says them; empty where there is no file."""
    if proof is None or isinstance(proof, Decision):
        return {}
    if isinstance(proof, (str, os.PathLike)):
        data = _read(Path(proof))
    elif hasattr(proof, "to_json"):
        data = proof.to_json()
    else:
        raise CertificateError(
            "expected a Decision, a path of a decision or a certificate, or None, "
            f"found {type(proof).__name__}"
        )
    about = data.get("dataset")
    root = about.get("root") if isinstance(about, dict) else data.get("root")
    approved = data.get("approved")
    claimed = {
        "root": root,
        "approved": approved.get("root") if isinstance(approved, dict) else approved,
        "status": data.get("status"),
    }
    found = {name: value for name, value in claimed.items() if isinstance(value, str)}
    if not {"root", "approved"} & set(found):
        raise CertificateError(
            "expected a decision or certificate that names a dataset's root, found neither"
        )
    return found


def _read(path: Path) -> dict[str, Any]:
    import orjson

    try:
        data = orjson.loads(path.read_bytes())
    except OSError as error:
        raise WorkspaceError(
            f"{path}: expected a decision or a certificate, found nothing readable: {error.strerror}",
            hint="genepool check PATH --format json > decision.json",
        ) from None
    except orjson.JSONDecodeError as error:
        raise CertificateError(f"{path}: expected JSON, found something else: {error}") from None
    if not isinstance(data, dict):
        raise CertificateError(f"{path}: expected an object, found {type(data).__name__}")
    return data
