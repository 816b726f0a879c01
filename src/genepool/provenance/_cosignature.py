r"""Cosignatures of witnesses (C2SP tlog-cosignature, Ed25519, type 0x04).

A witness states: at this time, the consistent tree with the largest size that I have seen of this log has
this root. The signed message is ``cosignature/v1\ntime T\n`` and the checkpoint's note text; the signature
line carries key id (4 bytes) ‖ time (8 bytes, big endian) ‖ signature (64 bytes).
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256

from genepool.errors import SignatureError
from genepool.provenance._note import Signer, Verifier, strict_base64

__all__ = ["Cosignature", "WitnessKey", "append_signatures", "cosign", "read_cosignatures"]

TYPE = 4
_LINE = re.compile(r"— ([^ ]+) ([A-Za-z0-9+/=]+)")
_PAYLOAD = 4 + 8 + 64


@dataclass(frozen=True, slots=True)
class WitnessKey:
    """A witness's public key with its name.

    Attributes:
        name: Key name.
        public: Ed25519 public key, 32 bytes.
    """

    name: str
    public: bytes

    @property
    def key_id(self) -> bytes:
        """SHA-256(name ‖ 0x0A ‖ 0x04 ‖ public)[:4]."""
        return sha256(self.name.encode() + b"\n" + bytes([TYPE]) + self.public).digest()[:4]

    @property
    def vkey(self) -> str:
        """The verifier key text, ``name+hash+base64(0x04 ‖ public)``."""
        return f"{self.name}+{self.key_id.hex()}+{base64.b64encode(bytes([TYPE]) + self.public).decode()}"

    @classmethod
    def parse(cls, text: str) -> WitnessKey:
        """Read a witness's verifier key.

        Raises:
            SignatureError: Malformed, of another type, or with an id that is not the key's.
        """
        parts = text.split("+", 2)
        if len(parts) != 3 or not parts[0] or re.search(r"\s", parts[0]):
            raise SignatureError(f"witness key: expected name+hash+base64, found {text[:80]!r}")
        data = strict_base64(parts[2], "witness key")
        if len(data) != 33 or data[0] != TYPE:
            raise SignatureError(f"witness key {parts[0]}: expected an Ed25519 cosigner key (type 4)")
        key = cls(parts[0], data[1:])
        if parts[1] != key.key_id.hex():
            raise SignatureError(
                f"witness key {key.name}: expected id {key.key_id.hex()}, found {parts[1][:20]!r}"
            )
        return key

    @classmethod
    def of(cls, signer: Signer) -> WitnessKey:
        """The public side of a private key used as a witness's."""
        return cls(signer.name, signer.verifier.public)


@dataclass(frozen=True, slots=True)
class Cosignature:
    """A verified cosignature: whose, and when (Unix seconds)."""

    key: WitnessKey
    time: int


def _message(text: str, time: int) -> bytes:
    return f"cosignature/v1\ntime {time}\n{text}".encode()


def cosign(text: str, signer: Signer, time: int) -> str:
    """The signature line of a witness over a checkpoint's note text.

    Args:
        text: The note text, with its final newline and without signatures.
        signer: The witness's private key (its own: the message does not name the cosigner).
        time: Unix seconds, above 0 and below 2^63.

    Raises:
        SignatureError: A time that cannot be stated.
    """
    if not 0 < time < 1 << 63:
        raise SignatureError(f"cosignature: expected a time in Unix seconds, found {time}")
    key = WitnessKey.of(signer)
    payload = key.key_id + time.to_bytes(8, "big") + signer.sign(_message(text, time))
    return f"— {key.name} {base64.b64encode(payload).decode()}\n"


def read_cosignatures(
    note: bytes, keys: Iterable[WitnessKey], *, now: int | None = None
) -> tuple[Cosignature, ...]:
    """The cosignatures of known witnesses on a signed checkpoint, verified.

    Lines of unknown keys are passed over; a wrong line of a known key refuses the note.

    Args:
        note: The whole signed checkpoint.
        keys: Witnesses that are known.
        now: Unix seconds; a cosignature from later than that is refused. None: not checked.

    Raises:
        SignatureError: A known witness's line does not verify, is from the future or stands twice.
    """
    text, separator, lines = note.decode("utf-8", "strict").rpartition("\n\n")
    if not separator:
        raise SignatureError("checkpoint: expected an empty line before the signatures")
    text += "\n"
    known = {(key.name, key.key_id): key for key in keys}
    found: dict[WitnessKey, Cosignature] = {}
    for line in lines.splitlines():
        match = _LINE.fullmatch(line)
        if match is None:
            raise SignatureError(f"checkpoint: expected a signature line, found {line[:60]!r}")
        payload = strict_base64(match[2], "cosignature")
        key = known.get((match[1], payload[:4]))
        if key is None:
            continue
        found[key] = _verified(key, payload, text, now, again=key in found)
    return tuple(found.values())


def _verified(key: WitnessKey, payload: bytes, text: str, now: int | None, *, again: bool) -> Cosignature:
    if again:
        raise SignatureError(f"cosignature of {key.name}: expected one, found two")
    if len(payload) != _PAYLOAD:
        raise SignatureError(f"cosignature of {key.name}: expected {_PAYLOAD} bytes, found {len(payload)}")
    time = int.from_bytes(payload[4:12], "big")
    if not 0 < time < 1 << 63:
        raise SignatureError(f"cosignature of {key.name}: expected a time, found {time}")
    if now is not None and time > now:
        raise SignatureError(f"cosignature of {key.name}: from the future ({time}, now {now})")
    if not Verifier(key.name, key.public).verify(_message(text, time), payload[12:]):
        raise SignatureError(f"the cosignature of {key.name} does not verify")
    return Cosignature(key, time)


def append_signatures(note: bytes, lines: Sequence[str]) -> bytes:
    """The signed checkpoint with further signature lines; lines that it already has are not repeated."""
    have = set(note.decode().splitlines())
    return note + "".join(f"{line.rstrip()}\n" for line in lines if line.rstrip() not in have).encode()
