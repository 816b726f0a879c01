"""The certificate and key that C2PA manifests are signed with: the user's own, or a self-made one.

A self-made one proves that the files of one user belong together and were not changed; strangers see its
signer as untrusted until they choose to trust its authority's certificate. The authority's key exists only
while the certificate is made, so nothing else can ever be issued under it.
"""

from __future__ import annotations

import datetime
import os
import secrets
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genepool.config import config_directory
from genepool.errors import SignatureError, UsageError, WorkspaceError
from genepool.provenance._files import atomic_write

if TYPE_CHECKING:
    from cryptography import x509

__all__ = ["Credential", "load_credential"]

_OWN = "c2pa-signer.pem"
_AUTHORITY = "c2pa-authority.pem"
_LIFETIME = datetime.timedelta(days=5 * 365)


@dataclass(frozen=True, slots=True)
class Credential:
    """Who signs.

    Attributes:
        chain: Certificates, PEM, the signer's first.
        key: Private key, PEM, unencrypted.
        algorithm: COSE name in lower case, as the C2PA library takes it (``es256`` …).
        name: Common name (or organisation) in the signer's certificate.
        place: The file that the key came from.
        authority: File of the authority to trust, for a self-made certificate; else empty.
        created: Whether this call made it. Say so aloud.
    """

    chain: bytes
    key: bytes = field(repr=False)
    algorithm: str
    name: str
    place: str
    authority: str = ""
    created: bool = False

    @property
    def self_made(self) -> bool:
        """Whether strangers will see the signer as untrusted."""
        return bool(self.authority)


def load_credential(cert: str | None = None, key: str | None = None) -> Credential:
    """The user's certificate and key, or the self-made ones, which are made on first use.

    Args:
        cert: PEM file with the signer's certificate and those that vouch for it, signer first.
        key: PEM file with its private key, unencrypted, mode 600. ES256, ES384, ES512, PS256 or Ed25519.

    Raises:
        UsageError: Only one of the two was given.
        SignatureError: Malformed, expired, not for each other, or the key is readable by others.
        WorkspaceError: A file cannot be read or written.
    """
    if (cert is None) != (key is None):
        raise UsageError(
            "expected a certificate and its key, found only one of them", hint="--cert and --key"
        )
    if cert is not None and key is not None:
        chain = _read(Path(cert).expanduser(), private=False)
        secret = _read(Path(key).expanduser(), private=True)
        return _checked(chain, secret, str(key))
    return _own()


def _own() -> Credential:
    path = config_directory() / _OWN
    created = not (path.exists() or path.is_symlink())
    if created:
        _make(path)
    text = _read(path, private=True)
    at = text.find(b"-----BEGIN CERTIFICATE-----")
    if at < 0:
        raise SignatureError(f"{path}: expected a key and its certificates, found no certificate")
    hint = f"move {path} away: the next run makes a new one"
    authority = path.with_name(_AUTHORITY)
    found = _checked(text[at:], text[:at], str(path), authority=str(authority), created=created, hint=hint)
    if not authority.exists():
        _write(authority, found.chain[found.chain.rindex(b"-----BEGIN CERTIFICATE-----") :], 0o644)
    return found


def _read(path: Path, *, private: bool) -> bytes:
    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            if private and mode & 0o077:
                raise SignatureError(
                    f"{path}: expected a private key that only you can read (mode 600), found mode {mode:o}",
                    hint=f"chmod 600 {path}",
                )
            return file.read(1 << 18)
    except OSError as error:
        raise WorkspaceError(f"{path}: cannot be read: {error.strerror}") from None


def _write(path: Path, data: bytes, mode: int) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        # Of two processes that start at one moment the first wins: link() fails where the name exists.
        fresh = path.with_name(f".{path.name}-{secrets.token_hex(6)}")
        atomic_write(fresh, data, mode=mode)
        try:
            path.hardlink_to(fresh)
        except FileExistsError:
            pass
        finally:
            fresh.unlink()
    except OSError as error:
        raise WorkspaceError(
            f"{path}: cannot be written: {error.strerror}",
            hint="set GENEPOOL_HOME to a folder of yours, or give --cert and --key",
        ) from None


