"""Small copies of images for pages and notebooks; whatever does not decode has none."""

from __future__ import annotations

import io
import warnings
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["thumbnail"]

MAX_PIXELS = 89_478_485
"""Larger images get no thumbnail; Pillow's own limit, which the scan applies as well."""


def thumbnail(data: bytes, side: int = 96) -> bytes:
    """A WebP copy of at most ``side`` × ``side`` pixels, upright, on white.

    Args:
        data: An encoded image, of strangers.
        side: Longest side in pixels.

    Returns:
        The copy; empty where the image does not decode or has more than 89 million pixels.
    """
    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(data)) as image:
                if image.width * image.height > MAX_PIXELS:
                    return b""
                image.draft("RGB", (2 * side, 2 * side))
                small = _rgb(ImageOps.exif_transpose(image))
        small.thumbnail((side, side), Image.Resampling.LANCZOS)
        out = io.BytesIO()
        small.save(out, "WEBP", quality=62, method=4)
    except (
        OSError,
        ValueError,
        SyntaxError,
        TypeError,
        ArithmeticError,
        LookupError,
        MemoryError,
        NotImplementedError,
        EOFError,
        UnidentifiedImageError,
        Image.DecompressionBombError,
        Image.DecompressionBombWarning,
    ):  # what Pillow's decoders and EXIF reader are known to raise on damaged files
        return b""
    return out.getvalue()


def _rgb(image: Image) -> Image:
    from PIL import Image as PillowImage

    if image.mode.startswith(("I", "F")):
        low, high = image.getextrema()
        scale = 255.0 / max(float(high) - float(low), 1e-9)  # type: ignore[arg-type]
        return image.convert("F").point(lambda v: v * scale - float(low) * scale).convert("RGB")  # type: ignore[arg-type]
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        layer = image.convert("RGBA")
        ground = PillowImage.new("RGBA", layer.size, "white")
        ground.alpha_composite(layer)
        return ground.convert("RGB")
    return image.convert("RGB")
