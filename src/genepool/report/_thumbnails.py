"""Thumbnails of the last page, so that the next one makes only those of images that are new in it."""

from __future__ import annotations

import base64
import binascii
import contextlib
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from genepool.errors import GenepoolError

if TYPE_CHECKING:
    from collections.abc import Callable

    from genepool.store import Catalogue, Workspace

__all__ = ["Kept"]

FILE = "thumbnails.json"
MOST = 400
"""Thumbnails that are kept: those of two full pages, about a megabyte."""
LARGEST = 16 << 20
"""Bytes of the file at most; a larger one is none of ours."""


class Kept:
    """Small copies by the SHA-256 of the image's bytes and of how they are made.

    What is damaged, or was made by another version, is made anew. Nothing but a WebP picture is ever taken
    from the file: it lies in the workspace, which may be a stranger's.

    Args:
        catalogue: Its workspace holds the file; where that cannot be written, nothing is kept.
        make: The copy of an image's bytes; empty where it does not decode.
        how: Everything besides those bytes on which the copy depends.
    """

    def __init__(self, catalogue: Catalogue, make: Callable[[bytes], bytes], how: str) -> None:
        self._place: Workspace | None = getattr(catalogue, "workspace", None)
        self._make = make
        self._how = how
        self._known = self._load()
        self._used: dict[str, str] = {}
        self._made = 0

    def of(self, data: bytes) -> bytes:
        """The small copy of an image."""
        digest = sha256(data)
        digest.update(self._how.encode())
        key = digest.hexdigest()
        small = _picture(self._known.get(key), key)
        if not small:
            small = self._make(data)
            self._made += 1
        if small:
            self._used[key] = _sealed(small, key)
        return small

    def save(self) -> None:
        """Keep what was used, and of the rest what there is room for; nothing happens when all was known."""
        if not self._made or self._place is None:
            return
        rest = {key: text for key, text in self._known.items() if key not in self._used}
        kept = dict([*self._used.items(), *rest.items()][:MOST])
        with contextlib.suppress(GenepoolError, OSError):  # a page needs no workspace that can be written
            self._place.write_json(FILE, kept)

    def _load(self) -> dict[str, Any]:
        import orjson

        if self._place is None:
            return {}
        path = self._place.root / FILE
        try:
            found = orjson.loads(path.read_bytes()) if path.stat().st_size <= LARGEST else None
        except (OSError, ValueError):  # none yet, or damaged
            return {}
        return found if isinstance(found, dict) else {}


def _sealed(small: bytes, key: str) -> str:
    return sha256(key.encode() + small).hexdigest() + base64.b64encode(small).decode()


def _picture(text: Any, key: str) -> bytes:
    """The WebP picture that belongs to the key; empty where there is none, or another."""
    if not isinstance(text, str):
        return b""
    try:
        small = base64.b64decode(text[64:], validate=True)
    except (binascii.Error, ValueError):
        return b""
    fair = small[:4] == b"RIFF" and small[8:12] == b"WEBP" and _sealed(small, key) == text
    return small if fair else b""
