"""Makes the reference panel that the style diversity index measures against, from a cache of features.

    python training/panel/features.py ../shared/data/images.csv features.npz --embedder house
    python training/panel/make_panel.py features.npz src/genepool/diversity/panels/house.npz
        --leading 20 --before 20 --hands 0.8 --dimensions 10 --width 0.36     (one line)

The panel holds statistics only: whitening, style prototypes (means of a few images in a few whitened
directions), radii, frozen random frequencies and four numbers. No image is stored, and none can be got
back. Every human image of the cache is used; everything is deterministic. How:
`genepool.diversity.make_panel`.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from pathlib import Path

import numpy as np
from features import load

from genepool.diversity import Recipe, make_panel


def human(path: Path) -> tuple[str, list[dict[str, str]], np.ndarray, np.ndarray]:
    """Embedder, rows and vectors of the human images, and vectors of the artefacts."""
    embedder, rows, x, _ = load(path)
    kinds = np.array([r["set"] for r in rows])
    noise = x[kinds == "artefacts"]
    return embedder, [r for r in rows if r["set"] == "human"], x[kinds == "human"], noise


def groups(rows: list[dict[str, str]]) -> list[tuple[str, str]]:
    return [(r["source"], r["artist"]) for r in rows]


def labels(rows: list[dict[str, str]]) -> list[str]:
    """The style where one is named, else the kind of picture."""
    return [r["style"] or r["kind"] for r in rows]


def recipe(options: argparse.Namespace) -> Recipe:
    given = {f: getattr(options, f) for f in Recipe.__slots__ if getattr(options, f, None) is not None}
    return Recipe(**given)


def recipe_options(arguments: argparse.ArgumentParser) -> None:
    for name in Recipe.__slots__:
        default = getattr(Recipe(), name)
        arguments.add_argument(f"--{name}", type=type(default), help=f"default {default}")


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    arguments.add_argument("features", type=Path)
    arguments.add_argument("out", type=Path, help="panels/<embedder>.npz")
    arguments.add_argument("--name", default="human-art-2")
    recipe_options(arguments)
    options = arguments.parse_args()
    embedder, rows, x, noise = human(options.features)
    counts = Counter((r["kind"], r["source"]) for r in rows)
    print(f"{len(rows)} human images, {len(noise)} artefacts, {embedder}")
    for (kind, source), count in sorted(counts.items()):
        artists = len({r["artist"] for r in rows if r["source"] == source and r["artist"]})
        print(f"  {kind:12s} {source:28s} {count:4d} images, {artists:3d} artists named")
    panel = make_panel(
        x,
        groups(rows),
        noise if len(noise) else None,
        name=options.name,
        embedder=embedder,
        labels=labels(rows),
        recipe=recipe(options),
    )
    panel.save(options.out)
    for half in panel.notes["held_out"]:
        print(f"  half held out: VS2 {half['styles']:.1f}, on support {half['on_support']:.3f}")
    print(
        f"{options.out}: {options.out.stat().st_size} bytes, {len(panel.prototypes)} prototypes, "
        f"reach {panel.reach:.3f}, limit {panel.limit:.2f}, bandwidth {panel.bandwidth:.3f}, "
        f"VS2 reference {panel.reference:.1f}, shrinkage {panel.notes['shrinkage']:.4f}\n"
        f"digest {panel.digest}"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
