"""Do the data and the paper that approves them belong together? Nothing is trained on unless they do."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genepool.errors import CertificateError, GateError, InsufficientHumanContent, Undecided, WorkspaceError
from genepool.records import Decision, Failure

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
    from genepool import dataset, origin, scan, store

    opened = dataset.open(data)
    place = store.workspace_for(opened, workspace)
    claimed = _claimed(proof, config)
    decision = proof if isinstance(proof, Decision) else _decision(place, claimed)
    settings = config or configs.parse(decision.extra.get("config", {}), where="the decision's settings")
    catalogue = scan.scan(opened, place, config=settings)
    found = catalogue.root().hex()
    if decision.root != found:
        raise CertificateError(
            f"{opened.uri}: expected the {decision.n:,} images with root {decision.root[:16]}… that the "
            f"{'certificate' if claimed else 'decision'} is about, found {catalogue.n:,} images with root "
            f"{found[:16]}…",
            hint=f"check what is there now: genepool check {opened.uri}",
        )
    _require_pass(decision)
    aside = {case.uri for case in decision.set_aside}
    uris = catalogue.table(["uri"]).column("uri").to_pylist()
    chosen = catalogue.select(uri for uri in uris if uri not in aside) if aside else catalogue
    approved = _approved_root(decision)
    kept = chosen.root().hex()
    if approved != kept:
        raise CertificateError(
            f"{opened.uri}: expected the approved images to have root {approved[:16]}…, found {kept[:16]}… "
            f"over {chosen.n:,} images",
            hint=f"the record of what was set aside is incomplete: genepool check {opened.uri}",
        )
    origins = chosen.origins()
    if origins is None:
        origins = origin.settle(chosen, place, settings)
    return Approved(opened, chosen, origins, kept, decision, place, settings)


def _approved_root(decision: Decision) -> str:
    return str(decision.extra.get("approved", {}).get("root", decision.root))


def _require_pass(decision: Decision) -> None:
    if decision:
        return
    codes = [failure.code for failure in decision.failures]
    message = "; ".join(f"{f.code} {f.message}" for f in decision.failures) or f"status {decision.status}"
    hint = decision.failures[0].hint if decision.failures else ""
    kind: type[GateError] = GateError
    if decision.status == "undecided":
        kind = Undecided
    elif "GP101" in codes:
        kind = InsufficientHumanContent
    raise kind(f"{decision.uri}: not approved for training: {message}", hint=hint)


def _decision(place: Workspace, claimed: Mapping[str, Any]) -> Decision:
    """The workspace's decision; where a file is given and says something else, what the file says.

    Only the workspace knows which images were set aside. A file alone is enough where none were.
    """
    from genepool import gate

    if not claimed:
        return gate.load_decision(place)
    said = _rebuilt(claimed)
    try:
        known = gate.load_decision(place)
    except WorkspaceError:
        return said
    same = (known.status, known.root, _approved_root(known)) == (said.status, said.root, _approved_root(said))
    return known if same else said


def _rebuilt(claimed: Mapping[str, Any]) -> Decision:
    try:
        about = claimed["dataset"]
        failures = tuple(
            Failure(f["code"], f["status"], f["message"], f["hint"]) for f in claimed.get("failures", ())
        )
        return Decision(
            claimed["status"],
            str(about["uri"]),
            int(about["n"]),
            str(about["root"]),
            {},
            failures,
            policy=dict(claimed.get("policy", {})),
            extra={k: claimed[k] for k in ("approved", "config") if k in claimed},
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise CertificateError(
            f"expected a decision or certificate that names a dataset's root, found none ({error!r})"
        ) from None


def _claimed(proof: Any, config: Config | None) -> Mapping[str, Any]:
    """A decision's plain data as a file says them, a certificate's after verifying it; empty: no file."""
    if proof is None or isinstance(proof, Decision):
        return {}
    if not isinstance(proof, (str, os.PathLike)):
        raise CertificateError(
            "expected a Decision, a path of a decision or a certificate, or None, "
            f"found {type(proof).__name__}"
        )
    path = Path(proof)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise WorkspaceError(
            f"{path}: expected a decision or a certificate, found nothing readable: {error.strerror}",
            hint="genepool check PATH --format json > decision.json",
        ) from None
    return _certified(path, config) if data.startswith(b"genepool.certificate/") else _read(path, data)


def _certified(path: Path, config: Config | None) -> Mapping[str, Any]:
    """What a certificate certifies, once everything in it holds and the trust policy knows its signer."""
    from genepool import provenance
    from genepool.config import load

    certificate = provenance.read_certificate(path)
    settings = config or load()
    trust = provenance.load_trust(settings, provenance.load_public(settings))
    provenance.verify_certificate(certificate, trust=trust).require()
    # The policy travels as a field of its own, bound to the decision by its digest.
    return {**certificate.facts(), "config": certificate.settings()}


def _read(path: Path, data: bytes) -> Mapping[str, Any]:
    import orjson

    try:
        found = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise CertificateError(f"{path}: expected JSON, found something else: {error}") from None
    if not isinstance(found, dict) or not found:
        raise CertificateError(f"{path}: expected a decision, found {type(found).__name__}")
    return found
