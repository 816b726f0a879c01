"""A small, bounded reader of TIFF image file directories, for TIFF files and for EXIF blocks.

Source: TIFF 6.0 section 2; Exif 3.0 section 4.6. Offsets and counts come from strangers, so every read is
checked against the block and each directory is read once: there is nothing to loop in.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from genepool.evidence._containers import Marks

_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 129: 1}
"""Bytes of one value, by TIFF type (129: Exif 3.0 UTF-8)."""
_MAX_ENTRIES = 1024
_MAX_VALUE = 1024 * 1024
"""Bytes of one value; longer ones are left out (prompts and XMP packets are a few kilobytes)."""
_EXIF_IFD = 0x8769
_XMP = 0x02BC
_C2PA = 0xCD41
WANTED = frozenset(
    {0x010E, 0x010F, 0x0110, 0x0131, 0x0132, _XMP, 0x8298, 0x013B, _EXIF_IFD, _C2PA}
    | {0x829A, 0x829D, 0x8827, 0x9003, 0x9004, 0x920A, 0x927C, 0x9286, 0xA434}
)
"""Tags that are read; others are skipped unread, so a file cannot make us copy itself a thousand times."""


class Tiff:
    r"""A TIFF structure with its byte order.

    Args:
        data: The whole block, beginning with ``II*\0`` or ``MM\0*``.

    Raises:
        ValueError: The block does not begin like TIFF.
    """

    def __init__(self, data: bytes) -> None:
        if data[:4] not in (b"II*\0", b"MM\0*"):
            raise ValueError("not a TIFF structure")
        self.data = data
        self.order = "<" if data[:2] == b"II" else ">"

    def first(self) -> int:
        """Offset of the first directory."""
        return self.number(self.data[4:8])

    def number(self, value: bytes) -> int:
        """An unsigned integer of the value's length in this byte order."""
        return int.from_bytes(value, "little" if self.order == "<" else "big")

    def directory(self, offset: int) -> dict[int, bytes]:
        """Wanted tags → raw value bytes of the directory at an offset; entries out of bounds are left out."""
        data = self.data
        if offset < 8 or offset + 2 > len(data):
            return {}
        count = min(self.number(data[offset : offset + 2]), _MAX_ENTRIES)
        entry = struct.Struct(f"{self.order}HHI4s")
        tags: dict[int, bytes] = {}
        for at in range(offset + 2, offset + 2 + 12 * count, 12):
            if at + 12 > len(data):
                break
            tag, kind, n, inline = entry.unpack_from(data, at)
            size = _SIZES.get(kind, 0) * n
            if tag in WANTED and size > 0:
                value = inline[:size] if size <= 4 else self._outside(tag, self.number(inline), size)
                if value:
                    tags.setdefault(tag, value)
        return tags

    def _outside(self, tag: int, start: int, size: int) -> bytes:
        if start + size > len(self.data):
            return b""
        if tag == _C2PA:  # only recognised here; the manifest itself is read by the C2PA library
            return self.data[start : start + min(size, 64)]
        return self.data[start : start + size] if size <= _MAX_VALUE else b""

    def tags(self) -> dict[int, bytes]:
        """The first directory with the Exif directory laid beneath it."""
        main = self.directory(self.first())
        pointer = main.get(_EXIF_IFD)
        beneath = self.directory(self.number(pointer)) if pointer else {}
        return {**beneath, **main}


def walk_tiff(data: bytes, marks: Marks) -> None:
    """Marks of a TIFF file: the whole file is its own EXIF block."""
    from genepool.evidence._containers import is_store

    marks.container = "TIFF"
    tiff = Tiff(data)
    tags = tiff.directory(tiff.first())
    if _XMP in tags:
        marks.add_xmp(tags[_XMP])
    if is_store(tags.get(_C2PA, b"")[:40]):
        marks.store = "tag 0xCD41"
    marks.exif = data  # not a copy: directories may lie anywhere in the file
