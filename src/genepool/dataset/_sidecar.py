"""What travels beside an image: captions and the sidecar's claims. Read with bounds, believed by nobody.

A sidecar is written by strangers: every file is bounded in size, every object in depth, and every known key
in its type. What is wrong is dropped with a sentence that says so; the image itself always goes on.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Mapping
from typing import Any

from genepool.records import OriginClass

__all__ = [
    "MAX_CAPTION",
    "MAX_SIDECAR",
    "SidecarError",
    "caption_from_json",
    "caption_text",
    "claims",
    "flat_claims",
    "loads",
]

MAX_SIDECAR = 1 << 20
"""Bytes of one sidecar object or JSON caption file."""
MAX_CAPTION = 1 << 16
"""Characters of a caption that are kept."""
MAX_DEPTH = 16
"""Nesting of a sidecar object."""

_TEXT = ("source", "artist", "style", "license", "model", "caption")
_FLAT = ("source", "artist", "style", "license")
_CAPTION_KEYS = ("caption", "text", "prompt")
_SHORT_DATE = re.compile(r"(\d{4})(?:-(\d{2}))?", re.ASCII)


class SidecarError(Exception):
    """A sidecar that cannot be used; the message says why. Never leaves this room."""


def loads(data: bytes | str) -> Any:
    """Parse one bounded JSON text.

    Raises:
        SidecarError: Longer than `MAX_SIDECAR`, nested deeper than `MAX_DEPTH`, or not JSON (RFC 8259).
    """
    import orjson

    if len(data) > MAX_SIDECAR:
        raise SidecarError(f"expected at most {MAX_SIDECAR} bytes, found {len(data)}")
    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise SidecarError(f"not JSON: {error}") from None
    if _too_deep(value, MAX_DEPTH):
        raise SidecarError(f"expected at most {MAX_DEPTH} levels of nesting, found more")
    return value


def _too_deep(value: Any, levels: int) -> bool:
    if isinstance(value, dict):
        inner: Any = value.values()
    elif isinstance(value, list):
        inner = value
    else:
        return False
    return levels == 0 or any(_too_deep(each, levels - 1) for each in inner)


def caption_text(value: Any) -> str | None:
    """A caption as kept: bytes read as UTF-8, trimmed, cut at `MAX_CAPTION`; None when there is none."""
    if isinstance(value, bytes):
        # The cut stands before the decoding, so that a huge text file costs nothing.
        value = value[: 4 * MAX_CAPTION].decode("utf-8", "replace")
    if not isinstance(value, str):
        return None
    return value.removeprefix("\ufeff").strip()[:MAX_CAPTION].strip() or None


def caption_from_json(data: bytes) -> str | None:
    """The caption in a ``<stem>.json`` beside an image (keys ``caption``, ``text``, ``prompt``), if any."""
    try:
        value = loads(data)
    except SidecarError:
        return None
    if isinstance(value, dict):
        for key in _CAPTION_KEYS:
            if (caption := caption_text(value.get(key))) is not None:
                return caption
    return None


def claims(value: Any) -> tuple[dict[str, Any], list[str]]:
    """The usable part of a sidecar object, and what was wrong with the rest.

    Known keys are checked (``origin`` an `OriginClass` value, ``generation`` an integer ≥ 0 or
    ``[lo, hi | null]``, ``parents`` a list of strings, ``caption_source`` ``human`` or ``machine``,
    ``created`` an ISO 8601 date, also a bare year or a year and month, as text); unknown keys are kept when
    they hold a string, a number or a boolean, because a policy may slice by them.

    Raises:
        SidecarError: Not an object.
    """
    if not isinstance(value, Mapping):
        raise SidecarError(f"expected an object, found {type(value).__name__}")
    good: dict[str, Any] = {}
    wrong: list[str] = []
    for key, each in value.items():
        if each is None or key in ("file", "file_name"):
            continue
        try:
            kept = _checked(str(key), each)
        except SidecarError as error:
            wrong.append(f"`{key}`: {error}")
        else:
            if kept is not None:
                good[str(key)] = kept
    return good, wrong


def _checked(key: str, value: Any) -> Any:
    if key in _TEXT:
        return _text(value, MAX_CAPTION if key == "caption" else 4096)
    check = {
        "origin": _origin,
        "generation": _generation,
        "parents": _parents,
        "caption_source": _caption_source,
        "created": _date,
    }.get(key)
    if check is not None:
        return check(value)
    return (
        value
        if isinstance(value, (bool, int, float)) or (isinstance(value, str) and len(value) <= 4096)
        else None
    )


def _text(value: Any, limit: int) -> str:
    if not isinstance(value, str) or len(value) > limit:
        raise SidecarError(f"expected a text of at most {limit} characters, found {_brief(value)}")
    return value


def _origin(value: Any) -> str:
    if value not in OriginClass.__members__.values():
        raise SidecarError(f"expected one of {', '.join(OriginClass)}, found {_brief(value)}")
    return str(value)


def _generation(value: Any) -> int | list[int | None]:
    if _whole(value):
        return int(value)
    if (
        isinstance(value, list)
        and len(value) == 2
        and _whole(value[0])
        and (value[1] is None or _whole(value[1]))
    ):
        lo, hi = value
        if hi is None or lo <= hi:
            return [lo, hi]
    raise SidecarError(f"expected an integer or [lo, hi or null] with 0 ≤ lo ≤ hi, found {_brief(value)}")


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 1_000_000


def _parents(value: Any) -> list[str]:
    if (
        not isinstance(value, list)
        or len(value) > 1024
        or not all(isinstance(v, str) and len(v) <= 4096 for v in value)
    ):
        raise SidecarError(f"expected a list of digests or uris, found {_brief(value)}")
    return value


def _caption_source(value: Any) -> str:
    if value not in ("human", "machine"):
        raise SidecarError(f"expected human or machine, found {_brief(value)}")
    return str(value)


def _date(value: Any) -> str:
    """A date as ISO 8601 allows it (clause 5.2.2: a year, or a year and month, may stand alone)."""
    if isinstance(value, int) and not isinstance(value, bool) and 0 < value < 10_000:
        value = f"{value:04d}"  # a year that somebody wrote as a number
    try:
        short = _SHORT_DATE.fullmatch(value)
        datetime.datetime.fromisoformat(f"{short[1]}-{short[2] or '01'}-01" if short else value)
    except (TypeError, ValueError):
        raise SidecarError(f"expected an ISO 8601 date, found {_brief(value)}") from None
    return str(value)


def _brief(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def flat_claims(row: Mapping[str, Any]) -> tuple[dict[str, Any], str | None, list[str]]:
    """Claims, caption and problems of one row of a table that describes images.

    A ``genepool`` column (an object, or JSON text of one) is a sidecar. Of a stranger's own columns only
    those whose meaning is plain are taken over: ``source``, ``artist``, ``style``, ``license``, and
    ``origin`` when it is one of ours.
    """
    found: dict[str, Any] = {}
    wrong: list[str] = []
    for key in _FLAT:
        value = row.get(key)
        if isinstance(value, str) and value.strip() and len(value) <= 4096:
            found[key] = value
    if row.get("origin") in OriginClass.__members__.values():
        found["origin"] = row["origin"]
    sidecar = row.get("genepool")
    if sidecar not in (None, "", b""):
        try:
            good, wrong = claims(loads(sidecar) if isinstance(sidecar, (str, bytes)) else sidecar)
            found.update(good)
        except SidecarError as error:
            wrong = [str(error)]
    caption = next((c for key in _CAPTION_KEYS if (c := caption_text(row.get(key))) is not None), None)
    return found, caption, wrong
