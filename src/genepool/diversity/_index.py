"""`StyleDiversityIndex`: the index of a dataset, from its catalogue."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np

from genepool.diversity._catalogue import catalogue_copies, style_vectors, verified_human
from genepool.diversity._panel import Panel
from genepool.diversity._style import LEAST, StyleEstimate, style_diversity
from genepool.errors import MeasureError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from genepool.config import Config
    from genepool.diversity._copies import Copies
    from genepool.store import Catalogue

__all__ = ["StyleDiversityIndex", "distinct_weights"]


class StyleDiversityIndex:
    """How many styles a dataset effectively holds: 0 is one, 1 as many as a broad set of human art.

    Noise, artefacts and repetition lower it; only images on the support of a human reference panel, or
    verified human ones, count with a style of their own.

    Args:
        workspace: Where results are kept; None: beside the dataset.
        panel: Reference panel or its file; None: the configured one, else the packaged one that fits the
            configured embedder.
        config: Settings; None: ``genepool.toml`` of the current folder, else the defaults.
    """

    def __init__(
        self,
        workspace: str | Path | None = None,
        *,
        panel: Panel | str | os.PathLike[str] | None = None,
        config: Config | None = None,
    ) -> None:
        self.workspace = workspace
        self._panel = panel
        self._config = config

    @property
    def config(self) -> Config:
        """The settings in force.

        Raises:
            ConfigError: ``genepool.toml`` of the current folder is not valid.
        """
        from genepool.config import load

        return self._config or load()

    @property
    def panel(self) -> Panel:
        """The reference in force.

        Raises:
            MeasureError: No such panel, or it is damaged.
        """
        if isinstance(self._panel, Panel):
            return self._panel
        chosen = self.config.diversity
        return Panel.load(chosen.panel if self._panel is None else self._panel, chosen.embedder)

    def calculate(self, dataset: Any) -> StyleEstimate:
        """The index of a dataset; it is scanned first if it is not known yet.

        Args:
            dataset: Anything that `genepool.open` takes.

        Returns:
            The index in [0, 1] with its interval: a float that can be compared with a floor.

        Raises:
            SourceError: Nothing to read.
            MeasureError: Fewer than three different images, or vectors of another embedder than the panel's.
        """
        from genepool import dataset as datasets
        from genepool import scan, store

        opened = datasets.open(dataset)
        place = store.workspace_for(opened, self.workspace)
        return self.measure(scan.scan(opened, place, config=self.config))

    def measure(
        self,
        catalogue: Catalogue,
        verified: NDArray[np.bool_] | None = None,
        weights: NDArray[np.float64] | None = None,
        groups: Sequence[str] | None = None,
    ) -> StyleEstimate:
        """The index of a catalogue.

        Args:
            catalogue: Live rows of one dataset.
            verified: ``(n,)`` verified human images, in the order of ``catalogue.table()``; None: as settled
                (column ``human`` of ``catalogue.origins()``), nobody where nothing is settled.
            weights: ``(n,)`` multiplicities; None: 1/cluster size of copies.
            groups: ``(n,)`` artists or shards; given, the interval is over whole groups (`style_diversity`).

        Raises:
            MeasureError: Fewer than three different images, or vectors of another embedder than the panel's.
        """
        panel = self.panel
        if catalogue.n < LEAST:
            raise MeasureError(
                f"index: expected at least three readable images, found {catalogue.n}",
                hint="add images; one image has no diversity, and two have no interval",
            )
        vectors, lost = style_vectors(catalogue, panel)
        if verified is None:
            verified = verified_human(catalogue)
        if verified is not None:
            verified = verified & ~lost
        if weights is None:
            weights = distinct_weights(catalogue_copies(catalogue, verified, config=self.config))
        return style_diversity(vectors, panel, verified, weights, self.config.policy.alpha, groups)


def distinct_weights(copies: Copies) -> NDArray[np.float64]:
    """1/cluster size of each image.

    Raises:
        MeasureError: Fewer than three clusters: nearly everything is a copy.
    """
    n = len(copies.labels)
    if n and (different := int(copies.labels.max()) + 1) < LEAST:
        raise MeasureError(
            f"index: expected at least three different images, found {different} and {n - different} copies",
            hint="add other images; copies of a picture count as one",
        )
    return copies.weights
