"""Pictures in memory: whatever a generator returns as one array, and each picture as an embedder sees it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from genepool.errors import MeasureError

if TYPE_CHECKING:
    from genepool.records import Header, Sample

__all__ = ["Picture", "as_pictures"]


def as_pictures(images: Any) -> NDArray[np.uint8]:
    """What generators return → ``(n, height, width, 3)`` uint8.

    Args:
        images: ``(n, h, w, 3)`` or ``(n, 3, h, w)`` arrays or tensors: uint8 in 0..255, or floats in [0, 1]
            or, where any is negative, in [−1, 1]; or a list of PIL images or arrays of one size.

    Raises:
        MeasureError: Another shape, NaN, nothing at all.
    """
    if isinstance(images, (list, tuple)):
        rows = [np.asarray(image.convert("RGB") if hasattr(image, "convert") else image) for image in images]
        if not rows or any(row.shape != rows[0].shape for row in rows):
            raise MeasureError("pictures: expected at least one, all of one size")
        images = np.stack(rows)
    if hasattr(images, "detach"):
        images = images.detach().cpu().float().numpy() if images.is_floating_point() else images.cpu().numpy()
    array = np.asarray(images)
    if array.ndim == 4 and array.shape[-1] != 3 and array.shape[1] == 3:
        array = array.transpose(0, 2, 3, 1)
    if array.ndim != 4 or array.shape[-1] != 3 or not len(array):
        raise MeasureError(f"pictures: expected (n, height, width, 3), found {array.shape}")
    if array.dtype.kind == "f":
        if not np.isfinite(array).all():
            raise MeasureError("pictures: expected finite values, found NaN or infinity")
        array = (array + 1.0) * 0.5 if array.min() < 0 else array
        return np.rint(np.clip(array, 0.0, 1.0) * 255).astype(np.uint8)
    if array.dtype != np.uint8:
        raise MeasureError(f"pictures: expected uint8 or floats, found {array.dtype}")
    return np.ascontiguousarray(array)


class Picture:
    """An `ImageView` over a raster in memory; there are no bytes and no header behind it."""

    def __init__(self, pixels: NDArray[np.uint8]) -> None:
        self._pixels = pixels

    @property
    def pixels(self) -> NDArray[np.uint8]:
        """``(height, width, 3)``."""
        return self._pixels

    @property
    def sample(self) -> Sample:
        """Not there.

        Raises:
            MeasureError: Always.
        """
        raise MeasureError("a picture in memory has no file: choose an embedder that looks at pixels only")

    @property
    def data(self) -> bytes:
        """Not there.

        Raises:
            MeasureError: Always.
        """
        raise MeasureError("a picture in memory has no bytes: choose an embedder that looks at pixels only")

    @property
    def header(self) -> Header:
        """Not there.

        Raises:
            MeasureError: Always.
        """
        raise MeasureError("a picture in memory has no header: choose an embedder that looks at pixels only")

    def thumbnail(self, short_side: int = 256) -> NDArray[np.uint8]:
        """Area-averaged copy, never upscaled."""
        height, width = self._pixels.shape[:2]
        scale = short_side / min(height, width)
        if scale >= 1:
            return self._pixels
        from PIL import Image

        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        return np.asarray(Image.fromarray(self._pixels).resize(size, Image.Resampling.BOX, reducing_gap=2.0))

    def crops(self, count: int, size: int) -> list[NDArray[np.uint8]]:
        """Native crops of highest texture, as the scan cuts them."""
        from genepool.scan import textured_crops

        return textured_crops(self._pixels, count, size)