def _checked(chain: bytes, secret: bytes, place: str, *, hint: str = "", **more: Any) -> Credential:
    from cryptography import x509
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import (
        Encoding,
        NoEncryption,
        PrivateFormat,
        PublicFormat,
        load_pem_private_key,
    )

    try:
        certificates = x509.load_pem_x509_certificates(chain)
    except ValueError:
        raise SignatureError(f"{place}: expected PEM certificates, found none that can be read") from None
    try:
        key: Any = load_pem_private_key(secret, None)
    except TypeError:
        raise SignatureError(
            f"{place}: expected an unencrypted private key, found one under a passphrase",
            hint="openssl pkcs8 -topk8 -nocrypt -in KEY -out PLAIN && chmod 600 PLAIN",
        ) from None
    except (ValueError, UnsupportedAlgorithm):
        raise SignatureError(f"{place}: expected a PEM private key, found something else") from None
    leaf, raw = certificates[0], (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    if leaf.public_key().public_bytes(*raw) != key.public_key().public_bytes(*raw):
        raise SignatureError(f"{place}: the private key is not the one of the first certificate", hint=hint)
    now = datetime.datetime.now(datetime.UTC)
    if not leaf.not_valid_before_utc <= now <= leaf.not_valid_after_utc:
        raise SignatureError(
            f"{place}: the certificate is valid from {leaf.not_valid_before_utc:%Y-%m-%d} "
            f"to {leaf.not_valid_after_utc:%Y-%m-%d} only",
            hint=hint,
        )
    return Credential(
        chain=b"".join(certificate.public_bytes(Encoding.PEM) for certificate in certificates),
        key=key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
        algorithm=_algorithm(key, place),
        name=_subject(leaf),
        place=place,
        **more,
    )


def _algorithm(key: Any, place: str) -> str:
    """The signature algorithm that C2PA allows for a key (C2PA 2.2, section 13.2.1)."""
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

    if isinstance(key, ec.EllipticCurvePrivateKey):
        found = {"secp256r1": "es256", "secp384r1": "es384", "secp521r1": "es512"}.get(key.curve.name)
        if found:
            return found
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return "ed25519"
    if isinstance(key, rsa.RSAPrivateKey) and key.key_size >= 2048:
        return "ps256"
    raise SignatureError(f"{place}: expected a P-256, P-384, P-521, RSA (2048 bits or more) or Ed25519 key")


def _subject(certificate: x509.Certificate) -> str:
    from cryptography.x509.oid import NameOID

    for oid in (NameOID.COMMON_NAME, NameOID.ORGANIZATION_NAME):
        for attribute in certificate.subject.get_attributes_for_oid(oid):
            return str(attribute.value)
    return "(unnamed)"


# ------------------------------------------------------------------------------------------ a self-made one


def _make(path: Path) -> None:
    """An authority, a signer under it (both ECDSA P-256), and one file with key and certificates."""
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    tag = secrets.token_hex(4)
    root_key, leaf_key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    root = _certificate(f"genepool-{tag} authority", root_key, None, root_key)
    leaf = _certificate(f"genepool-{tag}", leaf_key, root, root_key)
    secret = leaf_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    _write(path, secret + leaf.public_bytes(Encoding.PEM) + root.public_bytes(Encoding.PEM), 0o600)


def _certificate(name: str, key: Any, issuer: x509.Certificate | None, issuer_key: Any) -> x509.Certificate:
    """The profile of C2PA 2.2, section 14.5.1: ``digitalSignature`` and ``emailProtection`` for a signer."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "genepool, self-made"),
            x509.NameAttribute(NameOID.COMMON_NAME, name),
        ]
    )
    authority = issuer is None
    words = "content_commitment key_encipherment data_encipherment key_agreement encipher_only decipher_only"
    usage = dict.fromkeys(words.split(), False)
    start = datetime.datetime.now(datetime.UTC) - datetime.timedelta(hours=1)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject if issuer is None else issuer.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + _LIFETIME)
        .add_extension(x509.BasicConstraints(authority, 0 if authority else None), critical=True)
        .add_extension(
            x509.KeyUsage(
                digital_signature=not authority, key_cert_sign=authority, crl_sign=authority, **usage
            ),
            critical=True,
        )
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False
        )
    )
    if not authority:
        purpose = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION])
        builder = builder.add_extension(purpose, critical=False)
    return builder.sign(issuer_key, hashes.SHA256())
