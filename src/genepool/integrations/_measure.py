"""Pictures in memory → style vectors, index and retention, without files and without a scan."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from genepool.degradation import Picture, as_pictures

if TYPE_CHECKING:
    from genepool.diversity import FeatureAtlas, Panel, RetentionEstimate, StyleEstimate
    from genepool.records import Embedder

__all__ = ["Yardstick", "as_pictures"]


class Yardstick:
    """What generated pictures are measured against: the panel, and the pictures that were trained on.

    Both sides are embedded at the generator's own resolution, because size alone moves a style vector. Style
    counts where it lies near the panel or near a reference picture.

    Args:
        reference: ``(n, h, w, 3)`` uint8 reference pictures, at least 40.
        panel: Reference panel; None: the configured one.
        embedder: None: the panel's.
        seed: Of grouping and bootstrap.
        alpha: 1 − confidence of the intervals.
    """

    def __init__(
        self,
        reference: NDArray[np.uint8],
        *,
        panel: Panel | None = None,
        embedder: Embedder | None = None,
        seed: int = 0,
        alpha: float = 0.05,
    ) -> None:
        from genepool import plugins
        from genepool.diversity import FeatureAtlas, StyleDiversityIndex

        self.panel: Panel = panel or StyleDiversityIndex().panel
        self.embedder: Embedder = embedder or plugins.create("embedders", self.panel.embedder.split("@")[0])
        self.embedder.prepare()
        self.seed, self.alpha = seed, alpha
        vectors = self.embed(reference)
        self.atlas: FeatureAtlas = FeatureAtlas(vectors, self.panel, seed=seed)
        whitened = self.panel.whiten(vectors)
        self._anchors = whitened[~self.panel.supported(whitened)][:4096]

    def embed(self, pictures: Iterable[NDArray[np.uint8]]) -> NDArray[np.float32]:
        """Style vectors of pictures."""
        return np.stack([self.embedder.embed(Picture(picture)) for picture in pictures])

    def retention(self, vectors: NDArray[Any]) -> RetentionEstimate:
        """Unique feature retention of a set of vectors, in per cent."""
        return self.atlas.retention(self.atlas.count(vectors), self.alpha, self.seed)

    def index(self, vectors: NDArray[Any]) -> StyleEstimate:
        """Style diversity index of a set of vectors."""
        from genepool.diversity import SpreadState, StyleState, index_of

        state = StyleState(self.panel, self._anchors)
        state.update(vectors)
        spread = SpreadState(state)
        spread.update(vectors)
        return index_of(state, spread, self.alpha)
