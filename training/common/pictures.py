"""Labelled pictures, decoded once: raw RGB bytes and an index, so that training never decodes again.

    python training/common/pictures.py --images DIR --csv images.csv [--extra DIR --extra-csv F] -o CACHE

Both classes pass through the same decoder: alpha on white, EXIF rotation, files that hold a grid of images
cut into their tiles. Pictures beyond 768 pixels are reduced to a short side drawn from 448 to 900 (by a
hash of their name) and cut to their middle, so that no source is recognisable by its size.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

LARGEST = 768
TILES_PER_FILE = 3


@dataclass(frozen=True, slots=True)
class Picture:
    """One picture of the cache.

    Attributes:
        path: As the CSV names it; tiles carry ``#number``.
        label: 1 for AI, 0 for human.
        source: Human source, or the AI generator.
        family: The generator's family; empty for human pictures.
        kind: Human kind (photo, painting, …); empty for AI.
        artist: Who made it, where known.
        style: Style, where known.
        repository: Where an AI picture was published: generators of one repository share prompts.
        extra: Whether it comes from the second collection.
        offset, height, width: Where its ``height × width × 3`` bytes lie.
    """

    path: str
    label: int
    source: str
    family: str
    kind: str
    artist: str
    style: str
    repository: str
    extra: bool
    offset: int
    height: int
    width: int


class Cache:
    """The pictures of a cache folder, read by memory map."""

    def __init__(self, folder: Path) -> None:
        rows = json.loads((folder / "pictures.json").read_text())
        self.pictures = [Picture(**row) for row in rows]
        self._bytes = np.memmap(folder / "pictures.rgb", np.uint8, "r")

    def __len__(self) -> int:
        return len(self.pictures)

    def pixels(self, index: int) -> NDArray[np.uint8]:
        """``(height, width, 3)`` uint8 RGB of one picture."""
        p = self.pictures[index]
        return np.asarray(self._bytes[p.offset : p.offset + p.height * p.width * 3]).reshape(
            p.height, p.width, 3
        )


def decode(path: Path) -> Any:
    """An RGB picture, alpha on white, rotated as EXIF says."""
    from PIL import Image, ImageOps

    image = ImageOps.exif_transpose(Image.open(path))
    if image.mode in ("P", "PA", "LA", "RGBA") or "transparency" in image.info:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, (255, 255, 255, 255))
        image = Image.alpha_composite(white, image)
    return image.convert("RGB")


def fit(image: Any, name: str) -> Any:
    """Large pictures reduced to a drawn size and cut to their middle; small ones as they are."""
    from PIL import Image

    if max(image.size) > LARGEST:
        draw = int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big") / 2**32
        scale = (448 + 452 * draw) / min(image.size)
        if scale < 1:
            size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
            image = image.resize(size, Image.Resampling.LANCZOS, reducing_gap=3)
        left, top = max(0, image.width - LARGEST) // 2, max(0, image.height - LARGEST) // 2
        image = image.crop((left, top, min(image.width, left + LARGEST), min(image.height, top + LARGEST)))
    return image


def _tiles(row: dict[str, str]) -> list[tuple[int, int, int, int]]:
    boxes = []
    for part in row.get("tiles", "").replace(";", " ").replace("|", " ").split():
        left, top, width, height = (int(v) for v in part.split(","))
        boxes.append((left, top, left + width, top + height))
    return boxes


def read(folder: Path, table: Path, extra: bool) -> Iterator[tuple[dict[str, Any], Any]]:
    """Facts and picture of every row of a CSV; unreadable files are named on stderr and left out."""
    with table.open(newline="") as file:
        for row in csv.DictReader(file):
            path = folder / row["path"]
            try:
                image = decode(path)
            except (OSError, ValueError, SyntaxError) as error:
                print(f"left out {path}: {error}", flush=True)
                continue
            ai = row.get("label", "human") == "ai"
            facts = {
                "label": int(ai),
                "source": row["generator"] if ai else row["source"],
                "family": row.get("generator_family", "") if ai else "",
                "kind": "" if ai else row["kind"],
                "artist": row.get("artist", ""),
                "style": row.get("style", ""),
                "repository": row["source"] if ai else "",
                "extra": extra,
            }
            boxes = _tiles(row)
            if not boxes:
                yield {"path": row["path"], **facts}, fit(image, row["path"])
            else:
                step = max(1, len(boxes) // TILES_PER_FILE)
                for number, box in list(enumerate(boxes))[::step][:TILES_PER_FILE]:
                    yield {"path": f"{row['path']}#{number}", **facts}, fit(image.crop(box), row["path"])


def build(sources: list[tuple[Path, Path, bool]], out: Path) -> None:
    """Write the cache: ``pictures.rgb`` and ``pictures.json``."""
    out.mkdir(parents=True, exist_ok=True)
    rows, offset = [], 0
    with (out / "pictures.rgb").open("wb") as file:
        for folder, table, extra in sources:
            for facts, image in read(folder, table, extra):
                data = np.asarray(image, np.uint8)
                if min(data.shape[:2]) < 64:
                    continue
                file.write(data.tobytes())
                rows.append(
                    asdict(Picture(**facts, offset=offset, height=data.shape[0], width=data.shape[1]))
                )
                offset += data.size
    (out / "pictures.json").write_text(json.dumps(rows, indent=0))
    print(f"{len(rows)} pictures, {offset / 2**20:.0f} MiB in {out}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--csv", type=Path, required=True)
    parser.add_argument("--extra", type=Path)
    parser.add_argument("--extra-csv", type=Path)
    parser.add_argument("-o", "--out", type=Path, required=True)
    args = parser.parse_args()
    given = [(args.images, args.csv, False)]
    if args.extra:
        given.append((args.extra, args.extra_csv or args.extra / "extra.csv", True))
    build(given, args.out)
