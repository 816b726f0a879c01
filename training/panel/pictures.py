"""Pictures that panels are made from and measured on: labelled files, computed ones, a generator's.

Every function gives ``(name, bytes)`` pairs or arrays and is deterministic; nothing is downloaded.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

NOISES = ("white noise", "Gaussian noise", "grey noise", "noise as heavy JPEG")
VARIED = "one photograph, varied"
REPEATED = "one photograph, repeated"
COUNT = 200  # pictures of each computed kind
REPEATS = 20


def table(path: Path) -> list[dict[str, str]]:
    """Rows of images.csv, by path."""
    rows = list(csv.DictReader(io.StringIO(path.read_text("utf-8"))))
    return sorted(rows, key=lambda r: r["path"])


def tiles(data: bytes, boxes: str) -> list[bytes]:
    """The pictures of one file: itself, or the tiles of a grid (``left,top,width,height`` boxes)."""
    from PIL import Image

    if not boxes:
        return [data]
    cut = []
    with Image.open(io.BytesIO(data)) as picture:
        for box in boxes.split():
            left, top, width, height = map(int, box.split(","))
            cut.append(png(picture.crop((left, top, left + width, top + height))))
    return cut


def png(image) -> bytes:
    return _saved(image, "PNG", compress_level=0)  # noise does not compress, and trying is slow


def _saved(image, kind: str, **options) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def computed(kind: str) -> Iterator[bytes]:
    """200 computed pictures: a noise, noise saved as JPEG 5 to 30, one photograph varied or repeated."""
    from PIL import Image

    rng = np.random.default_rng(3)
    for _ in range(REPEATS if kind == REPEATED else COUNT):
        height, width = rng.integers(128, 640, 2)
        if kind == VARIED:
            yield varied(rng)
            continue
        if kind == REPEATED:
            from skimage import data

            yield png(Image.fromarray(data.astronaut()))
            continue
        if kind == "Gaussian noise":
            noise = rng.normal(rng.uniform(60, 190), rng.uniform(20, 90), (height, width, 3))
        elif kind == "grey noise":
            noise = np.repeat(rng.normal(128, rng.uniform(20, 90), (height, width, 1)), 3, axis=2)
        else:
            noise = rng.uniform(0, 256, (height, width, 3))
        image = Image.fromarray(np.clip(noise, 0, 255).astype(np.uint8))
        if kind == "noise as heavy JPEG":
            yield _saved(image, "JPEG", quality=int(rng.integers(5, 30)))
        else:
            yield png(image)


def varied(rng: np.random.Generator) -> bytes:
    """The astronaut of scikit-image: cropped and brightened by up to 10 %, resized, JPEG 60 to 95."""
    from PIL import Image
    from skimage import data

    picture = data.astronaut()
    top, left = rng.integers(0, 50, 2)
    cut = picture[top : top + 462, left : left + 462].astype(float) * rng.uniform(0.9, 1.1)
    side = int(rng.integers(200, 512))
    image = Image.fromarray(np.clip(cut, 0, 255).astype(np.uint8))
    image = image.resize((side, side), Image.Resampling.BICUBIC)
    return _saved(image, "JPEG", quality=int(rng.integers(60, 96)))


def degraded(paths: list[Path]) -> Iterator[tuple[str, bytes]]:
    """What a collapsing generator does to pictures: blur, noise, shrinking towards their mean."""
    from PIL import Image, ImageFilter

    rng = np.random.default_rng(4)
    pictures = []
    for path in paths:
        with Image.open(path) as file:
            scale = 256 / min(file.size)
            size = (round(file.width * scale), round(file.height * scale))
            pictures.append(file.convert("RGB").resize(size, Image.Resampling.BOX))
    square = [np.asarray(p.resize((128, 128)), float) for p in pictures]
    mean = np.mean(square, axis=0)

    def noisy(picture: Image.Image, level: float) -> Image.Image:
        x = np.asarray(picture)
        return Image.fromarray(np.clip(x + rng.normal(0, level, x.shape), 0, 255).astype(np.uint8))

    yield from (("paintings, as they are", png(p)) for p in pictures)
    for radius in (4, 8):
        for p in pictures:
            yield (
                f"paintings, Gaussian blur, radius {radius} of 256",
                png(p.filter(ImageFilter.GaussianBlur(radius))),
            )
    for level in (20, 40, 80):
        for p in pictures:
            yield f"paintings, noise of standard deviation {level} added", png(noisy(p, level))
    for share in (0.5, 0.2, 0.1):
        for x in square:
            shrunk = Image.fromarray((mean + share * (x - mean)).astype(np.uint8))
            yield f"paintings, {share:.0%} of their distance from their mean", png(shrunk)


def small(path: Path, side: int = 32) -> np.ndarray:
    """The middle square of a picture at ``side`` pixels, ``(side, side, 3)`` uint8."""
    from PIL import Image

    with Image.open(path) as file:
        file.draft("RGB", (4 * side, 4 * side))
        picture = file.convert("RGBA")
    white = Image.new("RGBA", picture.size, (255, 255, 255, 255))
    picture = Image.alpha_composite(white, picture).convert("RGB")
    edge = min(picture.size)
    left, top = (picture.width - edge) // 2, (picture.height - edge) // 2
    box = (left, top, left + edge, top + edge)
    return np.asarray(picture.resize((side, side), Image.Resampling.BOX, box=box))


def collapse(
    pictures: np.ndarray, generations: int = 4, steps: int = 1500, size: int = 64, **options
) -> Iterator[np.ndarray]:
    """A generator trained on pictures, then on its own output, and so on: what each generation draws.

    Args:
        pictures: ``(n, 32, 32, 3)`` uint8, what people made.
        generations: How many generators, each trained on the output of the one before.
        steps: Training steps of each.
        size: Pictures of a batch.
        options: Of `genepool.lab.PictureVAE`.
    """
    import torch

    from genepool.lab import PictureVAE

    seen = pictures
    for generation in range(generations):

        def batches(seen: np.ndarray = seen, generation: int = generation) -> Iterator[torch.Tensor]:
            order = np.random.default_rng(generation).permutation(len(seen))
            for at in range(0, len(order) - size + 1, size):
                part = seen[order[at : at + size]]
                yield torch.from_numpy(part).permute(0, 3, 1, 2).float() / 127.5 - 1.0

        model = PictureVAE(seed=generation, **options).fit(batches, steps)
        seen = model.sample(len(pictures), seed=generation)
        yield seen


def stretch(pictures: np.ndarray) -> Iterator[bytes]:
    """Small pictures as PNG files."""
    from PIL import Image

    yield from (png(Image.fromarray(p)) for p in pictures)


Maker = Callable[[], Iterator[bytes]]
