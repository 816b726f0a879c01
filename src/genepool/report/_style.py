"""The style map: a sample of the style vectors on two axes, the rarest and the commonest of them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from genepool.errors import UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from genepool.store import Catalogue

__all__ = ["StyleView", "look"]

DRAWN = 20_000
"""Points on the map; of larger sets every k-th image is drawn."""
COMPARED = 2_000
"""Images among which rare and common are judged."""
NEIGHBOURS = 5
SHOWN = 8


@dataclass(frozen=True, slots=True)
class StyleView:
    """What the diversity section shows.

    Attributes:
        points: ``(k, 2)`` principal components, scaled to [−1, 1].
        groups: ``human``, ``AI`` or ``unknown`` for each point.
        n: Images in the set.
        rare, common: Uris with the largest and the smallest distance to their 5th nearest neighbour.
        compared: How many images these were chosen from.
        explained: Share of the variance that the two components carry, in [0, 1].
    """

    points: NDArray[np.float32]
    groups: tuple[str, ...]
    n: int
    rare: tuple[str, ...]
    common: tuple[str, ...]
    compared: int
    explained: float


def look(catalogue: Catalogue | None, origins: Any) -> StyleView | None:
    """Sample the style vectors and lay them out; None where there are none, or fewer than three.

    The map is a picture for people; the index itself is computed elsewhere, on all vectors.
    """
    if catalogue is None or catalogue.n < 3:
        return None
    step = math.ceil(catalogue.n / DRAWN)
    vectors = _sample(catalogue, step)
    if vectors is None or len(vectors) < 3:
        return None
    rows = np.arange(0, catalogue.n, step)[: len(vectors)]
    finite = np.isfinite(vectors).all(axis=1)
    vectors, rows = vectors[finite], rows[finite]
    if len(vectors) < 3:
        return None
    points, explained = _principal(vectors)
    few = np.arange(0, len(vectors), math.ceil(len(vectors) / COMPARED))
    rare, common = _extremes(vectors[few])
    shown = catalogue.uris_at(rows[few[[*rare, *common]]].tolist()) if rare or common else []
    groups = _groups(origins, catalogue.n)
    return StyleView(
        points,
        tuple(groups[rows].tolist()),
        catalogue.n,
        tuple(shown[: len(rare)]),
        tuple(shown[len(rare) :]),
        len(few),
        explained,
    )


def _sample(catalogue: Catalogue, step: int) -> NDArray[np.float32] | None:
    try:
        parts = list(catalogue.vectors("style", every=step))
    except UsageError:  # scanned without an embedder
        return None
    return np.concatenate(parts) if parts else None


def _principal(vectors: NDArray[np.float32]) -> tuple[NDArray[np.float32], float]:
    centred = vectors.astype(np.float64) - vectors.mean(axis=0, dtype=np.float64)
    values, axes = np.linalg.eigh(centred.T @ centred / len(centred))
    # Eigenvectors are known up to sign: the largest entry of each is made positive.
    axes = axes[:, ::-1][:, :2]
    axes = axes * np.sign(axes[np.abs(axes).argmax(axis=0), range(axes.shape[1])])
    points = centred @ axes
    if points.shape[1] < 2:
        points = np.column_stack([points, np.zeros(len(points))])
    total = float(values.clip(0).sum())
    # Rounded: the last bits of a sum differ between machines, the picture must not.
    scaled = np.round(points / max(float(np.abs(points).max()), 1e-12), 4)
    return scaled.astype(np.float32), float(values[-2:].clip(0).sum() / total) if total > 0 else 1.0


def _extremes(vectors: NDArray[np.float32]) -> tuple[list[int], list[int]]:
    """Rows that are far from all others, and typical ones that are not copies of each other."""
    if len(vectors) <= 2 * SHOWN:
        return [], []
    x = vectors.astype(np.float64)
    square = (x**2).sum(axis=1)
    far = np.sqrt((square[:, None] + square[None, :] - 2 * x @ x.T).clip(0))
    reach = np.round(np.partition(far, NEIGHBOURS, axis=1)[:, NEIGHBOURS], 6)
    order = np.argsort(reach, kind="stable")
    apart = float(np.median(reach))
    common: list[int] = []
    for i in order[: len(order) // 2]:
        if all(far[i, j] > apart for j in common):
            common.append(int(i))
        if len(common) == SHOWN:
            break
    return [int(i) for i in order[::-1][:SHOWN]], common


def _groups(origins: Any, n: int) -> NDArray[np.str_]:
    if origins is None or origins.num_rows != n or not {"human", "ai"} <= set(origins.column_names):
        return np.full(n, "unknown")
    human, ai = (np.asarray(origins[name]).astype(bool) for name in ("human", "ai"))
    return np.where(human, "human", np.where(ai, "AI", "unknown"))
