"""Credentials stay out of every text: out of URLs that are kept, out of errors that are shown."""

from __future__ import annotations

import os
import re
from urllib.parse import parse_qsl, urlsplit

from genepool.errors import UsageError

__all__ = ["check_url", "scrub"]

_SECRETS = ("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_ACCESS_KEY_ID", "AWS_SECURITY_TOKEN")
"""Environment variables whose values never leave the process."""
_FSSPEC = re.compile(r"FSSPEC_\w*(?:KEY|SECRET|TOKEN|PASSWORD|CREDENTIAL)\w*", re.IGNORECASE)
_SHORTEST = 6
_PARAMETERS = frozenset(
    {
        "x-amz-signature", "x-amz-credential", "x-amz-security-token", "x-goog-signature",
        "x-goog-credential", "signature", "awsaccesskeyid", "googleaccessid", "sig", "key", "secret", "token",
        "access_token",
        "api_key", "apikey", "password", "passwd", "auth", "policy", "key-pair-id",
    }
)  # fmt: skip
"""Query parameters of signed URLs (AWS Signature 2 and 4, Google, Azure SAS) and of home-made ones."""
_USERINFO = re.compile(r"(?<=://)[^/@\s'\"]+@")
_QUERY = re.compile(
    r"(?i)\b(" + "|".join(sorted(map(re.escape, _PARAMETERS), key=len, reverse=True)) + r")=[^&\s'\"<>,;]+"
)
_HEADER = re.compile(r"(?i)\b(authorization|credential|x-amz-security-token)\s*[:=]\s*[^\s'\",]+(?:\s+\S+)?")


def check_url(url: str) -> None:
    """Refuse a URL that carries a credential: it would stand in the catalogue, the report and the log.

    Raises:
        UsageError: A user name or password before the host, or a signature or token among the parameters.
    """
    parts = urlsplit(url)
    found = ""
    if "@" in parts.netloc:
        found = "a user name or password"
    elif parts.scheme in ("http", "https"):
        # Elsewhere a question mark is a character of a name like any other.
        names = {name.lower() for name, _ in parse_qsl(parts.query, keep_blank_values=True)}
        if kept := sorted(names & _PARAMETERS):
            found = f"the parameter {kept[0]}"
    if found:
        place = parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()
        raise UsageError(
            f"{place}: expected a URL without credentials, found one with {found}",
            hint="they belong in the environment (AWS_ACCESS_KEY_ID …), ~/.aws, or fsspec's configuration",
        )


def scrub(text: str) -> str:
    """A text without credentials: known values from the environment, signatures, passwords in URLs."""
    for name, value in os.environ.items():
        if len(value) >= _SHORTEST and (name in _SECRETS or _FSSPEC.fullmatch(name)):
            text = text.replace(value, "…")
    text = _USERINFO.sub("…@", text)
    text = _QUERY.sub(r"\1=…", text)
    return _HEADER.sub(r"\1=…", text)
