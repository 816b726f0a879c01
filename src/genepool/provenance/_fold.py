"""One log's entries folded into its present state: claims as columns, batches, models, withdrawals.

The fold is deterministic and goes through the entries once, in order, while the log is audited. What it saw
counts only when the audit has ended well.
"""

from __future__ import annotations

import bisect
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genepool.errors import LogError, SignatureError
from genepool.provenance._dsse import SealStatement, check_seal, open_seal
from genepool.provenance._entries import decode
from genepool.provenance._ledger import Ledger
from genepool.provenance._merkle import HASH, root
from genepool.provenance._note import Verifier
from genepool.provenance._rotation import Rotation
from genepool.records import OriginClass

__all__ = ["CLASSES", "Batch", "Claims", "LogState", "ModelEntry", "find_entry", "read_log"]

CLASSES: tuple[str, ...] = tuple(member.value for member in OriginClass)
_CLASS = {value: code for code, value in enumerate(CLASSES)}
_ROLE = {"attest": 0, "check": 1}
UNBOUNDED = -1


@dataclass(frozen=True, slots=True)
class Batch:
    """A sealed run of entries: ``[first, index)``, signed by ``key`` in the seal at ``index``."""

    first: int
    index: int
    key: Verifier
    role: str
    predicate: Mapping[str, Any]
    revoked: bool = False


@dataclass(frozen=True, slots=True)
class ModelEntry:
    """A ``model`` entry and the batch that signs it (None: nobody)."""

    index: int
    body: Mapping[str, Any]
    batch: Batch | None


@dataclass(frozen=True, slots=True)
class Claims:
    """The ``origin`` entries of a log as columns of equal length.

    ``sha`` and ``pixel`` are ``(n, 32)`` uint8. ``hi`` −1 means unbounded. ``cohort`` and ``model`` index
    into ``names`` (0 is empty). ``batch`` indexes into the log's batches, −1: not sealed. ``attested``: a
    live claim under a seal of role ``attest``; entries of a check are records, never claims.
    """

    index: NDArray[np.int64]
    sha: NDArray[np.uint8]
    pixel: NDArray[np.uint8]
    origin: NDArray[np.int8]
    role: NDArray[np.int8]
    lo: NDArray[np.int32]
    hi: NDArray[np.int32]
    cohort: NDArray[np.int32]
    model: NDArray[np.int32]
    batch: NDArray[np.int32]
    detail: NDArray[np.uint8]
    alive: NDArray[np.bool_]
    attested: NDArray[np.bool_]
    names: tuple[str, ...]
    parents: Mapping[int, tuple[str, ...]]

    def __len__(self) -> int:
        return len(self.index)


@dataclass(frozen=True, slots=True)
class LogState:
    """Everything that a log says, as of one checkpoint.

    ``revoked``: public key → index of the entry that revokes it. ``identity``: verifier key text of the log's
    first key, whatever it was rotated to since.
    """

    path: str
    origin: str
    verifier: Verifier
    size: int
    root: bytes
    claims: Claims
    batches: tuple[Batch, ...]
    models: tuple[ModelEntry, ...]
    datasets: tuple[tuple[int, Mapping[str, Any]], ...]
    decisions: tuple[tuple[int, Mapping[str, Any]], ...]
    revoked: Mapping[bytes, int] = field(default_factory=dict)
    problems: tuple[str, ...] = ()
    seconds: float = 0.0
    identity: str = ""
    rotations: tuple[Rotation, ...] = ()


def read_log(ledger: Ledger) -> LogState:
    """Audit a log and fold its entries.

    Raises:
        LogError: A file, an entry or the checkpoint is damaged; the first bad place is named.
    """
    started = time.perf_counter()
    fold = _Fold(ledger)
    audited = ledger.audit(fold.visit)
    return fold.finish(audited.size, audited.root, started)


def find_entry(state: LogState, digest: bytes) -> int | None:
    """The leaf that says most about an image: its newest live attestation, else its newest record.

    Args:
        state: The log.
        digest: SHA-256 of the image's bytes.

    Returns:
        A leaf index; None: the image is not in the log.
    """
    claims = state.claims
    rows = np.flatnonzero((claims.sha == np.frombuffer(digest, np.uint8)).all(axis=1) & claims.alive)
    attested = rows[claims.attested[rows]]
    best = attested if len(attested) else rows
    return int(claims.index[best[-1]]) if len(best) else None


