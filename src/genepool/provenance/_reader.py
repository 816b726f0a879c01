"""Reading a log: head, entries, proofs, audit. Every answer is checked against the signed checkpoint."""

from __future__ import annotations

import base64
import contextlib
from collections.abc import Iterator
from pathlib import Path

from genepool.errors import LogError, SignatureError, WorkspaceError
from genepool.provenance._audit import Audit, Visit, audit, read_bundle, read_tile
from genepool.provenance._checkpoint import Checkpoint, open_checkpoint
from genepool.provenance._entries import declared_log_key
from genepool.provenance._files import Store
from genepool.provenance._merkle import (
    EMPTY_ROOT,
    HASH,
    consistency_proof,
    inclusion_proof,
    leaf_hashes,
    range_hash,
    root,
    verify_consistency,
    verify_inclusion,
)
from genepool.provenance._note import Signer, Verifier
from genepool.provenance._proof import Proof
from genepool.provenance._rotation import Rotation, follow, read_rotations
from genepool.provenance._tiles import WIDTH, bundle_path, tile_count

__all__ = ["LogReader"]

_CACHED_TILES = 1024


class LogReader:
    """The reading half of a `Ledger`."""

    def __init__(self, store: Store, signer: Signer | None, verifiers: tuple[Verifier, ...]) -> None:
        self._store = store
        self._signer = signer
        self._verifiers = verifiers
        self._raw = b""
        self._head = Checkpoint("", 0, EMPTY_ROOT)
        self._verifier: Verifier | None = None
        self._tiles: dict[tuple[int, int, int], bytes] = {}
        self._rotations: tuple[Rotation, ...] = ()

    # -------------------------------------------------------------------------------------- the head

    @property
    def where(self) -> str:
        """The log's folder, or its URL."""
        return self._store.where

    @property
    def path(self) -> Path:
        """The log's folder.

        Raises:
            WorkspaceError: The log does not lie on this machine.
        """
        if "://" in self.where:
            raise WorkspaceError(
                f"{self.where}: expected a log on this machine, found a URL", hint="copy the log here"
            )
        return Path(self.where)

    @property
    def origin(self) -> str:
        """The log's name, the first line of its checkpoint."""
        return self._head.origin

    @property
    def size(self) -> int:
        """Number of entries."""
        return self._head.size

    @property
    def root(self) -> bytes:
        """RFC 6962 root hash, 32 bytes."""
        return self._head.root

    @property
    def verifier(self) -> Verifier:
        """The key that the checkpoint verified under."""
        if self._verifier is None:
            raise LogError(f"{self.where}: the log was not opened")
        return self._verifier

    @property
    def rotations(self) -> tuple[Rotation, ...]:
        """How the log's key was replaced, oldest first."""
        return self._rotations

    def known_keys(self) -> tuple[Verifier, ...]:
        """The keys that the log was and is signed with, oldest first."""
        chain = [rotation.old for rotation in self._rotations]
        chain += [rotation.new for rotation in self._rotations[-1:]]
        return tuple(chain) if self.verifier in chain else (*chain, self.verifier)

    def __len__(self) -> int:
        return self.size

    def __repr__(self) -> str:
        return f"Ledger({self.where!r}, {self.origin!r}, size={self.size})"

    def checkpoint(self) -> Checkpoint:
        """The verified head."""
        return self._head

    def signed_checkpoint(self) -> bytes:
        """The head with its signatures, as it lies on disk."""
        return self._raw

    def reload(self) -> None:
        """Read the checkpoint again (another process may have appended).

        Raises:
            SignatureError: It is signed by no known key.
            LogError: It is malformed, or older than what this object already saw.
        """
        raw = self._store.read("checkpoint")
        if raw is None:
            raise LogError(f"{self.where}/checkpoint: missing", hint="restore it from a copy of the log")
        if raw == self._raw:
            return
        head, verifier = self._verified(raw)
        same = head.size > self._head.size or (head.size == self._head.size and head.root == self._head.root)
        if self._raw and not (head.origin == self._head.origin and same):
            raise LogError(
                f"{self.where}/checkpoint: expected {self._head.origin!r} at size {self._head.size} or more, "
                f"found {head.origin!r} at {head.size}: rolled back or forked"
            )
        self._raw, self._head, self._verifier = raw, head, verifier
        self._tiles.clear()

    def _verified(self, raw: bytes) -> tuple[Checkpoint, Verifier]:
        name = raw.split(b"\n", 1)[0].decode("utf-8", "replace")
        known = [v for v in self._verifiers if v.name == name]
        publics = [v.public for v in self._verifiers]
        if self._signer is not None:
            publics.append(self._signer.verifier.public)
        try:
            self._rotations = read_rotations(self._store.read, name)
            known += [Verifier(name, public) for public in follow(publics, self._rotations)]
            if not any(f"— {v.name} ".encode() in raw and _names(raw, v) for v in known):
                declared = follow([v.public for v in self._declared(name, raw)], self._rotations)
                known += [Verifier(name, public) for public in declared]
            head, note = open_checkpoint(raw, known)
        except (SignatureError, LogError) as error:
            raise type(error)(f"{self.where}/checkpoint: {error.message}", hint=error.hint) from None
        signer = note.signed_by[0]
        if self._rotations and not any(signer in (r.old, r.new) for r in self._rotations[-1:]):
            raise LogError(
                f"{self.where}/rotation-{len(self._rotations) - 1}: expected a change of the key that signs "
                f"the checkpoint, {signer.id}, found one of {self._rotations[-1].old.id}",
                hint="somebody put it there: remove it",
            )
        return head, signer

    def _declared(self, name: str, raw: bytes) -> list[Verifier]:
        """The log key that entry 0 declares, if the log holds one."""
        data = self._store.read(bundle_path(0))
        if data is None:
            # Not every store can list: the size line, not yet verified, names the only other candidate.
            width = raw.split(b"\n", 2)[1].decode("ascii", "replace") if raw.count(b"\n") > 1 else ""
            found = [*self._store.names("tile/entries/000.p"), width]
            widths = sorted((int(w) for w in found if w.isdecimal() and len(w) < 4), reverse=True)
            widths = [w for w in widths if 0 < w < WIDTH]
            data = self._store.read(bundle_path(0, widths[0])) if widths else None
        if data is None or len(data) < 2:
            return []
        first = data[2 : 2 + (data[0] << 8 | data[1])]
        try:
            declared = declared_log_key(first)
        except (LogError, SignatureError) as error:
            raise LogError(f"{self.where}/tile/entries/000: entry 0: {error.message}") from None
        return [declared] if declared is not None and declared.name == name else []

    # ---------------------------------------------------------------------------------------- reading

    def entries(self, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
        """Entries ``[start, stop)`` in order, each bundle checked against its tile.

        Raises:
            LogError: Out of range, or an entry does not have the hash in its tile.
        """
        stop = self.size if stop is None else stop
        if not 0 <= start <= stop <= self.size:
            raise LogError(
                f"log {self.origin}: expected a range within 0..{self.size}, found {start}..{stop}"
            )
        full, partial = tile_count(self.size, 0)
        for index in range(start // WIDTH, -(-stop // WIDTH)):
            width = WIDTH if index < full else partial
            found = read_bundle(self._store, index, width)
            if leaf_hashes(found) != self._tile(0, index, width):
                audit(self._store, self._head)
            yield from found[max(0, start - index * WIDTH) : stop - index * WIDTH]

    def entry(self, index: int) -> bytes:
        """One entry, proven to stand in the signed tree.

        Raises:
            LogError: There is no such index, or the entry is not the one that was signed.
        """
        data = next(self.entries(index, index + 1))
        path = inclusion_proof(index, self.size, self._fetch)
        verify_inclusion(index, self.size, leaf_hashes([data]), path, self.root)
        return data

    def _tile(self, level: int, index: int, width: int) -> bytes:
        key = (level, index, width)
        found = self._tiles.get(key)
        if found is None:
            if len(self._tiles) >= _CACHED_TILES:
                self._tiles.clear()
            found = self._tiles[key] = read_tile(self._store, level, index, width)
        return found

    def node(self, level: int, index: int) -> bytes:
        """The hash of a complete subtree: ``2**level`` leaves from ``index << level``. Not proven by itself.

        Raises:
            LogError: Its tile is missing or damaged.
        """
        return self._fetch(level, index)

    def _fetch(self, level: int, index: int) -> bytes:
        height, within = divmod(level, 8)
        first = index << within
        tile, position = divmod(first, WIDTH)
        full, width = tile_count(self.size, height)
        data = self._tile(height, tile, WIDTH if tile < full else width)
        return root(data[position * HASH : (position + (1 << within)) * HASH])

    def prove(self, index: int, *, extra: bytes | None = None) -> Proof:
        """An inclusion proof for one entry, verified before it is handed out.

        Args:
            index: Leaf index.
            extra: Bytes that travel along; None: the entry itself.

        Raises:
            LogError: No such index, or the files do not hash to the checkpoint.
        """
        if not 0 <= index < self.size:
            raise LogError(f"log {self.origin}: expected an index below {self.size}, found {index}")
        path = inclusion_proof(index, self.size, self._fetch)
        data = next(self.entries(index, index + 1))
        verify_inclusion(index, self.size, leaf_hashes([data]), path, self.root)
        return Proof(index, tuple(path), self._raw, data if extra is None else extra)

    def root_at(self, size: int) -> bytes:
        """The root that the log had at an earlier size, proven consistent with the present one.

        Raises:
            LogError: The size is larger than the log, or the files do not hash to the checkpoint.
        """
        if size == 0:
            return EMPTY_ROOT
        old, _ = self.consistency(size)
        return old

    def consistency(self, old: int) -> tuple[bytes, list[bytes]]:
        """The root at size ``old`` and the proof that the present tree only appends to it.

        Raises:
            LogError: Not 1 ≤ old ≤ size, or the files do not hash to the checkpoint.
        """
        path = consistency_proof(old, self.size, self._fetch)
        before = range_hash(0, old, self._fetch)
        verify_consistency(old, self.size, before, self.root, path)
        return before, path

    def audit(self, visit: Visit | None = None, *, workers: int = 1) -> Audit:
        """Re-hash every entry and tile and compare them with the signed checkpoint.

        Args:
            visit: Called with ``(first index, entries, leaf hashes)`` of each bundle.
            workers: Processes, for a large log on this machine and without ``visit``.

        Raises:
            LogError: The message begins with the first bad place.
        """
        self.reload()
        try:
            return audit(self._store, self._head, visit, workers)
        except LogError as error:
            raise LogError(f"{self.where}/{error.message}", hint=error.hint) from None


def _names(raw: bytes, verifier: Verifier) -> bool:
    """Whether a signature line of the note carries this key's id."""
    prefix = f"— {verifier.name} ".encode()
    for line in raw.split(b"\n"):
        if line.startswith(prefix):
            with contextlib.suppress(ValueError):
                return base64.b64decode(line[len(prefix) :])[:4] == verifier.key_id
    return False
