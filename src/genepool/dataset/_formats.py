"""Names decide what is listed, first bytes what it is called."""

from __future__ import annotations

__all__ = ["IMAGE_SUFFIXES", "OTHER_IMAGE_SUFFIXES", "is_hidden", "sniff", "suffix_of"]

IMAGE_SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".avif", ".tif", ".tiff", ".gif"}
)
"""Extensions that are listed (lower case)."""

OTHER_IMAGE_SUFFIXES = frozenset(
    {".bmp", ".heic", ".heif", ".jxl", ".jp2", ".j2k", ".psd", ".tga", ".ppm", ".pgm", ".exr", ".dng"}
)
"""Raster images that genepool cannot read: set aside by name, so that none is overlooked."""

_SUFFIX = {
    "JPEG": ".jpg",
    "PNG": ".png",
    "WEBP": ".webp",
    "AVIF": ".avif",
    "TIFF": ".tif",
    "GIF": ".gif",
}


def suffix_of(name: str) -> str:
    """The last extension of a file name, lower case with its dot; empty when there is none."""
    stem, dot, suffix = name.rpartition(".")
    return f".{suffix.lower()}" if dot and stem else ""


def is_hidden(name: str) -> bool:
    """Whether a file or folder of this name is never listed: hidden ones, and genepool's own workspaces."""
    return name.startswith(".") or name.endswith(".genepool")


def sniff(data: bytes) -> str:
    """The usual extension for these bytes by their signature (PNG 3rd ed. §5.2, RFC 9649, ISO 23008-12 …).

    Only the leading bytes are compared, at their fixed places. Unknown bytes give ``.bin``.
    """
    if data.startswith(b"\xff\xd8\xff"):
        kind = "JPEG"
    elif data.startswith(b"\x89PNG\r\n\x1a\n"):
        kind = "PNG"
    elif data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        kind = "WEBP"
    elif data[4:8] == b"ftyp" and data[8:12] in (b"avif", b"avis", b"mif1"):
        kind = "AVIF"
    elif data[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        kind = "TIFF"
    elif data[:6] in (b"GIF87a", b"GIF89a"):
        kind = "GIF"
    else:
        return ".bin"
    return _SUFFIX[kind]
