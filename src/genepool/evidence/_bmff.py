"""Metadata in AVIF and HEIF: boxes of the ISO base media file format.

Sources: ISO/IEC 14496-12 (boxes; ``meta``, ``iinf``, ``iloc``, ``idat``), ISO/IEC 23008-12 annex A (Exif and
XMP items), C2PA 2.2 "Embedding manifests into BMFF-based assets" (``uuid`` box).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from genepool.evidence._containers import Marks

_MAX_BOXES = 4096
_MAX_ITEMS = 4096
_MAX_EXTENTS = 64
_C2PA_UUID = bytes.fromhex("d8fec3d61b0e483c92975828877ec481")
_AVIF = (b"avif", b"avis")
_HEIF = (b"heic", b"heix", b"hevc", b"heim", b"heis", b"mif1", b"msf1")


def _boxes(data: bytes, start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """``(type, start, end)`` of the payload of each box in a range; stops at the first that does not fit."""
    for _ in range(_MAX_BOXES):
        if start + 8 > end:
            return
        size, kind = struct.unpack_from(">I4s", data, start)
        head = 8
        if size == 1:
            size, head = struct.unpack_from(">Q", data, start + 8)[0], 16
        elif size == 0:
            size = end - start
        if size < head or start + size > end:
            return
        yield kind, start + head, start + size
        start += size


def walk_bmff(data: bytes, marks: Marks) -> None:
    """Marks of an AVIF or HEIF file."""
    seen = False
    for kind, start, end in _boxes(data, 0, len(data)):
        if kind == b"ftyp":
            brands = {
                data[start : start + 4],
                *(data[i : i + 4] for i in range(start + 8, min(end, start + 256), 4)),
            }
            if brands.isdisjoint(_AVIF + _HEIF):
                return
            marks.container = "HEIF" if brands.isdisjoint(_AVIF) else "AVIF"
        elif not marks.container:
            return  # `ftyp` comes first
        elif kind == b"uuid" and data[start : start + 16] == _C2PA_UUID:
            _store(data, start, end, marks)
        elif kind == b"meta" and not seen:
            seen = True  # a file has one; reading more would let a file make us work for ever
            _meta(data, start + 4, end, marks)


def _store(data: bytes, start: int, end: int, marks: Marks) -> None:
    """Full box (4 bytes), purpose (a string), for manifests an offset (8 bytes), then the store."""
    from genepool.evidence._containers import is_store

    purpose_end = data.find(b"\0", start + 20, min(end, start + 84))
    if purpose_end < 0:
        return
    if data[start + 20 : purpose_end] in (b"manifest", b"original", b"update"):
        at = purpose_end + 9
        if is_store(data[at : min(end, at + 40)]):
            marks.store = "uuid box"


def _meta(data: bytes, start: int, end: int, marks: Marks) -> None:
    parts = {kind: (at, stop) for kind, at, stop in _boxes(data, start, end)}
    if b"iinf" not in parts or b"iloc" not in parts:
        return
    wanted = _wanted(data, *parts[b"iinf"])
    if not wanted:
        return
    for item, content in _contents(data, parts[b"iloc"], parts.get(b"idat"), set(wanted)):
        if wanted[item] == "xmp":
            marks.add_xmp(content)
        elif len(content) > 4:
            # Four bytes say how far behind them the TIFF header begins.
            skip = 4 + int.from_bytes(content[:4], "big")
            marks.add_exif(content[skip:])


def _wanted(data: bytes, start: int, end: int) -> dict[int, str]:
    """Item id → ``exif`` or ``xmp``, from the item information box."""
    version = data[start]
    at = start + 4 + (2 if version == 0 else 4)
    wanted: dict[int, str] = {}
    for kind, low, high in _boxes(data, at, end):
        if kind != b"infe" or data[low] not in (2, 3):
            continue
        width = 2 if data[low] == 2 else 4
        item = int.from_bytes(data[low + 4 : low + 4 + width], "big")
        sort = data[low + 6 + width : low + 10 + width]
        if sort == b"Exif":
            wanted[item] = "exif"
        elif sort == b"mime":
            texts = data[low + 10 + width : high].split(b"\0", 2)  # name, content type
            if len(texts) > 1 and texts[1] == b"application/rdf+xml":
                wanted[item] = "xmp"
        if len(wanted) >= 8:
            break
    return wanted


class _Cursor:
    """Reads big-endian numbers in a row, inside bounds."""

    def __init__(self, data: bytes, at: int, end: int) -> None:
        self.data, self.at, self.end = data, at, end

    def take(self, width: int) -> int:
        if self.at + width > self.end:
            raise IndexError("item location box ends early")
        value = int.from_bytes(self.data[self.at : self.at + width], "big")
        self.at += width
        return value


def _contents(
    data: bytes, iloc: tuple[int, int], idat: tuple[int, int] | None, wanted: set[int]
) -> Iterator[tuple[int, bytes]]:
    """``(item, bytes)`` of wanted items whose extents lie in the file or in ``idat``."""
    cursor = _Cursor(data, *iloc)
    version = cursor.take(1)
    cursor.take(3)
    sizes = cursor.take(2)
    offset_size, length_size, base_size = sizes >> 12, sizes >> 8 & 15, sizes >> 4 & 15
    index_size = sizes & 15 if version in (1, 2) else 0
    wide = 4 if version == 2 else 2
    for _ in range(min(cursor.take(wide), _MAX_ITEMS)):
        item = cursor.take(wide)
        method = cursor.take(2) & 15 if version in (1, 2) else 0
        cursor.take(2)  # data reference index
        base = cursor.take(base_size)
        extents = []
        for _ in range(min(cursor.take(2), _MAX_EXTENTS)):
            cursor.take(index_size)
            extents.append((base + cursor.take(offset_size), cursor.take(length_size)))
        if item in wanted and method in (0, 1):
            wanted.discard(item)
            content = _join(data, extents, idat if method == 1 else (0, len(data)))
            if content:
                yield item, content


def _join(data: bytes, extents: list[tuple[int, int]], area: tuple[int, int] | None) -> bytes:
    from genepool.evidence._containers import MAX_PART

    if area is None or sum(length for _, length in extents) > MAX_PART:
        return b""
    low, high = area
    pieces = []
    for offset, length in extents:
        if low + offset + length > high:
            return b""
        pieces.append(data[low + offset : low + offset + length])
    return b"".join(pieces)
