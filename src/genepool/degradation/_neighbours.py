"""Coverage, density and Fréchet distance between a generation and the reference, at matched n.

Coverage and density: Naeem, Oh, Uh, Choi & Yoo, ICML 2020. Fréchet distance of two Gaussians: Dowson & Landau
1982, as used by Heusel et al. 2017, here on style vectors in the reference's own directions. All three change
with the number of pictures, so that every set is measured in blocks of the same size and the blocks averaged.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from genepool.records import Estimate

__all__ = ["Neighbours", "compare", "frechet"]

NEAREST = 5
_GROUPS = 20
_BLOCKS = 10


class Neighbours(NamedTuple):
    """What `compare` returns."""

    coverage: Estimate
    density: Estimate
    frechet: Estimate


def frechet(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """Fréchet distance (squared 2-Wasserstein) of the Gaussians fitted to two sets ``(n, d)``."""
    gap = a.mean(axis=0) - b.mean(axis=0)
    return _frechet(gap, np.atleast_2d(np.cov(a, rowvar=False)), np.atleast_2d(np.cov(b, rowvar=False)))


def _frechet(gap: NDArray[np.float64], one: NDArray[np.float64], two: NDArray[np.float64]) -> float:
    # tr √(AB) = sum of the roots of the eigenvalues of √A B √A, which is symmetric.
    values, axes = np.linalg.eigh(one)
    root = (axes * np.sqrt(np.clip(values, 0, None))) @ axes.T
    middle = np.sqrt(np.clip(np.linalg.eigvalsh(root @ two @ root), 0, None)).sum()
    return max(0.0, float(gap @ gap + np.trace(one) + np.trace(two) - 2.0 * middle))


def compare(
    yardstick: NDArray[np.float64], points: NDArray[np.float64], size: int, alpha: float
) -> Neighbours:
    """A generation against the reference.

    Args:
        yardstick: ``(a, d)`` whitened reference.
        points: ``(n, d)`` whitened generation, n ≥ ``size``.
        size: Pictures per block.
        alpha: 1 − confidence.

    Returns:
        Estimates with normal intervals: delete-a-group jackknife over the generation's pictures, and what the
        choice of the reference's pictures adds.
    """
    count = max(1, min(_BLOCKS, len(points) // size))
    blocks = [points[i * size : (i + 1) * size] for i in range(count)]
    radii = np.partition(_squares(yardstick, yardstick), NEAREST, axis=1)[:, NEAREST]  # 0 is the point itself
    groups = min(_GROUPS, size // 2)
    group = np.arange(size) % groups
    covered = np.zeros((count, groups + 1))
    dense = np.zeros((count, groups + 1))
    apart = np.zeros((count, groups + 1))
    by_reference = np.zeros((count, len(yardstick)))
    for i, block in enumerate(blocks):
        inside = _squares(yardstick, block) <= radii[:, None]
        counts = np.stack([inside[:, group == g].sum(axis=1) for g in range(groups)], axis=1)
        total = counts.sum(axis=1)
        by_reference[i] = total / (NEAREST * size)
        left = total[:, None] - counts
        sizes = size - np.bincount(group, minlength=groups)
        covered[i] = [(total > 0).mean(), *(left > 0).mean(axis=0)]
        dense[i] = [total.sum() / (NEAREST * size), *(left.sum(axis=0) / (NEAREST * sizes))]
        apart[i] = [
            frechet(yardstick, block),
            *(frechet(yardstick, block[group != g]) for g in range(groups)),
        ]
    n = count * size
    value = covered[:, 0].mean()
    # The blocks share the reference: its part does not shrink with their number.
    extra = value * (1 - value) / len(yardstick)
    text = f"coverage (Naeem et al. 2020), k = {NEAREST}, {len(yardstick)} reference pictures, "
    text += f"{count} block(s) of {size}; jackknife over {groups} groups"
    coverage = _estimate(covered, extra, n, text, alpha, (0.0, 1.0))
    spread = by_reference.mean(axis=0)
    extra = len(yardstick) * float(np.var(spread, ddof=1))
    density = _estimate(dense, extra, n, text.replace("coverage", "density"), alpha, (0.0, math.inf))
    text = f"Fréchet distance in {points.shape[1]} directions of the reference, {count} block(s) of {size} "
    text += f"against {len(yardstick)}; jackknife over {groups} groups of each side"
    mine = np.arange(len(yardstick)) % groups
    without = [frechet(yardstick[mine != g], blocks[0]) for g in range(groups)]
    extra = (groups - 1) / groups * float(((np.array(without) - np.mean(without)) ** 2).sum())
    return Neighbours(coverage, density, _estimate(apart, extra, n, text, alpha, (0.0, math.inf)))


def _estimate(
    table: NDArray[np.float64], extra: float, n: int, method: str, alpha: float, bounds: tuple[float, float]
) -> Estimate:
    from scipy.special import ndtri

    groups = table.shape[1] - 1
    value = float(table[:, 0].mean())
    drop = table[:, 1:]
    each = (groups - 1) / groups * ((drop - drop.mean(axis=1, keepdims=True)) ** 2).sum(axis=1)
    variance = float(each.mean()) / len(table) + extra
    reach = float(ndtri(1 - alpha / 2)) * math.sqrt(variance)
    lower, upper = max(bounds[0], value - reach), min(bounds[1], value + reach)
    return Estimate(value, lower, upper, n, method, alpha)


def _squares(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    gaps = (a**2).sum(axis=1)[:, None] + (b**2).sum(axis=1)[None, :] - 2.0 * a @ b.T
    clipped: NDArray[np.float64] = np.clip(gaps, 0, None)
    return clipped
