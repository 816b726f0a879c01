"""Walks a file's structure and hands out the metadata that lies in legal places, and nothing else.

Bytes are never searched for words. Whatever stands outside the structure (appended after the end, chunks
after ``IEND``, segments behind the scan) does not exist for these walkers. Every walk is bounded in steps and
in bytes; structure that ends early yields what was legal so far and a note.

Sources: JPEG (ITU-T T.81 annex B; Exif 3.0; XMP part 3), PNG (W3C, third edition), WebP (RFC 9649),
GIF89a; where C2PA puts its manifest: C2PA 2.2, "Embedding manifests into various file formats".
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field

MAX_STEPS = 200_000
"""Chunks, segments or sub-blocks that are walked before the rest is ignored."""
MAX_PART = 8 * 1024 * 1024
"""Bytes of one metadata part, after decompression."""
MAX_XMP = 2 * 1024 * 1024
"""Bytes of one XMP packet: a parsed tree takes some fifty times its text. Real packets have kilobytes."""
MAX_TEXTS = 32 * 1024 * 1024
"""Bytes of all PNG texts together, after decompression."""

_C2PA_STORE = bytes.fromhex("6332706100110010800000aa00389b71")
"""JUMBF type of a C2PA manifest store (C2PA 2.2, "JUMBF boxes")."""
_MIME = {
    "JPEG": "image/jpeg",
    "PNG": "image/png",
    "WEBP": "image/webp",
    "GIF": "image/gif",
    "TIFF": "image/tiff",
    "AVIF": "image/avif",
    "HEIF": "image/heif",
}
_PNG_KEYWORDS = frozenset(
    b"parameters|prompt|workflow|invokeai_metadata|sd-metadata|Dream|Software|Comment|Source|Title|"
    b"fooocus_scheme|XML:com.adobe.xmp|Raw profile type exif|Raw profile type APP1|Author|Copyright".split(
        b"|"
    )
)


@dataclass(slots=True)
class Marks:
    """Metadata found in legal places of one file.

    Attributes:
        container: ``JPEG``, ``PNG``, ``WEBP``, ``GIF``, ``TIFF``, ``AVIF``, ``HEIF`` or empty (unknown).
        exif: TIFF-structured EXIF block (first one; without the ``Exif`` prefix).
        xmp: XMP packets, raw.
        texts: PNG texts by keyword (first of each keyword).
        store: Where a C2PA manifest store lies, empty when there is none.
        notes: What was wrong with the structure.
    """

    container: str = ""
    exif: bytes | None = None
    xmp: list[bytes] = field(default_factory=list)
    texts: dict[str, str] = field(default_factory=dict)
    store: str = ""
    notes: list[str] = field(default_factory=list)

    @property
    def mime(self) -> str:
        """Media type of the container."""
        return _MIME.get(self.container, "")

    @property
    def empty(self) -> bool:
        """Whether there is nothing to read."""
        return not (self.exif or self.xmp or self.texts or self.store or self.notes)

    def add_exif(self, block: bytes) -> None:
        """Keep the first EXIF block (some writers leave the JPEG prefix on it)."""
        if self.exif is None:
            self.exif = block.removeprefix(b"Exif\0\0")

    def add_xmp(self, packet: bytes) -> None:
        """Keep an XMP packet; one that is too large is noted, because it may hold the owner's wishes."""
        if len(packet) > MAX_XMP:
            self.notes.append(
                f"{self.container}: an XMP packet of {len(packet)} bytes is too large to be read"
            )
        elif len(self.xmp) < 4:
            self.xmp.append(packet)


def walk(data: bytes) -> Marks:
    """Find the metadata of one image file.

    Args:
        data: The file's bytes.

    Returns:
        Its marks; those of an unknown container are empty.
    """
    marks = Marks()
    walker = _walker(data)
    if walker is not None:
        try:
            walker(data, marks)
        except (IndexError, struct.error):
            marks.notes.append(f"{marks.container}: the structure ends before its end marker")
    return marks


def _walker(data: bytes) -> Callable[[bytes, Marks], None] | None:
    if data[:3] == b"\xff\xd8\xff":
        return _jpeg
    if data[:8] == b"\x89PNG\r\n\x1a\n":
        return _png
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return _webp
    if data[:6] in (b"GIF87a", b"GIF89a"):
        return _gif
    if data[:4] in (b"II*\0", b"MM\0*"):
        from genepool.evidence._tiff import walk_tiff

        return walk_tiff
    if data[4:8] == b"ftyp":
        from genepool.evidence._bmff import walk_bmff

        return walk_bmff
    return None


