"""Private key files: as plain note keys, or protected by a passphrase.

A protected key is one line, ``ENCRYPTED+KEY+<name>+<key id>+<base64 of public key ‖ salt ‖ nonce ‖
ciphertext>``: AES-256-GCM over the private key text under scrypt (RFC 7914, N = 2^15, r = 8, p = 1) of the
passphrase, with name, id and public key authenticated. The passphrase comes from ``GENEPOOL_PASSPHRASE`` or
is asked for on a terminal; what only reads and verifies needs none.
"""

from __future__ import annotations

import base64
import functools
import getpass
import os
import sys

from genepool.errors import SignatureError
from genepool.provenance._note import Signer, Verifier, strict_base64

__all__ = ["is_protected", "protect", "read_key", "read_public"]

_PREFIX = "ENCRYPTED+KEY+"
_VARIABLE = "GENEPOOL_PASSPHRASE"
_COST, _BLOCK, _PARALLEL = 2**15, 8, 1
_PUBLIC, _SALT, _NONCE = 32, 16, 12


def is_protected(text: str) -> bool:
    """Whether a key file's text is a protected key."""
    return text.lstrip().startswith(_PREFIX)


def passphrase(name: str) -> str:
    """The passphrase: from ``GENEPOOL_PASSPHRASE``, else asked for on the terminal.

    Raises:
        SignatureError: There is none.
    """
    if value := os.environ.get(_VARIABLE, ""):
        return value
    if sys.stdin is not None and sys.stdin.isatty():
        return getpass.getpass(f"Passphrase of key {name}: ")
    raise SignatureError(
        f"private key {name}: protected by a passphrase, and none was given", hint=f"set {_VARIABLE}"
    )


def protect(signer: Signer, phrase: str) -> str:
    """The text of a key file that only the passphrase opens.

    Raises:
        SignatureError: An empty passphrase.
    """
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    if not phrase:
        raise SignatureError("passphrase: expected one, found an empty string")
    salt, nonce = os.urandom(_SALT), os.urandom(_NONCE)
    public = signer.verifier.public
    head = f"{_PREFIX}{signer.verifier.id}".encode() + public
    sealed = AESGCM(_stretch(phrase, salt)).encrypt(nonce, signer.text().encode(), head)
    return f"{_PREFIX}{signer.verifier.id}+{base64.b64encode(public + salt + nonce + sealed).decode()}"


def read_key(text: str) -> Signer:
    """A private key from the text of its file, protected or not.

    Raises:
        SignatureError: Malformed, or the passphrase is missing or wrong.
    """
    text = text.strip()
    if not is_protected(text):
        return Signer.parse(text)
    verifier, _ = _parts(text)
    return _opened(text, passphrase(verifier.id))


def read_public(text: str) -> Verifier:
    """The public side of a key file; no passphrase is needed.

    Raises:
        SignatureError: Malformed.
    """
    return _parts(text.strip())[0] if is_protected(text) else Signer.parse(text).verifier


def _parts(text: str) -> tuple[Verifier, bytes]:
    words = text.split("+", 4)
    if len(words) != 5:
        raise SignatureError("protected key: expected ENCRYPTED+KEY+name+hash+base64, found something else")
    data = strict_base64(words[4], "protected key")
    if len(data) < _PUBLIC + _SALT + _NONCE:
        raise SignatureError("protected key: too short")
    verifier = Verifier(words[2], data[:_PUBLIC])
    if verifier.key_id.hex() != words[3]:
        raise SignatureError(f"protected key {words[2]}: the id does not belong to the key")
    return verifier, data[_PUBLIC:]


@functools.lru_cache(maxsize=16)
def _opened(text: str, phrase: str) -> Signer:
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    verifier, data = _parts(text)
    salt, nonce, sealed = data[:_SALT], data[_SALT : _SALT + _NONCE], data[_SALT + _NONCE :]
    head = f"{_PREFIX}{verifier.id}".encode() + verifier.public
    try:
        plain = AESGCM(_stretch(phrase, salt)).decrypt(nonce, sealed, head)
    except (InvalidTag, ValueError):
        raise SignatureError(
            f"private key {verifier.id}: the passphrase is wrong, or the file was changed"
        ) from None
    return Signer.parse(plain.decode())


def _stretch(phrase: str, salt: bytes) -> bytes:
    from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

    return Scrypt(salt=salt, length=32, n=_COST, r=_BLOCK, p=_PARALLEL).derive(phrase.encode())
