"""Signed notes: the C2SP text format of signed-note, with Ed25519 keys (algorithm byte 0x01).

A note is UTF-8 text that ends in a newline, an empty line, then one line a signature:
``— <key name> <base64(4-byte key id ‖ signature)>``. The key id is the first four bytes of
SHA-256(name ‖ 0x0A ‖ algorithm ‖ public key). Source: C2SP signed-note; golang.org/x/mod/sumdb/note fixes
the text forms of verifier (``name+id+base64``) and private (``PRIVATE+KEY+name+id+base64``) keys.
"""

from __future__ import annotations

import base64
import binascii
import functools
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING

from genepool.errors import SignatureError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

__all__ = ["Note", "Signer", "Verifier", "open_note", "sign_note", "strict_base64"]

ED25519 = 1
MAX_NOTE = 1_000_000
MAX_SIGNATURES = 100
_NAME = re.compile(r"[^\s+\x00-\x1f\x7f]+")
_KEY_ID = re.compile(r"[0-9a-f]{8}")
_SIGNATURE = re.compile(r"— ([^ ]+) ([A-Za-z0-9+/=]+)")


def strict_base64(text: str, what: str) -> bytes:
    """Decode standard padded base64; only the one canonical spelling is accepted.

    Raises:
        SignatureError: Anything else.
    """
    try:
        data = base64.b64decode(text.encode("ascii"), validate=True)
    except (binascii.Error, UnicodeEncodeError, ValueError):
        raise SignatureError(f"{what}: expected base64, found {text[:60]!r}") from None
    if base64.b64encode(data).decode() != text:
        raise SignatureError(f"{what}: expected canonical base64, found {text[:60]!r}")
    return data


def _check_name(name: str, what: str) -> str:
    if not _NAME.fullmatch(name):
        raise SignatureError(f"{what}: expected a key name without spaces and `+`, found {name[:60]!r}")
    return name


def _key_id(name: str, public: bytes) -> bytes:
    return sha256(name.encode() + b"\n" + bytes([ED25519]) + public).digest()[:4]


@dataclass(frozen=True, slots=True)
class Verifier:
    """A public key with its name.

    Attributes:
        name: Key name: no spaces, no ``+``.
        public: Ed25519 public key, 32 bytes.
    """

    name: str
    public: bytes

    @property
    def key_id(self) -> bytes:
        """The four bytes that stand before each signature."""
        return _key_id(self.name, self.public)

    @property
    def id(self) -> str:
        """``name+hash``: how messages and records name the key."""
        return f"{self.name}+{self.key_id.hex()}"

    @property
    def vkey(self) -> str:
        """The verifier key text, ``name+hash+base64(0x01 ‖ public)``."""
        return f"{self.id}+{base64.b64encode(bytes([ED25519]) + self.public).decode()}"

    @classmethod
    def parse(cls, text: str) -> Verifier:
        """Read a verifier key.

        Raises:
            SignatureError: Malformed, another algorithm, or an id that is not the key's.
        """
        parts = text.split("+", 2)
        if len(parts) != 3:
            raise SignatureError(f"verifier key: expected name+hash+base64, found {text[:80]!r}")
        name, key_id, encoded = parts
        _check_name(name, "verifier key")
        data = strict_base64(encoded, "verifier key")
        if len(data) != 33 or data[0] != ED25519:
            raise SignatureError(f"verifier key {name}: expected an Ed25519 key (type 1), found another")
        if not _KEY_ID.fullmatch(key_id) or bytes.fromhex(key_id) != _key_id(name, data[1:]):
            raise SignatureError(
                f"verifier key {name}: expected id {_key_id(name, data[1:]).hex()}, found {key_id[:20]!r}"
            )
        return cls(name, data[1:])

    def verify(self, message: bytes, signature: bytes) -> bool:
        """Whether the signature over the message is this key's."""
        return _verify(self.public, message, signature)


def _verify(public: bytes, message: bytes, signature: bytes) -> bool:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


@functools.lru_cache(maxsize=8)
def _private(seed: bytes) -> Ed25519PrivateKey:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    return Ed25519PrivateKey.from_private_bytes(seed)


