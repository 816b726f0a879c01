"""A witness: it cosigns a log's checkpoint only if that extends the one it cosigned before.

C2SP tlog-witness. The state (latest cosigned size and root of each log) lives in one SQLite file; comparing
with it and writing the new one is a single transaction, committed to disk before the answer is given, so a
crash or a race can never make the witness cosign two histories.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from genepool.errors import LogError, SignatureError, WorkspaceError
from genepool.provenance._checkpoint import Checkpoint, open_checkpoint
from genepool.provenance._cosignature import WitnessKey, cosign
from genepool.provenance._merkle import EMPTY_ROOT, verify_consistency
from genepool.provenance._note import Signer, Verifier, strict_base64

__all__ = ["Answer", "Witness", "add_checkpoint_request"]

MAX_PROOF = 63
MAX_BODY = 64 * 1024


@dataclass(frozen=True, slots=True)
class Answer:
    """What the witness answers: HTTP status, content type, body."""

    status: int
    body: bytes
    content_type: str = "text/plain; charset=utf-8"


def _say(status: int, text: str) -> Answer:
    return Answer(status, f"{text}\n".encode())


def add_checkpoint_request(old: int, proof: list[bytes], checkpoint: bytes) -> bytes:
    """The body of ``add-checkpoint``: old size, proof lines, empty line, signed checkpoint."""
    import base64

    lines = [f"old {old}\n", *(f"{base64.b64encode(h).decode()}\n" for h in proof), "\n"]
    return "".join(lines).encode() + checkpoint


def _parse(body: bytes) -> tuple[int, list[bytes], bytes]:
    head, separator, checkpoint = body.partition(b"\n\n")
    if not separator:
        raise LogError("expected an empty line before the checkpoint")
    try:
        first, *lines = head.decode("ascii").split("\n")
    except UnicodeDecodeError:
        raise LogError("expected ASCII before the checkpoint") from None
    word, _, number = first.partition(" ")
    canonical = number == "0" or (number.isdecimal() and number[0] != "0")
    if word != "old" or not canonical or len(number) > 19:
        raise LogError(f"expected `old N`, found {first[:60]!r}")
    if len(lines) > MAX_PROOF:
        raise LogError(f"expected at most {MAX_PROOF} proof lines, found {len(lines)}")
    hashes = [strict_base64(line, "proof line") for line in lines]
    if any(len(h) != 32 for h in hashes):
        raise LogError("expected proof hashes of 32 bytes")
    return int(number), hashes, checkpoint


class Witness:
    """The protocol without its transport.

    Args:
        state: SQLite file; created when missing.
        signer: The witness's own private key; it must serve nothing else.
        logs: Known logs: origin line → keys that may sign their checkpoints.

    Raises:
        WorkspaceError: The state cannot be opened.
    """

    def __init__(self, state: str | Path, signer: Signer, logs: Mapping[str, tuple[Verifier, ...]]) -> None:
        self.key = WitnessKey.of(signer)
        self._signer = signer
        self._logs = dict(logs)
        self._state = str(state)
        self._local = threading.local()
        with self._transaction() as db:
            db.execute(
                "CREATE TABLE IF NOT EXISTS heads (origin TEXT PRIMARY KEY, size INTEGER NOT NULL, "
                "root BLOB NOT NULL, note BLOB NOT NULL) STRICT"
            )

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """One immediate transaction: the write lock is taken before the state is read."""
        db: sqlite3.Connection | None = getattr(self._local, "db", None)
        try:
            if db is None:
                db = sqlite3.connect(self._state, isolation_level=None, timeout=30)
                db.execute("PRAGMA journal_mode=WAL")
                db.execute("PRAGMA synchronous=FULL")
                self._local.db = db
            db.execute("BEGIN IMMEDIATE")
            try:
                yield db
            except BaseException:
                db.execute("ROLLBACK")
                raise
            db.execute("COMMIT")
        except sqlite3.Error as error:
            raise WorkspaceError(f"{self._state}: the witness cannot keep its state: {error}") from None

    def close(self) -> None:
        """Close this thread's connection."""
        db = getattr(self._local, "db", None)
        if db is not None:
            db.close()
            self._local.db = None

    def latest(self, origin_hash: str) -> bytes | None:
        """The last cosigned checkpoint of the log whose origin line has this SHA-256 (hex)."""
        for origin in self._logs:
            if sha256(origin.encode()).hexdigest() == origin_hash:
                with self._transaction() as db:
                    row = db.execute("SELECT note FROM heads WHERE origin = ?", (origin,)).fetchone()
                return bytes(row[0]) if row else None
        return None

    def add_checkpoint(self, body: bytes, *, now: int | None = None) -> Answer:
        """Answer one submission.

        Status codes (C2SP tlog-witness): 200 cosigned; 400 malformed or old size above the checkpoint's;
        403 no trusted signature; 404 unknown log; 409 another size was cosigned last (the body names it), or
        the same size with another root; 422 the consistency proof does not verify.

        Args:
            body: The request body.
            now: Unix seconds of the cosignature; None: the clock.
        """
        if len(body) > MAX_BODY:
            return _say(400, f"expected at most {MAX_BODY} bytes")
        try:
            old, proof, note = _parse(body)
            origin = note.split(b"\n", 1)[0].decode("utf-8")
        except (LogError, SignatureError) as error:
            return _say(400, error.message)
        except UnicodeDecodeError:
            return _say(400, "expected UTF-8 in the origin line")
        if origin not in self._logs:
            return _say(404, "unknown log")
        try:
            checkpoint, _ = open_checkpoint(note, self._logs[origin], origin=origin)
        except SignatureError as error:
            return _say(403, error.message)
        except LogError as error:
            return _say(400, error.message)
        if old > checkpoint.size:
            return _say(400, f"old size {old} is above the checkpoint's {checkpoint.size}")
        with self._transaction() as db:
            return self._decide(db, old, proof, checkpoint, note, int(time.time()) if now is None else now)

    def _decide(
        self,
        db: sqlite3.Connection,
        old: int,
        proof: list[bytes],
        checkpoint: Checkpoint,
        note: bytes,
        now: int,
    ) -> Answer:
        row = db.execute("SELECT size, root FROM heads WHERE origin = ?", (checkpoint.origin,)).fetchone()
        size, root = (int(row[0]), bytes(row[1])) if row else (0, EMPTY_ROOT)
        if old != size:
            return Answer(409, f"{size}\n".encode(), "text/x.tlog.size")
        if checkpoint.size == size and checkpoint.root != root:
            return Answer(409, f"{size}\n".encode(), "text/x.tlog.size")
        try:
            if old == 0:
                if proof:
                    raise LogError("expected no proof from the empty tree")
            else:
                verify_consistency(old, checkpoint.size, root, checkpoint.root, proof)
        except LogError as error:
            return _say(422, error.message)
        line = cosign(checkpoint.text(), self._signer, now)
        db.execute(
            "INSERT INTO heads VALUES (?, ?, ?, ?) ON CONFLICT (origin) "
            "DO UPDATE SET size = excluded.size, root = excluded.root, note = excluded.note",
            (checkpoint.origin, checkpoint.size, checkpoint.root, note + line.encode()),
        )
        return Answer(200, line.encode())
