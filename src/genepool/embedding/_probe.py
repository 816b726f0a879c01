"""`EmbeddingProbe`: runs the configured embedder once per image, during the scan."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from genepool.compute import Placement, place
from genepool.errors import PluginError

if TYPE_CHECKING:
    from genepool.config import Config
    from genepool.records import Embedder, ImageView

__all__ = ["EmbeddingProbe"]


class EmbeddingProbe:
    """Writes the vector ``style``, where the embedder has one ``copy``, and the column ``embedder``.

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
        vectors = {"style": dim}
        self._copies = hasattr(embedder, "embed_all") and hasattr(embedder, "copy_dim")
        if self._copies:
            vectors["copy"] = int(getattr(embedder, "copy_dim"))  # noqa: B009  # optional: not in the protocol
        self.vectors: Mapping[str, int] = vectors

    @classmethod
    def from_config(cls, config: Config) -> EmbeddingProbe:
        """The probe for ``diversity.embedder``.

        Raises:
            PluginError: There is no such embedder, or it cannot be started.
        """
        from genepool import plugins

        embedder = plugins.create("embedders", config.diversity.embedder)
        place(embedder, Placement(config.compute.provider, config.compute.batch))
        return cls(embedder)

    def prepare(self) -> None:
        """Load the embedder, once per worker."""
        self._embedder.prepare()

    @property
    def batch(self) -> int:
        """Images that the embedder would rather see together."""
        return int(getattr(self._embedder, "batch", 1))

    @property
    def remarks(self) -> tuple[str, ...]:
        """What the embedder says of how it runs."""
        return tuple(getattr(self._embedder, "remarks", ()))

    def foresee(self, views: Sequence[ImageView]) -> None:
        """Let the embedder look at several images at once, if it can; `examine` finds what it saw."""
        look = getattr(self._embedder, "foresee", None)
        if look is not None:
            look(views)

    def examine(self, view: ImageView) -> Mapping[str, Any]:
        """The vectors of one image.

        Raises:
            PluginError: The embedder returned something else than finite vectors of their length.
        """
        given: Any = self._embedder
        found = given.embed_all(view) if self._copies else {"style": given.embed(view)}
        return {"embedder": self.identity, **{name: self._checked(found, name) for name in self.vectors}}

    def _checked(self, found: Mapping[str, Any], name: str) -> NDArray[np.float32]:
        vector = np.asarray(found[name], dtype=np.float32)
        if vector.shape != (self.vectors[name],) or not np.isfinite(vector).all():
            raise PluginError(
                f"embedder {self.identity}: {name}: expected a finite vector of length {self.vectors[name]}, "
                f"found shape {vector.shape}"
                + ("" if np.isfinite(vector).all() else " with NaN or infinity"),
                hint="choose another: diversity.embedder in genepool.toml",
            )
        return vector
