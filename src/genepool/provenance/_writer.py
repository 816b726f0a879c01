"""Appending sealed batches to a workspace's own log."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from genepool._version import __version__
from genepool.config import Config
from genepool.errors import SignatureError
from genepool.provenance._dsse import make_seal
from genepool.provenance._entries import encode
from genepool.provenance._fold import LogState, read_log
from genepool.provenance._heads import check_head, pin_head
from genepool.provenance._keys import OwnKey, load_key
from genepool.provenance._ledger import Ledger
from genepool.provenance._merkle import leaf_hashes, root
from genepool.provenance._note import Signer
from genepool.store import Workspace

__all__ = ["Writer", "now", "open_writer", "take_over"]


def now() -> int:
    """Unix seconds, as entries hold them."""
    return int(time.time())


@dataclass(frozen=True, slots=True)
class Writer:
    """A workspace's log, locked for writing at its newest head, with the user's key and the log's state."""

    ledger: Ledger
    key: OwnKey
    state: LogState

    def append(self, entries: Sequence[bytes], role: str, predicate: Mapping[str, Any]) -> range:
        """Append entries and the seal over them, in one durable commit.

        Args:
            entries: At least one.
            role: What the signature means: ``attest``, ``check``, ``model``, ``withdraw`` or ``key``.
            predicate: What else is signed. Plain JSON without floats.

        Returns:
            Leaf indices of the entries (the seal stands behind them).
        """
        first = self.ledger.size
        signed = {
            **predicate,
            "at": now(),
            "first": first,
            "log": self.ledger.verifier.vkey,
            "n": len(entries),
            "role": role,
            "tool": f"genepool {__version__}",
        }
        seal = make_seal(self.key.signer, root(leaf_hashes(entries)), signed)
        self.ledger.append([*entries, seal])
        return range(first, first + len(entries))


@contextlib.contextmanager
def open_writer(workspace: Workspace, config: Config | None) -> Iterator[Writer]:
    """Open (or begin) the workspace's own log for writing; audits it first.

    A key is made on first use: ``writer.key.created`` says so, and the caller must say it aloud.

    Raises:
        LogError: The log is damaged or was rolled back.
        SignatureError: The log is another key's.
        WorkspaceError: Not writable, or another process is writing it.
    """
    key = load_key(config, create=True)
    if key is None:  # create=True always gives one
        raise SignatureError("there is no private key")
    ledger = Ledger.open(workspace.ledger, create=True, signer=key.signer, verifiers=key.verifiers)
    older = next((old for old in key.older if old.verifier.public == ledger.verifier.public), None)
    if older is not None and not _taken_over(ledger, key):
        _hand_over(workspace, key, older)
        ledger = Ledger.open(workspace.ledger, signer=key.signer, verifiers=key.verifiers)
    with ledger.writing():
        check_head(ledger)
        if ledger.size == 0:
            _begin(Writer(ledger, key, read_log(ledger)))
        try:
            yield Writer(ledger, key, read_log(ledger))
        finally:
            pin_head(ledger)


def take_over(workspace: Workspace, config: Config | None = None) -> str:
    """Let a workspace's log go over to the user's present key, if an older one of his signs it.

    Returns:
        The log's name; empty: nothing was to be done.

    Raises:
        LogError: The log is damaged or was rolled back.
    """
    with open_writer(workspace, config) as writer:
        moved = any(r.new.public == writer.key.signer.verifier.public for r in writer.ledger.rotations)
        return writer.ledger.origin if moved else ""


def _taken_over(ledger: Ledger, key: OwnKey) -> bool:
    return any(rotation.new.public == key.signer.verifier.public for rotation in ledger.rotations)


def _hand_over(workspace: Workspace, key: OwnKey, older: Signer) -> None:
    """Let a log that an older key of the user signs go on under the present one."""
    ledger = Ledger.open(workspace.ledger, signer=older)
    with ledger.writing():
        check_head(ledger)
        entries = [
            encode({"kind": "key", "action": "register", "at": now(), "role": role, "vkey": vkey})
            for role, vkey in (
                ("log", key.signer.renamed(ledger.origin).verifier.vkey),
                ("attestor", key.signer.verifier.vkey),
            )
        ]
        Writer(ledger, OwnKey(older, ""), read_log(ledger)).append(entries, "key", {"action": "rotate"})
        ledger.rotate(key.signer)


def _begin(writer: Writer) -> None:
    """The first entries: the key that signs the log, and the key that attests in it."""
    entries = [
        encode({"kind": "key", "action": "register", "at": now(), "role": role, "vkey": vkey})
        for role, vkey in (
            ("log", writer.ledger.verifier.vkey),
            ("attestor", writer.key.signer.verifier.vkey),
        )
    ]
    writer.append(entries, "key", {})
