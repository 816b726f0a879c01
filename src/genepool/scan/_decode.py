"""Bytes to raster: the header first, then one decode. Whatever is wrong becomes a `Refusal` or a note.

JPEG goes through simplejpeg (libjpeg-turbo) in strict mode; what it refuses, and everything else, through
Pillow, which is allowed six formats only. 16-bit samples are scaled to 8, alpha is kept beside the picture
composited on white, the first frame of animations counts, EXIF rotation is applied; colour profiles are not.
"""

from __future__ import annotations

import contextlib
import functools
import io
import struct
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from genepool.records import Header
from genepool.scan._header import jpeg_header

if TYPE_CHECKING:
    from PIL import Image

Raster = NDArray[np.uint8]

FORMATS = ("JPEG", "PNG", "WEBP", "AVIF", "TIFF", "GIF", "BMP")
"""What is read. Pillow's other readers are never started: some of them run programs."""

_EXTENSIONS = {
    "jpg": "JPEG", "jpeg": "JPEG", "jpe": "JPEG", "jfif": "JPEG", "png": "PNG", "webp": "WEBP",
    "avif": "AVIF", "tif": "TIFF", "tiff": "TIFF", "gif": "GIF", "bmp": "BMP",
}  # fmt: skip
_CUT = ("truncated", "not enough", "unexpected end", "premature", "eof")
_BOMB = 200
"""Pixels per byte above which an over-sized image is called a bomb: JPEG's best is below 90."""


