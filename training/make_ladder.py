"""Make the packaged ladder of the preference score: three public-domain photographs in measured steps.

The photographs come with scikit-image: ``chelsea`` (Stefan van der Walt, CC0), ``coffee`` (Rachel Michetti,
CC0) and ``rocket`` (SpaceX, public domain). Each is degraded in its own way towards a peak signal-to-noise
ratio of 30, 25 and 20 dB; what was reached after encoding is measured and stands, with the digests, in
``ladder.json``. Run: ``python training/make_ladder.py``.
"""

from __future__ import annotations

import io
from hashlib import sha256
from pathlib import Path

import numpy as np
import orjson
from PIL import Image, ImageFilter
from skimage import data

PLACE = Path(__file__).parents[1] / "src" / "genepool" / "review" / "ladder"
SIDE = 384
TARGETS = (30.0, 25.0, 20.0)


def scene(name: str, top: int, left: int, size: int) -> Image.Image:
    pixels = getattr(data, name)()[top : top + size, left : left + size]
    return Image.fromarray(pixels).resize((SIDE, SIDE), Image.Resampling.LANCZOS)


def blurred(image: Image.Image, strength: float) -> Image.Image:
    return image.filter(ImageFilter.GaussianBlur(strength * 12))


def noisy(image: Image.Image, strength: float) -> Image.Image:
    rng = np.random.default_rng(7)
    pixels = np.asarray(image, np.float64) + rng.normal(0, 90 * strength, (SIDE, SIDE, 3))
    return Image.fromarray(np.clip(np.rint(pixels), 0, 255).astype(np.uint8))


def squeezed(image: Image.Image, strength: float) -> Image.Image:
    """Fewer colours and coarse blocks, as heavy compression leaves them."""
    small = max(6, round(SIDE * (1 - strength) ** 2))
    block = image.resize((small, small), Image.Resampling.BOX).resize((SIDE, SIDE), Image.Resampling.NEAREST)
    file = io.BytesIO()
    block.save(file, "JPEG", quality=30)
    return Image.open(file).convert("RGB")


def psnr(a: Image.Image, b: Image.Image) -> float:
    error = np.mean((np.asarray(a, np.float64) - np.asarray(b, np.float64)) ** 2)
    return float(10 * np.log10(255**2 / error))


def main() -> None:
    PLACE.mkdir(exist_ok=True)
    for old in PLACE.glob("*.webp"):
        old.unlink()
    files = {}
    scenes = {
        "cat": (scene("chelsea", 0, 75, 300), blurred),
        "cup": (scene("coffee", 0, 100, 400), squeezed),
        "rocket": (scene("rocket", 20, 130, 400), noisy),
    }
    for name, (original, worsen) in scenes.items():
        for step, target in enumerate((None, *TARGETS)):
            image = original
            if target is not None:
                low, high = 0.0, 0.99
                for _ in range(30):
                    middle = (low + high) / 2
                    low, high = (
                        (middle, high) if psnr(original, worsen(original, middle)) > target else (low, middle)
                    )
                image = worsen(original, high)
            path = PLACE / f"{name}-{step}.webp"
            image.save(path, "WEBP", quality=88, method=6)
            measured = None if step == 0 else round(psnr(original, Image.open(path).convert("RGB")), 2)
            files[path.name] = {
                "sha256": sha256(path.read_bytes()).hexdigest(),
                "scene": name,
                "step": step,
                "psnr": measured,
            }
    licence = "photographs shipped with scikit-image: chelsea and coffee CC0, rocket public domain"
    (PLACE / "ladder.json").write_bytes(
        orjson.dumps({"files": files, "licence": licence}, option=orjson.OPT_INDENT_2) + b"\n"
    )
    total = sum(p.stat().st_size for p in PLACE.glob("*.webp"))
    print(f"{len(files)} pictures, {total:,} bytes", {k: v["psnr"] for k, v in files.items()})


if __name__ == "__main__":
    main()
