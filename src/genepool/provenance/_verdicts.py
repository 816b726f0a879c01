"""People's verdicts and the random orders they were asked in, appended to the log in signed batches."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256
from typing import Any, cast

import orjson

from genepool.config import Config
from genepool.errors import LogError, SignatureError
from genepool.provenance._discover import has_log
from genepool.provenance._entries import clean, decode, encode
from genepool.provenance._fold import LogState
from genepool.provenance._heads import check_head, pin_head
from genepool.provenance._keys import load_key
from genepool.provenance._ledger import Ledger
from genepool.provenance._writer import Writer, open_writer
from genepool.records import Verdict
from genepool.store import Draw, Workspace

__all__ = ["VerdictBatch", "append_verdicts", "find_verdicts", "log_size", "verdict_digest"]


@dataclass(frozen=True, slots=True)
class VerdictBatch:
    """Where a batch was written.

    Attributes:
        draws: Leaf index of each draw's entry, in the order given.
        first: Leaf index of the first verdict's entry.
        n: Verdicts.
        size: Entries in the log now.
        root: Its root hash now, hex.
    """

    draws: tuple[int, ...]
    first: int
    n: int
    size: int
    root: str


def verdict_digest(verdict: Verdict) -> str:
    """SHA-256 (hex) over everything that is known about a verdict, as sorted JSON."""
    return sha256(orjson.dumps(asdict(verdict), option=orjson.OPT_SORT_KEYS)).hexdigest()


def append_verdicts(
    workspace: Workspace,
    verdicts: Sequence[Verdict],
    config: Config | None = None,
    *,
    draws: Sequence[Draw] = (),
    audited: bool = False,
) -> VerdictBatch:
    """Append verdicts as ``verdict`` entries under one seal, in one durable commit.

    An entry holds image, answer, reviewer and second; ``det`` is the digest of the whole verdict, so that
    comment, time taken and flags are bound without being published. Draws go in front as ``draw`` entries:
    with seed and population, the order can be computed again by anybody.

    Args:
        workspace: Where the log lies; it is begun if need be.
        verdicts: In the order in which they were given.
        config: Key.
        draws: Random orders that are not in the log yet.
        audited: This process has appended before: the log's head and right edge are checked, not every
            entry again, so that a batch costs the same however long the log is.

    Raises:
        UsageError: A reviewer's name that a record cannot hold.
        IntegrityError: The log does not verify.
        WorkspaceError: Not writable, or another process is writing it.
    """
    entries = [encode(_drawn(draw)) for draw in draws]
    entries += [encode(_entry(verdict)) for verdict in verdicts]
    with _again(workspace, config) if audited else open_writer(workspace, config) as writer:
        if not entries:
            return VerdictBatch((), writer.ledger.size, 0, writer.ledger.size, writer.ledger.root.hex())
        written = writer.append(entries, "check", {"verdicts": len(verdicts)})
        size, root = writer.ledger.size, writer.ledger.root.hex()
    return VerdictBatch(tuple(written[: len(draws)]), written[0] + len(draws), len(verdicts), size, root)


@contextlib.contextmanager
def _again(workspace: Workspace, config: Config | None) -> Iterator[Writer]:
    """The log, locked for appending, without folding it; appending needs no state."""
    key = load_key(config)
    if key is None:
        raise SignatureError("there is no private key")
    ledger = Ledger.open(workspace.ledger, signer=key.signer, verifiers=key.verifiers)
    with ledger.writing():
        check_head(ledger)
        try:
            yield Writer(ledger, key, cast("LogState", None))
        finally:
            pin_head(ledger)


def _drawn(draw: Draw) -> dict[str, Any]:
    body: dict[str, Any] = {"kind": "draw", "at": int(draw.at), "attempt": draw.attempt, "n": draw.n}
    scores = {"scores": draw.scores} if draw.scores else {}
    return {**body, "population": draw.population, "seed": draw.seed, **scores}


def _entry(verdict: Verdict) -> dict[str, Any]:
    return {
        "kind": "verdict",
        "answer": verdict.answer,
        "at": max(0, int(verdict.at)),
        "det": verdict_digest(verdict),
        "reviewer": clean(verdict.reviewer) or "?",
        "sha256": verdict.sha256,
    }


def log_size(workspace: Workspace) -> int:
    """Entries in the workspace's own log; 0 where there is none.

    Raises:
        IntegrityError: The checkpoint does not verify.
    """
    if not has_log(workspace):
        return 0
    return Ledger.open(workspace.ledger).size


def find_verdicts(workspace: Workspace, start: int = 0) -> dict[str, int]:
    """Verdicts in the workspace's own log from an index on: digest of the whole verdict → leaf index.

    Raises:
        IntegrityError: The log does not verify.
    """
    if log_size(workspace) <= start:
        return {}
    ledger, found = Ledger.open(workspace.ledger), {}

    def visit(first: int, entries: list[bytes], hashes: bytes) -> None:
        del hashes
        for index, entry in enumerate(entries, first):
            if index < start:
                continue
            try:
                body = decode(entry)
            except LogError as error:
                raise LogError(f"entry {index}: {error.message}") from None
            if body["kind"] == "verdict" and "det" in body:
                found[str(body["det"])] = index

    ledger.audit(visit)
    return found
