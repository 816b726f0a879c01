"""How far copies and strangers lie apart in perceptual hash, and how many copies are found again.

    python bench/bench_recovery.py FOLDER [--radius 31]

Every image of the folder is halved and saved as JPEG (quality 75), saved as JPEG of quality 50, and cropped
by 5 % on each side; each copy is looked up among the originals. Strangers are pairs of different originals.
"""

from __future__ import annotations

import argparse
import io
from pathlib import Path

import numpy as np
import orjson
from PIL import Image

from genepool.provenance._looks import RADIUS, LookIndex, tells
from genepool.records import Item, Sample
from genepool.scan import Refusal, View, perceptual_hash

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".avif")


def look(data: bytes) -> bytes | None:
    try:
        return perceptual_hash(View(Sample(Item("", "", ""), data), max_pixels=10**9).luma())
    except Refusal:
        return None


def copies(data: bytes):
    image = Image.open(io.BytesIO(data)).convert("RGB")
    width, height = image.size
    half = image.resize((max(1, width // 2), max(1, height // 2)), Image.Resampling.LANCZOS)
    cut = image.crop((width // 20, height // 20, width - width // 20, height - height // 20))
    for name, copy, quality in (
        ("halved, JPEG 75", half, 75),
        ("JPEG 50", image, 50),
        ("cropped 5 %", cut, 95),
    ):
        file = io.BytesIO()
        copy.save(file, "JPEG", quality=quality)
        yield name, file.getvalue()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--radius", type=int, default=RADIUS)
    options = parser.parse_args()
    files = [p for p in sorted(options.folder.rglob("*")) if p.suffix.lower() in SUFFIXES]
    originals = {p: found for p in files if (found := look(p.read_bytes())) is not None}
    hashes = np.frombuffer(b"".join(originals.values()), np.uint8).reshape(-1, 32)
    index = LookIndex(hashes)
    result: dict[str, object] = {"images": len(hashes), "radius": options.radius}
    result["flat_never_matched"] = int((~tells(hashes)).sum())
    made: dict[str, list[bytes]] = {}
    for path in originals:
        for name, copy in copies(path.read_bytes()):
            made.setdefault(name, []).append(look(copy) or bytes(32))
    for name, found in made.items():
        wanted = np.frombuffer(b"".join(found), np.uint8).reshape(-1, 32)
        distance = np.bitwise_count(wanted ^ hashes).sum(axis=1)
        image, known, _ = index.nearest(wanted, options.radius)
        right = {int(i) for i, k in zip(image, known, strict=True) if (hashes[i] == hashes[k]).all()}
        result[name] = {
            "distance_p50_p99_max": [float(np.quantile(distance, q)) for q in (0.5, 0.99, 1.0)],
            "found": len(right),
            "found_another_instead": len({int(i) for i in image} - right),
        }
    good = hashes[tells(hashes)]
    closest = []
    for at in range(len(good)):
        distance = np.bitwise_count(good ^ good[at]).sum(axis=1)
        distance = distance[distance > 0]
        closest.append(int(distance.min()))
    counts = {d: sum(c <= d for c in closest) for d in (8, 16, 24, 31, 40, 48, 64)}
    result["strangers_whose_nearest_is_within"] = counts
    print(orjson.dumps(result, option=orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS).decode())


if __name__ == "__main__":
    main()
