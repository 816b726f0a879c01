"""Making certificates: after a check that passed, and anew when witnesses or anchors have been added."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from genepool.config import Config
from genepool.errors import CertificateError, SignatureError, WorkspaceError
from genepool.provenance._anchored import AnchoredHead, Anchors
from genepool.provenance._certificate import (
    ASIDE_WIDTH,
    MAX_SIZE,
    Certificate,
    Leaf,
    cut_digests,
    parse_certificate,
    read_certificate,
)
from genepool.provenance._files import atomic_write
from genepool.provenance._keys import load_key
from genepool.provenance._ledger import Ledger
from genepool.provenance._merkle import inclusion_proof, leaf_hash, verify_inclusion
from genepool.provenance._note import Signer
from genepool.store import Workspace

__all__ = ["CERTIFICATE", "Sealed", "drop_certificate", "make_certificate", "refresh_certificate"]

CERTIFICATE: Final = "certificate.genepool"


@dataclass(frozen=True, slots=True)
class Sealed:
    """A passed check as it stands in the log.

    Attributes:
        dataset, decision: Leaf indices of the two entries.
        report, policy: The bytes whose digests the entries hold.
        digests: SHA-256 of every readable image, equal files repeated.
        aside: SHA-256 of the files that were set aside because they could not be read.
    """

    dataset: int
    decision: int
    report: bytes
    policy: bytes
    digests: Sequence[bytes]
    aside: Sequence[bytes] = ()


def make_certificate(workspace: Workspace, ledger: Ledger, signer: Signer, sealed: Sealed) -> Path:
    """Write the certificate of a passed check: ``certificate.genepool`` of the workspace, and a copy.

    The copy stays in ``certificates/<leaf index of the decision>.genepool`` when a later check replaces the
    first.

    Args:
        workspace: Where it is written.
        ledger: The workspace's log, at the head that the certificate leads to.
        signer: The log's private key.
        sealed: What the check sealed.

    Returns:
        Its path.

    Raises:
        LogError: The log's files do not hash to its head.
        WorkspaceError: Not writable.
        CertificateError: It would be larger than 16 MiB.
    """
    size = ledger.size
    width, images = cut_digests(list(sealed.digests))
    certificate = Certificate(
        log=ledger.verifier,
        dataset=_leaf(ledger, sealed.dataset, size),
        decision=_leaf(ledger, sealed.decision, size),
        report=sealed.report,
        policy=sealed.policy,
        width=width,
        images=images,
        aside=b"".join(sorted(digest[:ASIDE_WIDTH] for digest in sealed.aside)),
        checkpoint=ledger.signed_checkpoint(),
        rotations=tuple(rotation.note for rotation in ledger.rotations),
    )
    return _write(workspace, certificate, signer)


def refresh_certificate(workspace: Workspace, config: Config | None = None) -> Path | None:
    """Bring the newest cosigned or stamped head into the workspace's certificate.

    Args:
        workspace: Where certificate and log lie.
        config: The key; it signs the certificate anew.

    Returns:
        Its path; None where there is no certificate, or no later head that says more.

    Raises:
        CertificateError: The certificate is damaged.
        SignatureError: The log is another key's.
        LogError: The log or a stored head is damaged.
    """
    path = workspace.root / CERTIFICATE
    if not path.exists():
        return None
    certificate = read_certificate(path)
    own = load_key(config)
    if own is None:
        raise SignatureError("certificate: there is no private key to sign it with")
    ledger = Ledger.open(workspace.ledger, signer=own.signer, verifiers=own.verifiers)
    signer = own.signer.renamed(ledger.origin)
    if signer.verifier != ledger.verifier:
        raise SignatureError(f"{path}: the log is signed by {ledger.verifier.id}, your key is {own.signer}")
    last = max(certificate.dataset.index, certificate.decision.index)
    heads = [head for head in Anchors(ledger).heads() if head.size > last]
    if not heads:
        return None
    best = max(heads, key=lambda head: (_worth(head), head.size))
    fresh = replace(
        certificate,
        log=ledger.verifier,
        dataset=_leaf(ledger, certificate.dataset.index, best.size),
        decision=_leaf(ledger, certificate.decision.index, best.size),
        checkpoint=best.checkpoint,
        cosignatures=best.cosignatures,
        rfc3161=best.rfc3161,
        opentimestamps=best.opentimestamps,
        rotations=tuple(rotation.note for rotation in ledger.rotations),
        parts=None,
        raw=b"",
    )
    return _write(workspace, fresh, signer)


def _worth(head: AnchoredHead) -> int:
    """How many kinds of outsiders vouch for a head."""
    return bool(head.cosignatures) + bool(head.rfc3161) + bool(head.opentimestamps)


def drop_certificate(workspace: Workspace) -> None:
    """Take the present certificate away, because the set did not pass; its copy stays in ``certificates``.

    Raises:
        WorkspaceError: Not writable.
    """
    path = workspace.root / CERTIFICATE
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise WorkspaceError(f"{path}: cannot be removed: {error.strerror}") from None


def certificates(workspace: Path) -> list[tuple[Path, Certificate]]:
    """Every certificate that a workspace made and that can still be read, oldest first."""
    found = []
    for path in sorted((workspace / "certificates").glob("*.genepool"), key=lambda p: (len(p.name), p.name)):
        with contextlib.suppress(CertificateError):
            found.append((path, read_certificate(path)))
    return found


def _leaf(ledger: Ledger, index: int, size: int) -> Leaf:
    entry = next(ledger.entries(index, index + 1))
    path = tuple(inclusion_proof(index, size, ledger.node))
    verify_inclusion(index, size, leaf_hash(entry), path, ledger.root_at(size))
    return Leaf(index, entry, path)


def _write(workspace: Workspace, certificate: Certificate, signer: Signer) -> Path:
    data = certificate.sign(signer.renamed(certificate.log.name))
    if len(data) > MAX_SIZE:
        raise CertificateError(f"certificate: expected at most {MAX_SIZE} bytes, found {len(data)}")
    parse_certificate(data)  # what cannot be read back is not written
    path = workspace.root / CERTIFICATE
    copy = workspace.root / "certificates" / f"{certificate.decision.index}.genepool"
    try:
        copy.parent.mkdir(parents=True, exist_ok=True)
        atomic_write(copy, data)
        atomic_write(path, data)
    except OSError as error:
        raise WorkspaceError(f"{path}: cannot be written: {error.strerror}") from None
    return path
