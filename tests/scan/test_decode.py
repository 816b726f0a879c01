"""Every bad or odd input: what is decoded, noted or set aside, and why."""

from __future__ import annotations

import io
import struct
import warnings
import zlib

import numpy as np
import pytest
from PIL import Image

from genepool.records import Item, Sample
from genepool.scan import Refusal, View, decode, pixel_digest, read_header
from genepool.scan._decode import rotated, sniff, wrong_extension
from support.scans import encoded, picture

LIMIT = 89_478_485


def view(data: bytes, name: str = "a.jpg", limit: int = LIMIT) -> View:
    return View(Sample(Item(name, "", name), data), max_pixels=limit)


def refused(data: bytes, limit: int = LIMIT) -> Refusal:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(Refusal) as caught:
            _ = view(data, limit=limit).pixels
    return caught.value


def png(width: int, height: int, *, raw: bytes = b"") -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(raw)) + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "AVIF", "TIFF", "GIF"])
def test_formats(kind: str) -> None:
    seen = view(encoded(picture(1), kind))
    assert (seen.header.format, seen.header.width, seen.header.height) == (kind, 96, 96)
    assert seen.pixels.shape == (96, 96, 3)
    assert seen.decoded.decoder.split()[0] == ("simplejpeg" if kind == "JPEG" else "pillow")
    assert abs(seen.pixels.astype(float) - np.asarray(picture(1))).mean() < 12


def test_both_decoders_agree() -> None:
    data = encoded(picture(2), quality=92)
    with Image.open(io.BytesIO(data)) as image:
        assert np.array_equal(view(data).pixels, np.asarray(image))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "GIF", "AVIF"])
