"""Marks are found in legal places of every container, and nowhere else."""

from __future__ import annotations

import struct

import pytest

from genepool.evidence import read_evidence
from genepool.evidence._containers import walk
from support import marks as m

TRAINED = m.source_type_packet(m.TERMS + "trainedAlgorithmicMedia")
KINDS = ("JPEG", "PNG", "WEBP", "TIFF", "GIF", "AVIF")


def png_xmp(data: bytes) -> bytes:
    return m.chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + data)


def xmp_file(kind: str) -> bytes:
    if kind == "PNG":
        return m.with_chunks(m.encode("PNG"), png_xmp(TRAINED))
    if kind == "GIF":
        return m.gif_xmp(TRAINED)
    if kind == "TIFF":
        return m.encode("TIFF", tiffinfo={700: TRAINED})
    return m.encode(kind, xmp=TRAINED)


@pytest.mark.parametrize("kind", KINDS)
def test_xmp_is_found(kind):
    found = read_evidence(xmp_file(kind))
    assert found.container == kind
    assert m.claims(found) == [("xmp", "ai")]
    assert found.evidence[0].origin == "synthetic"
    assert found.evidence[0].weight == 3.0
    assert not found.evidence[0].hard


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
def test_exif_is_found(kind):
    found = read_evidence(m.encode(kind, exif=m.camera()))
    assert m.claims(found) == [("exif", "human")]
    assert found.evidence[0].weight == -0.5
    assert found.fields["make"] == "Canon"
    assert found.fields["created"] == "2019:05:04 10:11:12"


@pytest.mark.parametrize("kind", KINDS)
def test_an_image_without_marks_says_nothing(kind):
    found = read_evidence(m.encode(kind))
    assert found == type(found)(container=kind)


@pytest.mark.parametrize("kind", KINDS)
def test_bytes_after_the_end_do_not_count(kind):
    tail = m.packet() + TRAINED + m.A1111.encode() + m.app11(m.store()) + png_xmp(TRAINED)
    found = read_evidence(m.encode(kind) + tail)
    assert m.claims(found) == []
    assert found.c2pa == "absent"


def test_chunks_behind_iend_do_not_count():
    text = m.chunk(b"tEXt", b"parameters\0" + m.A1111.encode())
    before = read_evidence(m.with_chunks(m.encode("PNG"), text))
    behind = read_evidence(m.with_chunks(m.encode("PNG"), text, after_end=True))
    assert m.claims(before) == [("generator", "ai")]
    assert behind.evidence == ()


def test_a_chunk_with_a_wrong_checksum_does_not_count():
    text = bytearray(m.chunk(b"tEXt", b"parameters\0" + m.A1111.encode()))
    text[-1] ^= 1
    found = read_evidence(m.with_chunks(m.encode("PNG"), bytes(text)))
    assert m.claims(found) == []
    assert "wrong checksum" in found.notes[0]


def test_segments_behind_the_scan_do_not_count():
    segment = m.segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + TRAINED)
    data = m.encode("JPEG")
    assert data[-2:] == b"\xff\xd9"
    assert read_evidence(data[:-2] + segment + data[-2:]).evidence == ()
    assert m.claims(read_evidence(m.with_segments(data, segment))) == [("xmp", "ai")]


def test_fill_bytes_between_segments_are_legal():
    segment = m.segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + TRAINED)
    found = read_evidence(m.with_segments(m.encode("JPEG"), b"\xff\xff\xff" + segment))
    assert m.claims(found) == [("xmp", "ai")]


def test_webp_metadata_needs_the_extended_format():
    plain = m.encode("WEBP")
    assert plain[12:16] == b"VP8 "
    body = TRAINED + b"\0" * (len(TRAINED) & 1)
    data = plain + b"XMP " + struct.pack("<I", len(TRAINED)) + body
    data = data[:4] + struct.pack("<I", len(data) - 8) + data[8:]
    assert read_evidence(data).evidence == ()


def test_chunks_behind_the_riff_size_do_not_count():
    data = m.encode("WEBP", exif=m.camera())
    assert data[12:16] == b"VP8X"
    assert m.claims(read_evidence(data + b"XMP " + struct.pack("<I", len(TRAINED)) + TRAINED)) == [
        ("exif", "human")
    ]


def test_compressed_and_international_texts_are_read():
    import zlib

    packed = zlib.compress(m.A1111.encode())
    for body in (
        m.chunk(b"zTXt", b"parameters\0\0" + packed),
        m.chunk(b"iTXt", b"parameters\0\1\0\0\0" + packed),
        m.chunk(b"iTXt", b"parameters\0\0\0de\0Einstellungen\0" + m.A1111.encode()),
    ):
        assert m.claims(read_evidence(m.with_chunks(m.encode("PNG"), body))) == [("generator", "ai")]


def test_imagemagick_profile_is_read_as_exif():
    import zlib

    block = m.camera()
    text = f"\nexif\n{len(block):8d}\n{block.hex()}\n"
    found = read_evidence(
        m.with_chunks(
            m.encode("PNG"), m.chunk(b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(text.encode()))
        )
    )
    assert m.claims(found) == [("exif", "human")]


def test_other_boxes_in_app11_are_no_manifest():
    other = m.store().replace(b"c2pa\0\x11", b"abcd\0\x11", 1)
    assert walk(m.with_segments(m.encode("JPEG"), m.app11(m.store()))).store == "APP11"
    assert walk(m.with_segments(m.encode("JPEG"), m.app11(other))).store == ""
    assert walk(m.with_segments(m.encode("JPEG"), m.app11(m.store(), packet_number=2))).store == ""


def test_unknown_containers_are_empty():
    for data in (
        b"",
        b"\xff",
        b"BM" + b"\0" * 100,
        b"%PDF-1.7 parameters",
        b"\0\0\0\x18ftypmp42" + b"\0" * 40,
    ):
        found = read_evidence(data)
        assert found.evidence == ()
        assert found.container == ""
