"""Reads a C2PA manifest store with the C2PA library: offline, with the user's trust anchors only.

Whether there is a store at all is decided by the container walk, so the library sees only files that carry
one. Remote manifests, OCSP and identity documents are never fetched.
"""

from __future__ import annotations

import functools
import io
import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from genepool.errors import ConfigError
from genepool.evidence._manifest import Reading, interpret
from genepool.evidence._weights import clean, note

_KEY_USAGES = (
    "1.3.6.1.5.5.7.3.4",  # e-mail protection
    "1.3.6.1.5.5.7.3.36",  # document signing (RFC 9336)
    "1.3.6.1.4.1.62558.2.1",  # C2PA claim signing
    "1.3.6.1.4.1.311.76.59.1.9",  # Microsoft's C2PA signing
)
"""Extended key usages under which a certificate may sign claims (C2PA 2.2, "Certificate profile")."""


def load_anchors(files: Iterable[str | os.PathLike[str]]) -> str:
    """The certificates of several PEM files as one text.

    Args:
        files: Paths of PEM files with certificate authorities.

    Returns:
        PEM text; empty when there is no file, and then no signer is trusted.

    Raises:
        ConfigError: A file cannot be read or holds no certificate.
    """
    texts = []
    for file in files:
        try:
            text = Path(file).read_text("ascii")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(
                f"evidence.trust_anchors: {os.fspath(file)!r} cannot be read: {clean(str(error), 200)}",
                hint="name PEM files of certificate authorities",
            ) from error
        _count_certificates(text, os.fspath(file))
        texts.append(text.strip() + "\n")
    return "".join(texts)


def _count_certificates(text: str, name: str) -> None:
    from cryptography import x509

    try:
        x509.load_pem_x509_certificates(text.encode("ascii"))
    except ValueError as error:
        raise ConfigError(
            f"evidence.trust_anchors: {name!r}: expected PEM certificates, found {clean(str(error), 120)}",
            hint="export the authority's certificate as PEM (-----BEGIN CERTIFICATE-----)",
        ) from error


@functools.lru_cache(maxsize=8)
def _context(anchors: str, process: int) -> Any:
    """A reading context; costly to build, so one per set of anchors and process (forks must not share)."""
    from c2pa import Context, Settings

    trust: dict[str, Any] = {"trust_config": "\n".join(_KEY_USAGES)}
    if anchors:
        trust["user_anchors"] = anchors
    with Settings.from_dict(
        {
            "verify": {"verify_trust": True, "remote_manifest_fetch": False, "ocsp_fetch": False},
            "core": {
                "decode_identity_assertions": False,
                "allowed_network_hosts": [],
                "allow_redirects": False,
            },
            "trust": trust,
        }
    ) as settings:
        return Context(settings)


def prepare(anchors: str) -> None:
    """Load the library and build the context for these anchors."""
    _context(anchors, os.getpid())


def read_store(data: bytes, mime: str, place: str, anchors: str) -> Reading:
    """Verify and interpret the manifest store of one file.

    Args:
        data: The file's bytes.
        mime: Its media type.
        place: Where the container walk found the store.
        anchors: PEM text of trusted certificate authorities; empty: none.
    """
    from c2pa import C2paError, Reader

    try:
        with Reader(mime, io.BytesIO(data), context=_context(anchors, os.getpid())) as reader:
            report = json.loads(reader.json())
    except C2paError.ManifestNotFound:
        return Reading("absent", [note("c2pa", "the C2PA box holds no manifest", place)])
    except C2paError as error:
        if str(error).startswith("Remote:"):
            return Reading("absent", [note("c2pa", "remote manifest not fetched", place)])
        return Reading(
            "invalid", [note("c2pa", f"C2PA manifest is invalid: {clean(str(error), 200)}", place)]
        )
    except (ValueError, RecursionError) as error:
        return Reading(
            "invalid", [note("c2pa", f"C2PA manifest cannot be read: {clean(str(error), 200)}", place)]
        )
    return interpret(report, place)
