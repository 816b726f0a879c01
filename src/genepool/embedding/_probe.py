"""`EmbeddingProbe`: runs the configured embedder once per image, during the scan."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from genepool.errors import PluginError

if TYPE_CHECKING:
    from genepool.config import Config
    from genepool.records import Embedder, ImageView

__all__ = ["EmbeddingProbe"]


class EmbeddingProbe:
    """Writes the vector ``style`` and the column ``embedder`` (``name@version``).

    Args:
        embedder: What maps images to vectors. Pickled into the workers before `prepare`.

    Raises:
        PluginError: The embedder lacks a name, a version or a dimension.
    """

    name = "embedding"

    def __init__(self, embedder: Embedder) -> None:
        try:
            self.identity = f"{embedder.name}@{embedder.version}"
            dim = int(embedder.dim)
        except (AttributeError, TypeError, ValueError) as error:
            raise PluginError(f"embedder {embedder!r}: expected name, version and dim, {error}") from None
        self._embedder = embedder
        self.version = self.identity
        self.columns: Mapping[str, str] = {"embedder": "string"}
        self.vectors: Mapping[str, int] = {"style": dim}

    @classmethod
    def from_config(cls, config: Config) -> EmbeddingProbe:
        """The probe for ``diversity.embedder``.

        Raises:
            PluginError: There is no such embedder, or it cannot be started.
        """
        from genepool import plugins

        return cls(plugins.create("embedders", config.diversity.embedder))

    def prepare(self) -> None:
        """Load the embedder, once per worker."""
        self._embedder.prepare()

    def examine(self, view: ImageView) -> Mapping[str, Any]:
        """The style vector of one image.

        Raises:
            PluginError: The embedder returned something else than a finite vector of its length.
        """
        vector = np.asarray(self._embedder.embed(view), dtype=np.float32)
        if vector.shape != (self.vectors["style"],) or not np.isfinite(vector).all():
            raise PluginError(
                f"embedder {self.identity}: expected a finite vector of length {self.vectors['style']}, "
                f"found shape {vector.shape}"
                + ("" if np.isfinite(vector).all() else " with NaN or infinity"),
                hint="choose another: diversity.embedder in genepool.toml",
            )
        return {"embedder": self.identity, "style": vector}
