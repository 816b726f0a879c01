"""What may happen to a picture on its way to a training set: one distribution for both classes.

Rescaling never enlarges. Every draw comes from the generator that is handed in, so a view is a function of
the picture and a seed.
"""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from numpy.typing import NDArray

FILTERS = ("BILINEAR", "BICUBIC", "LANCZOS", "BOX")


def encode(image: Any, rng: np.random.Generator, low: int = 30, high: int = 95) -> Any:
    """Through JPEG (three times in four) or WebP of a drawn quality, and back."""
    from PIL import Image

    buffer = io.BytesIO()
    quality = int(rng.integers(low, high + 1))
    if rng.random() < 0.75:
        image.save(buffer, "JPEG", quality=quality, subsampling=int(rng.choice([0, 2])))
    else:
        image.save(buffer, "WEBP", quality=quality, method=0)
    buffer.seek(0)
    return Image.open(buffer).convert("RGB")


def rescale(image: Any, scale: float, rng: np.random.Generator) -> Any:
    """Smaller by ``scale`` (at most 1) with a drawn filter."""
    from PIL import Image

    if scale >= 1:
        return image
    size = (max(8, round(image.width * scale)), max(8, round(image.height * scale)))
    return image.resize(size, getattr(Image.Resampling, str(rng.choice(FILTERS))))


def crop(image: Any, share: float, rng: np.random.Generator, square: bool = False) -> Any:
    """A drawn part whose sides are ``share`` of the picture's."""
    width, height = (max(8, round(v * share)) for v in image.size)
    if square:
        width = height = min(width, height)
    left = int(rng.integers(0, image.width - width + 1))
    top = int(rng.integers(0, image.height - height + 1))
    return image.crop((left, top, left + width, top + height))


def whole_view(pixels: NDArray[np.uint8], rng: np.random.Generator, least: int = 144, most: int = 320) -> Any:
    """The whole: a square part of 65 to 100 %, reduced to a short side of 144 to 320, re-encoded."""
    from PIL import Image

    image = crop(Image.fromarray(pixels), float(rng.uniform(0.65, 1.0)), rng, square=True)
    image = rescale(image, float(rng.uniform(least, most)) / image.width, rng)
    for _ in range(int(rng.choice([0, 1, 2], p=[0.15, 0.6, 0.25]))):
        image = encode(image, rng)
    if rng.random() < 0.5:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    return image


def fill(image: Any, side: int) -> NDArray[np.uint8]:
    """``side × side`` RGB: short side to ``side`` (bicubic), middle cut out."""
    from PIL import Image

    scale = side / min(image.size)
    size = (max(side, round(image.width * scale)), max(side, round(image.height * scale)))
    if size != image.size:
        image = image.resize(size, Image.Resampling.BICUBIC)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    return np.asarray(image.crop((left, top, left + side, top + side)))
