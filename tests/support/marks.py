"""Small images with marks in legal (and illegal) places, built byte by byte."""

from __future__ import annotations

import functools
import io
import struct
import zlib
from collections.abc import Sequence
from typing import Any

from PIL import Image
from PIL.PngImagePlugin import PngInfo

A1111 = (
    "a lighthouse, oil on canvas <lora:paint:0.8>\nNegative prompt: blurry, text\n"
    "Steps: 28, Sampler: DPM++ 2M Karras, CFG scale: 7, Seed: 2871234, Size: 512x768, "
    'Model hash: 6ce0161689, Model: v1-5-pruned, Lora hashes: "paint: 12ab, other: 34cd", Version: v1.9.4'
)
EXT = 'xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/"'
PLUS = 'xmlns:plus="http://ns.useplus.org/ldf/xmp/1.0/"'
TERMS = "http://cv.iptc.org/newscodes/digitalsourcetype/"


@functools.cache
def picture(size: int = 48) -> Image.Image:
    """A gradient: pixels do not matter here."""
    return Image.merge("RGB", [Image.linear_gradient("L").resize((size, size))] * 3)


def encode(kind: str, **options: Any) -> bytes:
    """The picture in a format, with Pillow's options for it (``exif=``, ``xmp=``, ``pnginfo=``)."""
    out = io.BytesIO()
    picture().save(out, kind, **options)
    return out.getvalue()


def png(**texts: str) -> bytes:
    """A PNG with text chunks; underscores in names stand for themselves."""
    info = PngInfo()
    for name, text in texts.items():
        info.add_text(name, text)
    return encode("PNG", pnginfo=info)


def chunk(kind: bytes, body: bytes) -> bytes:
    """One PNG chunk."""
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def with_chunks(data: bytes, *chunks: bytes, after_end: bool = False) -> bytes:
    """A PNG with chunks put before IEND, or behind it."""
    end = len(data) - 12
    return data + b"".join(chunks) if after_end else data[:end] + b"".join(chunks) + data[end:]


def segment(marker: int, body: bytes) -> bytes:
    """One JPEG segment."""
    return struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body


def with_segments(data: bytes, *segments: bytes) -> bytes:
    """A JPEG with segments put right behind SOI."""
    return data[:2] + b"".join(segments) + data[2:]


def packet(body: str = "", attributes: str = "") -> bytes:
    """An XMP packet with one description."""
    return (
        '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>'
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        f'<rdf:Description rdf:about="" {attributes}>{body}</rdf:Description>'
        '</rdf:RDF></x:xmpmeta><?xpacket end="w"?>'
    ).encode()


def source_type_packet(term: str) -> bytes:
    """XMP that names a digital source type by its address."""
    return packet(attributes=f'{EXT} Iptc4xmpExt:DigitalSourceType="{term}"')


def exif(tags: dict[int, Any], inner: dict[int, Any] | None = None) -> bytes:
    """An EXIF block as Pillow writes it (with the JPEG prefix)."""
    block = Image.Exif()
    for tag, value in tags.items():
        block[tag] = value
    for tag, value in (inner or {}).items():
        block.get_ifd(0x8769)[tag] = value
    return block.tobytes()


def camera() -> bytes:
    """The EXIF block of a camera."""
    return exif(
        {0x010F: "Canon", 0x0110: "Canon EOS R5", 0x0131: "Firmware 1.1"}, {0x9003: "2019:05:04 10:11:12"}
    )


def store(*, sound: bool = False) -> bytes:
    """The head of a C2PA manifest store with rubbish in it."""
    kind = bytes.fromhex("6332706100110010800000aa00389b71")
    description = struct.pack(">I", 8 + 16 + 1 + 5) + b"jumd" + kind + b"\x03c2pa\0"
    rest = b"" if sound else b"\0\0\0\x10rubbishrubbish!!"
    return struct.pack(">I", 8 + len(description) + len(rest)) + b"jumb" + description + rest


def app11(box: bytes, packet_number: int = 1) -> bytes:
    """A JPEG APP11 segment with a JUMBF box."""
    return segment(0xEB, b"JP" + struct.pack(">HI", 1, packet_number) + box)


def gif_application(label: bytes, body: bytes) -> bytes:
    """A GIF application extension: 11 bytes of label, then what follows as it is."""
    return b"\x21\xff\x0b" + label + body


def gif_xmp(content: bytes) -> bytes:
    """The picture as a GIF with an XMP packet before its trailer."""
    tail = b"\x01" + bytes(range(255, -1, -1)) + b"\0"
    data = encode("GIF")
    assert data[-1:] == b";"
    return data[:-1] + gif_application(b"XMP DataXMP", content + tail) + b";"


def claims(findings: Any) -> Sequence[tuple[str, str]]:
    """``(kind, claim)`` of everything that speaks for somebody."""
    return [(item.kind, item.claim) for item in findings.evidence if item.claim != "none"]
