"""Prints the table of docs/panel.md: the index of labelled sets under the packaged panel.

    python training/panel/measure_panel.py ../shared/data/images.csv

Human images were all seen by the panel; the half-and-half figures that make_panel.py prints are the held-out
ones. Where one file holds a grid of pictures (column ``tiles``), the pictures are measured, not the grid.
"""

from __future__ import annotations

import argparse
import csv
import io
import sys
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
from make_panel import build, nearest


def embed(job: tuple[str, str]) -> np.ndarray:
    """Style vectors of one file: one, or one a tile."""
    from PIL import Image

    from genepool.embedding import ClassicalEmbedder
    from genepool.records import Item, Sample
    from genepool.scan import View

    path, tiles = job
    data = Path(path).read_bytes()
    files = [data]
    if tiles:
        files = []
        with Image.open(io.BytesIO(data)) as picture:
            for box in tiles.split():
                left, top, width, height = map(int, box.split(","))
                out = io.BytesIO()
                picture.crop((left, top, left + width, top + height)).save(out, "PNG")
                files.append(out.getvalue())
    item = Item(uri=path, stamp="", path=path)
    views = [View(Sample(item, file), max_pixels=100_000_000) for file in files]
    return np.array([ClassicalEmbedder().embed(view) for view in views])


def pictures(kind: str) -> np.ndarray:
    """Vectors of 200 computed pictures: three noises, noise saved as JPEG 5 to 30, one photograph varied."""
    from PIL import Image

    from genepool.embedding import ClassicalEmbedder
    from genepool.records import Item, Sample
    from genepool.scan import View

    rng = np.random.default_rng(3)
    vectors = []
    for _ in range(200):
        height, width = rng.integers(128, 640, 2)
        if kind == "one photograph, varied":
            vectors.append(varied(rng))
            continue
        if kind == "Gaussian noise":
            noise = rng.normal(rng.uniform(60, 190), rng.uniform(20, 90), (height, width, 3))
        elif kind == "grey noise":
            noise = np.repeat(rng.normal(128, rng.uniform(20, 90), (height, width, 1)), 3, axis=2)
        else:
            noise = rng.uniform(0, 256, (height, width, 3))
        out = io.BytesIO()
        image = Image.fromarray(np.clip(noise, 0, 255).astype(np.uint8))
        if kind == "noise as heavy JPEG":
            image.save(out, "JPEG", quality=int(rng.integers(5, 30)))
        else:
            image.save(out, "PNG")
        view = View(Sample(Item("x", "", "x"), out.getvalue()), max_pixels=100_000_000)
        vectors.append(ClassicalEmbedder().embed(view))
    return np.array(vectors)


def varied(rng: np.random.Generator) -> np.ndarray:
    """The astronaut of scikit-image: cropped and brightened by up to 10 %, resized, JPEG 60 to 95."""
    from PIL import Image
    from skimage import data

    from genepool.embedding import ClassicalEmbedder
    from genepool.records import Item, Sample
    from genepool.scan import View

    picture = data.astronaut()
    top, left = rng.integers(0, 50, 2)
    cut = picture[top : top + 462, left : left + 462].astype(float) * rng.uniform(0.9, 1.1)
    side = int(rng.integers(200, 512))
    image = Image.fromarray(np.clip(cut, 0, 255).astype(np.uint8)).resize(
        (side, side), Image.Resampling.BICUBIC
    )
    out = io.BytesIO()
    image.save(out, "JPEG", quality=int(rng.integers(60, 96)))
    return ClassicalEmbedder().embed(View(Sample(Item("x", "", "x"), out.getvalue()), max_pixels=10_000_000))


