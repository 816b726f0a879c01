"""Seals: one signature for a whole batch of entries.

A seal is a DSSE envelope (pre-authentication encoding ``DSSEv1``) around an in-toto Statement v1 whose one
subject is the RFC 6962 root over the batch's leaves. An entry is bound to its seal by its place in the batch;
the statement also names the log's key and the index of the first entry, so that neither can be replayed in
another log or at another place.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from genepool.errors import LogError, SignatureError
from genepool.provenance._entries import encode
from genepool.provenance._merkle import HASH
from genepool.provenance._note import Signer, Verifier

__all__ = ["PREDICATE", "SealStatement", "check_seal", "make_seal", "open_seal", "pae"]

PAYLOAD_TYPE = "application/vnd.in-toto+json"
STATEMENT = "https://in-toto.io/Statement/v1"
PREDICATE = "urn:x-genepool:origin-batch:v1"
ROLES = ("attest", "check", "model", "withdraw", "key")


@dataclass(frozen=True, slots=True)
class SealStatement:
    """What a verified seal says.

    Attributes:
        key: Who signed.
        root: RFC 6962 root over the batch's leaves, 32 bytes.
        first: Leaf index of the batch's first entry.
        n: Entries in the batch.
        log: Verifier key text of the log that it was made for.
        role: ``attest``, ``check``, ``model``, ``withdraw`` or ``key``.
        predicate: Everything else that was signed.
    """

    key: Verifier
    root: bytes
    first: int
    n: int
    log: str
    role: str
    predicate: Mapping[str, Any]


def pae(payload_type: str, payload: bytes) -> bytes:
    """DSSE v1 pre-authentication encoding: what is signed."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def make_seal(signer: Signer, root: bytes, predicate: Mapping[str, Any]) -> bytes:
    """A ``seal`` entry over a batch root.

    Args:
        signer: The attestor's key.
        root: RFC 6962 root over the batch's leaves.
        predicate: Must hold ``first``, ``n``, ``log`` and ``role``.
    """
    statement = {
        "_type": STATEMENT,
        "predicate": dict(predicate),
        "predicateType": PREDICATE,
        "subject": [{"digest": {"sha256": root.hex()}, "name": "batch"}],
    }
    payload = orjson.dumps(statement, option=orjson.OPT_SORT_KEYS)
    envelope = {
        "payload": base64.b64encode(payload).decode(),
        "payloadType": PAYLOAD_TYPE,
        "signatures": [
            {
                "keyid": signer.verifier.id,
                "sig": base64.b64encode(signer.sign(pae(PAYLOAD_TYPE, payload))).decode(),
            }
        ],
    }
    return encode({"kind": "seal", "dsse": envelope, "vkey": signer.verifier.vkey})


def open_seal(body: Mapping[str, Any]) -> SealStatement:
    """Verify a decoded ``seal`` entry's signature and read its statement.

    Raises:
        SignatureError: Malformed, or the signature does not verify under the key that it names.
    """
    try:
        key = Verifier.parse(body["vkey"])
        envelope = body["dsse"]
        payload = base64.b64decode(envelope["payload"], validate=True)
        (signature,) = envelope["signatures"]
        if envelope["payloadType"] != PAYLOAD_TYPE or signature["keyid"] != key.id:
            raise SignatureError("seal: expected an in-toto statement signed by the key beside it")
        if not key.verify(pae(PAYLOAD_TYPE, payload), base64.b64decode(signature["sig"], validate=True)):
            raise SignatureError(f"seal: the signature of {key.id} does not verify")
        statement = orjson.loads(payload)
        predicate = statement["predicate"]
        (subject,) = statement["subject"]
        root = bytes.fromhex(subject["digest"]["sha256"])
        first, n, log, role = (predicate[field] for field in ("first", "n", "log", "role"))
    except (KeyError, TypeError, ValueError, binascii.Error) as error:
        raise SignatureError(f"seal: malformed: {type(error).__name__}: {str(error)[:80]}") from None
    sound = (
        statement.get("_type") == STATEMENT
        and statement.get("predicateType") == PREDICATE
        and len(root) == HASH
        and type(first) is int
        and type(n) is int
        and type(log) is str
        and role in ROLES
    )
    if not sound:
        raise SignatureError("seal: expected an origin-batch statement, found something else")
    return SealStatement(key, root, first, n, log, role, predicate)


def check_seal(seal: SealStatement, *, index: int, log: str, root: bytes | None) -> None:
    """Check that a seal stands right behind the batch that it signs, in the log that it names.

    Args:
        seal: The verified statement.
        index: Leaf index of the seal entry itself.
        log: Verifier key text of the log that is read.
        root: Root over the entries ``[seal.first, index)``; None: there is no such batch.

    Raises:
        LogError: It was made for another log, place or batch.
    """
    if seal.log != log:
        raise LogError(f"seal at {index}: made for log {seal.log.split('+')[0]!r}, found in another")
    if root is None or seal.first + seal.n != index:
        raise LogError(f"seal at {index}: signs {seal.n} entries from {seal.first}, not the ones before it")
    if root != seal.root:
        raise LogError(f"seal at {index}: the entries before it are not the ones that {seal.key.id} signed")
