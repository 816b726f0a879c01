"""Choosing training pictures: by support, by rarity, by greedy entropy."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from genepool.lab._space import Space

if TYPE_CHECKING:
    from genepool.diversity import StyleEstimate

__all__ = ["Chooser", "spread_out"]


class Chooser:
    """Knows a reference of human pictures that is not the judge's.

    Args:
        human: The filter's pictures.
        features: ``pixels`` or ``style``.
        seed: Of the panel's random features.
    """

    def __init__(self, human: NDArray[np.uint8], features: str, seed: int) -> None:
        self._space = Space(human, features)
        self._panel = self._space.panel(seed)

    def features(self, pictures: NDArray[np.uint8]) -> NDArray[np.float64]:
        """``(n, d)`` in the filter's space."""
        return self._space.features(pictures)

    def supported(self, pictures: NDArray[np.uint8]) -> NDArray[np.bool_]:
        """Which pictures lie where human ones were seen."""
        found: NDArray[np.bool_] = self._panel.supported(self.features(pictures))
        return found

    def diversity(self, pictures: NDArray[np.uint8], human: NDArray[np.bool_]) -> StyleEstimate:
        """The style diversity index of a training set, on the filter's panel."""
        from genepool.diversity import style_diversity

        return style_diversity(self.features(pictures), self._panel, human)

    def rarest(
        self, pictures: NDArray[np.uint8], human: NDArray[np.bool_], candidates: NDArray[np.intp], count: int
    ) -> NDArray[np.intp]:
        """The candidates (indices) that are least like the rest; those off support count as all alike."""
        from genepool.diversity import commonness

        likeness = commonness(self.features(pictures), self._panel, human)
        order = np.argsort(likeness[candidates], kind="stable")
        return candidates[order[:count]]


def spread_out(points: NDArray[np.float64], count: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """Greedy choice of ``count`` rows that raises the Kozachenko–Leonenko entropy of the chosen set.

    The estimator is the mean log distance to the nearest neighbour (Kozachenko & Leonenko 1987); the row
    farthest from everything chosen so far raises it most. This is the greedy selection of Shi et al., "A
    Closer Look at Model Collapse" (NeurIPS 2025), written from its description.

    Returns:
        Indices in the order chosen; all of them where there are fewer than ``count``.
    """
    if count >= len(points):
        return np.arange(len(points))
    length = (points**2).sum(axis=1)
    chosen = np.empty(count, np.intp)
    chosen[0] = rng.integers(len(points))
    near = np.full(len(points), np.inf)
    for at in range(1, count):
        last = chosen[at - 1]
        np.minimum(near, length + length[last] - 2 * points @ points[last], out=near)
        near[last] = -1.0
        chosen[at] = near.argmax()
    return chosen
