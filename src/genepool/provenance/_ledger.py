"""`Ledger`: an append-only log of opaque entries on a local folder, in the C2SP formats.

Order of a commit (each step is durable before the next begins): tiles and bundles; the new head in the
journal ``signed-heads``; the signed checkpoint, renamed into place. A crash leaves either the old head, or a
journalled head whose tiles are all there: the next writer finishes it. So no size is ever signed twice with
different roots.
"""

from __future__ import annotations

import base64
import contextlib
import os
import secrets
from collections.abc import Iterable, Iterator

from genepool.errors import LogError, SignatureError, UsageError, WorkspaceError
from genepool.provenance._audit import audit, read_bundle, read_tile, root_of_edge
from genepool.provenance._checkpoint import Checkpoint
from genepool.provenance._files import WritableStore, open_store
from genepool.provenance._merkle import EMPTY_ROOT, HASH, leaf_hashes, root
from genepool.provenance._note import Signer, Verifier
from genepool.provenance._reader import LogReader
from genepool.provenance._rotation import Rotation, make_rotation
from genepool.provenance._tiles import (
    MAX_ENTRY,
    WIDTH,
    bundle_path,
    encode_bundle,
    right_edge,
    tile_count,
    tile_path,
)

__all__ = ["Ledger"]

_JOURNAL = "signed-heads"