def test_cut_files(kind: str) -> None:
    data = encoded(picture(1), kind)
    for share in (0.9, 0.6, 0.3):
        found = refused(data[: int(len(data) * share)])
        assert found.reason in ("truncated", "corrupt"), found.message
        assert kind in found.message


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_half_a_file_is_called_truncated(kind: str) -> None:
    data = encoded(picture(1), kind)
    assert refused(data[: len(data) // 2]).reason == "truncated"


@pytest.mark.parametrize("cut", range(1, 40, 3))
def test_heads_without_bodies_are_refused(cut: int) -> None:
    for kind in ("JPEG", "PNG", "GIF", "TIFF", "WEBP", "AVIF"):
        assert refused(encoded(picture(1), kind)[:cut]).reason in (
            "truncated",
            "corrupt",
            "not-an-image",
            "unsupported",
        )


def test_empty_and_foreign_files() -> None:
    assert refused(b"").reason == "empty"
    assert refused(b"hello, I am a text").reason == "not-an-image"
    assert refused(b"%PDF-1.7 ...").reason == "unsupported"
    assert refused(b"\0" * 100).reason == "not-an-image"


def test_a_bomb_is_refused_by_its_header() -> None:
    found = refused(png(60000, 60000))
    assert found.reason == "bomb"
    assert "60000 × 60000 = 3,600,000,000" in found.message


def test_a_hundred_megapixels_are_refused_undecoded() -> None:
    data = encoded(Image.new("L", (10000, 10000), 128), quality=30)
    found = refused(data)
    assert found.reason == "too-many-pixels"
    assert "expected at most 89,478,485 pixels, found 10000 × 10000" in found.message
    # The bound is the user's: a higher one lets the header through.
    assert read_header(data, max_pixels=100_000_000)[0].width == 10000


def test_many_pixels_in_other_formats() -> None:
    for kind in ("PNG", "WEBP", "GIF", "TIFF", "AVIF"):
        assert refused(encoded(picture(1), kind), limit=96 * 96 - 1).reason == "too-many-pixels"


def test_cmyk() -> None:
    seen = view(encoded(picture(1).convert("CMYK"), quality=95))
    assert seen.header.mode == "CMYK"
    assert seen.decoded.decoder.startswith("pillow ")
    assert abs(seen.pixels.astype(float) - np.asarray(picture(1))).mean() < 6


def test_sixteen_bits_are_scaled_not_clipped() -> None:
    ramp = np.linspace(0, 65535, 64 * 64).astype(np.uint16).reshape(64, 64)
    for kind in ("PNG", "TIFF"):
        seen = view(encoded(Image.fromarray(ramp), kind))
        assert seen.header.mode.startswith("I;16")
        assert np.array_equal(seen.pixels[..., 0], np.rint(ramp / 257).astype(np.uint8))
        assert np.array_equal(seen.pixels[..., 0], seen.pixels[..., 2])


def test_floats_and_wide_integers() -> None:
    unit = np.linspace(0, 1, 32 * 32, dtype=np.float32).reshape(32, 32)
    seen = view(encoded(Image.fromarray(unit), "TIFF"))
    assert (seen.pixels.min(), seen.pixels.max()) == (0, 255)
    assert seen.decoded.notes == ["rescaled"]
    wide = np.linspace(-5, 1e6, 32 * 32).astype(np.int32).reshape(32, 32)
    seen = view(encoded(Image.fromarray(wide), "TIFF"))
    assert (seen.pixels.min(), seen.pixels.max()) == (0, 255)
    broken = unit.copy()
    broken[0, 0] = np.nan
    assert view(encoded(Image.fromarray(broken), "TIFF")).pixels[0, 0, 0] == 0


def test_a_variant_that_the_decoder_does_not_know() -> None:
    found = refused(b"BM" + b"\0" * 60)
    assert found.reason == "unsupported"
    assert "BMP" in found.message


def test_lab_is_converted() -> None:
    grey = Image.merge("LAB", [Image.new("L", (16, 16), v) for v in (136, 128, 128)])
    assert (abs(view(encoded(grey, "TIFF")).pixels.astype(int) - 127) < 12).all()


def test_palette_with_alpha_lies_on_white() -> None:
    image = Image.new("P", (8, 8), 0)
    image.putpalette([255, 0, 0, 0, 0, 255])
    image.putpixel((3, 3), 1)
    seen = view(encoded(image, "PNG", transparency=0))
    assert tuple(seen.pixels[0, 0]) == (255, 255, 255)
    assert tuple(seen.pixels[3, 3]) == (0, 0, 255)
    assert seen.decoded.rgba is not None
    assert tuple(seen.decoded.rgba[0, 0]) == (255, 0, 0, 0)


def test_alpha_counts_in_the_pixel_digest_only_when_something_shines_through() -> None:
    plain = picture(1)
    opaque = plain.convert("RGBA")
    clear = opaque.copy()
    clear.putpixel((0, 0), (*opaque.getpixel((0, 0))[:3], 254))

    def digest(image: Image.Image) -> bytes:
        found = view(encoded(image, "PNG")).decoded
        return pixel_digest(found.rgb if found.rgba is None else found.rgba)

    assert digest(plain) == digest(opaque) != digest(clear)


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "AVIF", "TIFF"])
def test_of_an_animation_the_first_frame_counts(kind: str) -> None:
    frames = [Image.new("RGB", (32, 32), colour) for colour in ("red", "green", "blue")]
    options = {"lossless": True} if kind == "WEBP" else {}
    data = encoded(frames[0], kind, save_all=True, append_images=frames[1:], **options)
    seen = view(data)
    assert seen.header.frames >= 2
    assert seen.notes == ["multi-page" if kind == "TIFF" else "animated"]
    red, green, blue = seen.pixels[16, 16]
    assert red > 240
    assert green < 20
    assert blue < 20


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP", "AVIF"])
def test_exif_rotation(orientation: int, kind: str) -> None:
    upright = Image.new("RGB", (24, 16), "white")
    upright.paste((255, 0, 0), (0, 0, 12, 8))
    undo = {2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180,
            4: Image.Transpose.FLIP_TOP_BOTTOM, 5: Image.Transpose.TRANSPOSE,
            6: Image.Transpose.ROTATE_90, 7: Image.Transpose.TRANSVERSE,
            8: Image.Transpose.ROTATE_270}  # fmt: skip
    stored = upright.transpose(undo[orientation]) if orientation > 1 else upright
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"lossless": True} if kind == "WEBP" else {}
    seen = view(encoded(stored, kind, exif=exif, **options))
    assert seen.header.orientation == orientation
    assert (seen.header.width, seen.header.height) == stored.size
    assert seen.pixels.shape == (16, 24, 3)
    assert abs(seen.pixels.astype(int) - np.asarray(upright)).mean() < 9
    assert seen.pixels.flags.c_contiguous


def test_rotation_of_a_raster_is_a_group_action() -> None:
    raster = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    for orientation, back in {1: 1, 2: 2, 3: 3, 4: 4, 5: 5, 6: 8, 7: 7, 8: 6}.items():
        assert np.array_equal(rotated(rotated(raster, orientation), back), raster)


