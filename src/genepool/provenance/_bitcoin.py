"""OpenTimestamps: a checkpoint anchored in a Bitcoin block.

A proof starts *pending* (a calendar promised to include the digest) and is *upgraded* to a path that ends in
the Merkle root of a block. Verification is offline: replay the path, compare with the header that the
verifier brings, and check the header's own proof of work, so that a made-up header is refused. Extra
``anchors`` (opentimestamps, LGPL-3.0, used as a library).
"""

from __future__ import annotations

import http.client
import urllib.parse
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from genepool.errors import CannotFinish, MissingExtra, SignatureError, UsageError

__all__ = ["BlockHeader", "OtsStatus", "create_proof", "ots_status", "upgrade_proof", "verify_proof"]

# Difficulty that mainnet has exceeded in every block since 2018: an old or made-up easy header is refused.
FLOOR = 1e12
_DIFFICULTY_1 = 0xFFFF << 208
_LARGEST = 10_000


def _library() -> Any:
    try:
        import opentimestamps.core.notary as notary
        import opentimestamps.core.op as op
        import opentimestamps.core.serialize as serialize
        import opentimestamps.core.timestamp as timestamp
    except ImportError:
        raise MissingExtra(needs="opentimestamps", extra="anchors") from None
    return notary, op, serialize, timestamp


@dataclass(frozen=True, slots=True)
class BlockHeader:
    """The 80 bytes of a Bitcoin block header, read.

    Attributes:
        merkle_root: 32 bytes, in the header's own byte order.
        time: Unix seconds as stated by the miner.
        difficulty: Expected work relative to the easiest block of 2009.
    """

    merkle_root: bytes
    time: int
    difficulty: float

    @classmethod
    def parse(cls, header: bytes, *, floor: float = FLOOR) -> BlockHeader:
        """Read a header and check its proof of work.

        Args:
            header: 80 bytes.
            floor: Least difficulty that is believed.

        Raises:
            SignatureError: Wrong length, or the header's hash does not meet its target or the floor.
        """
        if len(header) != 80:
            raise SignatureError(f"block header: expected 80 bytes, found {len(header)}")
        exponent, mantissa = header[75], int.from_bytes(header[72:75], "little")
        if mantissa & 0x800000 or not mantissa or exponent > 32:
            raise SignatureError("block header: its target is not a positive number of 256 bits")
        target = mantissa << 8 * (exponent - 3) if exponent > 3 else mantissa >> 8 * (3 - exponent)
        work = int.from_bytes(sha256(sha256(header).digest()).digest(), "little")
        if target == 0 or work > target:
            raise SignatureError("block header: its hash does not meet its own target: not a mined block")
        difficulty = _DIFFICULTY_1 / target
        if difficulty < floor:
            raise SignatureError(
                f"block header: difficulty {difficulty:.3g} is below {floor:.3g}: cheap to make up"
            )
        return cls(header[36:68], int.from_bytes(header[68:72], "little"), difficulty)


@dataclass(frozen=True, slots=True)
class OtsStatus:
    """What a proof holds: calendars still to be asked, and heights of the blocks that it reaches."""

    pending: tuple[str, ...]
    heights: tuple[int, ...]


def create_proof(checkpoint: bytes, calendars: Sequence[str], *, timeout: float = 30.0) -> bytes:
    """Submit SHA-256(checkpoint) to calendars.

    Only the digest leaves the machine, salted with 16 random bytes, so a calendar learns nothing.

    Args:
        checkpoint: What is anchored.
        calendars: Calendar URLs; one that answers is enough.
        timeout: Seconds for each.

    Returns:
        A detached proof file (``.ots``), pending.

    Raises:
        CannotFinish: No calendar answered.
    """
    import os

    _, op, _, timestamp = _library()
    detached = timestamp.DetachedTimestampFile(
        op.OpSHA256(), timestamp.Timestamp(sha256(checkpoint).digest())
    )
    salted = detached.timestamp.ops.add(op.OpAppend(os.urandom(16)))
    commitment = salted.ops.add(op.OpSHA256())
    failures = []
    for url in calendars:
        try:
            body = _http("POST", f"{url.rstrip('/')}/digest", commitment.msg, timeout)
            commitment.merge(_timestamp(body, commitment.msg))
        except CannotFinish as error:
            failures.append(error.message)
    if len(failures) == len(calendars):
        raise CannotFinish(f"no calendar took the digest: {'; '.join(failures) or 'none was named'}")
    return _write(detached)


