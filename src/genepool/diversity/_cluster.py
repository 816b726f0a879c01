"""Weighted k-means and the balance of sources and artists."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["balance", "cluster", "median_distance", "nearest", "quantile"]

_PAIRS = 200_000


def balance(groups: Sequence[tuple[str, str]]) -> NDArray[np.float64]:
    """Weights that sum to 1: a source by the root of its size, an artist within it by the root of his."""
    artists = Counter(groups)
    sources = Counter(source for source, _ in groups)
    within: dict[str, float] = {}
    for (source, _), count in artists.items():
        within[source] = within.get(source, 0.0) + math.sqrt(count)
    weights = np.array(
        [math.sqrt(sources[s]) / within[s] * math.sqrt(artists[s, a]) / artists[s, a] for s, a in groups]
    )
    total: NDArray[np.float64] = weights / weights.sum()
    return total


def nearest(
    x: NDArray[np.float64], centres: NDArray[np.float64]
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Index of, and distance to, the nearest centre of each row."""
    near = (x @ centres.T - 0.5 * np.einsum("kd,kd->k", centres, centres)).argmax(axis=1)
    gap = x - centres[near]
    return near, np.sqrt(np.einsum("nd,nd->n", gap, gap))


def cluster(
    x: NDArray[np.float64], weights: NDArray[np.float64], count: int, seed: int, rounds: int = 50
) -> tuple[NDArray[np.float64], NDArray[np.intp], NDArray[np.float64]]:
    """Weighted k-means with k-means++ seeding (Arthur & Vassilvitskii 2007).

    Returns:
        Centres ``(count, d)``, index of and distance to the nearest one of each row.
    """
    rng = np.random.default_rng(seed)
    centres = np.empty((count, x.shape[1]))
    centres[0] = x[rng.choice(len(x), p=weights / weights.sum())]
    gap = ((x - centres[0]) ** 2).sum(axis=1)
    for k in range(1, count):
        chance = np.cumsum(weights * gap)
        pick = int(np.searchsorted(chance, rng.random() * chance[-1], side="right")) if chance[-1] > 0 else k
        centres[k] = x[min(pick, len(x) - 1)]
        gap = np.minimum(gap, ((x - centres[k]) ** 2).sum(axis=1))
    for _ in range(rounds):
        near, _ = nearest(x, centres)
        mass = np.bincount(near, weights, count)
        sums = np.column_stack([np.bincount(near, weights * column, count) for column in x.T])
        fresh = np.where(mass[:, None] > 0, sums / np.maximum(mass, 1e-300)[:, None], centres)
        if np.allclose(fresh, centres, atol=1e-6):
            break
        centres = fresh
    return centres, *nearest(x, centres)


def median_distance(x: NDArray[np.float64], weights: NDArray[np.float64], seed: int) -> float:
    """Weighted median distance of two different rows, over 200,000 random pairs."""
    rng = np.random.default_rng(seed)
    a, b = rng.choice(len(x), (2, _PAIRS), p=weights / weights.sum())
    return float(np.median(np.sqrt(((x[a] - x[b]) ** 2).sum(axis=1))[a != b]))


def quantile(values: NDArray[np.float64], weights: NDArray[np.float64], share: float) -> float:
    """Weighted quantile: the smallest value up to which at least ``share`` of the weight lies."""
    order = np.argsort(values, kind="stable")
    at = int(np.searchsorted(np.cumsum(weights[order]) / weights.sum(), share))
    return float(values[order][min(at, len(values) - 1)])
