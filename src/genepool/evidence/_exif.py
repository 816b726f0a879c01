"""What EXIF says: the camera, the dates, the names, and texts in which generators hide their parameters."""

from __future__ import annotations

from dataclasses import dataclass

from genepool.evidence._tiff import Tiff
from genepool.evidence._weights import CAMERA, clean, witness
from genepool.records import Evidence

_MAX_TEXT = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Exif:
    """Fields of one EXIF block; a field that is absent is empty.

    Attributes:
        make, model, lens: The camera.
        software: The program that wrote the file.
        artist, copyright, description: As written.
        created: ``DateTimeOriginal``, ``YYYY:MM:DD hh:mm:ss``.
        comment: ``UserComment``, decoded.
        maker_note: ``MakerNote`` as text, where it is text (Fooocus keeps the name of its scheme there).
        exposed: Whether the block records an exposure (time, aperture, sensitivity or focal length).
    """

    make: str = ""
    model: str = ""
    lens: str = ""
    software: str = ""
    artist: str = ""
    copyright: str = ""
    description: str = ""
    created: str = ""
    comment: str = ""
    maker_note: str = ""
    exposed: bool = False


def read_exif(block: bytes) -> Exif:
    """Read one EXIF block.

    Args:
        block: Beginning with a TIFF header.

    Raises:
        ValueError: It does not begin so.
    """
    tags = Tiff(block).tags()
    big = block[:2] == b"MM"
    text = {tag: _string(value) for tag, value in tags.items()}
    return Exif(
        make=text.get(0x010F, ""),
        model=text.get(0x0110, ""),
        lens=text.get(0xA434, ""),
        software=text.get(0x0131, ""),
        artist=text.get(0x013B, ""),
        copyright=text.get(0x8298, ""),
        description=text.get(0x010E, ""),
        created=text.get(0x9003, "") or text.get(0x9004, ""),
        comment=_comment(tags.get(0x9286, b""), big_endian=big),
        maker_note=text.get(0x927C, "")[:64],
        exposed=any(tag in tags for tag in (0x829A, 0x829D, 0x8827, 0x920A)),
    )


def _string(value: bytes) -> str:
    value = value[:_MAX_TEXT].partition(b"\0")[0]
    try:
        return value.decode("utf-8").strip()
    except UnicodeDecodeError:
        return value.decode("latin-1").strip()


def _comment(value: bytes, *, big_endian: bool) -> str:
    """``UserComment``: eight bytes name the character code (Exif 3.0, 4.6.5)."""
    code, body = value[:8], value[8 : 8 + _MAX_TEXT]
    if code == b"UNICODE\0":
        return _utf16(body, big_endian=big_endian)
    if code in (b"ASCII\0\0\0", b"\0" * 8):
        return body.decode("utf-8", "replace").rstrip("\0 ")
    return ""


def _utf16(body: bytes, *, big_endian: bool) -> str:
    """UTF-16 in the block's byte order, unless the text itself shows the other one.

    Python's piexif always writes big-endian, whatever the block's order, and many generators use it.
    """
    if body[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return body.decode("utf-16", "replace").rstrip("\0 ")
    head = body[:512]
    high, low = head[0::2].count(0), head[1::2].count(0)
    if high != low:
        big_endian = high > low
    return body.decode("utf-16-be" if big_endian else "utf-16-le", "replace").rstrip("\0 ")


def _short(name: str) -> bool:
    """Whether text can be a maker's or a model's name (ComfyUI writes whole graphs into these fields)."""
    return 0 < len(name) <= 80 and "{" not in name


def camera(exif: Exif) -> Evidence | None:
    """The weak human claim of a block that names a camera *and* records a capture, or None."""
    if not (_short(exif.make) and _short(exif.model) and (exif.created or exif.exposed)):
        return None
    maker = "" if exif.model.startswith(exif.make) else f"{exif.make} "
    who = clean(f"{maker}{exif.model}", 100)
    when = f", {clean(exif.created, 30)}" if exif.created else ""
    return witness(
        "exif",
        "human",
        CAMERA,
        origin="captured",
        reference="EXIF",
        detail=f"unsigned EXIF names the camera {who}{when}",
    )