def upgrade_proof(proof: bytes, *, timeout: float = 30.0) -> bytes:
    """Ask the proof's calendars whether their promise has become a block.

    Returns:
        The proof with every path that is now known; unchanged where nothing is new.

    Raises:
        CannotFinish: A calendar cannot be reached.
        SignatureError: The proof, or what a calendar answered, is malformed.
    """
    notary, _, _, _ = _library()
    detached = _read(proof)
    for message, attestation in list(detached.timestamp.all_attestations()):
        if not isinstance(attestation, notary.PendingAttestation):
            continue
        node = _find(detached.timestamp, message)
        body = _http(
            "GET", f"{attestation.uri.rstrip('/')}/timestamp/{message.hex()}", None, timeout, missing=True
        )
        if body is not None:
            node.merge(_timestamp(body, message))
    return _write(detached)


def ots_status(proof: bytes) -> OtsStatus:
    """Read a proof without verifying it.

    Raises:
        SignatureError: Malformed.
    """
    notary, _, _, _ = _library()
    pending, heights = [], []
    for _, attestation in _read(proof).timestamp.all_attestations():
        if isinstance(attestation, notary.PendingAttestation):
            pending.append(attestation.uri)
        elif isinstance(attestation, notary.BitcoinBlockHeaderAttestation):
            heights.append(attestation.height)
    return OtsStatus(tuple(sorted(pending)), tuple(sorted(heights)))


def verify_proof(proof: bytes, checkpoint: bytes, headers: dict[int, bytes], *, floor: float = FLOOR) -> int:
    """Verify offline that the checkpoint is in a Bitcoin block.

    Args:
        proof: A detached proof file.
        checkpoint: What it should anchor.
        headers: Block headers that the verifier brings, by height, 80 bytes each.
        floor: Least difficulty of a header that is believed.

    Returns:
        Time of the earliest block that holds it, Unix seconds.

    Raises:
        SignatureError: Another digest, still pending, no header at hand, or another root.
    """
    notary, _, _, _ = _library()
    detached = _read(proof)
    if detached.file_digest != sha256(checkpoint).digest():
        raise SignatureError("Bitcoin anchor: the proof is over something else")
    times = []
    heights = []
    for message, attestation in detached.timestamp.all_attestations():
        if not isinstance(attestation, notary.BitcoinBlockHeaderAttestation):
            continue
        heights.append(attestation.height)
        if attestation.height in headers:
            header = BlockHeader.parse(headers[attestation.height], floor=floor)
            if message != header.merkle_root:
                raise SignatureError(
                    f"Bitcoin anchor: the path does not end in the Merkle root of block {attestation.height}"
                )
            times.append(header.time)
    if times:
        return min(times)
    if heights:
        raise SignatureError(
            f"Bitcoin anchor: bring the header of block {', '.join(map(str, heights))} to verify it"
        )
    raise SignatureError(
        "Bitcoin anchor: still pending, no block holds it yet", hint="genepool ledger anchor --upgrade"
    )


def _find(node: Any, message: bytes) -> Any:
    if node.msg == message:
        return node
    for child in node.ops.values():
        found = _find(child, message)
        if found is not None:
            return found
    return None


def _read(proof: bytes) -> Any:
    _, _, serialize, timestamp = _library()
    try:
        return timestamp.DetachedTimestampFile.deserialize(serialize.BytesDeserializationContext(proof))
    except (serialize.DeserializationError, ValueError, RecursionError, OverflowError) as error:
        raise SignatureError(f"Bitcoin anchor: not a readable OpenTimestamps proof: {error}") from None


def _timestamp(body: bytes, message: bytes) -> Any:
    _, _, serialize, timestamp = _library()
    try:
        return timestamp.Timestamp.deserialize(serialize.BytesDeserializationContext(body), message)
    except (serialize.DeserializationError, ValueError, RecursionError, OverflowError) as error:
        raise SignatureError(f"calendar: not a readable timestamp: {error}") from None


def _write(detached: Any) -> bytes:
    _, _, serialize, _ = _library()
    context = serialize.BytesSerializationContext()
    detached.serialize(context)
    return bytes(context.getbytes())


def _http(method: str, url: str, body: bytes | None, timeout: float, *, missing: bool = False) -> Any:
    parts = urllib.parse.urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise UsageError(f"expected a calendar's http(s) URL, found {url!r}")
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.hostname, parts.port, timeout=timeout)
    try:
        connection.request(method, parts.path, body, {"Accept": "application/vnd.opentimestamps.v1"})
        response = connection.getresponse()
        status, answer = response.status, response.read(_LARGEST + 1)
    except (OSError, http.client.HTTPException) as error:
        raise CannotFinish(f"{url}: the calendar cannot be reached: {error}") from None
    finally:
        connection.close()
    if missing and status == 404:
        return None
    if status != 200 or len(answer) > _LARGEST:
        raise CannotFinish(f"{url}: the calendar answered {status}, {len(answer)} bytes")
    return answer