@dataclass(frozen=True, slots=True)
class Signer:
    """A private key with its name. Its repr never shows the seed."""

    name: str
    seed: bytes

    def __repr__(self) -> str:
        return f"Signer({self.verifier.id})"

    @property
    def verifier(self) -> Verifier:
        """The public side."""
        return Verifier(self.name, _private(self.seed).public_key().public_bytes_raw())

    @classmethod
    def generate(cls, name: str) -> Signer:
        """A fresh key from the operating system's random source."""
        return cls(_check_name(name, "key"), os.urandom(32))

    @classmethod
    def parse(cls, text: str) -> Signer:
        """Read ``PRIVATE+KEY+name+hash+base64(0x01 ‖ seed)``.

        Raises:
            SignatureError: Malformed. The message never quotes the key.
        """
        parts = text.strip().split("+", 4)
        if len(parts) != 5 or parts[:2] != ["PRIVATE", "KEY"]:
            raise SignatureError("private key: expected PRIVATE+KEY+name+hash+base64, found something else")
        name = _check_name(parts[2], "private key")
        try:
            data = base64.b64decode(parts[4].encode(), validate=True)
        except (binascii.Error, ValueError):
            raise SignatureError(f"private key {name}: expected base64 after the id") from None
        if len(data) != 33 or data[0] != ED25519:
            raise SignatureError(f"private key {name}: expected an Ed25519 seed (type 1), found another")
        signer = cls(name, data[1:])
        if parts[3] != signer.verifier.key_id.hex():
            raise SignatureError(f"private key {name}: the id does not belong to the key")
        return signer

    def text(self) -> str:
        """The private key text. Secret."""
        encoded = base64.b64encode(bytes([ED25519]) + self.seed).decode()
        return f"PRIVATE+KEY+{self.verifier.id}+{encoded}"

    def renamed(self, name: str) -> Signer:
        """The same secret under another name (another key id): a log signs under its origin line."""
        return Signer(_check_name(name, "key"), self.seed)

    def sign(self, message: bytes) -> bytes:
        """The 64-byte Ed25519 signature (deterministic, RFC 8032)."""
        return _private(self.seed).sign(message)


@dataclass(frozen=True, slots=True)
class Note:
    """An opened note: its text and the keys whose signatures verified."""

    text: str
    signed_by: tuple[Verifier, ...]
    unknown: tuple[str, ...]


def sign_note(text: str, signers: Sequence[Signer]) -> bytes:
    """The text with one signature line for each signer.

    Raises:
        SignatureError: The text does not end in a newline or holds control characters.
    """
    if not text.endswith("\n") or _has_control(text):
        raise SignatureError("note: expected text that ends in a newline, without control characters")
    lines = []
    for signer in signers:
        signature = signer.verifier.key_id + signer.sign(text.encode())
        lines.append(f"— {signer.name} {base64.b64encode(signature).decode()}\n")
    return (text + "\n" + "".join(lines)).encode()


def _has_control(text: str) -> bool:
    return any(ord(c) < 0x20 and c != "\n" for c in text)


def open_note(data: bytes, verifiers: Iterable[Verifier], *, limit: int = MAX_NOTE) -> Note:
    """Check a signed note.

    Signatures of unknown keys are passed over; a bad signature of a known key refuses the note.

    Args:
        data: The whole note.
        verifiers: Keys that are known.
        limit: Largest number of bytes.

    Raises:
        SignatureError: Malformed, wrongly signed, or signed by no known key.
    """
    text, lines = _split(data, limit)
    known = {(v.name, v.key_id): v for v in verifiers}
    seen: set[tuple[str, bytes]] = set()
    good: list[Verifier] = []
    unknown: list[str] = []
    for line in lines:
        match = _SIGNATURE.fullmatch(line)
        if match is None:
            raise SignatureError(f"note: expected a signature line, found {line[:60]!r}")
        name = _check_name(match[1], "note")
        payload = strict_base64(match[2], "note signature")
        if len(payload) < 5:
            raise SignatureError("note: expected a signature after the key id, found none")
        key = (name, payload[:4])
        if key in seen:
            raise SignatureError(f"note: expected one signature by {name}, found two")
        seen.add(key)
        if key not in known:
            unknown.append(f"{name}+{payload[:4].hex()}")
            continue
        if not known[key].verify(text.encode(), payload[4:]):
            raise SignatureError(f"note: the signature of {known[key].id} does not verify")
        good.append(known[key])
    if not good:
        raise SignatureError(
            f"note: expected a signature by a known key, found {', '.join(unknown) or 'none'}"
        )
    return Note(text, tuple(good), tuple(unknown))


def _split(data: bytes, limit: int = MAX_NOTE) -> tuple[str, list[str]]:
    if len(data) > limit:
        raise SignatureError(f"note: expected at most {limit} bytes, found {len(data)}")
    try:
        whole = data.decode("utf-8")
    except UnicodeDecodeError:
        raise SignatureError("note: expected UTF-8 text") from None
    if _has_control(whole):
        raise SignatureError("note: expected no control characters")
    text, separator, signatures = whole.rpartition("\n\n")
    if not separator or not signatures.endswith("\n"):
        raise SignatureError("note: expected text, an empty line and signatures, each ended by a newline")
    lines = signatures[:-1].split("\n")
    if len(lines) > MAX_SIGNATURES:
        raise SignatureError(f"note: expected at most {MAX_SIGNATURES} signatures, found {len(lines)}")
    return text + "\n", lines