def is_store(box: bytes) -> bool:
    """Whether bytes begin with the JUMBF superbox of a C2PA manifest store."""
    return box[4:8] == b"jumb" and box[12:16] == b"jumd" and box[16:32] == _C2PA_STORE


# ------------------------------------------------------------------------------------------------ JPEG


def _jpeg(data: bytes, marks: Marks) -> None:
    """Segments between SOI and the first scan, the only place where Exif, XMP and C2PA allow theirs."""
    marks.container = "JPEG"
    at = 2
    for _ in range(MAX_STEPS):
        if data[at] != 0xFF:
            marks.notes.append("JPEG: a segment does not begin with a marker")
            return
        while data[at] == 0xFF:
            at += 1
        marker = data[at]
        at += 1
        if marker in (0xDA, 0xD9):  # start of scan, end of image
            return
        if marker == 0x01 or 0xD0 <= marker <= 0xD8:
            continue  # markers without a length
        length = (data[at] << 8) | data[at + 1]
        if length < 2 or at + length > len(data):
            marks.notes.append("JPEG: a segment is longer than the file")
            return
        if marker in (0xE1, 0xEB):
            _jpeg_segment(marker, data[at + 2 : at + length], marks)
        at += length


def _jpeg_segment(marker: int, body: bytes, marks: Marks) -> None:
    if marker == 0xE1 and body.startswith(b"Exif\0"):
        marks.add_exif(body[6:])
    elif marker == 0xE1 and body.startswith(b"http://ns.adobe.com/xap/1.0/\0"):
        marks.add_xmp(body[29:])
    elif marker == 0xEB and body[:2] == b"JP" and body[4:8] == b"\0\0\0\1" and is_store(body[8:40]):
        # JPEG XT box segment: common identifier, instance, packet number 1, then the box itself.
        marks.store = "APP11"


# ------------------------------------------------------------------------------------------------- PNG


def _png(data: bytes, marks: Marks) -> None:
    """Chunks from IHDR to IEND; a text counts only when its checksum is right."""
    marks.container = "PNG"
    unpack = struct.Struct(">I4s").unpack_from
    if unpack(data, 8) != (13, b"IHDR"):
        marks.notes.append("PNG: the first chunk is not IHDR")
        return
    at, size, spent = 8, len(data), 0
    for _ in range(MAX_STEPS):
        length, kind = unpack(data, at)
        end = at + 12 + length
        if end > size:
            marks.notes.append(f"PNG: chunk {_name(kind)} is longer than the file")
            return
        if kind == b"IEND":
            return
        if kind in _PNG_READERS and length <= MAX_PART:
            body = data[at + 8 : end - 4]
            if zlib.crc32(body, zlib.crc32(kind)) != int.from_bytes(data[end - 4 : end], "big"):
                marks.notes.append(f"PNG: chunk {_name(kind)} has a wrong checksum and is ignored")
            elif spent <= MAX_TEXTS:
                spent += _PNG_READERS[kind](body, marks)
        at = end
    marks.notes.append("PNG: too many chunks, the rest is ignored")


def _name(kind: bytes) -> str:
    return kind.decode("ascii", "replace") if kind.isalpha() else repr(kind)


def _text(body: bytes, marks: Marks) -> int:
    keyword, separator, text = body.partition(b"\0")
    if separator and keyword in _PNG_KEYWORDS:
        _keep_text(marks, keyword, text, utf8=False)
    return len(body)


def _ztext(body: bytes, marks: Marks) -> int:
    keyword, separator, rest = body.partition(b"\0")
    if not separator or keyword not in _PNG_KEYWORDS or rest[:1] != b"\0":
        return len(body)
    return _keep_packed(marks, keyword, rest[1:], utf8=False)


def _itext(body: bytes, marks: Marks) -> int:
    keyword, separator, rest = body.partition(b"\0")
    if not separator or keyword not in _PNG_KEYWORDS or len(rest) < 2 or rest[1] != 0:
        return len(body)
    parts = rest[2:].split(b"\0", 2)  # language tag, translated keyword, text
    if len(parts) < 3:
        return len(body)
    if rest[0]:
        return _keep_packed(marks, keyword, parts[2], utf8=True)
    _keep_text(marks, keyword, parts[2], utf8=True)
    return len(body)


def _keep_packed(marks: Marks, keyword: bytes, packed: bytes, *, utf8: bool) -> int:
    unpacker = zlib.decompressobj()
    try:
        text = unpacker.decompress(packed, MAX_PART)
    except zlib.error:
        marks.notes.append(f"PNG: text {_name(keyword)} cannot be decompressed")
        return len(packed)
    if unpacker.unconsumed_tail or not unpacker.eof:
        marks.notes.append(
            f"PNG: text {keyword.decode('ascii')} is cut or unpacks to more than {MAX_PART} bytes"
        )
    else:
        _keep_text(marks, keyword, text, utf8=utf8)
    return len(text)


