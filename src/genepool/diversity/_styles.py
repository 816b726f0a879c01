"""Image by image and style by style: what is common, what is rare, what is missing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from genepool.diversity._batches import aligned, batches, column
from genepool.diversity._state import StyleState, likeness
from genepool.diversity._style import find_anchors
from genepool.diversity._vendi import entropy

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from genepool.diversity._panel import Panel

__all__ = ["StyleMap", "commonness", "style_map"]


@dataclass(frozen=True, slots=True, eq=False)
class StyleMap:
    """A set against the panel's prototypes.

    Attributes:
        counts: ``(K,)`` weight of the images at each prototype (on support only).
        expected: ``(K,)`` what a set of this size would hold with the panel's shares.
        under: Prototypes that hold less than half of what is expected, and less by more than chance explains
            (two Poisson standard deviations); most missing first.
        off_support: Weight of the images off the panel's support.
        hill: Effective numbers of prototypes of order 0, 1 and 2 (Hill 1973).
    """

    counts: NDArray[np.float64]
    expected: NDArray[np.float64]
    under: NDArray[np.intp]
    off_support: float
    hill: tuple[float, float, float]


def commonness(vectors: Any, panel: Panel, verified: Any = None, weights: Any = None) -> NDArray[np.float64]:
    """Mean style similarity of each image to the others of its set, in [0, 1]; low = rare style.

    Its mean is the set's purity: adding an image that is rarer than that raises the index.

    Args:
        vectors: As in `style_diversity`.
        panel: The reference.
        verified: As in `style_diversity`.
        weights: As in `style_diversity`.

    Raises:
        MeasureError: As `style_diversity`.
    """
    start = batches(vectors)
    checked, weight = column(verified, "verified", bool), column(weights, "weights", float)
    state = StyleState(panel, find_anchors(start, panel, checked))
    for part, (human, multiple) in aligned(start(), checked, weight):
        state.update(part, human, multiple)
    state.purity()
    values = []
    for part, (human, multiple) in aligned(start(), checked, weight):
        whitened = panel.whiten(part)
        own = np.ones(len(part)) if multiple is None else multiple
        values.append(likeness(state, whitened, state.on_support(whitened, human), own))
    return np.concatenate(values)


def style_map(vectors: Any, panel: Panel, weights: Any = None) -> StyleMap:
    """Count a set's images at the panel's prototypes.

    Args:
        vectors: As in `style_diversity`.
        panel: The reference.
        weights: As in `style_diversity`.

    Raises:
        MeasureError: NaN, lengths that differ, a one-shot iterator.
    """
    counts = np.zeros(len(panel.prototypes))
    off = 0.0
    for part, (multiple,) in aligned(batches(vectors)(), column(weights, "weights", float)):
        near, distance = panel.nearest(panel.whiten(part))
        own = np.ones(len(part)) if multiple is None else multiple
        on = distance <= panel.reach
        counts += np.bincount(near[on], own[on], len(counts))
        off += float(own[~on].sum())
    expected = panel.shares * (counts.sum() + off)
    missing = expected - counts
    order = np.argsort(-missing, kind="stable")
    low = (counts < 0.5 * expected) & (missing > 2.0 * np.sqrt(expected))
    under = order[low[order]]
    shares = counts / max(counts.sum(), 1e-300)
    hill = [float(np.exp(entropy(shares, q))) if counts.any() else 0.0 for q in (0.0, 1.0, 2.0)]
    return StyleMap(counts, expected, under, off, (hill[0], hill[1], hill[2]))
