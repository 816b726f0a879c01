"""Deterministic JPEG files from photographs that scikit-image ships, made in a folder of their own."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from PIL import Image
from skimage import data

PHOTOS = ("astronaut", "chelsea", "coffee", "rocket", "hubble_deep_field", "immunohistochemistry", "retina")


def photographs() -> list[Image.Image]:
    """The photographs that are installed (some are fetched on demand by scikit-image: those are left out)."""
    found = []
    for name in PHOTOS:
        try:
            array = getattr(data, name)()
        except Exception:  # not shipped and no network: the others do
            continue
        found.append(Image.fromarray(np.asarray(array)[..., :3]))
    return found


def make(folder: Path, count: int, *, low: float = 0.2, high: float = 1.0, seed: int = 1) -> int:
    """Write ``count`` JPEG files of ``low`` to ``high`` megapixels; returns their bytes.

    Each is a random crop of a photograph, enlarged to its size, with grain so that it compresses like a
    photograph of that size (mean about 0.25 bytes per pixel).
    """
    rng = np.random.default_rng(seed)
    photos = photographs()
    total = 0
    for i in range(count):
        target = folder / f"{i % 20:02}" / f"{i:06}.jpg"
        target.parent.mkdir(parents=True, exist_ok=True)
        pixels = rng.uniform(low, high) * 1e6
        ratio = rng.uniform(0.66, 1.5)
        width, height = max(8, int((pixels * ratio) ** 0.5)), max(8, int((pixels / ratio) ** 0.5))
        photo = photos[int(rng.integers(len(photos)))]
        share = rng.uniform(0.4, 0.9)
        w, h = int(photo.width * share), int(photo.height * share)
        x, y = int(rng.integers(photo.width - w)), int(rng.integers(photo.height - h))
        image = photo.resize((width, height), Image.Resampling.BICUBIC, box=(x, y, x + w, y + h))
        grain = rng.integers(-6, 7, (height, width, 1), dtype=np.int16)
        array = np.clip(np.asarray(image, np.int16) + grain, 0, 255).astype(np.uint8)
        file = io.BytesIO()
        Image.fromarray(array).save(file, "JPEG", quality=int(rng.integers(80, 94)))
        target.write_bytes(file.getvalue())
        total += file.tell()
    return total
