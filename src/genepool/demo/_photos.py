"""The human part of the gallery: real pictures that installed packages ship, cut and varied on record.

Nothing is downloaded: the files lie in the wheels of scikit-image and scikit-learn. ``licences.toml`` beside
this file states author, licence and source of each and is copied into the gallery.
"""

from __future__ import annotations

import hashlib
import importlib.util
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from genepool.errors import MissingExtra

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["LICENCES", "Photo", "Piece", "cut", "load_photos"]

LICENCES = "licences.toml"
_PACKAGES = {"skimage": "scikit-image", "sklearn": "scikit-learn"}

# Shapes (width : height), and share of the photo's short side that a piece may take: whole views, details.
_ASPECTS = (1.0, 4 / 3, 3 / 4, 3 / 2)
_SCALES = (0.95, 0.7, 0.5, 0.38, 0.3)
_LONG_SIDE = 320
_SHORT_SIDE = 96
_TONES = ("none", "none", "gamma", "contrast", "warm", "cool", "monochrome")


@dataclass(frozen=True, slots=True)
class Photo:
    """One picture as its package ships it, with what its package says about it.

    Attributes:
        name: Key in ``licences.toml``.
        path: Where it lies.
        sha256: Digest of the file, hex: the parent that every piece names.
        title, artist, license, source: As stated by the package.
        origin: ``captured`` or ``human_made``.
        style: The slice it belongs to.
        package: Distribution that ships it.
        pieces: How many pieces the gallery cuts from it.
    """

    name: str
    path: Path
    sha256: str
    title: str
    artist: str
    license: str
    source: str
    origin: str
    style: str
    package: str
    pieces: int


@dataclass(frozen=True, slots=True)
class Piece:
    """A cut and varied part of a photo: the picture and the record of how it was made."""

    photo: Photo
    number: int
    image: Image
    operations: tuple[dict[str, Any], ...]


def load_photos() -> list[Photo]:
    """All pictures of ``licences.toml``, in its order.

    Raises:
        MissingExtra: scikit-image or scikit-learn is not installed, or does not ship these.
    """
    table = tomllib.loads(resources.files("genepool.demo").joinpath(LICENCES).read_text("utf-8"))
    photos = []
    for name, row in table.items():
        root = _package_root(row["package"])
        path = root / row["file"]
        try:
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
        except OSError:
            raise MissingExtra(
                f"{_PACKAGES[row['package']]} as installed does not ship {path.name}",
                hint="pip install 'genepool[demo]'",
            ) from None
        fields = {k: row[k] for k in ("title", "artist", "license", "source", "origin", "style", "pieces")}
        photos.append(Photo(name=name, path=path, sha256=digest, package=_PACKAGES[row["package"]], **fields))
    return photos


def _package_root(package: str) -> Path:
    # find_spec does not import the package: only its files are wanted.
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise MissingExtra(needs=_PACKAGES[package], extra="demo")
    return Path(next(iter(spec.submodule_search_locations)))


def cut(photo: Photo, seed: int) -> Iterator[Piece]:
    """Cut a photo into its pieces: crops at several scales, turned, mirrored and toned by a recorded program.

    Crops of one photo overlap by a third at most (intersection over union) where there is room, so that no
    piece nearly repeats another.

    Args:
        photo: The picture.
        seed: Of the gallery; the same seed gives the same pieces.

    Yields:
        ``photo.pieces`` pieces, long side at most 320 pixels.
    """
    from PIL import Image

    rng = np.random.default_rng([seed, int(photo.sha256[:8], 16)])
    with Image.open(photo.path) as file:
        if file.mode == "RGBA":
            whole = Image.new("RGBA", file.size, "white")
            whole.alpha_composite(file)
            picture = whole.convert("L")
        else:
            picture = file.convert("L" if file.mode == "L" else "RGB")
    boxes: list[tuple[int, int, int, int]] = []
    for number in range(photo.pieces):
        box = _box(picture.size, number, boxes, rng)
        boxes.append(box)
        image, operations = _vary(picture.crop(box), photo.style, rng)
        operations.insert(0, {"operation": "crop", "box": list(box)})
        yield Piece(photo, number, image, tuple(operations))


