"""A picture in memory as the package's detectors and embedders see one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genepool.scan._view import _averaged, textured_crops


class ArrayView:
    """The part of `genepool.records.ImageView` that pixel judges use."""

    def __init__(self, pixels: NDArray[np.uint8]) -> None:
        self.pixels = np.ascontiguousarray(pixels)
        self._made: dict[str, Any] = {}

    def thumbnail(self, short_side: int = 256) -> NDArray[np.uint8]:
        """Area-averaged copy, never enlarged."""
        from PIL import Image

        height, width = self.pixels.shape[:2]
        scale = short_side / min(width, height)
        if scale >= 1:
            return self.pixels
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        return np.array(_averaged(Image.fromarray(self.pixels), size))

    def crops(self, count: int, size: int) -> list[NDArray[np.uint8]]:
        """Native crops of highest texture."""
        return textured_crops(self.pixels, count, size)

    def once(self, key: str, make: Callable[[], Any]) -> Any:
        """What ``make()`` returned the first time."""
        if key not in self._made:
            self._made[key] = make()
        return self._made[key]
