"""Small galleries of real photographs, cut into different pictures, and pictures that a program computes."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import numpy as np
from PIL import Image


def crops(photos: dict, count: int, seed: int, side: int = 160) -> list[Image.Image]:
    """``count`` different crops, spread evenly over the photographs."""
    rng = np.random.default_rng(seed)
    names = sorted(photos)
    pictures = []
    for i in range(count):
        image = Image.fromarray(photos[names[i % len(names)]])
        scale = rng.uniform(0.35, 1.0)
        box = max(side, int(min(image.size) * scale)) if min(image.size) >= side else min(image.size)
        x, y = (int(rng.integers(0, edge - box + 1)) for edge in image.size)
        cut = image.crop((x, y, x + box, y + box)).resize((side, side), Image.Resampling.LANCZOS)
        pictures.append(cut)
    return pictures


def computed(count: int, seed: int, side: int = 160) -> list[Image.Image]:
    """Smooth random colour fields: what a collapsed generator's output looks like."""
    rng = np.random.default_rng(seed)
    return [
        Image.fromarray((rng.random((4, 4, 3)) * 255).astype(np.uint8)).resize(
            (side, side), Image.Resampling.BICUBIC
        )
        for _ in range(count)
    ]


def jpeg(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def write(folder: Path, images: list[Image.Image], prefix: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for i, image in enumerate(images):
        (folder / f"{prefix}{i:03}.jpg").write_bytes(jpeg(image))


def shards(folder: Path, out: Path, per: int = 40) -> Path:
    """The same bytes as WebDataset tars."""
    out.mkdir()
    files = sorted(folder.rglob("*.jpg"))
    for k in range(0, len(files), per):
        with tarfile.open(out / f"{k // per:05}.tar", "w") as tar:
            for path in files[k : k + per]:
                info = tarfile.TarInfo(path.name)
                info.size = path.stat().st_size
                with path.open("rb") as stream:
                    tar.addfile(info, stream)
    return out
