"""C2PA files signed on the spot: a root authority, a leaf certificate and a signer, all made for the test."""

from __future__ import annotations

import datetime as dt
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import c2pa
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

IPTC = "http://cv.iptc.org/newscodes/digitalsourcetype/"
TRAINED = f"{IPTC}trainedAlgorithmicMedia"
CAPTURE = f"{IPTC}digitalCapture"


@dataclass(frozen=True)
class Authority:
    """A root that signs leaf certificates. ``root`` is its certificate as PEM text."""

    root: str
    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @classmethod
    def make(cls, name: str = "Test Root") -> Authority:
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = _certificate(name, key, name, key, authority=True)
        return cls(_pem(certificate), certificate, key)

    def credential(self, name: str = "Test Signer", seconds: float = 30 * 86_400) -> Credential:
        """A leaf certificate, valid from yesterday for so many seconds from now, and its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        issuer = self.certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value
        leaf = _certificate(name, key, str(issuer), self.key, authority=False, seconds=seconds)
        secret = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return Credential(_pem(leaf) + self.root, secret.decode(), key)


@dataclass(frozen=True)
class Credential:
    """A certificate chain (leaf first) and the private key, PEM."""

    chain: str
    secret: str
    key: ec.EllipticCurvePrivateKey

    def signer(self) -> c2pa.Signer:
        return c2pa.Signer.from_info(
            c2pa.C2paSignerInfo("es256", self.chain.encode(), self.secret.encode(), None)
        )


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def _certificate(
    name: str,
    key: ec.EllipticCurvePrivateKey,
    issuer: str,
    issuer_key: ec.EllipticCurvePrivateKey,
    *,
    authority: bool,
    seconds: float = 30 * 86_400,
) -> x509.Certificate:
    def names(common: str) -> x509.Name:
        return x509.Name(
            [
                x509.NameAttribute(NameOID.COUNTRY_NAME, "AQ"),
                x509.NameAttribute(NameOID.ORGANIZATION_NAME, "genepool tests"),
                x509.NameAttribute(NameOID.COMMON_NAME, common),
            ]
        )

    now = dt.datetime.now(dt.UTC)
    usage = dict.fromkeys(
        (
            "content_commitment",
            "key_encipherment",
            "data_encipherment",
            "key_agreement",
            "encipher_only",
            "decipher_only",
        ),
        False,
    )
    builder = (
        x509.CertificateBuilder()
        .subject_name(names(name))
        .issuer_name(names(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + dt.timedelta(days=-1))
        .not_valid_after(now + dt.timedelta(seconds=seconds))
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
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


def created(source_type: str | None, agent: Any = None, action: str = "c2pa.created") -> dict[str, Any]:
    """One action."""
    out: dict[str, Any] = {"action": action}
    if source_type is not None:
        out["digitalSourceType"] = source_type
    if agent is not None:
        out["softwareAgent"] = agent
    return out


def opened(parent: str = "parent") -> dict[str, Any]:
    """The action that begins an edit of the ingredient with this label."""
    return {"action": "c2pa.opened", "parameters": {"ingredientIds": [parent]}}


def sign(
    data: bytes,
    mime: str,
    credential: Credential,
    actions: Sequence[dict[str, Any]] = (),
    *,
    assertions: Sequence[dict[str, Any]] = (),
    ingredients: Sequence[tuple[dict[str, Any], bytes]] = (),
    generator: str = "Test Generator",
) -> bytes:
    """A signed copy of an image.

    Args:
        data: The image.
        mime: Its media type.
        credential: Who signs.
        actions: Entries of ``c2pa.actions.v2``.
        assertions: Further assertions, ``{"label", "data"}``.
        ingredients: ``(definition, bytes)`` of images that went into this one; same media type.
        generator: Name of the claim generator.
    """
    manifest: dict[str, Any] = {
        "claim_generator_info": [{"name": generator, "version": "1.0"}],
        "title": "test",
        "assertions": [*assertions],
    }
    if actions:
        manifest["assertions"].append({"label": "c2pa.actions.v2", "data": {"actions": list(actions)}})
    settings = {"builder": {"thumbnail": {"enabled": False}}, "verify": {"verify_after_sign": False}}
    out = io.BytesIO()
    with (
        c2pa.Settings.from_dict(settings) as options,
        c2pa.Context(options) as context,
        c2pa.Builder(json.dumps(manifest), context) as builder,
        credential.signer() as signer,
    ):
        for definition, parent in ingredients:
            builder.add_ingredient(json.dumps(definition), mime, io.BytesIO(parent))
        builder.sign(signer, mime, io.BytesIO(data), out)
    return out.getvalue()
