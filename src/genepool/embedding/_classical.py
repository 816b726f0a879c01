"""`ClassicalEmbedder`: style without any weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

from genepool.embedding._features import DIMENSION, SHORT_SIDE, describe

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from genepool.records import ImageView

__all__ = ["ClassicalEmbedder"]


class ClassicalEmbedder:
    """Colour moments, palette, oriented marks and their Gram statistics; see `genepool.embedding._features`.

    Sees pixels only, on an area-averaged copy of 128 pixels short side: file format, size and compression
    quality leave little trace in it.

    Attributes:
        name: ``classical``.
        version: Changes whenever any number of the descriptor may change.
        dim: Length of the vector.
    """

    name = "classical"
    version = "1"
    dim = DIMENSION

    def prepare(self) -> None:
        """Nothing to load; describes one blank picture, so that tables exist before the first image."""
        import numpy as np

        describe(np.zeros((SHORT_SIDE, SHORT_SIDE, 3), np.uint8))

    def embed(self, view: ImageView) -> NDArray[np.float32]:
        """The unit vector of one image, float32, length `dim`, finite."""
        return describe(view.thumbnail(SHORT_SIDE))
