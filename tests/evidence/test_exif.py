"""EXIF: the weak voice of a camera, and every way to hide text in it."""

from __future__ import annotations

import struct

import pytest

from genepool.evidence import read_evidence
from support import marks as m


def findings(block: bytes):
    return read_evidence(m.encode("JPEG", exif=block))


def test_a_camera_needs_a_capture():
    for tags, inner in (
        ({0x010F: "Canon", 0x0110: "EOS"}, {}),
        ({0x0110: "EOS"}, {0x9003: "2019:05:04 10:11:12"}),
        ({0x010F: "Canon"}, {0x9003: "2019:05:04 10:11:12"}),
        ({0x0131: "GIMP"}, {}),
    ):
        assert findings(m.exif(tags, inner)).evidence == ()
    assert m.claims(findings(m.exif({0x010F: "Canon", 0x0110: "EOS"}, {0x8827: 400}))) == [("exif", "human")]


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("codec", ["utf-16-be", "utf-16-le", "ascii", "none", "utf-16"])
def test_user_comment_in_every_coding(order, codec):
    comment = {
        "ascii": b"ASCII\0\0\0" + m.A1111.encode("ascii"),
        "none": b"\0" * 8 + m.A1111.encode(),
    }.get(codec) or b"UNICODE\0" + m.A1111.encode(codec)
    found = findings(b"Exif\0\0" + user_comment(order, comment))
    (item,) = found.evidence
    assert (item.kind, item.claim, item.model) == ("generator", "ai", "v1-5-pruned")
    assert item.reference == "EXIF UserComment"


def user_comment(order: str, comment: bytes) -> bytes:
    """A TIFF block with nothing but an Exif directory that holds a UserComment."""
    mark = b"II*\0" if order == "<" else b"MM\0*"
    main = struct.pack(f"{order}H", 1) + struct.pack(f"{order}HHII", 0x8769, 4, 1, 26) + bytes(4)
    inner = struct.pack(f"{order}H", 1) + struct.pack(f"{order}HHII", 0x9286, 7, len(comment), 44) + bytes(4)
    return mark + struct.pack(f"{order}I", 8) + main + inner + comment


def test_names_are_facts():
    block = m.exif({0x013B: "Vera Molnár".encode(), 0x8298: "© V. M.".encode("latin-1"), 0x0131: "plotter"})
    assert dict(findings(block).fields) == {
        "artist": "Vera Molnár",
        "copyright": "© V. M.",
        "software": "plotter",
    }


def test_a_block_that_is_no_tiff_is_a_note():
    data = m.with_segments(m.encode("JPEG"), m.segment(0xE1, b"Exif\0\0rubbish"))
    assert read_evidence(data).notes == ("EXIF is broken and ignored: not a TIFF structure",)
