"""Whether verdicts survive delivery.

    python training/detector/robust.py CACHE DIR OUT.npz --every 4 [--part 0 --parts 2]

Every fourth picture is judged by the detector of its own fold (``DIR/fold-k``: trained without its
generator and its source), as it came and after seven deliveries. Writes the raw logits, NaN where the
detector abstained.
"""

from __future__ import annotations

import argparse
import io
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))
from common.folds import FOLDS, group, quarter
from common.pictures import Cache

DELIVERIES = (
    "as it came",
    "JPEG q95",
    "JPEG q75",
    "JPEG q40",
    "WebP q80",
    "half size",
    "60 % crop",
    "greyscale",
)


def deliver(pixels, how: str):
    """One picture as a site, a thumbnail server or a screenshot tool hands it on."""
    from PIL import Image

    image = Image.fromarray(pixels)
    if how.startswith(("JPEG", "WebP")):
        buffer = io.BytesIO()
        kind, quality = how.split(" q")
        image.save(buffer, "JPEG" if kind == "JPEG" else "WEBP", quality=int(quality))
        image = Image.open(buffer).convert("RGB")
    elif how == "half size":
        size = (max(1, image.width // 2), max(1, image.height // 2))
        image = image.resize(size, Image.Resampling.LANCZOS)
    elif how == "60 % crop":
        width, height = (round(v * 0.6) for v in image.size)
        left, top = (image.width - width) // 2, (image.height - height) // 2
        image = image.crop((left, top, left + width, top + height))
    elif how == "greyscale":
        image = image.convert("L").convert("RGB")
    return np.asarray(image)


def main() -> None:
    from genepool.degradation import Picture
    from genepool.detection import HouseDetector

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cache", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--every", type=int, default=4)
    parser.add_argument("--part", type=int, default=0)
    parser.add_argument("--parts", type=int, default=1)
    args = parser.parse_args()
    judges = [HouseDetector(args.folder / f"fold-{k}") for k in range(FOLDS)]
    cache = Cache(args.cache)
    chosen = range(args.part * args.every, len(cache), args.every * args.parts)
    logits = np.full((len(chosen), len(DELIVERIES)), np.nan, np.float32)
    for row, index in enumerate(chosen):
        p = cache.pictures[index]
        judge = judges[group(p.source) if p.label else quarter(p.source)]
        for column, how in enumerate(DELIVERIES):
            found = judge.score(Picture(deliver(cache.pixels(index), how))).logit
            if found is not None:
                logits[row, column] = found
    facts = [cache.pictures[i] for i in chosen]
    np.savez_compressed(
        args.out,
        names=np.array(DELIVERIES),
        picture=np.array(chosen),
        logit=logits,
        label=np.array([p.label for p in facts], np.int8),
        source=np.array([p.source for p in facts]),
    )
    print(f"{len(chosen)} pictures, {args.out}")


if __name__ == "__main__":
    main()