def _keep_text(marks: Marks, keyword: bytes, text: bytes, *, utf8: bool) -> None:
    if keyword == b"XML:com.adobe.xmp":
        marks.add_xmp(text)
    elif keyword.startswith(b"Raw profile type"):
        block = _raw_profile(text)
        if block is not None:
            marks.add_exif(block)
    else:
        # The standard says Latin-1 for tEXt; generators write UTF-8 all the same. Latin-1 never fails.
        try:
            value = text.decode("utf-8")
        except UnicodeDecodeError:
            value = text.decode("utf-8", "replace") if utf8 else text.decode("latin-1")
        marks.texts.setdefault(keyword.decode("ascii"), value)


def _raw_profile(text: bytes) -> bytes | None:
    """ImageMagick's way to keep EXIF in PNG text: a name, a length and hexadecimal digits."""
    lines = text.strip(b"\n").split(b"\n", 2)
    if len(lines) < 3:
        return None
    try:
        block = bytes.fromhex(lines[2].decode("ascii"))
        return block if len(block) == int(lines[1]) else None
    except ValueError:
        return None


def _png_exif(body: bytes, marks: Marks) -> int:
    marks.add_exif(body)
    return len(body)


def _png_store(body: bytes, marks: Marks) -> int:
    if is_store(body[:40]):
        marks.store = "caBX"
    return 0


_PNG_READERS: dict[bytes, Callable[[bytes, Marks], int]] = {
    b"tEXt": _text,
    b"zTXt": _ztext,
    b"iTXt": _itext,
    b"eXIf": _png_exif,
    b"caBX": _png_store,
}


# ------------------------------------------------------------------------------------------------ WebP


def _webp(data: bytes, marks: Marks) -> None:
    """Chunks inside the RIFF size; metadata is legal in the extended format (``VP8X``) only."""
    marks.container = "WEBP"
    end = min(len(data), 8 + int.from_bytes(data[4:8], "little"))
    extended = data[12:16] == b"VP8X"
    at = 12
    for _ in range(MAX_STEPS):
        if at + 8 > end:
            return
        kind, length = struct.unpack_from("<4sI", data, at)
        if at + 8 + length > end:
            marks.notes.append(f"WEBP: chunk {kind!r} is longer than the file")
            return
        if kind in (b"EXIF", b"XMP ", b"C2PA") and length <= MAX_PART:
            body = data[at + 8 : at + 8 + length]
            if kind == b"C2PA" and is_store(body[:40]):
                marks.store = "C2PA chunk"
            elif kind == b"EXIF" and extended:
                marks.add_exif(body)
            elif kind == b"XMP " and extended:
                marks.add_xmp(body)
        at += 8 + length + (length & 1)


# ------------------------------------------------------------------------------------------------- GIF


def _gif(data: bytes, marks: Marks) -> None:
    """Blocks up to the trailer; XMP and C2PA sit in application extensions."""
    marks.container = "GIF"
    at = 13 + _table(data[10])
    for _ in range(MAX_STEPS):
        introducer = data[at]
        if introducer == 0x3B:
            return
        if introducer == 0x2C:
            at = _skip(data, at + 11 + _table(data[at + 9]))
        elif introducer == 0x21:
            end = _skip(data, at + 2)
            if data[at + 1] == 0xFF and data[at + 2] == 11:
                _gif_application(data[at + 3 : at + 14], data, at + 14, end, marks)
            at = end
        else:
            marks.notes.append("GIF: an unknown block")
            return


def _table(flags: int) -> int:
    """Bytes of a colour table."""
    return 3 << ((flags & 7) + 1) if flags & 0x80 else 0


def _skip(data: bytes, at: int) -> int:
    """The position behind a chain of sub-blocks."""
    for _ in range(MAX_STEPS):
        size = data[at]
        at += size + 1
        if size == 0:
            return at
    raise IndexError


def _gif_application(label: bytes, data: bytes, start: int, end: int, marks: Marks) -> None:
    if label == b"XMP DataXMP":
        # The packet is stored as it is; 258 bytes behind it lead a sub-block reader to the end.
        marks.add_xmp(data[start : max(start, end - 258)])
    elif label == b"C2PA_GIF\x01\0\0" and is_store(data[start + 1 : start + 41]):
        marks.store = "C2PA_GIF extension"
