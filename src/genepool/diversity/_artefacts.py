"""Pictures of nothing: what a panel is shown so that it knows noise when it sees it."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import numpy as np

from genepool.errors import PluginError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from genepool.records import Embedder

__all__ = ["KINDS", "artefact_pictures", "artefact_vectors"]

KINDS = ("white", "Gaussian", "grey", "JPEG")


def artefact_pictures(count: int = 60, seed: int = 11) -> Iterator[tuple[str, bytes]]:
    """Noise of four kinds, ``count`` files of each: uniform, Gaussian, grey, uniform saved as JPEG 4 to 40.

    Args:
        count: Files of each kind.
        seed: Same seed, same bytes (the JPEG ones with the same encoder).
    """
    from PIL import Image

    rng = np.random.default_rng(seed)
    for kind in KINDS:
        for _ in range(count):
            height, width = rng.integers(96, 512, 2)
            if kind == "Gaussian":
                noise = rng.normal(rng.uniform(50, 200), rng.uniform(15, 100), (height, width, 3))
            elif kind == "grey":
                noise = np.repeat(rng.normal(128, rng.uniform(15, 100), (height, width, 1)), 3, axis=2)
            else:
                noise = rng.uniform(0, 256, (height, width, 3))
            out = io.BytesIO()
            image = Image.fromarray(np.clip(noise, 0, 255).astype(np.uint8))
            if kind == "JPEG":
                image.save(out, "JPEG", quality=int(rng.integers(4, 41)))
            else:
                image.save(out, "PNG", compress_level=0)
            yield kind, out.getvalue()


def artefact_vectors(
    embedder: Embedder, count: int = 60, seed: int = 11
) -> tuple[NDArray[np.float32], tuple[str, ...]]:
    """What an embedder says of `artefact_pictures`, at the precision of a catalogue, and the kind of each.

    Args:
        embedder: Prepared.
        count: Pictures of each kind.
        seed: Of the pictures.

    Raises:
        PluginError: The embedder returned something else than a finite vector of its length.
    """
    from genepool.records import Item, Sample
    from genepool.scan import View

    found, kinds = [], []
    for kind, data in artefact_pictures(count, seed):
        view: Any = View(Sample(Item("artefact", "", "artefact"), data), max_pixels=10**7)
        vector = np.asarray(embedder.embed(view), np.float32)
        if vector.shape != (embedder.dim,) or not np.isfinite(vector).all():
            raise PluginError(
                f"embedder {embedder.name}: expected a finite vector of length {embedder.dim} for a picture "
                f"of {kind} noise, found shape {vector.shape}"
            )
        found.append(vector)
        kinds.append(kind)
    return np.array(found).astype(np.float16).astype(np.float32), tuple(kinds)
