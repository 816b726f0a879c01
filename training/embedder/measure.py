"""What the embedder can do.

    python training/embedder/measure.py CACHE embedder.onnx [--teacher T] [--other NAME=F.npy]

*Style*: a picture's nearest neighbour (cosine) among all pictures of artists that training never named is
by the same artist. *Copies*: 400 pictures, each in seven edits, sought among 2,000; recall at the
threshold that gives precision 0.99, and the share whose nearest neighbour is the original.
"""

from __future__ import annotations

import argparse
import io
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))
from common.pictures import Cache
from embedder.distil import held_out

EDITS = ("JPEG 40", "half size", "70 % crop", "mirrored", "tinted", "turned 10°", "banner")


def edit(pixels, how: str, rng: np.random.Generator):
    """A copy as one meets it."""
    from PIL import Image, ImageDraw

    image = Image.fromarray(pixels)
    if how == "JPEG 40":
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", quality=40)
        image = Image.open(buffer).convert("RGB")
    elif how == "half size":
        image = image.resize((image.width // 2, image.height // 2), Image.Resampling.LANCZOS)
    elif how == "70 % crop":
        width, height = (round(v * 0.7) for v in image.size)
        left = int(rng.integers(0, image.width - width + 1))
        top = int(rng.integers(0, image.height - height + 1))
        image = image.crop((left, top, left + width, top + height))
    elif how == "mirrored":
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    elif how == "tinted":
        gains = rng.uniform(0.8, 1.2, 3)
        image = Image.fromarray(np.clip(np.asarray(image) * gains + 8, 0, 255).astype(np.uint8))
    elif how == "turned 10°":
        image = image.rotate(10, Image.Resampling.BICUBIC, fillcolor=(255, 255, 255))
    elif how == "banner":
        draw = ImageDraw.Draw(image)
        top = image.height - image.height // 8
        draw.rectangle((0, top, image.width, image.height), fill=(20, 20, 20))
        draw.text((10, top + 4), "Look at this! example", fill=(250, 250, 250))
    return np.asarray(image)


def same_artist(vectors, artists) -> tuple[float, float, int]:
    """Share whose nearest neighbour is by the same artist, its standard error, and n."""
    near = vectors @ vectors.T
    np.fill_diagonal(near, -9)
    right = artists[near.argmax(1)] == artists
    return float(right.mean()), float(right.std() / np.sqrt(len(right))), len(right)


def main() -> None:
    from genepool.degradation import Picture
    from genepool.embedding import HouseEmbedder

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cache", type=Path)
    parser.add_argument("embedder", type=Path)
    parser.add_argument("--teacher", type=Path)
    parser.add_argument(
        "--other", action="append", default=[], help="NAME=FILE.npy, a row per picture of the cache"
    )
    parser.add_argument("--queries", type=int, default=400)
    args = parser.parse_args()
    cache, model = Cache(args.cache), HouseEmbedder(args.embedder)
    pictures = cache.pictures
    looks = [model.look(Picture(cache.pixels(i))) for i in range(len(cache))]
    style, copy = (np.stack([getattr(v, n) for v in looks]) for n in ("style", "copy"))
    rivals = {"style head": style, "copy head": copy, "trunk": np.stack([v.trunk for v in looks])}
    if args.teacher:
        table = {}
        for path in sorted(args.teacher.glob("teacher-*.npz")):
            data = np.load(path)
            table |= {
                int(i): e
                for i, v, e in zip(data["picture"], data["view"], data["embedding"], strict=True)
                if v == 0
            }
        rivals["teacher"] = np.stack([table[i] for i in range(len(cache))])
    for given in args.other:
        name, path = given.split("=")
        rivals[name] = np.load(path)
    for sources in (("peopleart_wikiart",), ("asp_illustration",), ("peopleart_wikiart", "asp_illustration")):
        chosen = [
            i for i, p in enumerate(pictures) if p.source in sources and p.artist and held_out(p.artist)
        ]
        names = np.array([pictures[i].artist for i in chosen])
        for name, vectors in rivals.items():
            v = vectors[chosen].astype(np.float64)
            v = (
                v - v.mean(0)
                if name in ("teacher", "trunk") or name in dict(o.split("=") for o in args.other)
                else v
            )
            share, error, n = same_artist(v / np.linalg.norm(v, axis=1, keepdims=True), names)
            print(
                f"same artist, {'+'.join(sources)}, {len(set(names))} unseen artists, n = {n}: "
                f"{name} {share:.3f} ± {error:.3f}"
            )
    rng = np.random.default_rng(5)
    gallery = rng.permutation(len(cache))[:2000]
    queries = gallery[: args.queries]
    true, false, first, by_edit = [], [], [], {}
    for how in EDITS:
        found = np.stack([model.look(Picture(edit(cache.pixels(int(i)), how, rng))).copy for i in queries])
        near = found @ copy[gallery].T
        own = near[np.arange(len(queries)), np.arange(len(queries))]
        near[np.arange(len(queries)), np.arange(len(queries))] = -9
        true.append(own)
        false.append(near.max(1))
        first.append(own > near.max(1))
        by_edit[how] = own
    true_all, false_all = np.concatenate(true), np.sort(np.concatenate(false))[::-1]
    levels = np.unique(np.round(np.concatenate((true_all, false_all)), 4))
    best = max(
        ((true_all >= t).mean(), t)
        for t in levels
        if (true_all >= t).sum() >= 0.99 * ((true_all >= t).sum() + (false_all >= t).sum())
    )
    print(
        f"copies: n = {len(true_all)} edits among {len(gallery)}: "
        f"recall {best[0]:.4f} at precision 0.99 (cosine ≥ {best[1]:.3f})"
    )
    for how, right in zip(EDITS, first, strict=True):
        print(f"  {how}: nearest {right.mean():.3f}, recall {(by_edit[how] >= best[1]).mean():.3f}")


if __name__ == "__main__":
    main()
