"""One image as probes see it: bytes, header, raster, thumbnails, crops, each made at most once."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from genepool.records import Header, Sample
from genepool.scan._decode import Decoded, decode, read_header
from genepool.scan._digests import SIDE

if TYPE_CHECKING:
    from PIL import Image

Raster = NDArray[np.uint8]


class View:
    """An `ImageView` over bytes in memory.

    Args:
        sample: The bytes and what travels with them; ``data`` must be there.
        max_pixels: Bound on width × height.

    Raises:
        Refusal: The header is refused. Later, any property that needs pixels may raise it as well.
    """

    __slots__ = (
        "_crops",
        "_data",
        "_decoded",
        "_header",
        "_image",
        "_made",
        "_sample",
        "_thumbnails",
        "notes",
    )

    def __init__(self, sample: Sample, *, max_pixels: int) -> None:
        self._sample = sample
        self._data = sample.data or b""
        self._header, self.notes = read_header(self._data, max_pixels=max_pixels)
        self._decoded: Decoded | None = None
        self._image: Image.Image | None = None
        self._thumbnails: dict[int, Raster] = {}
        self._crops: dict[tuple[int, int], list[Raster]] = {}
        self._made: dict[str, Any] = {}

    @property
    def sample(self) -> Sample:
        """The item, its caption and sidecar."""
        return self._sample

    @property
    def data(self) -> bytes:
        """The file's bytes."""
        return self._data

    @property
    def header(self) -> Header:
        """What the header says."""
        return self._header

    @property
    def decoded(self) -> Decoded:
        """The one decode.

        Raises:
            Refusal: The image is truncated or corrupt.
        """
        if self._decoded is None:
            self._decoded = decode(self._data, self._header)
            self._decoded.rgb.flags.writeable = False  # probes share it
        return self._decoded

    @property
    def pixels(self) -> Raster:
        """Native resolution, ``(height, width, 3)`` uint8 RGB, EXIF-rotated, alpha on white; read-only."""
        return self.decoded.rgb

    def thumbnail(self, short_side: int = 256) -> Raster:
        """Area-averaged RGB copy whose short side is ``short_side``, never upscaled; read-only."""
        if short_side not in self._thumbnails:
            height, width = self.pixels.shape[:2]
            scale = short_side / min(width, height)
            if scale >= 1:
                small = self.pixels
            else:
                size = (max(1, round(width * scale)), max(1, round(height * scale)))
                small = np.array(_averaged(self._picture(), size))
                small.flags.writeable = False
            self._thumbnails[short_side] = small
        return self._thumbnails[short_side]

    def luma(self) -> Raster:
        """The ``(64, 64)`` area-averaged luma (ITU-R BT.601) that the perceptual hash is made of."""
        # PIL: averaging in colour and then taking the luma equals the reverse up to rounding, and is cheaper.
        return np.asarray(_averaged(self._picture(), (SIDE, SIDE)).convert("L"))

    def crops(self, count: int, size: int) -> list[Raster]:
        """Up to ``count`` native ``size × size`` crops, highest texture first; see `ImageView.crops`."""
        key = (count, size)
        if key not in self._crops:
            self._crops[key] = textured_crops(self.pixels, count, size)
        return self._crops[key]

    def once(self, key: str, make: Callable[[], Any]) -> Any:
        """What ``make()`` returned the first time this key was asked for: probes share work."""
        if key not in self._made:
            self._made[key] = make()
        return self._made[key]

    def held(self, key: str) -> bool:
        """Whether `once` already has this key."""
        return key in self._made

    def _picture(self) -> Image.Image:
        if self._image is None:
            from PIL import Image

            self._image = Image.fromarray(self.pixels)
        return self._image


def _averaged(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    """Area average: whole-number reduction first (fast), the rest by a box filter."""
    from PIL import Image

    small: Image.Image = image.resize(size, Image.Resampling.BOX, reducing_gap=2.0)
    return small


def textured_crops(pixels: Raster, count: int, size: int) -> list[Raster]:
    """Native-scale squares from a regular grid, ranked by texture (mean absolute gradient of green).

    Grid cells do not overlap; the grid is centred. Equal texture: upper, then left cell first.
    """
    height, width = pixels.shape[:2]
    rows, columns = height // size, width // size
    if count < 1 or rows == 0 or columns == 0:
        return []
    top, left = (height - rows * size) // 2, (width - columns * size) // 2
    # Every second pixel is enough to rank cells, and four times cheaper.
    green = pixels[top : top + rows * size : 2, left : left + columns * size : 2, 1].astype(np.int16)
    energy = np.zeros(green.shape, np.int32)
    energy[:, 1:] += np.abs(np.diff(green, axis=1))
    energy[1:, :] += np.abs(np.diff(green, axis=0))
    ys = np.arange(rows) * size // 2
    xs = np.arange(columns) * size // 2
    sums = np.add.reduceat(np.add.reduceat(energy, ys, axis=0, dtype=np.int64), xs, axis=1)
    best = np.argsort(-sums.ravel(), kind="stable")[:count]
    found = []
    for cell in best:
        y, x = top + int(cell) // columns * size, left + int(cell) % columns * size
        found.append(pixels[y : y + size, x : x + size])
    return found