class _Fold:
    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        keys = ledger.known_keys()
        self.vkeys = frozenset(key.vkey for key in keys)
        self.running = frozenset(key.public for key in keys)
        self.rows: list[tuple[Any, ...]] = []
        self.names: dict[str, int] = {"": 0}
        self.parents: dict[int, tuple[str, ...]] = {}
        self.batches: list[Batch] = []
        self.models: list[tuple[int, dict[str, Any]]] = []
        self.datasets: list[tuple[int, dict[str, Any]]] = []
        self.decisions: list[tuple[int, dict[str, Any]]] = []
        self.withdrawals: list[tuple[int, int]] = []
        self.key_entries: list[tuple[int, dict[str, Any]]] = []
        self.revoked: dict[bytes, int] = {}
        self.since: dict[bytes, int] = {}
        self.problems: list[str] = []
        self.open_first = 0
        self.open_hashes = bytearray()

    # ------------------------------------------------------------------------------------- reading

    def visit(self, first: int, entries: list[bytes], hashes: bytes) -> None:
        for offset, entry in enumerate(entries):
            try:
                body = decode(entry)
            except LogError as error:
                raise LogError(f"entry {first + offset}: {error.message}") from None
            kind = body["kind"]
            if kind == "origin":
                self._origin(first + offset, body)
            elif kind == "seal":
                # Leaf hashes up to the seal are needed for the batch's root.
                self.open_hashes += hashes[(max(self.open_first, first) - first) * HASH : offset * HASH]
                self._seal(first + offset, body)
                self.open_first, self.open_hashes = first + offset + 1, bytearray()
            else:
                self._other(kind, first + offset, body)
        start = max(self.open_first, first) - first
        if start < len(entries):
            self.open_hashes += hashes[start * HASH :]

    def _origin(self, index: int, body: dict[str, Any]) -> None:
        names = self.names
        lo, hi = body["gen"]
        if "parents" in body:
            self.parents[index] = tuple(body["parents"])
        self.rows.append(
            (
                index,
                body["sha256"],
                body["pix"],
                _CLASS[body["origin"]],
                _ROLE[body["role"]],
                lo,
                UNBOUNDED if hi is None else hi,
                names.setdefault(body.get("cohort", ""), len(names)),
                names.setdefault(body.get("model", ""), len(names)),
                body.get("det", _NO_DETAIL),
            )
        )

    def _other(self, kind: str, index: int, body: dict[str, Any]) -> None:
        if kind == "model":
            self.models.append((index, body))
        elif kind == "dataset":
            self.datasets.append((index, body))
        elif kind == "decision":
            self.decisions.append((index, body))
        elif kind == "withdraw":
            self.withdrawals.append((index, body["index"]))
        elif kind == "key":
            self.key_entries.append((index, body))
        elif kind == "?":
            self.problems.append(
                f"entry {index}: a kind or version that this genepool does not know; ignored"
            )

    def _seal(self, index: int, body: dict[str, Any]) -> None:
        try:
            statement = open_seal(body)
            log = statement.log if statement.log in self.vkeys else self.ledger.verifier.vkey
            check_seal(statement, index=index, log=log, root=self._batch_root(statement))
        except (SignatureError, LogError) as error:
            self.problems.append(f"entry {index}: {error.message}; its batch counts for nothing")
            return
        key = statement.key
        self.batches.append(
            Batch(
                statement.first,
                index,
                key,
                statement.role,
                statement.predicate,
                revoked=key.public in self.revoked,
            )
        )
        if statement.role == "key":
            self._apply_keys(self.batches[-1])

    def _batch_root(self, statement: SealStatement) -> bytes | None:
        skipped = statement.first - self.open_first
        if statement.n < 1 or skipped < 0:
            return None
        return root(bytes(self.open_hashes[skipped * HASH :]))

    def _apply_keys(self, batch: Batch) -> None:
        """Revocations: by the key itself, or by the one who runs this log; ``since`` reaches back."""
        for index, body in self.key_entries:
            if not batch.first <= index < batch.index or body["action"] != "revoke":
                continue
            try:
                victim = Verifier.parse(body["vkey"])
            except SignatureError as error:
                self.problems.append(f"entry {index}: {error.message}; ignored")
                continue
            if batch.key.public == victim.public or batch.key.public in self.running:
                self.revoked.setdefault(victim.public, index)
                since = min(body.get("since", index), self.since.get(victim.public, index))
                self.since[victim.public] = since
            else:
                self.problems.append(f"entry {index}: {batch.key.id} may not revoke {victim.id}; ignored")

    # ----------------------------------------------------------------------------------- finishing

    def finish(self, size: int, head: bytes, started: float) -> LogState:
        # A stolen key's batches fall from the named index on, though they were sealed before it was noticed.
        self.batches = [
            replace(batch, revoked=True) if batch.index >= self.since.get(batch.key.public, size) else batch
            for batch in self.batches
        ]
        claims = self._claims()
        return LogState(
            path=self.ledger.where,
            origin=self.ledger.origin,
            verifier=self.ledger.verifier,
            size=size,
            root=head,
            claims=claims,
            batches=tuple(self.batches),
            models=tuple(ModelEntry(i, body, _covering(self.batches, i)) for i, body in self.models),
            datasets=tuple(self.datasets),
            decisions=tuple(self.decisions),
            revoked=dict(self.revoked),
            problems=tuple(self.problems),
            seconds=time.perf_counter() - started,
            identity=self.ledger.known_keys()[0].vkey,
            rotations=self.ledger.rotations,
        )

    def _claims(self) -> Claims:
        n = len(self.rows)
        columns: list[Any] = list(zip(*self.rows, strict=True)) if n else [()] * 10
        index = np.array(columns[0], np.int64)
        role = np.array(columns[4], np.int8)
        batch = np.full(n, -1, np.int32)
        right_role = np.zeros(n, np.bool_)
        for number, span in enumerate(self.batches):
            start, stop = np.searchsorted(index, [span.first, span.index])
            batch[start:stop] = number
            right_role[start:stop] = span.role == "attest"
        alive = np.ones(n, np.bool_)
        self._withdraw(index, batch, alive)
        unsealed = int(((role == 0) & ~right_role).sum())
        if unsealed:
            self.problems.append(f"{unsealed} attestations without a valid seal; they count for nothing")
        return Claims(
            index=index,
            sha=_digests(columns[1]),
            pixel=_digests(columns[2]),
            origin=np.array(columns[3], np.int8),
            role=role,
            lo=np.array(columns[5], np.int32),
            hi=np.array(columns[6], np.int32),
            cohort=np.array(columns[7], np.int32),
            model=np.array(columns[8], np.int32),
            batch=batch,
            detail=_digests(columns[9]),
            alive=alive,
            attested=alive & (role == 0) & right_role,
            names=tuple(self.names),
            parents=self.parents,
        )

    def _withdraw(self, index: NDArray[np.int64], batch: NDArray[np.int32], alive: NDArray[np.bool_]) -> None:
        """Cancel claims: only earlier ones, and only by the key that made them or that runs the log."""
        for at, target in self.withdrawals:
            row = int(np.searchsorted(index, target))
            span = _covering(self.batches, at)
            if target >= at or row >= len(index) or index[row] != target or span is None:
                self.problems.append(
                    f"entry {at}: withdraws entry {target}, which is no earlier origin; ignored"
                )
                continue
            own = self.batches[batch[row]].key.public if batch[row] >= 0 else b""
            by = span.key.public
            if span.role == "withdraw" and not span.revoked and (by == own or by in self.running):
                alive[row] = False
            else:
                self.problems.append(f"entry {at}: {span.key.id} may not withdraw entry {target}; ignored")


_NO_DETAIL = "0" * 64


def _digests(column: Any) -> NDArray[np.uint8]:
    return np.frombuffer(bytes.fromhex("".join(column)), np.uint8).reshape(-1, HASH)


def _covering(batches: Sequence[Batch], index: int) -> Batch | None:
    """The batch that an entry belongs to: the next seal's, if that reaches back far enough."""
    place = bisect.bisect_right(batches, index, key=lambda batch: batch.index)
    if place == len(batches):
        return None
    return batches[place] if batches[place].first <= index else None