class Refusal(Exception):  # an answer, not an error: it never leaves this room
    """An image that is set aside: a stable word and a sentence."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message


@dataclass(slots=True)
class Decoded:
    """A decoded image.

    Attributes:
        rgb: ``(height, width, 3)`` uint8, rotated, on white.
        rgba: The same with alpha, where some pixel is not opaque; else None.
        decoder: Library and version.
        notes: What was out of the ordinary.
    """

    rgb: Raster
    rgba: Raster | None
    decoder: str
    notes: list[str]


def sniff(data: bytes) -> str:
    """The format by its signature, or ``""``; never by its name."""
    head = data[:16]
    if head[:3] == b"\xff\xd8\xff":
        return "JPEG"
    if head[:8] == b"\x89PNG\r\n\x1a\n":
        return "PNG"
    if head[:6] in (b"GIF87a", b"GIF89a"):
        return "GIF"
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WEBP"
    if head[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        return "TIFF"
    if head[4:8] == b"ftyp":
        brands = {
            head[8:12],
            *(data[i : i + 4] for i in range(16, min(int.from_bytes(head[:4], "big"), 64), 4)),
        }
        if brands & {b"avif", b"avis"}:
            return "AVIF"
        return "HEIC" if brands & {b"heic", b"heix", b"mif1", b"hevc"} else ""
    if head[:2] == b"BM" and head[6:10] == b"\0\0\0\0":
        return "BMP"
    others = {
        b"\xff\x0a": "JPEG XL", b"\0\0\0\x0cJXL ": "JPEG XL", b"\0\0\0\x0cjP  ": "JPEG 2000",
        b"8BPS": "PSD", b"%PDF": "PDF", b"<svg": "SVG", b"\x76\x2f\x31\x01": "OpenEXR",
    }  # fmt: skip
    return next((name for magic, name in others.items() if head.startswith(magic)), "")


def read_header(data: bytes, *, max_pixels: int) -> tuple[Header, list[str]]:
    """Format, size and orientation, without decoding a pixel.

    Args:
        data: The file's bytes.
        max_pixels: Largest width × height that is let through.

    Returns:
        The header and notes (``broken-exif``, ``animated``, ``multi-page``). ``frames`` is 2 where a GIF or
        TIFF has more than one: counting them would mean to read the file to its end.

    Raises:
        Refusal: ``empty``, ``not-an-image``, ``unsupported``, ``too-many-pixels``, ``bomb``, ``truncated``
            or ``corrupt``.
    """
    if not data:
        raise Refusal("empty", "expected an image, found 0 bytes")
    kind = sniff(data)
    if not kind:
        raise Refusal("not-an-image", f"expected an image, found bytes that begin with {data[:8].hex(' ')}")
    if kind not in FORMATS:
        raise Refusal("unsupported", f"expected one of {', '.join(FORMATS)}, found {kind}")
    if kind == "JPEG" and (found := jpeg_header(data)) is not None and found.width and found.height:
        _check_pixels(found.width, found.height, len(data), max_pixels)
        mode = {1: "L", 3: "RGB", 4: "CMYK"}.get(found.components, f"{found.components} components")
        notes = ["broken-exif"] if found.broken_exif else []
        return Header("JPEG", found.width, found.height, mode, found.orientation), notes
    with _opened(data, kind) as image:
        _check_pixels(*image.size, len(data), max_pixels)
        orientation, broken = _orientation(image)
        frames = _frames(image, kind)
        notes = ["broken-exif"] if broken else []
        if frames > 1:
            notes.append("multi-page" if kind == "TIFF" else "animated")
        width, height = image.size
        if kind == "TIFF" and orientation >= 5:
            width, height = height, width  # Pillow announces a TIFF's size as it will be after rotation
        return Header(kind, width, height, image.mode, orientation, frames), notes


def decode(data: bytes, header: Header) -> Decoded:
    """The raster of an image whose header was let through.

    Raises:
        Refusal: ``truncated`` or ``corrupt``.
    """
    if header.format == "JPEG" and header.mode in ("RGB", "L"):
        with contextlib.suppress(ValueError, RuntimeError):
            import simplejpeg

            rgb = simplejpeg.decode_jpeg(data, colorspace="RGB", strict=True)
            return Decoded(rotated(rgb, header.orientation), None, _identity("simplejpeg"), [])
    with _opened(data, header.format) as image:
        with _explained(header.format):
            image.load()
        notes = []
        if header.format == "JPEG" and header.mode in ("RGB", "L"):
            notes.append("jpeg-warning")  # libjpeg complained, but every row was there
        # Pillow rotates some formats itself while loading, and then drops the tag.
        orientation = _orientation(image)[0] if header.orientation > 1 else 1
        with _explained(header.format):
            rgb, rgba = _raster(image, notes)
    return Decoded(
        rotated(rgb, orientation),
        None if rgba is None else rotated(rgba, orientation),
        _identity("pillow"),
        notes,
    )


def rotated(raster: Raster, orientation: int) -> Raster:
    """The raster as it is meant to be seen (EXIF orientation 1 to 8), contiguous."""
    if orientation in (5, 6, 7, 8):
        raster = raster.transpose(1, 0, 2)
    if orientation in (2, 3, 6, 7):
        raster = raster[:, ::-1]
    if orientation in (3, 4, 7, 8):
        raster = raster[::-1]
    return np.ascontiguousarray(raster)


def wrong_extension(uri: str, found: str) -> bool:
    """Whether the name ends like another image format than the bytes are."""
    suffix = uri.rpartition("/")[2].rpartition(".")[2].lower()
    return _EXTENSIONS.get(suffix, found) != found


# ---------------------------------------------------------------------------------------- private


def _check_pixels(width: int, height: int, size: int, limit: int) -> None:
    pixels = width * height
    if pixels <= limit:
        return
    text = f"expected at most {limit:,} pixels, found {width} × {height} = {pixels:,} in {size:,} bytes"
    raise Refusal("bomb" if pixels > _BOMB * size else "too-many-pixels", text)


@contextlib.contextmanager
def _opened(data: bytes, kind: str) -> Iterator[Image.Image]:
    """Pillow's lazy view of the file; warnings silenced, errors turned into refusals."""
    from PIL import Image

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with _explained(kind):
            limit = Image.MAX_IMAGE_PIXELS
            Image.MAX_IMAGE_PIXELS = None  # our own bound is checked before anything is decoded
            try:
                image = Image.open(io.BytesIO(data), formats=_readers(kind))
            finally:
                Image.MAX_IMAGE_PIXELS = limit
        with image:
            yield image


