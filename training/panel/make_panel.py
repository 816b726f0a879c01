"""Makes the reference panel that the style diversity index measures against.

    python training/panel/make_panel.py ../shared/data/images.csv src/genepool/diversity/panel.npz

Reads every human image that the CSV lists (columns: path, label, kind, source, artist; files lie in
``images/`` beside it), embeds it exactly as a scan does, and keeps statistics only: whitening, style
prototypes (means of about four images in 16 whitened dimensions), radii, frozen random frequencies and three
numbers. No image is stored, and none can be got back. Everything is deterministic.

Balance: sources and artists are of very different size, so each source weighs as the square root of its
count, and within a source each artist as the square root of his. Nothing is left out; what cannot be read is
named.

The two numbers that decide are cross-fitted, never taken from images that the panel has seen:
* ``reach``: 95th percentile of the distance to the nearest prototype over images whose whole source was left
  out of the prototypes, so that a new source of human art is mostly on support;
* ``reference``: the panel is made from one half of the artists and the other half's effective number of
  styles is measured, both ways round; a broad held-out set reads 0.89 by construction.
"""

from __future__ import annotations

import argparse
import csv
import io
import math
import sys
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np

DIMENSIONS = 16
PROTOTYPES = 512
FREQUENCIES = 256
WIDTH = 0.35  # bandwidth as a share of the median distance between two panel images
TARGET = 0.89
SEED = 20


def embed(path: str) -> tuple[np.ndarray | None, str]:
    """The style vector of one file, or why there is none."""
    from genepool.embedding import ClassicalEmbedder
    from genepool.records import Item, Sample
    from genepool.scan import Refusal, View

    item = Item(uri=path, stamp="", path=path)
    try:
        view = View(Sample(item, Path(path).read_bytes()), max_pixels=100_000_000)
        return ClassicalEmbedder().embed(view), ""
    except (Refusal, OSError) as error:
        return None, str(error)


def balance(groups: list[tuple[str, str]]) -> np.ndarray:
    """Weights that sum to 1: a source by the root of its size, an artist within it by the root of his."""
    artists = Counter(groups)
    sources = Counter(source for source, _ in groups)
    within = Counter()
    for (source, _), count in artists.items():
        within[source] += math.sqrt(count)
    weights = np.array(
        [math.sqrt(sources[s]) / within[s] * math.sqrt(artists[s, a]) / artists[s, a] for s, a in groups]
    )
    return weights / weights.sum()


