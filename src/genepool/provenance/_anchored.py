"""What others said about heads of the log: cosignatures of witnesses and time anchors, kept beside it.

``anchors/<size>/`` of the workspace holds the signed checkpoint of that size exactly as the log published it
(``checkpoint``), the same with witnesses' lines (``cosigned``), and what was stamped over the bytes of
``checkpoint``: ``timestamp.tsr`` (RFC 3161) and ``checkpoint.ots`` (OpenTimestamps).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from genepool.errors import GenepoolError, LogError, UsageError, WorkspaceError
from genepool.provenance._bitcoin import FLOOR, create_proof, ots_status, upgrade_proof, verify_proof
from genepool.provenance._checkpoint import open_checkpoint
from genepool.provenance._files import atomic_write
from genepool.provenance._ledger import Ledger
from genepool.provenance._quorum import LogPolicy
from genepool.provenance._timestamp import request_timestamp, verify_timestamp
from genepool.provenance._witness_http import submit_checkpoint

__all__ = ["AnchoredHead", "Anchors", "anchor_head", "submit_head", "upgrade_anchors", "verify_anchors"]

_FILES = {"cosigned": "cosigned", "rfc3161": "timestamp.tsr", "opentimestamps": "checkpoint.ots"}


@dataclass(frozen=True, slots=True)
class AnchoredHead:
    """One head of the log and what others said about it.

    Attributes:
        size: Entries of the log at that head.
        checkpoint: The signed checkpoint's bytes.
        cosigned: The same with cosignatures; empty: nobody was asked.
        rfc3161: DER ``TimeStampResp``; empty: none.
        opentimestamps: Detached ``.ots`` proof; empty: none.
    """

    size: int
    checkpoint: bytes
    cosigned: bytes = b""
    rfc3161: bytes = b""
    opentimestamps: bytes = b""

    @property
    def cosignatures(self) -> tuple[str, ...]:
        """The witnesses' signature lines."""
        return tuple(self.cosigned[len(self.checkpoint) :].decode("utf-8", "replace").splitlines())

    def to_json(self) -> dict[str, Any]:
        """What is there, as plain data."""
        return {
            "size": self.size,
            "cosigned_by": [line.split(" ")[1] for line in self.cosignatures if line.count(" ") == 2],
            "rfc3161": bool(self.rfc3161),
            "opentimestamps": bool(self.opentimestamps),
        }


class Anchors:
    """The folder ``anchors`` of a workspace.

    Args:
        ledger: The log; the folder lies beside it.
    """

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.folder = Path(ledger.path).parent / "anchors"

    def heads(self) -> list[AnchoredHead]:
        """Every head that somebody cosigned or stamped, oldest first.

        Raises:
            LogError: A stored checkpoint is not one of this log.
        """
        try:
            sizes = sorted(int(path.name) for path in self.folder.iterdir() if path.name.isdecimal())
        except OSError:
            return []
        return [self.head(size) for size in sizes]

    def head(self, size: int) -> AnchoredHead:
        """One head, its checkpoint compared with the log.

        Raises:
            LogError: There is none of this size, or it contradicts the log.
        """
        place = self.folder / str(size)
        raw = self._read(place / "checkpoint")
        if not raw:
            raise LogError(f"{place}/checkpoint: missing")
        try:
            found, _ = open_checkpoint(raw, self.ledger.known_keys(), origin=self.ledger.origin)
        except GenepoolError as error:
            raise LogError(f"{place}/checkpoint: {error.message}") from None
        if found.size != size or size > self.ledger.size or self.ledger.root_at(size) != found.root:
            raise LogError(
                f"{place}/checkpoint: contradicts the log at {self.ledger.path}: forked or rolled back"
            )
        rest = {field: self._read(place / name) for field, name in _FILES.items()}
        if rest["cosigned"] and not rest["cosigned"].startswith(raw):
            raise LogError(f"{place}/cosigned: expected the checkpoint beside it with more signatures")
        return AnchoredHead(size, raw, **rest)

    def current(self) -> AnchoredHead:
        """The log's present head, with what is already stored for it."""
        size = self.ledger.size
        if (self.folder / str(size)).is_dir():
            return self.head(size)
        return AnchoredHead(size, self.ledger.signed_checkpoint())

    def keep(self, head: AnchoredHead) -> None:
        """Store a head, durably.

        Raises:
            WorkspaceError: Not writable.
        """
        place = self.folder / str(head.size)
        try:
            place.mkdir(parents=True, exist_ok=True)
            atomic_write(place / "checkpoint", head.checkpoint)
            for field, name in _FILES.items():
                if data := getattr(head, field):
                    atomic_write(place / name, data)
        except OSError as error:
            raise WorkspaceError(f"{place}: cannot be written: {error.strerror}") from None

    def _read(self, path: Path) -> bytes:
        try:
            return path.read_bytes()
        except FileNotFoundError:
            return b""
        except OSError as error:
            raise LogError(f"{path}: cannot be read: {error.strerror}") from None


