"""What the first bytes of a JPEG say, without a decoder: size, components, orientation."""

from __future__ import annotations

import struct
from typing import NamedTuple

_FRAMES = {0xC0, 0xC1, 0xC2, 0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF}
_ORIENTATION = 0x0112
_SHORT = 3


class JpegHeader(NamedTuple):
    """Frame size, components, sample precision, EXIF orientation, and whether the EXIF was broken."""

    width: int
    height: int
    components: int
    precision: int
    orientation: int
    broken_exif: bool


def jpeg_header(data: bytes) -> JpegHeader | None:
    """Walk the marker segments up to the first frame header (ITU-T T.81, annex B).

    Returns:
        The header, or None when the markers cannot be followed (Pillow is asked then).
    """
    orientation, broken = 1, False
    at = 2
    end = len(data)
    while at + 4 <= end:
        if data[at] != 0xFF:
            return None
        marker = data[at + 1]
        if marker == 0xFF:  # fill byte
            at += 1
            continue
        if marker in (0x01, *range(0xD0, 0xD9)):  # markers without a segment
            at += 2
            continue
        length = int.from_bytes(data[at + 2 : at + 4], "big")
        if length < 2 or marker in (0xD9, 0xDA):  # image ended or pixels began before any frame header
            return None
        body = at + 4
        if marker in _FRAMES:
            if body + 6 > end:
                return None
            precision, height, width, components = struct.unpack_from(">BHHB", data, body)
            return JpegHeader(width, height, components, precision, orientation, broken)
        if marker == 0xE1 and data[body : body + 6] == b"Exif\0\0":
            found = exif_orientation(data[body + 6 : at + 2 + length])
            orientation, broken = (1, True) if found is None else (found, False)
        at += 2 + length
    return None


def exif_orientation(tiff: bytes) -> int | None:
    """The orientation tag of an EXIF block (CIPA DC-008, 4.6.5), which is a TIFF structure.

    Returns:
        1 to 8; 1 where the tag is absent; None where the block is broken or the value is out of range.
    """
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(tiff[:4])
    if order is None:
        return None
    try:
        (start,) = struct.unpack_from(order + "I", tiff, 4)
        (count,) = struct.unpack_from(order + "H", tiff, start)
        for i in range(count):
            tag, kind, _, value = struct.unpack_from(order + "HHIH", tiff, start + 2 + 12 * i)
            if tag == _ORIENTATION:
                return value if kind == _SHORT and 1 <= value <= 8 else None
    except struct.error:
        return None
    return 1