def whitening(x: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """Mean, projection to the strongest directions scaled to unit variance, and the shrinkage used.

    Shrinkage towards a multiple of the identity, of the strength that Ledoit & Wolf (2004) derive, with the
    weighted sample in the place of the plain one.
    """
    mean = weights @ x
    centred = x - mean
    covariance = (centred * weights[:, None]).T @ centred
    level = np.trace(covariance) / len(covariance)
    far = ((covariance - level * np.eye(len(covariance))) ** 2).sum()
    lengths = np.einsum("nd,nd->n", centred, centred)
    # Σ w² ‖x xᵀ − S‖² = Σ w² (‖x‖⁴ − 2 xᵀ S x + ‖S‖²)
    inner = np.einsum("nd,nd->n", centred @ covariance, centred)
    noise = (weights**2 * (lengths**2 - 2 * inner + (covariance**2).sum())).sum()
    shrinkage = min(1.0, noise / far)
    values, vectors = np.linalg.eigh(covariance)
    order = np.argsort(-values)[:DIMENSIONS]
    strength = (1 - shrinkage) * values[order] + shrinkage * level
    directions = vectors[:, order]
    # An eigenvector's sign is the machine's whim: the largest entry is made positive.
    directions = directions * np.sign(directions[np.abs(directions).argmax(0), np.arange(len(order))])
    return mean, directions / np.sqrt(strength), shrinkage


def nearest(x: np.ndarray, centres: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    scores = x @ centres.T - 0.5 * (centres**2).sum(1)
    near = scores.argmax(1)
    return near, np.sqrt(((x - centres[near]) ** 2).sum(1))


def cluster(x: np.ndarray, weights: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Weighted k-means with k-means++ seeding (Arthur & Vassilvitskii 2007), 50 rounds at most."""
    rng = np.random.default_rng(seed)
    count = min(count, len(x) // 3)
    centres = x[[rng.choice(len(x), p=weights)]]
    gap = ((x - centres[0]) ** 2).sum(1)
    for _ in range(count - 1):
        chance = weights * gap
        pick = rng.choice(len(x), p=chance / chance.sum())
        centres = np.vstack([centres, x[pick]])
        gap = np.minimum(gap, ((x - x[pick]) ** 2).sum(1))
    for _ in range(50):
        near, _ = nearest(x, centres)
        mass = np.bincount(near, weights, count)
        sums = np.zeros_like(centres)
        np.add.at(sums, near, x * weights[:, None])
        fresh = np.where(mass[:, None] > 0, sums / np.maximum(mass, 1e-300)[:, None], centres)
        if np.allclose(fresh, centres, atol=1e-6):
            break
        centres = fresh
    return centres


def median_distance(x: np.ndarray, weights: np.ndarray) -> float:
    """Weighted median distance of two panel images, over 200 000 random pairs."""
    rng = np.random.default_rng(SEED)
    a, b = rng.choice(len(x), (2, 200_000), p=weights)
    return float(np.median(np.sqrt(((x[a] - x[b]) ** 2).sum(1))[a != b]))


def frequencies(seed: int) -> np.ndarray:
    """Orthogonal random features (Yu et al. 2016): blocks of orthogonal directions with Gaussian lengths."""
    rng = np.random.default_rng(seed)
    blocks = []
    for _ in range(FREQUENCIES // DIMENSIONS):
        q, r = np.linalg.qr(rng.standard_normal((DIMENSIONS, DIMENSIONS)))
        lengths = np.sqrt(rng.chisquare(DIMENSIONS, DIMENSIONS))
        blocks.append((q * np.sign(np.diag(r))).T * lengths[:, None])
    return np.concatenate(blocks)


def left_out(x: np.ndarray, groups: list[tuple[str, str]]) -> np.ndarray:
    """Distance of each image to prototypes made without its source."""
    sources = np.array([s for s, _ in groups])
    distance = np.zeros(len(x))
    for source in sorted(set(sources)):
        out = sources == source
        rest = [g for g, o in zip(groups, out, strict=True) if not o]
        centres = cluster(x[~out], balance(rest), PROTOTYPES, SEED)
        distance[out] = nearest(x[out], centres)[1]
    return distance


def quantile(values: np.ndarray, weights: np.ndarray, share: float) -> float:
    order = np.argsort(values)
    at = np.searchsorted(np.cumsum(weights[order]) / weights.sum(), share)
    return float(values[order][min(at, len(values) - 1)])


def build(x: np.ndarray, groups: list[tuple[str, str]], reference: float, notes: dict):
    """A panel from raw vectors; ``reference`` may be provisional."""
    from genepool.diversity import Panel
    from genepool.embedding import ClassicalEmbedder

    weights = balance(groups)
    mean, projection, shrinkage = whitening(x, weights)
    z = (x - mean) @ projection
    centres = cluster(z, weights, PROTOTYPES, SEED)
    near, distance = nearest(z, centres)
    reach = quantile(left_out(z, groups), weights, 0.95)
    radii = [
        quantile(distance[near == k], weights[near == k], 0.95) if (near == k).any() else 0.0
        for k in range(len(centres))
    ]
    return Panel(
        name="human-art-1",
        embedder=f"{ClassicalEmbedder.name}@{ClassicalEmbedder.version}",
        mean=mean,
        projection=projection,
        prototypes=centres,
        shares=np.bincount(near, weights, len(centres)),
        radii=np.array(radii),
        reach=reach,
        frequencies=frequencies(SEED),
        bandwidth=WIDTH * median_distance(z, weights),
        reference=reference,
        notes={**notes, "shrinkage": shrinkage},
    )


def halves(groups: list[tuple[str, str]]) -> np.ndarray:
    """One half of the artists; of sources without names, every second image."""
    rng = np.random.default_rng(SEED)
    named = sorted({g for g in groups if g[1]})
    chosen = {named[i] for i in rng.permutation(len(named))[: len(named) // 2]}
    seen = Counter()
    first = []
    for source, artist in groups:
        seen[source] += 1
        first.append((source, artist) in chosen if artist else seen[source] % 2 == 0)
    return np.array(first)


def cross_fit(x: np.ndarray, groups: list[tuple[str, str]], notes: dict) -> float:
    """Reference such that one half of the artists, measured by the other half's panel, reads the target."""
    from genepool.diversity import style_diversity

    first = halves(groups)
    logs = []
    for half in (first, ~first):
        ours = [g for g, h in zip(groups, half, strict=True) if h]
        theirs = [g for g, h in zip(groups, half, strict=True) if not h]
        panel = build(x[half], ours, 1e6, notes)
        # Weights of the same balance, scaled to a mean of 1: the held-out set is as broad as the panel.
        weights = balance(theirs) * len(theirs)
        held = style_diversity(x[~half], panel, weights=weights)
        print(
            f"  half: {half.sum()} in, {len(theirs)} held out: VS2 {held.styles:.1f}, "
            f"on support {held.on_support:.3f}"
        )
        logs.append(math.log(held.styles))
    return math.exp(float(np.mean(logs)) / TARGET)


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    arguments.add_argument("table", type=Path, help="images.csv")
    arguments.add_argument("out", type=Path, help="panel.npz")
    arguments.add_argument("--workers", type=int, default=2)
    options = arguments.parse_args()
    rows = [r for r in csv.DictReader(io.StringIO(options.table.read_text("utf-8"))) if r["label"] == "human"]
    rows.sort(key=lambda r: r["path"])
    root = options.table.parent / "images"
    with ProcessPoolExecutor(options.workers) as pool:
        done = list(pool.map(embed, [str(root / r["path"]) for r in rows], chunksize=32))
    kept = [(r, v) for r, (v, _) in zip(rows, done, strict=True) if v is not None]
    for row, (vector, why) in zip(rows, done, strict=True):
        if vector is None:
            print(f"  not read: {row['path']}: {why}", file=sys.stderr)
    x = np.array([v for _, v in kept], np.float64)
    groups = [(r["source"], r["artist"]) for r, _ in kept]
    weights = balance(groups)
    counts = Counter((r["kind"], r["source"]) for r, _ in kept)
    print(f"{len(kept)} of {len(rows)} human images read")
    for (kind, source), count in sorted(counts.items()):
        share = sum(w for w, (s, _) in zip(weights, groups, strict=True) if s == source)
        artists = len({a for s, a in groups if s == source and a})
        print(f"  {kind:12s} {source:28s} {count:4d} images, {artists:3d} artists named, weight {share:.3f}")
    notes = {"images": len(kept), "sources": {s: c for (_, s), c in sorted(counts.items())}, "seed": SEED}
    reference = cross_fit(x, groups, notes)
    panel = build(x, groups, reference, notes)
    panel.save(options.out)
    print(
        f"{options.out}: {options.out.stat().st_size} bytes, {len(panel.prototypes)} prototypes, "
        f"reach {panel.reach:.3f}, bandwidth {panel.bandwidth:.3f}, VS2 reference {panel.reference:.1f}, "
        f"shrinkage {panel.notes['shrinkage']:.4f}\ndigest {panel.digest}"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