def submit_head(
    ledger: Ledger, policy: LogPolicy, *, only: Sequence[str] = (), now: int | None = None
) -> tuple[AnchoredHead, dict[str, str]]:
    """Ask every witness of a policy that has a URL to cosign the log's present head.

    Args:
        ledger: The log, at its newest head.
        policy: Names the witnesses.
        only: Just these names; empty: all.
        now: Unix seconds; a cosignature from later than that is refused. None: not checked.

    Returns:
        The head as it is stored now, and for each witness that did not answer why.

    Raises:
        UsageError: No witness with a URL, or a name that the policy does not know.
        IntegrityError: A witness has cosigned a history that this log does not extend.
    """
    unknown = sorted(set(only) - set(policy.witnesses))
    if unknown:
        raise UsageError(
            f"witness {unknown[0]!r}: expected one of {', '.join(policy.witnesses) or 'none'} of the policy"
        )
    asked = {
        name: (key, url)
        for name, (key, url) in policy.witnesses.items()
        if url and (not only or name in only)
    }
    if not asked:
        raise UsageError("witnesses: expected at least one with a URL in the policy, found none")
    anchors = Anchors(ledger)
    head = anchors.current()
    note = head.cosigned or head.checkpoint
    failed: dict[str, str] = {}

    def proof(old: int) -> list[bytes]:
        return ledger.consistency(old)[1]

    for name, (key, url) in asked.items():
        try:
            lines = submit_checkpoint(url, head.checkpoint, proof, key, size=head.size)
        except GenepoolError as error:
            if error.exit_code == 4:
                raise
            failed[name] = error.message
            continue
        note = _merge(note, lines[len(head.checkpoint) :], key.name, key.key_id)
    if note != head.checkpoint:
        head = AnchoredHead(head.size, head.checkpoint, note, head.rfc3161, head.opentimestamps)
        anchors.keep(head)
    return head, failed


def _merge(note: bytes, fresh: bytes, name: str, key_id: bytes) -> bytes:
    """Put a witness's newest line in place of its older one: a key may sign a note once only."""
    import base64

    text, _, lines = note.decode().rpartition("\n\n")
    kept = []
    for line in lines.splitlines():
        parts = line.split(" ")
        same = len(parts) == 3 and parts[1] == name and base64.b64decode(parts[2])[:4] == key_id
        if not same:
            kept.append(line)
    return f"{text}\n\n".encode() + "".join(f"{line}\n" for line in kept).encode() + fresh


