"""What both experts say of every picture, each asked only about what it has never seen.

    python training/detector/examine.py CACHE OUT.npz --embedder embedder.onnx --folds F0 F1 F2 F3 [--part
    0 --parts 2]

Each ``F`` is a folder with ``forensic.onnx``, trained without that fold's generators and human sources. Every
picture is looked at twice: raw, and equalised (middle 512 pixels, short side reduced to one drawn from 224
to 320, JPEG quality drawn from 70 to 95): the same distribution for both classes. Writes per picture and
variant the mean and the spread of the forensic logits of its crops, the same after one more encoding, and
the embedder's trunk features of both.
"""

from __future__ import annotations

import argparse
import io
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))
from common.folds import group, quarter
from common.pictures import Cache
from common.views import rescale

from genepool.degradation import Picture
from genepool.detection._house import CROP_SIDE, CROPS, FLAT, LEAST, _encoded
from genepool.embedding import SIDE, HouseEmbedder, middle


def equalised(pixels, rng: np.random.Generator):
    """One picture as the strict protocol delivers it."""
    from PIL import Image

    height, width = (min(v, 512) for v in pixels.shape[:2])
    top, left = (pixels.shape[0] - height) // 2, (pixels.shape[1] - width) // 2
    image = Image.fromarray(np.ascontiguousarray(pixels[top : top + height, left : left + width]))
    image = rescale(image, float(rng.uniform(224, 320)) / min(image.size), rng)
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=int(rng.integers(70, 96)))
    return np.asarray(Image.open(buffer).convert("RGB"))


def main() -> None:
    import onnxruntime as ort

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cache", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--embedder", type=Path, required=True)
    parser.add_argument("--folds", nargs="+", type=Path, required=True)
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--part", type=int, default=0)
    parser.add_argument("--parts", type=int, default=1)
    args = parser.parse_args()
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    experts = [
        ort.InferenceSession(str(f / "forensic.onnx"), options, providers=["CPUExecutionProvider"])
        for f in args.folds
    ]
    embedder = HouseEmbedder(args.embedder)
    cache = Cache(args.cache)
    rows = {k: [] for k in ("picture", "variant", "forensic", "trunk", "again", "trunk_again")}
    for index in range(args.part * args.every, len(cache), args.parts * args.every):
        p = cache.pictures[index]
        fold = group(p.source) if p.label else quarter(p.source)
        for variant in (0, 1):
            rng = np.random.default_rng((index, 99))
            pixels = cache.pixels(index) if variant == 0 else equalised(cache.pixels(index), rng)
            if min(pixels.shape[:2]) < LEAST:
                continue
            view = Picture(pixels)
            side = min(CROP_SIDE, min(pixels.shape[:2]) // 16 * 16)
            crops = [c for c in view.crops(CROPS, side) if c[..., 1].std() >= FLAT]
            if not crops:
                continue
            small = middle(view.thumbnail(SIDE))
            first = experts[fold].run(None, {"rgb": np.stack(crops)})[0]
            again = experts[fold].run(None, {"rgb": np.stack([_encoded(c) for c in crops])})[0]
            look, second = (embedder.look_at(x[None])[0] for x in (small, _encoded(small)))
            rows["picture"].append(index)
            rows["variant"].append(variant)
            rows["forensic"].append((first.mean(), first.max() - first.min()))
            rows["again"].append((again.mean(), again.max() - again.min()))
            rows["trunk"].append(look.trunk.astype(np.float16))
            rows["trunk_again"].append(second.trunk.astype(np.float16))
    np.savez(args.out, **{k: np.array(v) for k, v in rows.items()})
    print(f"{len(rows['picture'])} looks, {args.out}")


if __name__ == "__main__":
    main()