def degraded(paths: list[str]) -> dict[str, np.ndarray]:
    """What a collapsing generator does to pictures: blur, noise, shrinking towards their mean."""
    from PIL import Image, ImageFilter

    from genepool.embedding import ClassicalEmbedder
    from genepool.records import Item, Sample
    from genepool.scan import View

    rng = np.random.default_rng(4)
    pictures = []
    for path in paths:
        with Image.open(path) as file:
            scale = 256 / min(file.size)
            size = (round(file.width * scale), round(file.height * scale))
            pictures.append(file.convert("RGB").resize(size, Image.Resampling.BOX))
    square = [np.asarray(p.resize((128, 128)), float) for p in pictures]
    mean = np.mean(square, axis=0)
    made: dict[str, list[Image.Image]] = {"as they are": pictures}
    for radius in (4, 8):
        made[f"Gaussian blur, radius {radius} of 256"] = [
            p.filter(ImageFilter.GaussianBlur(radius)) for p in pictures
        ]
    for level in (20, 40, 80):
        made[f"noise of standard deviation {level} added"] = [
            Image.fromarray(
                np.clip(np.asarray(p) + rng.normal(0, level, np.asarray(p).shape), 0, 255).astype(np.uint8)
            )
            for p in pictures
        ]
    for share in (0.5, 0.2, 0.1):
        made[f"{share:.0%} of their distance from their mean"] = [
            Image.fromarray((mean + share * (x - mean)).astype(np.uint8)) for x in square
        ]
    vectors = {}
    for name, images in made.items():
        found = []
        for image in images:
            out = io.BytesIO()
            image.save(out, "PNG")
            view = View(Sample(Item("x", "", "x"), out.getvalue()), max_pixels=10_000_000)
            found.append(ClassicalEmbedder().embed(view))
        vectors[name] = np.array(found)
    return vectors


def main() -> int:
    from genepool.diversity import Panel, style_diversity

    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    arguments.add_argument("table", type=Path)
    arguments.add_argument("--panel", default="")
    arguments.add_argument("--workers", type=int, default=2)
    options = arguments.parse_args()
    rows = list(csv.DictReader(io.StringIO(options.table.read_text("utf-8"))))
    root = options.table.parent / "images"
    with ProcessPoolExecutor(options.workers) as pool:
        found = list(pool.map(embed, [(str(root / r["path"]), r["tiles"]) for r in rows], chunksize=32))
    x = np.concatenate(found)
    rows = [r for r, v in zip(rows, found, strict=True) for _ in v]
    panel = Panel.load(options.panel)

    def line(name: str, vectors: np.ndarray) -> None:
        e = style_diversity(vectors, panel)
        print(f"| {name} | {e.n} | {e.value:.3f} | {e.lower:.3f} to {e.upper:.3f} | {e.on_support:.2f} |")

    def where(**want: str) -> np.ndarray:
        return np.array([all(r[k] == v for k, v in want.items()) for r in rows])

    print("| set | n | index | 95 % interval | on support |\n|---|---|---|---|---|")
    human = where(label="human")
    line("all human", x[human])
    for kind in sorted({r["kind"] for r in rows if r["label"] == "human"}):
        line(f"human {kind}", x[human & where(kind=kind)])
    artists = Counter(r["artist"] for r in rows if r["label"] == "human" and r["artist"])
    scores = []
    for artist, count in artists.most_common():
        if count >= 15:
            scores.append(float(style_diversity(x[human & where(artist=artist)], panel)))
    for artist, _ in artists.most_common(8):
        line(f"one artist: {artist}", x[human & where(artist=artist)])
    print(f"| one artist, mean of {len(scores)} with at least 15 images | | {np.mean(scores):.3f} | | |")
    line("all AI", x[~human])
    for generator in sorted({r["generator"] for r in rows if r["label"] == "ai"}):
        line(f"AI {generator}", x[where(generator=generator)])
    for kind in (
        "white noise",
        "Gaussian noise",
        "grey noise",
        "noise as heavy JPEG",
        "one photograph, varied",
    ):
        line(kind, pictures(kind))
    paths = [str(root / r["path"]) for r in rows if r["kind"] == "painting"]
    for name, vectors in degraded(paths[::4]).items():
        line(f"{len(vectors)} paintings, {name}", vectors)
    support(x[human], [(r["source"], r["artist"]) for r in rows if r["label"] == "human"])
    return 0


def support(x: np.ndarray, groups: list[tuple[str, str]]) -> None:
    """Leave each human source out of the whole panel: which share of it is still on support?"""
    print("\n| source left out | n | on support | white noise on support | heavy JPEG noise |")
    print("|---|---|---|---|---|")
    white, heavy = pictures("white noise"), pictures("noise as heavy JPEG")
    sources = np.array([s for s, _ in groups])
    for source in sorted(set(sources)):
        out = sources == source
        panel = build(x[~out], [g for g, o in zip(groups, out, strict=True) if not o], 100.0, {})
        shares = [
            float((nearest(panel.whiten(v), panel.prototypes)[1] <= panel.reach).mean())
            for v in (x[out], white, heavy)
        ]
        print(f"| {source} | {out.sum()} | {shares[0]:.2f} | {shares[1]:.2f} | {shares[2]:.2f} |")


if __name__ == "__main__":
    sys.exit(main())
