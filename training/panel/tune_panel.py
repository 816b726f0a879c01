"""Tries panels with other constants on a cache of features and prints what each would read, in minutes.

    python training/panel/tune_panel.py features.npz

For each choice of directions and bandwidth: two panels, each of one half of the artists; what the other
half reads as a set (effective styles), and what its artists with at least 15 images read on the scale that
this gives. Then, by a panel of everything: all human images, the same artists, one photograph varied, noise
taken as pictures, and by how much the index falls when half of the artists (ten images of each) are dropped.
"""

from __future__ import annotations

import argparse
import itertools
import sys
from collections import Counter
from pathlib import Path

import numpy as np
from features import load
from make_panel import groups, human

from genepool.diversity._cluster import balance, median_distance
from genepool.diversity._directions import style_directions
from genepool.diversity._make import _halves

COLUMNS = (
    "hands, of, directions, width, VS2 held out, all seen, artist held out, most, artist seen, varied, "
    "noise, halved"
)
HEAD = f"| {' | '.join(COLUMNS.split(', '))} |\n{'|---' * 12}|"


def purity(z: np.ndarray, width: float, weights: np.ndarray | None = None) -> float:
    """Mean squared kernel of two different rows."""
    w = np.full(len(z), 1.0 / len(z)) if weights is None else weights / weights.sum()
    squares = np.einsum("nd,nd->n", z, z)
    apart = np.maximum(squares[:, None] + squares - 2.0 * z @ z.T, 0.0)
    return float((w @ np.exp(-apart / width**2) @ w - (w**2).sum()) / (1.0 - (w**2).sum()))


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    arguments.add_argument("features", type=Path)
    arguments.add_argument("--dimensions", type=int, nargs="*", default=[12, 16, 24])
    arguments.add_argument("--before", type=int, nargs="*", default=[32, 64])
    arguments.add_argument("--hands", type=float, nargs="*", default=[0.0, 0.4, 0.7])
    arguments.add_argument("--width", type=float, nargs="*", default=[0.25, 0.3, 0.35])
    arguments.add_argument("--target", type=float, default=0.89)
    options = arguments.parse_args()
    _, rows, x, _ = human(options.features)
    _, every, other, _ = load(options.features)
    case = Case(rows, x.astype(np.float64), np.array([r["set"] for r in every]), other)
    print(HEAD)
    for before, hands in itertools.product(options.before, options.hands):
        if hands == 0 and before != options.before[0]:
            continue  # plain whitening takes the strongest directions, of however many
        fits = case.fits(before, max(options.dimensions), hands)
        for count, width in itertools.product(options.dimensions, options.width):
            numbers = case.line(fits, count, width, options.target)
            shown = " | ".join(f"{n:.3f}" for n in numbers[1:])
            print(f"| {hands:g} | {before} | {count} | {width:g} | {numbers[0]:.0f} | {shown} |", flush=True)
    return 0


class Case:
    """The human images and what else is looked at.

    Args:
        rows: Of the human images.
        x: Their vectors.
        sets: Set of every vector of the cache.
        other: Every vector of the cache.
    """

    def __init__(self, rows: list[dict], x: np.ndarray, sets: np.ndarray, other: np.ndarray) -> None:
        self.x, self.named, self.sets, self.other = x, groups(rows), sets, other
        self.artists = [g for g, c in Counter(g for g in self.named if g[1]).items() if c >= 15]
        self.first = _halves(self.named, 20)
        self.all = np.ones(len(x), bool)

    def fits(self, before: int, most: int, hands: float) -> list:
        """Directions from each half of the artists, and from everything."""
        found = []
        for half in (self.first, ~self.first, self.all):
            ours = [g for g, h in zip(self.named, half, strict=True) if h]
            weights = balance(ours)
            found.append((half, weights, style_directions(self.x[half], weights, ours, before, most, hands)))
        return found

    def line(self, fits: list, count: int, width: float, target: float) -> list[float]:
        """VS2 of held-out halves; then, on that scale, what else is read."""
        logs, hands, halved = [], [], []
        for half, weights, (mean, style, _) in fits[:2]:
            z = (self.x - mean) @ style[:, :count]
            sigma = width * median_distance(z[half], weights, 20)
            theirs = [g for g, h in zip(self.named, half, strict=True) if not h]
            logs.append(-np.log(purity(z[~half], sigma, balance(theirs))))
            own = [np.array([g == artist for g in self.named]) & ~half for artist in self.artists]
            hands += [-np.log(purity(z[o], sigma)) for o in own if o.sum() >= 15]
        scale = np.mean(logs) / target
        _, weights, (mean, style, _) = fits[2]
        z = (self.x - mean) @ style[:, :count]
        sigma = width * median_distance(z, weights, 20)
        seen = [-np.log(purity(z[np.array([g == a for g in self.named])], sigma)) for a in self.artists]
        groups10 = [g for g, c in Counter(self.named).items() if g[1] and c >= 10]
        rng = np.random.default_rng(0)
        for _ in range(4):
            kept = [groups10[i] for i in rng.permutation(len(groups10))]
            sizes = []
            for part in (kept, kept[: len(kept) // 2]):
                rows = [rng.permutation([i for i, g in enumerate(self.named) if g == h])[:10] for h in part]
                sizes.append(-np.log(purity(z[np.concatenate(rows)], sigma)))
            halved.append(sizes[1] - sizes[0])
        rest = []
        for name in ("one photograph, varied", "noise"):
            chosen = np.char.find(self.sets.astype(str), name) >= 0
            away = (self.other[chosen] - mean) @ style[:, :count]
            rest.append(-np.log(purity(away, sigma)) if chosen.any() else np.nan)
        whole = -np.log(purity(z, sigma))
        numbers = [whole, np.mean(hands), np.max(hands), np.mean(seen), *rest, np.mean(halved)]
        return [float(np.exp(np.mean(logs))), *(float(n / scale) for n in numbers)]


if __name__ == "__main__":
    sys.exit(main())