class Ledger(LogReader):
    """A log in a folder. Reading trusts nothing: every answer is checked against the signed checkpoint.

    Make one with `open`. Attributes: ``path``; ``origin``, the log's name; ``size``; ``root``;
    ``verifier``, the key that its checkpoint verified under.
    """

    _store: WritableStore

    def __init__(self, store: WritableStore, signer: Signer | None, verifiers: tuple[Verifier, ...]) -> None:
        super().__init__(store, signer, verifiers)
        self._edge: dict[int, bytes] | None = None
        self._edge_size = -1
        self._tail: list[bytes] = []
        self._broken = ""
        self._held = False

    @classmethod
    def open(
        cls,
        path: str | os.PathLike[str],
        create: bool = False,
        *,
        signer: Signer | None = None,
        origin: str | None = None,
        verifiers: Iterable[Verifier] = (),
    ) -> Ledger:
        """Open a log and verify its checkpoint.

        The checkpoint must verify under one of ``verifiers``, the signer, or, when none of them is named in
        it, under the key that the log's first entry declares. The last proves only that the log is whole,
        not whose it is.

        Args:
            path: The log's folder, or an fsspec URL (``s3://…``, ``memory://…``; ``file://`` is the folder).
            create: Make an empty log where there is none (needs ``signer``).
            signer: Private key, for writing; it signs under the log's origin line as its key name.
            origin: Name for a new log, or the name expected of an existing one. None: a random one, or any.
            verifiers: Known public keys; each is also tried under the log's own name.

        Raises:
            WorkspaceError: There is no log and ``create`` is false, or the place is not writable.
            SignatureError: The checkpoint is signed by no known key.
            LogError: The checkpoint is malformed or another log's.
        """
        ledger = cls(open_store(path), signer, tuple(verifiers))
        if ledger._store.read("checkpoint") is None:
            if not create:
                if ledger._store.names("tile"):
                    raise LogError(f"{path}/checkpoint: missing", hint="restore it from a copy of the log")
                raise WorkspaceError(
                    f"{path}: no log here", hint="genepool check or genepool register makes one"
                )
            ledger._create(origin)
        ledger.reload()
        if origin is not None and ledger.origin != origin:
            raise LogError(f"{path}/checkpoint: expected log {origin!r}, found {ledger.origin!r}")
        return ledger

    def _create(self, origin: str | None) -> None:
        if self._signer is None:
            raise UsageError(f"{self.where}: a new log needs a private key")
        with self._store.lock():
            if self._store.read("checkpoint") is not None:
                return
            if self._store.names("tile"):
                raise LogError(f"{self.where}/checkpoint: missing", hint="restore it from a copy of the log")
            head = Checkpoint(origin or f"genepool/{secrets.token_hex(16)}", 0, EMPTY_ROOT)
            self._store.publish("checkpoint", head.sign(self._signer.renamed(head.origin)))

    # -------------------------------------------------------------------------------------- appending

    def append(self, entries: Iterable[bytes]) -> range:
        """Append a batch durably: when this returns, the entries survive a loss of power.

        Args:
            entries: Each at most 65,535 bytes.

        Returns:
            Their leaf indices.

        Raises:
            UsageError: The log was opened without a private key.
            WorkspaceError: Disk full, not writable, or busy; the log stays as it was.
            LogError: An entry is too long, or the log on disk contradicts itself.
        """
        batch = [bytes(entry) for entry in entries]
        for entry in batch:
            if len(entry) > MAX_ENTRY:
                raise LogError(f"entry: expected at most {MAX_ENTRY} bytes, found {len(entry)}")
        with self.writing():
            start = self.size
            if batch:
                self._commit(batch)
            return range(start, start + len(batch))

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        """Hold the write lock over several steps (re-entrant for `append` inside it), at the newest head.

        Raises:
            UsageError: The log was opened without a private key.
            WorkspaceError: Another writer held the lock too long.
        """
        if self._signer is None:
            raise UsageError(f"{self.where}: opened for reading", hint="a private key is needed to append")
        if self._broken:
            raise WorkspaceError(f"{self.where}: {self._broken}", hint="open the log again")
        if self._held:
            yield
            return
        with self._store.lock():
            self._held = True
            try:
                self.reload()
                self._recover()
                yield
            finally:
                self._held = False

    def _log_signer(self) -> Signer:
        if self._signer is None:
            raise UsageError(f"{self.where}: opened for reading")
        signer = self._signer.renamed(self.origin)
        tip = self.rotations[-1].new if self.rotations else self.verifier
        if signer.verifier != tip:
            raise SignatureError(
                f"{self.where}: this log is signed by {tip.id}, your key is {signer.verifier.id}",
                hint="a log has one writer's key: name that key by GENEPOOL_KEY (its text or its file), "
                "or use another workspace (--workspace DIR)",
            )
        return signer

    def rotate(self, new: Signer) -> Rotation:
        """Go on under a new key: the old one's statement is published, then the head is signed anew.

        Args:
            new: The new private key; this object signs with it from now on.

        Raises:
            SignatureError: The present signer is not the log's key.
            WorkspaceError: Not writable.
        """
        with self.writing():
            old = self._log_signer()
            rotation = make_rotation(self.origin, old, new, self.size)
            # The statement first: a head under the new key is believed only because of it.
            self._store.publish(f"rotation-{len(self._rotations)}", rotation.note)
            self._rotations = (*self._rotations, rotation)
            self._signer = new
            self._finish(self._head, new.renamed(self.origin))
            return rotation

    def _load_edge(self) -> dict[int, bytes]:
        if self._edge is None or self._edge_size != self.size:
            edge = {level: read_tile(self._store, level, n, w) for level, n, w in right_edge(self.size)}
            if root_of_edge(edge) != self.root:
                audit(self._store, self._head)  # names the bad place
            full, width = tile_count(self.size, 0)
            self._tail = read_bundle(self._store, full, width) if width else []
            if leaf_hashes(self._tail) != edge.get(0, b""):
                audit(self._store, self._head)
            self._edge, self._edge_size = edge, self.size
        return self._edge

    def _commit(self, batch: list[bytes]) -> None:
        signer = self._log_signer()
        old = dict(self._load_edge())
        try:
            self._drop_leftovers(self.size, self.size + len(batch))
            edge, tail = self._write_tiles(old, batch)
            head = Checkpoint(self.origin, self.size + len(batch), root_of_edge(edge))
            self._store.barrier()
            self._publish(head, signer)
        except WorkspaceError:
            # After a failed sync the kernel may hold pages that never reached the disk: nothing that was
            # read through this object can be relied on for the next signature.
            self._broken = "an earlier append failed"
            raise
        self._edge, self._tail, self._edge_size = edge, tail, head.size
        self._drop_partials(head.size - len(batch), head.size)

    def _write_tiles(
        self, edge: dict[int, bytes], batch: list[bytes]
    ) -> tuple[dict[int, bytes], list[bytes]]:
        """Write every tile and bundle that the batch fills or begins; return the new right edge."""
        write = self._store.write
        index = self.size // WIDTH
        entries = self._tail + batch
        whole = len(entries) // WIDTH * WIDTH
        for start in range(0, whole, WIDTH):
            write(bundle_path(index + start // WIDTH), encode_bundle(entries[start : start + WIDTH]))
        tail = entries[whole:]
        if tail:
            write(bundle_path(index + whole // WIDTH, len(tail)), encode_bundle(tail))
        level, new = 0, leaf_hashes(batch)
        edge = dict(edge)
        while new:
            hashes = edge.pop(level, b"") + new
            index = (self.size >> (8 * level)) // WIDTH
            ups: list[bytes] = []
            whole = len(hashes) // (WIDTH * HASH) * (WIDTH * HASH)
            for start in range(0, whole, WIDTH * HASH):
                tile = hashes[start : start + WIDTH * HASH]
                write(tile_path(level, index + len(ups)), tile)
                ups.append(root(tile))
            if rest := hashes[whole:]:
                write(tile_path(level, index + len(ups), len(rest) // HASH), rest)
                edge[level] = rest
            level, new = level + 1, b"".join(ups)
        return edge, tail

    def _publish(self, head: Checkpoint, signer: Signer) -> None:
        """Journal the head, sign it, put it in place: the point of no return."""
        self._store.append(_JOURNAL, f"{head.size} {base64.b64encode(head.root).decode()}\n".encode())
        self._finish(head, signer)

    def _finish(self, head: Checkpoint, signer: Signer) -> None:
        raw = head.sign(signer)
        self._store.publish("checkpoint", raw)
        self._raw, self._head, self._verifier = raw, head, signer.verifier
        self._tiles.clear()

    def _recover(self) -> None:
        """Finish a commit that was journalled but not published; refuse a journal that the tiles deny."""
        last = self._last_signed()
        if last is None or last[0] < self.size:
            return
        size, signed = last
        if size == self.size:
            if signed != self.root:
                raise LogError(f"{self.where}/{_JOURNAL}: another root was signed at size {size}")
            return
        head = Checkpoint(self.origin, size, signed)
        try:
            audit(self._store, head)
        except LogError as error:
            raise LogError(
                f"{self.where}/{_JOURNAL}: size {size} was signed, but its files are not whole: "
                f"{error.message}",
                hint="restore the log from a copy: signing another head at this size would be a fork",
            ) from None
        self._finish(head, self._log_signer())
        self._edge = None

    def _last_signed(self) -> tuple[int, bytes] | None:
        found = self._store.tail(_JOURNAL, 256)
        if found is None:
            return None
        whole, newline, torn = found.rpartition(b"\n")
        if torn:
            # The line was never finished, so nothing was signed under it.
            self._store.shorten(_JOURNAL, len(torn))
        if newline:
            size, _, encoded = whole.rpartition(b"\n")[2].decode("ascii", "replace").partition(" ")
            value = _journal_root(encoded)
            if not size.isdecimal() or value is None:
                raise LogError(
                    f"{self.where}/{_JOURNAL}: expected `size root` on the last line, found {whole[-60:]!r}"
                )
            return int(size), value
        return None

    def _drop_leftovers(self, old: int, new: int) -> None:
        """Remove partial tiles that a crashed append left where this one's will stand.

        They were never signed, and may be torn; beside the new ones they would look like damage.
        """
        for level, index, width in right_edge(new):
            full, before = tile_count(old, level)
            kept = before if index == full else 0
            for path in (tile_path(level, index), *([bundle_path(index)] if level == 0 else [])):
                for name in self._store.names(f"{path}.p"):
                    if not name.isdecimal() or kept < int(name) != width:
                        self._store.remove(f"{path}.p/{name}")

    def _drop_partials(self, old: int, new: int) -> None:
        """Partial tiles may go once their full tile is published."""
        for level, index, _ in right_edge(old):
            if tile_count(new, level)[0] > index:
                for path in (tile_path(level, index), *([bundle_path(index)] if level == 0 else [])):
                    for name in self._store.names(f"{path}.p"):
                        self._store.remove(f"{path}.p/{name}")


def _journal_root(encoded: str) -> bytes | None:
    try:
        value = base64.b64decode(encoded, validate=True)
    except ValueError:
        return None
    return value if len(value) == HASH else None