def anchor_head(
    ledger: Ledger,
    *,
    tsa: str = "",
    roots: bytes = b"",
    calendars: Sequence[str] = (),
    say: Callable[[str], None] = lambda _: None,
) -> AnchoredHead:
    """Have the log's present head stamped.

    Args:
        ledger: The log.
        tsa: URL of an RFC 3161 authority; empty: none.
        roots: PEM certificates that its token must verify against; empty: stored unverified, and said so.
        calendars: URLs of OpenTimestamps calendars.
        say: Told what was done, a sentence at a time.

    Raises:
        CannotFinish: An authority or all calendars cannot be reached.
        SignatureError: The token does not verify against the roots.
    """
    anchors = Anchors(ledger)
    head = anchors.current()
    token, proof = head.rfc3161, head.opentimestamps
    if tsa:
        token = request_timestamp(tsa, head.checkpoint)
        if roots:
            moment = verify_timestamp(token, head.checkpoint, roots)
            say(f"RFC 3161 token of {tsa}: verified, {moment:%Y-%m-%d %H:%M:%S} UTC")
        else:
            say(f"RFC 3161 token of {tsa}: stored, not verified (give --roots PEM)")
    if calendars:
        proof = create_proof(head.checkpoint, calendars)
        say("OpenTimestamps: promised, not yet in a block; later: genepool ledger anchor --upgrade")
    head = AnchoredHead(head.size, head.checkpoint, head.cosigned, token, proof)
    anchors.keep(head)
    return head


def upgrade_anchors(ledger: Ledger) -> list[tuple[AnchoredHead, bool]]:
    """Ask the calendars of every stored proof whether a block holds it now.

    Returns:
        Each head that has a proof, and whether a block is known for it.

    Raises:
        CannotFinish: A calendar cannot be reached.
    """
    anchors = Anchors(ledger)
    done = []
    for head in anchors.heads():
        if not head.opentimestamps:
            continue
        proof = head.opentimestamps
        if not ots_status(proof).heights:
            proof = upgrade_proof(proof)
            head = AnchoredHead(head.size, head.checkpoint, head.cosigned, head.rfc3161, proof)
            anchors.keep(head)
        done.append((head, bool(ots_status(proof).heights)))
    return done


def verify_anchors(
    ledger: Ledger,
    *,
    roots: bytes = b"",
    headers: Mapping[int, bytes] | None = None,
    policy: LogPolicy | None = None,
    floor: float = FLOOR,
) -> list[str]:
    """Verify everything that is stored, as far as the verifier brings what it takes.

    Returns:
        One sentence for each anchor.

    Raises:
        IntegrityError: One does not verify.
    """
    said = []
    for head in Anchors(ledger).heads():
        if head.cosigned and policy is not None:
            names = policy.require(head.cosigned)
            said.append(f"size {head.size:,}: cosigned by {', '.join(names)}")
        elif head.cosigned:
            said.append(f"size {head.size:,}: {len(head.cosignatures)} cosignatures, not checked (--policy)")
        if head.rfc3161 and roots:
            moment = verify_timestamp(head.rfc3161, head.checkpoint, roots)
            said.append(f"size {head.size:,}: existed at {moment:%Y-%m-%d %H:%M:%S} UTC (RFC 3161)")
        elif head.rfc3161:
            said.append(f"size {head.size:,}: RFC 3161 token, not checked (--roots PEM)")
        if head.opentimestamps:
            said.append(f"size {head.size:,}: {bitcoin_sentence(head, headers, floor)}")
    return said


def bitcoin_sentence(head: AnchoredHead, headers: Mapping[int, bytes] | None, floor: float) -> str:
    """What an OpenTimestamps proof says; verified where the verifier brings the block's header.

    Raises:
        SignatureError: It does not verify.
    """
    status = ots_status(head.opentimestamps)
    if not status.heights:
        return "OpenTimestamps proof still pending: no block holds it yet, proves nothing"
    if not headers:
        blocks = ", ".join(map(str, status.heights))
        return f"OpenTimestamps proof into block {blocks}, not checked (--headers FILE)"
    time = verify_proof(head.opentimestamps, head.checkpoint, dict(headers), floor=floor)
    return f"in a Bitcoin block of {datetime.fromtimestamp(time, UTC):%Y-%m-%d %H:%M} UTC"
