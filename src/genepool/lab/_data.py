"""The pictures of a study, and who gets which: nobody judges by what somebody else has seen."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genepool.errors import MeasureError, MissingExtra, UsageError

__all__ = ["BUILT_IN", "Parts", "Pictures", "load", "split"]

BUILT_IN = ("digits", "photos")
# What the wheels of scikit-image and scikit-learn carry: photographs, textures, micrographs, drawings.
_FILES = {
    "skimage": [
        *(
            "astronaut.png",
            "brick.png",
            "camera.png",
            "cell.png",
            "chelsea.png",
            "clock_motion.png",
            "coffee.png",
        ),
        *("coins.png", "grass.png", "gravel.png", "horse.png", "hubble_deep_field.jpg", "ihc.png"),
        *("motorcycle_left.png", "page.png", "retina.jpg", "rocket.jpg", "text.png"),
    ],
    "sklearn": ["china.jpg", "flower.jpg"],
}
_FOLDERS = {"skimage": "data", "sklearn": "datasets/images"}
_PACKAGES = {"skimage": "scikit-image", "sklearn": "scikit-learn"}
_PER_PHOTO = 800
_FLAT = 8.0  # of 255: standard deviation below which a patch is blank


@dataclass(frozen=True, slots=True)
class Pictures:
    """Pictures of one size.

    Attributes:
        pixels: ``(n, side, side, channels)`` uint8.
        labels: ``(n,)`` class of each, −1 for none.
        groups: ``(n,)`` pictures cut from one source share a number and are never dealt to two parties.
        names: Of the classes.
        source: Where they come from, in words.
    """

    pixels: NDArray[np.uint8]
    labels: NDArray[np.int64]
    groups: NDArray[np.int64]
    names: tuple[str, ...] = ()
    source: str = ""

    def __len__(self) -> int:
        return len(self.pixels)

    def take(self, which: Any) -> Pictures:
        """Some of them, by index or mask."""
        return Pictures(self.pixels[which], self.labels[which], self.groups[which], self.names, self.source)


@dataclass(frozen=True, slots=True)
class Parts:
    """One dealing of the pictures; no picture and no source is in two parts.

    Attributes:
        root: What generation 1 is trained on, and every later one may reuse.
        reserve: Human pictures that nobody has seen yet: fresh data.
        filter: What a gate's support filter knows.
        judge: What the judge measures against.
    """

    root: Pictures
    reserve: Pictures
    filter: Pictures
    judge: Pictures


def load(data: str, *, side: int, grey: bool = False, crops: int = 1, seed: int = 0) -> Pictures:
    """Read the pictures.

    Args:
        data: ``digits`` (scikit-learn's 1,797 handwritten digits), ``photos`` (patches that do not overlap,
            from 20 pictures that scikit-image and scikit-learn ship), or anything that `genepool.open` takes.
        side: Side of the squares in pixels; pictures of any size and shape are cut and area-averaged to it.
        grey: One channel instead of three.
        crops: Squares taken from each picture of a folder or catalogue: the middle one, then random ones of
            half to all of the short side.
        seed: Of those.

    Raises:
        MissingExtra: scikit-image or scikit-learn is not installed.
        SourceError: The data cannot be read.
        MeasureError: No picture in them.
    """
    if side < 4 or crops < 1:
        raise UsageError(
            f"lab data: expected a side of at least 4 and at least 1 crop, found {side}, {crops}"
        )
    if data == "digits":
        return _digits(side, grey)
    found = _photos(side) if data == "photos" else _opened(data, side, crops, seed)
    return _greyed(found) if grey else found


def _digits(side: int, grey: bool) -> Pictures:
    try:
        from sklearn.datasets import load_digits
    except ImportError:
        raise MissingExtra(needs="scikit-learn", extra="lab") from None
    found = load_digits()
    pixels = np.rint(found.images * (255 / 16)).astype(np.uint8)
    if side != 8:
        from PIL import Image

        size = (side, side)
        pixels = np.stack(
            [np.asarray(Image.fromarray(p).resize(size, Image.Resampling.BICUBIC)) for p in pixels]
        )
    planes = np.repeat(pixels[..., None], 1 if grey else 3, axis=3)
    labels = found.target.astype(np.int64)
    names = tuple(str(k) for k in range(10))
    return Pictures(planes, labels, np.arange(len(planes)), names, "scikit-learn: load_digits")


def _photos(side: int) -> Pictures:
    """Patches at full, half and quarter scale, in a fixed order, at most 800 from a photo."""
    from PIL import Image

    names: list[str] = []
    pixels, groups = [], []
    for package, files in _FILES.items():
        spec = importlib.util.find_spec(package)
        if spec is None or not spec.submodule_search_locations:
            raise MissingExtra(needs=_PACKAGES[package], extra="lab")
        folder = Path(next(iter(spec.submodule_search_locations))) / _FOLDERS[package]
        for name in files:
            path = folder / name
            if not path.exists():
                continue  # wheels of other versions carry fewer
            with Image.open(path) as image:
                patches = _patches(image.convert("RGB"), side, len(names))
            pixels.append(patches)
            groups.append(np.full(len(patches), len(names)))
            names.append(path.stem)
    if not names:
        raise MissingExtra("scikit-image as installed ships no pictures", hint="pip install 'genepool[lab]'")
    planes, labels = np.concatenate(pixels), np.concatenate(groups).astype(np.int64)
    # A patch is a source of its own: patches do not overlap, and every party gets some of every photo.
    source = f"{len(planes):,} separate patches of {len(names)} pictures in scikit-image and scikit-learn"
    return Pictures(planes, labels, np.arange(len(planes)), tuple(names), source)


def _patches(image: Any, side: int, seed: int) -> NDArray[np.uint8]:
    found = []
    for scale in (1, 2, 4):
        small = image.reduce(scale) if scale > 1 else image
        array = np.asarray(small)
        rows, columns = array.shape[0] // side, array.shape[1] // side
        # Halves and quarters of an image lie over its full-size patches: each scale gets a band of its own.
        low, high = {1: (0.0, 0.6), 2: (0.6, 0.85), 4: (0.85, 1.0)}[scale]
        grid = array[: rows * side, : columns * side].reshape(rows, side, columns, side, 3).swapaxes(1, 2)
        found.append(grid[round(rows * low) : round(rows * high)].reshape(-1, side, side, 3))
    patches: NDArray[np.uint8] = np.concatenate(found)
    # Empty sky and blank paper are not pictures of anything.
    patches = patches[patches.reshape(len(patches), -1).std(axis=1) >= _FLAT]
    return np.random.default_rng(seed).permutation(patches)[:_PER_PHOTO]


def _opened(data: str, side: int, crops: int, seed: int) -> Pictures:
    from genepool import dataset
    from genepool.config import Config
    from genepool.scan import Refusal, View

    opened = dataset.open(data)
    limit = Config().scan.max_pixels
    rng = np.random.default_rng(seed)
    pixels, classes, groups = [], [], []
    for number, sample in enumerate(opened):
        if sample.data is None:
            continue
        try:
            raster = View(sample, max_pixels=limit).pixels
        except Refusal:
            continue
        told = sample.declared or {}
        classes += [str(told.get("artist") or told.get("style") or "")] * crops
        pixels += [_square(raster, side, rng if k else None) for k in range(crops)]
        groups += [number] * crops
    if not pixels:
        raise MeasureError(f"{data}: expected pictures, found none that can be read")
    names = tuple(sorted(set(classes) - {""}))
    labels = np.array([names.index(c) if c else -1 for c in classes], np.int64)
    return Pictures(
        np.stack(pixels),
        labels,
        np.array(groups),
        names,
        f"{len(set(groups)):,} pictures, {crops} crops each",
    )


def _square(raster: NDArray[np.uint8], side: int, rng: np.random.Generator | None) -> NDArray[np.uint8]:
    from PIL import Image

    height, width = raster.shape[:2]
    short = min(height, width)
    size = short if rng is None else round(short * rng.uniform(0.5, 1.0))
    top = (height - size) // 2 if rng is None else int(rng.integers(height - size + 1))
    left = (width - size) // 2 if rng is None else int(rng.integers(width - size + 1))
    box = (left, top, left + size, top + size)
    return np.asarray(Image.fromarray(raster[..., :3]).resize((side, side), Image.Resampling.BOX, box))


def _greyed(found: Pictures) -> Pictures:
    grey = np.rint(found.pixels @ np.array([0.299, 0.587, 0.114])).astype(np.uint8)[..., None]
    return Pictures(grey, found.labels, found.groups, found.names, found.source)


def split(pictures: Pictures, sizes: dict[str, int], seed: int) -> Parts:
    """Deal the pictures out, source by source, at random.

    Args:
        pictures: All of them.
        sizes: Pictures wanted for ``root``, ``reserve`` and ``filter``; the judge gets ``judge`` of them, or
            whatever is left.
        seed: Of the dealing.

    Raises:
        MeasureError: There are too few.
    """
    wanted = {name: int(sizes.get(name, 0)) for name in ("root", "reserve", "filter", "judge")}
    least = max(wanted["judge"], 120)
    total = sum(wanted.values()) - wanted["judge"] + least
    if len(pictures) < total:
        raise MeasureError(
            f"lab: expected at least {total:,} pictures ({wanted['root']:,} to train on, "
            f"{wanted['reserve']:,} fresh, {wanted['filter']:,} for the filter, {least:,} for the judge), "
            f"found {len(pictures):,}",
            hint="give more pictures, more crops of each, or smaller parts",
        )
    rng = np.random.default_rng([seed, 11])
    order = rng.permutation(np.unique(pictures.groups))
    rank = np.empty(int(pictures.groups.max()) + 1, np.int64)
    rank[order] = np.arange(len(order))
    # Sources in random order; within one, its pictures stay together.
    queue = np.argsort(rank[pictures.groups], kind="stable")
    parts: dict[str, Pictures] = {}
    for name in ("filter", "judge", "root", "reserve"):
        count = least if name == "judge" and wanted["judge"] else wanted[name]
        if name == "judge" and not wanted["judge"]:
            # A source that is cut in two is lost to the next party: as much is left over for that.
            spare = 2 * (int(np.bincount(pictures.groups).max()) - 1)
            count = len(queue) - wanted["root"] - wanted["reserve"] - spare
        taken, queue = queue[:count], queue[count:]
        if count and len(queue):
            # The source that was cut in two stays with the party that has it.
            queue = queue[pictures.groups[queue] != pictures.groups[taken[-1]]]
        parts[name] = pictures.take(rng.permutation(taken))
    short = [name for name in ("root", "reserve") if len(parts[name]) < wanted[name]]
    if short:
        raise MeasureError(
            f"lab: {short[0]}: expected {wanted[short[0]]:,} pictures, found {len(parts[short[0]]):,}",
            hint="give more pictures, or smaller parts",
        )
    return Parts(**parts)