@pytest.mark.parametrize(
    "exif",
    [
        b"",
        b"II",
        b"II*\0\xff\xff\xff\xff",
        b"XX*\0\x08\0\0\0",
        b"II*\0\x08\0\0\0\xff\xff",
        b"MM\0*" + b"\xff" * 60,
    ],
)
def test_broken_exif_is_ignored_and_noted(exif: bytes) -> None:
    data = encoded(picture(1))
    body = b"Exif\0\0" + exif
    data = data[:2] + b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body + data[2:]
    seen = view(data)
    assert seen.notes == ["broken-exif"]
    assert seen.header.orientation == 1
    assert seen.pixels.shape == (96, 96, 3)


def test_orientation_out_of_range_is_broken_exif() -> None:
    exif = Image.Exif()
    exif[0x0112] = 77
    for kind in ("JPEG", "PNG"):
        assert view(encoded(picture(1), kind, exif=exif)).notes == ["broken-exif"]


def test_a_jpeg_with_a_scratch_is_decoded_by_pillow_and_noted() -> None:
    data = bytearray(encoded(picture(1), quality=90))
    # Bytes between the segments: libjpeg skips them with a warning; no row is lost.
    at = data.index(b"\xff\xc4")
    scratched = bytes(data[:at]) + b"\x00\x00\x00" + bytes(data[at:])
    seen = view(scratched)
    assert seen.decoded.notes == ["jpeg-warning"]
    assert seen.decoded.decoder.startswith("pillow ")
    assert np.array_equal(seen.pixels, view(bytes(data)).pixels)


def test_names_and_signatures() -> None:
    assert wrong_extension("a/b.jpg", "PNG")
    assert not wrong_extension("a/b.JPEG", "JPEG")
    assert not wrong_extension("shard.tar::00017", "PNG")
    assert sniff(encoded(picture(1), "AVIF")) == "AVIF"
    assert sniff(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic") == "HEIC"
    assert refused(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + b"\0" * 50).reason == "unsupported"


def test_pillow_keeps_its_own_limit() -> None:
    before = Image.MAX_IMAGE_PIXELS
    refused(png(60000, 60000))
    assert before == Image.MAX_IMAGE_PIXELS


def test_hostile_chunks_are_refusals() -> None:
    text = b"tEXt" + b"a" * 100
    hostile = [
        png(4, 4, raw=b"\0"),
        png(4, 4)[:33] + text,
        b"GIF89a" + b"\xff" * 50,
        b"II*\0" + b"\xff" * 80,
        b"RIFF\xff\xff\xff\xffWEBPVP8X" + b"\xff" * 40,
        b"BM" + b"\0" * 60,
    ]
    for data in hostile:
        assert refused(data).reason in ("truncated", "corrupt", "unsupported")


def test_decode_needs_only_bytes_and_header() -> None:
    data = encoded(picture(1))
    header, notes = read_header(data, max_pixels=LIMIT)
    assert notes == []
    assert decode(data, header).rgb.shape == (96, 96, 3)


def test_thumbnail_is_an_area_average_and_never_upscales() -> None:
    raster = np.zeros((64, 128, 3), np.uint8)
    raster[:, ::2] = 255
    seen = view(encoded(Image.fromarray(raster), "PNG"))
    assert seen.thumbnail(16).shape == (16, 32, 3)
    assert set(np.unique(seen.thumbnail(16))) <= {127, 128}
    assert seen.thumbnail(16) is seen.thumbnail(16)
    assert seen.thumbnail(500).shape == (64, 128, 3)
    with pytest.raises(ValueError, match="read-only"):
        seen.thumbnail(500)[0, 0, 0] = 1
    with pytest.raises(ValueError, match="read-only"):
        seen.pixels[0, 0, 0] = 1


def test_crops_are_native_ranked_and_deterministic() -> None:
    rng = np.random.default_rng(0)
    raster = np.full((100, 160, 3), 128, np.uint8)
    # The grid of 32 is centred: its cells begin at rows 2, 34, 66 and columns 0, 32, 64, 96, 128.
    for (y, x), contrast in {(34, 64): 100, (2, 128): 50, (66, 0): 20}.items():
        raster[y + 4 : y + 28, x + 4 : x + 28] += rng.integers(0, contrast, (24, 24, 3), dtype=np.uint8)
    seen = view(encoded(Image.fromarray(raster), "PNG"))
    crops = seen.crops(3, 32)
    expected = [raster[34:66, 64:96], raster[2:34, 128:160], raster[66:98, 0:32]]
    assert all(np.array_equal(a, b) for a, b in zip(crops, expected, strict=True))
    assert seen.crops(3, 101) == []
    assert len(seen.crops(999, 32)) == 3 * 5
    assert seen.crops(0, 32) == []
    assert len(view(encoded(picture(1), "PNG")).crops(2, 95)) == 1
