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

__all__ = ["StyleMap", "commonness", "commonness_of", "extremes", "fill", "style_map"]

SHOWN = 8


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
        names: What the panel calls its prototypes; empty where it has no names.
    """

    counts: NDArray[np.float64]
    expected: NDArray[np.float64]
    under: NDArray[np.intp]
    off_support: float
    hill: tuple[float, float, float]
    names: tuple[str, ...] = ()

    def to_json(self, most: int = 20) -> dict[str, Any]:
        """Hill numbers, and the prototypes that are missing most with their counts."""
        return {
            "of": len(self.counts),
            "hill": list(self.hill),
            "off_support": self.off_support,
            "under_represented": len(self.under),
            "missing": [
                {
                    "prototype": k,
                    "like": self.names[k] if k < len(self.names) else "",
                    "count": float(self.counts[k]),
                    "expected": float(self.expected[k]),
                }
                for k in self.under[:most].tolist()
            ],
        }


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
    state = StyleState(panel, find_anchors(batches(vectors), panel, column(verified, "verified", bool)))
    fill(state, vectors, verified, weights)
    return commonness_of(vectors, state, verified, weights)[0]


def fill(state: StyleState, vectors: Any, verified: Any = None, weights: Any = None) -> None:
    """The first pass over a set.

    Raises:
        MeasureError: NaN, lengths that differ, a one-shot iterator.
    """
    checked, weight = column(verified, "verified", bool), column(weights, "weights", float)
    for part, (human, multiple) in aligned(batches(vectors)(), checked, weight):
        state.update(part, human, multiple)


def commonness_of(
    vectors: Any, state: StyleState, verified: Any = None, weights: Any = None, step: int = 1
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Commonness of every ``step``-th image against a filled state, and which are on support.

    Raises:
        MeasureError: As `style_diversity`.
    """
    start = batches(vectors)
    checked, weight = column(verified, "verified", bool), column(weights, "weights", float)
    state.purity()
    values, support, at = [], [], 0
    for part, (human, multiple) in aligned(start(), checked, weight):
        chosen = slice(-at % step, None, step)
        at += len(part)
        whitened = state.panel.whiten(part[chosen])
        own = np.ones(len(whitened)) if multiple is None else multiple[chosen]
        on = state.on_support(whitened, None if human is None else human[chosen])
        values.append(likeness(state, whitened, on, own))
        support.append(on)
    return np.concatenate(values), np.concatenate(support)


def style_map(
    vectors: Any, panel: Panel, weights: Any = None, shares: NDArray[np.float64] | None = None
) -> StyleMap:
    """Count a set's images at the panel's prototypes.

    Args:
        vectors: As in `style_diversity`.
        panel: The reference.
        weights: As in `style_diversity`.
        shares: ``(K,)`` what is expected at each prototype; None: the panel's own shares.

    Raises:
        MeasureError: NaN, lengths that differ, a one-shot iterator.
    """
    counts = np.zeros(len(panel.prototypes))
    off = 0.0
    for part, (multiple,) in aligned(batches(vectors)(), column(weights, "weights", float)):
        whitened = panel.whiten(part)
        near, on = panel.nearest(whitened)[0], panel.supported(whitened)
        own = np.ones(len(part)) if multiple is None else multiple
        counts += np.bincount(near[on], own[on], len(counts))
        off += float(own[~on].sum())
    expected = (panel.shares if shares is None else shares) * (counts.sum() + off)
    missing = expected - counts
    order = np.argsort(-missing, kind="stable")
    low = (counts < 0.5 * expected) & (missing > 2.0 * np.sqrt(expected))
    under = order[low[order]]
    shares = counts / max(counts.sum(), 1e-300)
    hill = [float(np.exp(entropy(shares, q))) if counts.any() else 0.0 for q in (0.0, 1.0, 2.0)]
    names = tuple(map(str, panel.notes.get("prototypes", ())))
    return StyleMap(counts, expected, under, off, (hill[0], hill[1], hill[2]), names)


def extremes(
    common: NDArray[np.float64], labels: NDArray[np.int64] | None = None, shown: int = SHOWN
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Which images are the rarest and which the commonest, one of each cluster of copies.

    Args:
        common: As `commonness` returned.
        labels: Clusters of copies; None: every image by itself.
        shown: How many of each; at most a third of the images.
    """
    order = np.argsort(common, kind="stable")
    if labels is not None:
        _, first = np.unique(labels[order], return_index=True)
        order = order[np.sort(first)]
    few = min(shown, len(order) // 3)
    return order[:few], order[::-1][:few]
