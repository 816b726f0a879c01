"""C2PA signatures for the demo's generated pictures, by a certificate authority that lives for one gallery.

The keys exist in memory only while the gallery is made; the gallery keeps the authority's certificate, so
that a reader who chooses to trust it can verify the signatures, and nobody can ever sign with it again.
"""

from __future__ import annotations

import datetime
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genepool.errors import SignatureError

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

__all__ = ["GENERATION_ASSERTION", "Authority", "make_authority", "sign"]

GENERATION_ASSERTION = "org.genepool.generation"
_TRAINED = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
_LIFETIME = datetime.timedelta(days=3650)


@dataclass(frozen=True, slots=True)
class Authority:
    """A throwaway certificate authority and the signer it vouches for.

    Attributes:
        root: The authority's certificate, PEM: the trust anchor.
        chain: The signer's certificate followed by the authority's, PEM.
        key: The signer's private key, PKCS #8 PEM, unencrypted. Never written to disk.
    """

    root: bytes
    chain: bytes
    key: bytes


def make_authority() -> Authority:
    """A new authority (ECDSA P-256) and a signer's certificate with the profile that C2PA asks for.

    Key usage ``digitalSignature``, extended key usage ``emailProtection`` (C2PA 2.1, section 14.5).
    """
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    root_key, leaf_key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    root = _certificate("genepool demo authority", root_key, None, None)
    leaf = _certificate("genepool demo generator", leaf_key, root, root_key)
    pem = serialization.Encoding.PEM
    return Authority(
        root=root.public_bytes(pem),
        chain=leaf.public_bytes(pem) + root.public_bytes(pem),
        key=leaf_key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()),
    )


def _certificate(
    name: str,
    key: EllipticCurvePrivateKey,
    issuer: x509.Certificate | None,
    issuer_key: EllipticCurvePrivateKey | None,
) -> x509.Certificate:
    """A certificate for ``key``: self-signed authority without an issuer, end entity with one."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "genepool demo"),
            x509.NameAttribute(NameOID.COMMON_NAME, name),
        ]
    )
    signing_key = issuer_key or key
    start = datetime.datetime.now(datetime.UTC) - datetime.timedelta(hours=1)
    authority = issuer is None
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject if issuer is None else issuer.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + _LIFETIME)
        .add_extension(
            x509.BasicConstraints(ca=authority, path_length=0 if authority else None), critical=True
        )
        .add_extension(
            x509.KeyUsage(
                digital_signature=not authority,
                key_cert_sign=authority,
                crl_sign=authority,
                content_commitment=False,
                key_encipherment=False,
                data_encipherment=False,
                key_agreement=False,
                encipher_only=False,
                decipher_only=False,
            ),
            critical=True,
        )
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signing_key.public_key()), critical=False
        )
    )
    if not authority:
        builder = builder.add_extension(
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), critical=False
        )
    return builder.sign(signing_key, hashes.SHA256())


def sign(plain: Path, signed: Path, authority: Authority, *, model: str, generation: int) -> None:
    """Write a signed copy of a picture that says: made by a trained model, of this generation.

    Args:
        plain: The picture; JPEG or PNG.
        signed: Where the signed copy goes.
        authority: Who signs.
        model: Name of the generator.
        generation: 1 for a model that was trained on human work only.

    Raises:
        SignatureError: The C2PA library refused.
    """
    import c2pa

    manifest: dict[str, Any] = {
        "claim_generator_info": [{"name": "genepool demo", "version": "1"}],
        "title": signed.name,
        "assertions": [
            {
                "label": "c2pa.actions.v2",
                "data": {
                    "actions": [
                        {
                            "action": "c2pa.created",
                            "digitalSourceType": _TRAINED,
                            "softwareAgent": {"name": model},
                        }
                    ]
                },
            },
            {"label": GENERATION_ASSERTION, "data": {"generation": generation, "model": model}},
        ],
    }
    try:
        info = c2pa.C2paSignerInfo(
            alg=b"es256", sign_cert=authority.chain, private_key=authority.key, ta_url=None
        )
        # A thumbnail would be larger than the picture itself.
        settings = c2pa.Settings.from_dict({"builder": {"thumbnail": {"enabled": False}}})
        with (
            c2pa.Context(settings) as context,
            c2pa.Signer.from_info(info) as signer,
            c2pa.Builder(json.dumps(manifest), context) as builder,
        ):
            builder.sign_file(str(plain), str(signed), signer)
    except c2pa.C2paError as error:
        raise SignatureError(f"{signed.name}: the C2PA library would not sign: {error}") from None