def _box(
    size: tuple[int, int], number: int, taken: list[tuple[int, int, int, int]], rng: np.random.Generator
) -> tuple[int, int, int, int]:
    """The least overlapping of some random boxes; the scale runs from whole view to detail."""
    width, height = size
    best: tuple[float, tuple[int, int, int, int]] | None = None
    for attempt in range(60):
        scale = _SCALES[min((number + attempt // 12) % len(_SCALES), len(_SCALES) - 1)]
        aspect = float(rng.choice(_ASPECTS))
        h = max(scale * min(width, height), min(_SHORT_SIDE, width, height))
        w = h * aspect
        shrink = min(1.0, width / w, height / h)
        w, h = int(w * shrink), int(h * shrink)
        left, top = int(rng.integers(0, width - w + 1)), int(rng.integers(0, height - h + 1))
        box = (left, top, left + w, top + h)
        worst = max((_overlap(box, other) for other in taken), default=0.0)
        if best is None or worst < best[0]:
            best = (worst, box)
        if worst <= 1 / 3:
            return box
    assert best is not None  # noqa: S101  # the loop ran
    return best[1]


def _overlap(a: tuple[int, int, int, int], b: tuple[int, int, int, int]) -> float:
    w = min(a[2], b[2]) - max(a[0], b[0])
    h = min(a[3], b[3]) - max(a[1], b[1])
    if w <= 0 or h <= 0:
        return 0.0
    both = w * h
    return both / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - both)


def _vary(image: Image, style: str, rng: np.random.Generator) -> tuple[Image, list[dict[str, Any]]]:
    """Mirror, turn (textures only: they have no up), scale down and tone, and say so."""
    from PIL import Image as Pillow

    done: list[dict[str, Any]] = []
    if rng.random() < 0.5 and style != "drawing":
        image = image.transpose(Pillow.Transpose.FLIP_LEFT_RIGHT)
        done.append({"operation": "mirror"})
    if style in ("texture", "science") and rng.random() < 0.5:
        image = image.transpose(Pillow.Transpose.ROTATE_90)
        done.append({"operation": "turn", "degrees": 90})
    long_side = int(rng.integers(192, _LONG_SIDE + 1))
    if max(image.size) > long_side:
        image.thumbnail((long_side, long_side), Pillow.Resampling.LANCZOS)
        done.append({"operation": "resize", "size": list(image.size)})
    tone = str(rng.choice(_TONES))
    image, record = _tone(image, tone, rng)
    if record:
        done.append(record)
    return image, done


def _tone(image: Image, tone: str, rng: np.random.Generator) -> tuple[Image, dict[str, Any]]:
    """One tone change: a curve per channel, or monochrome. The record holds its parameters."""
    strength = round(float(rng.uniform(0.0, 1.0)), 2)
    levels = np.arange(256) / 255
    if tone == "monochrome" and image.mode == "RGB":
        return image.convert("L"), {"operation": "monochrome"}
    if tone == "gamma":
        gamma = round(0.6 + 1.1 * strength, 2)
        return _curves(image, [levels**gamma]), {"operation": "gamma", "gamma": gamma}
    if tone == "contrast":
        gain = round(0.6 + 0.8 * strength, 2)
        return _curves(image, [(levels - 0.5) * gain + 0.5]), {"operation": "contrast", "gain": gain}
    if tone in ("warm", "cool") and image.mode == "RGB":
        shift = round((0.08 + 0.14 * strength) * (1 if tone == "warm" else -1), 2)
        curves = [levels * (1 + shift), levels, levels * (1 - shift)]
        return _curves(image, curves), {"operation": "white balance", "shift": shift}
    return image, {}


def _curves(image: Image, curves: list[np.ndarray[Any, Any]]) -> Image:
    bands = len(image.getbands())
    table: list[int] = []
    for band in range(bands):
        curve = curves[min(band, len(curves) - 1)]
        table.extend(np.clip(np.rint(curve * 255), 0, 255).astype(int).tolist())
    return image.point(table)
