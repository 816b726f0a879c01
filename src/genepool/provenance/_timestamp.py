"""RFC 3161: a time-stamping authority says that a checkpoint existed at a moment.

The token is over SHA-256 of the signed checkpoint. Requests are made and sent only on command; verification
is offline, against certificates that the verifier pinned. Extra ``anchors`` (rfc3161-client).
"""

from __future__ import annotations

import http.client
import urllib.parse
from datetime import datetime
from hashlib import sha256
from typing import Any

from genepool.errors import CannotFinish, MissingExtra, SignatureError, UsageError

__all__ = ["request_timestamp", "timestamp_request", "verify_timestamp"]

_LARGEST = 64 * 1024


def _library() -> Any:
    try:
        import rfc3161_client
    except ImportError:
        raise MissingExtra(needs="rfc3161-client", extra="anchors") from None
    return rfc3161_client


def timestamp_request(checkpoint: bytes) -> tuple[bytes, int]:
    """A DER ``TimeStampReq`` over SHA-256(checkpoint), and its nonce (RFC 3161 section 2.4.1).

    Raises:
        MissingExtra: rfc3161-client is not installed.
    """
    library = _library()
    request = (
        library.TimestampRequestBuilder()
        .data(checkpoint)
        .hash_algorithm(library.HashAlgorithm.SHA256)
        .nonce(nonce=True)
        .cert_request(cert_request=True)
        .build()
    )
    return bytes(request.as_bytes()), int(request.nonce)


def request_timestamp(url: str, checkpoint: bytes, *, timeout: float = 30.0) -> bytes:
    """Ask an authority for a token.

    Args:
        url: The authority's address, ``http://`` or ``https://`` (RFC 3161 section 3.4).
        checkpoint: What is stamped.
        timeout: Seconds.

    Returns:
        The DER ``TimeStampResp``, over the right digest but not yet verified against a certificate.

    Raises:
        CannotFinish: The authority cannot be reached or does not grant a token.
        SignatureError: The answer is malformed or is to another request.
        UsageError: Not an http(s) URL.
    """
    parts = urllib.parse.urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise UsageError(f"expected the authority's http(s) URL, found {url!r}")
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.hostname, parts.port, timeout=timeout)
    request, nonce = timestamp_request(checkpoint)
    try:
        connection.request(
            "POST", parts.path or "/", request, {"Content-Type": "application/timestamp-query"}
        )
        response = connection.getresponse()
        status, body = response.status, response.read(_LARGEST)
    except (OSError, http.client.HTTPException) as error:
        raise CannotFinish(f"{url}: the time-stamping authority cannot be reached: {error}") from None
    finally:
        connection.close()
    if status != 200:
        raise CannotFinish(f"{url}: the time-stamping authority answered {status}")
    if _token(body).tst_info.nonce != nonce:
        raise SignatureError(f"{url}: the token answers another request (its nonce differs)")
    return body


def _token(response: bytes) -> Any:
    library = _library()
    try:
        decoded = library.decode_timestamp_response(response)
        granted = library.PKIStatus(decoded.status) == library.PKIStatus.GRANTED
    except (ValueError, TypeError) as error:
        raise SignatureError(f"timestamp: not a readable RFC 3161 response: {error}") from None
    if not granted:
        raise CannotFinish("timestamp: the authority granted no token")
    return decoded


def verify_timestamp(response: bytes, checkpoint: bytes, roots: bytes) -> datetime:
    """Verify a token offline.

    Args:
        response: The DER ``TimeStampResp``.
        checkpoint: The signed checkpoint that it should stamp.
        roots: PEM certificates of the authorities that are trusted.

    Returns:
        The moment that the authority states (UTC).

    Raises:
        SignatureError: Another digest, an untrusted or wrong certificate, a broken signature.
        MissingExtra: rfc3161-client is not installed.
    """
    from cryptography import x509

    library = _library()
    try:
        certificates = x509.load_pem_x509_certificates(roots)
    except ValueError as error:
        raise UsageError(f"timestamp: the trusted certificates are not readable PEM: {error}") from None
    decoded = _token(response)
    verifier = library.VerifierBuilder(roots=certificates).build()
    try:
        verifier.verify(decoded, sha256(checkpoint).digest())
    except (library.VerificationError, ValueError) as error:
        raise SignatureError(f"timestamp: does not verify: {error}") from None
    moment = decoded.tst_info.gen_time
    assert isinstance(moment, datetime)  # noqa: S101  # the library's documented type
    return moment
