"""Taking claims back: withdrawals and revoked keys. Nothing is edited; later entries cancel earlier ones."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from genepool.config import Config
from genepool.errors import UsageError
from genepool.provenance._entries import encode, name_of
from genepool.provenance._note import Verifier
from genepool.provenance._sidecar import Sidecar
from genepool.provenance._trail import Index, as_digests
from genepool.provenance._writer import now, open_writer
from genepool.store import Workspace

__all__ = ["revoke_key", "withdraw"]


def withdraw(
    workspace: Workspace,
    *,
    cohort: str | None = None,
    sha256: Iterable[bytes] = (),
    reason: str = "",
    config: Config | None = None,
) -> int:
    """Take back attestations of this workspace's log and erase their details.

    The entries stay in the log; a ``withdraw`` entry cancels each from now on.

    Args:
        workspace: Where the log lies.
        cohort: All of this cohort.
        sha256: And, or instead, of these images.
        reason: One line that is kept.
        config: Key.

    Returns:
        How many were withdrawn.

    Raises:
        UsageError: Nothing matches.
    """
    with open_writer(workspace, config) as writer:
        claims = writer.state.claims
        chosen = np.zeros(len(claims), np.bool_)
        if cohort is not None and cohort in claims.names:
            chosen |= claims.cohort == claims.names.index(cohort)
        digests = list(sha256)
        if digests:
            chosen[Index(claims.sha).pairs(as_digests(digests))[1]] = True
        rows = np.flatnonzero(chosen & claims.attested)
        if not len(rows):
            raise UsageError(
                "withdraw: expected attestations that match, found none", hint="genepool ledger show"
            )
        note = {"reason": name_of(reason, "reason")} if reason else {}
        entries = [
            encode({"kind": "withdraw", "at": now(), "index": at, **note})
            for at in claims.index[rows].tolist()
        ]
        writer.append(entries, "withdraw", {})
        Sidecar(workspace.root).erase(digest.tobytes() for digest in claims.detail[rows])
        return len(rows)


def revoke_key(
    workspace: Workspace, vkey: str, *, since: int | None = None, config: Config | None = None
) -> int:
    """Revoke an attestor's key in this log; returns the index of the entry.

    Args:
        workspace: Where the log lies.
        vkey: The key.
        since: Batches that the key sealed at this leaf index or later no longer count, whenever that was
            (the key was stolen then); None: from here on.
        config: Key.

    Raises:
        SignatureError: The key text is malformed.
        UsageError: An index that the log does not have yet.
    """
    Verifier.parse(vkey)
    with open_writer(workspace, config) as writer:
        if since is not None and not 0 <= since <= writer.ledger.size:
            raise UsageError(f"since: expected an index from 0 to {writer.ledger.size}, found {since}")
        entry = encode(
            {
                "kind": "key",
                "action": "revoke",
                "at": now(),
                "role": "attestor",
                "vkey": vkey,
                **({} if since is None else {"since": since}),
            }
        )
        return writer.append([entry], "key", {})[0]