def _readers(kind: str) -> tuple[str, ...]:
    return ("JPEG", "MPO") if kind == "JPEG" else (kind,)


@contextlib.contextmanager
def _explained(kind: str) -> Iterator[None]:
    """Whatever a decoder raises becomes a refusal; only a lack of memory passes."""
    try:
        yield
    except (Refusal, MemoryError):
        raise
    except Exception as error:  # Pillow raises OSError, SyntaxError, ValueError, struct.error, EOFError …
        text = (str(error) or type(error).__name__).splitlines()[0]
        said = text.lower()
        if "not supported" in said or "unsupported" in said:
            raise Refusal("unsupported", f"expected a {kind} that Pillow can read, found: {text}") from error
        cut = isinstance(error, (EOFError, struct.error)) or any(word in said for word in _CUT)
        raise Refusal(
            "truncated" if cut else "corrupt", f"expected a complete {kind}, found damage: {text}"
        ) from error


def _orientation(image: Image.Image) -> tuple[int, bool]:
    """EXIF orientation, and whether the EXIF block could not be read."""
    try:
        value = image.getexif().get(0x0112, 1)
    except Exception:  # broken EXIF comes as SyntaxError, struct.error, OSError, TypeError, KeyError …
        return 1, True
    if isinstance(value, int) and 1 <= value <= 8:
        return value, False
    return 1, True


def _frames(image: Image.Image, kind: str) -> int:
    with contextlib.suppress(Exception):  # a broken second frame does not harm the first
        if kind in ("GIF", "TIFF"):
            return 2 if getattr(image, "is_animated", False) else 1
        return int(getattr(image, "n_frames", 1))
    return 1


def _raster(image: Image.Image, notes: list[str]) -> tuple[Raster, Raster | None]:
    """RGB on white, and RGBA where something shines through."""
    from PIL import Image

    if image.mode.startswith("I;16"):
        grey = _scaled16(np.asarray(image))
        return _grey(grey), None
    if image.mode in ("I", "F"):
        notes.append("rescaled")
        return _grey(_stretched(np.asarray(image))), None
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        rgba = np.asarray(image.convert("RGBA"))
        if rgba[..., 3].min(initial=255) < 255:
            white = Image.new("RGBA", image.size, (255, 255, 255, 255))
            flat = Image.alpha_composite(white, Image.fromarray(rgba))
            return np.asarray(flat.convert("RGB")), rgba
        return np.ascontiguousarray(rgba[..., :3]), None
    return np.asarray(image if image.mode == "RGB" else image.convert("RGB")), None


def _scaled16(values: NDArray[Any]) -> Raster:
    # 65535 / 255 = 257: the nearest 8-bit value, not the high byte and never a clip.
    return ((values.astype(np.uint32) + 128) // 257).astype(np.uint8)


def _stretched(values: NDArray[Any]) -> Raster:
    """32-bit samples have no agreed white: 8-bit, 16-bit and 0-to-1 ranges are kept, others stretched."""
    finite = np.nan_to_num(values.astype(np.float64), nan=0.0, posinf=0.0, neginf=0.0)
    low, high = float(finite.min()), float(finite.max())
    if values.dtype.kind == "f" and low >= 0 and high <= 1:
        finite = finite * 255
    elif low >= 0 and 255 < high <= 65535 and values.dtype.kind != "f":
        finite = finite / 257
    elif low < 0 or high > 255:
        finite = (finite - low) * (255 / max(high - low, 1e-12))
    return np.rint(finite).astype(np.uint8)


def _grey(values: Raster) -> Raster:
    return np.repeat(values[..., None], 3, axis=2)


@functools.cache
def _identity(library: str) -> str:
    from importlib.metadata import version

    return f"{library} {version(library)}"
