"""An image of a dataset, from listed to read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["Asset", "Case", "Header", "Item", "Sample"]


@dataclass(frozen=True, slots=True)
class Asset:
    """One image of a dataset.

    Attributes:
        uri: Where it lies, relative to the dataset: ``a/b.jpg``, ``s-00.tar::b.jpg``, ``p.parquet#17``.
        sha256: SHA-256 of the file's bytes, 64 hex digits.
        pixel: SHA-256 of the normalised raster (``gpx1``), 64 hex digits.
        phash: 256-bit perceptual hash, 64 hex digits.
        width, height: Pixels, after EXIF rotation.
        format: ``JPEG``, ``PNG``, ``WEBP``, ``AVIF``, ``TIFF``, ``GIF``.
        size: Bytes.
        caption: Text that accompanies the image, if any.
    """

    uri: str
    sha256: str
    pixel: str
    phash: str
    width: int
    height: int
    format: str
    size: int
    caption: str | None = None


@dataclass(frozen=True, slots=True)
class Header:
    """What the first bytes of an image say, before any pixel is decoded.

    ``width`` and ``height`` are as stored (before EXIF rotation); ``orientation`` is the EXIF value 1 to 8.
    """

    format: str
    width: int
    height: int
    mode: str
    orientation: int = 1
    frames: int = 1


@dataclass(frozen=True, slots=True)
class Item:
    """One listed file, tar member or table row, not yet read.

    Attributes:
        uri: As in `Asset.uri`.
        stamp: Changes whenever the bytes may have changed (size, modification time, offset).
        path: The file that holds the bytes, absolute or an fsspec URL.
        offset, length: Byte range inside ``path``; −1 for the whole file.
        row: Row inside a table; −1 where there is none.
        extra: Whatever the source needs to read it again (small, picklable).
    """

    uri: str
    stamp: str
    path: str
    offset: int = -1
    length: int = -1
    row: int = -1
    extra: Any = None


@dataclass(frozen=True, slots=True)
class Case:
    """One image that failed, was set aside or is uncertain, and why.

    Attributes:
        uri: The image.
        reason: A short stable word: ``truncated``, ``empty``, ``bomb``, ``generation``, ``duplicate`` …
        message: One sentence with what was expected and found.
        code: Rule code, ``GPnnn``.
        sha256: Digest, where the bytes could be read.
    """

    uri: str
    reason: str
    message: str
    code: str = ""
    sha256: str = ""


@dataclass(frozen=True, slots=True)
class Sample:
    """One item as read by a worker: its bytes and what travels with them, or why it could not be read."""

    item: Item
    data: bytes | None
    caption: str | None = None
    declared: Mapping[str, Any] | None = None
    case: Case | None = None
