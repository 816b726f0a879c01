"""`StyleDiversityIndex`: the index of a dataset, from its catalogue."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np

from genepool.diversity._duplicates import cluster_weights, near_duplicates
from genepool.diversity._panel import Panel
from genepool.diversity._style import StyleEstimate, style_diversity
from genepool.errors import MeasureError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from genepool.config import Config
    from genepool.store import Catalogue

__all__ = ["StyleDiversityIndex", "duplicate_labels", "style_vectors", "verified_human"]


class StyleDiversityIndex:
    """How many styles a dataset effectively holds: 0 is one, 1 as many as a broad set of human art.

    Noise, artefacts and repetition lower it; only images on the support of a human reference panel, or
    verified human ones, count with a style of their own.

    Args:
        workspace: Where results are kept; None: beside the dataset.
        panel: Reference panel or its file; None: the configured one, else the one in the package.
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
        return Panel.load(self.config.diversity.panel if self._panel is None else self._panel)

    def calculate(self, dataset: Any) -> StyleEstimate:
        """The index of a dataset; it is scanned first if it is not known yet.

        Args:
            dataset: Anything that `genepool.open` takes.

        Returns:
            The index in [0, 1] with its interval: a float that can be compared with a floor.

        Raises:
            SourceError: Nothing to read.
            MeasureError: Fewer than two images, or vectors of another embedder than the panel's.
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
    ) -> StyleEstimate:
        """The index of a catalogue.

        Args:
            catalogue: Live rows of one dataset.
            verified: ``(n,)`` verified human images, in the order of ``catalogue.table()``; None: as settled
                (column ``human`` of ``catalogue.origins()``), nobody where nothing is settled.
            weights: ``(n,)`` multiplicities; None: 1/cluster size of near-duplicates.

        Raises:
            MeasureError: Fewer than two images, or vectors of another embedder than the panel's.
        """
        panel = self.panel
        if catalogue.n < 2:
            raise MeasureError(
                f"index: expected at least two readable images, found {catalogue.n}",
                hint="add images; one image has no diversity",
            )
        vectors, lost = style_vectors(catalogue, panel)
        if verified is None:
            verified = verified_human(catalogue)
        if verified is not None:
            verified = verified & ~lost
        if weights is None:
            weights = cluster_weights(duplicate_labels(catalogue))
        return style_diversity(vectors, panel, verified, weights, self.config.policy.alpha)


def style_vectors(
    catalogue: Catalogue, panel: Panel
) -> tuple[Callable[[], Iterator[NDArray[np.float32]]], NDArray[np.bool_]]:
    """A catalogue's style vectors, to be read as often as needed, and which images have none.

    An image on which the embedder failed gets a place far off the panel's support: it counts, as no style.

    Raises:
        MeasureError: No image has a vector, or some are of another embedder than the panel's.
    """
    names = catalogue.table(["embedder"]).column("embedder").to_pylist()
    lost = np.array([name is None for name in names], bool)
    if lost.all():
        raise MeasureError(
            f"index: expected vectors of {panel.embedder}, found none for {len(names)} images",
            hint="genepool scan PATH --rescan",
        )
    for name in {name for name in names if name is not None}:
        panel.check_embedder(str(name))
    nowhere = (panel.mean + 1e3).astype(np.float32)

    def start() -> Iterator[NDArray[np.float32]]:
        at = 0
        for part in catalogue.vectors("style"):
            gone = lost[at : at + len(part)]
            at += len(part)
            if gone.any():
                part[gone] = nowhere
            yield part

    return start, lost


def verified_human(catalogue: Catalogue) -> NDArray[np.bool_] | None:
    """Which images are settled as verified human, in the catalogue's order; None where nothing is settled."""
    origins = catalogue.origins()
    if origins is None:
        return None
    flags: NDArray[np.bool_] = np.asarray(origins.column("human").to_numpy(zero_copy_only=False), bool)
    if len(flags) != catalogue.n:
        raise MeasureError(
            f"origins of {len(flags)} images beside a catalogue of {catalogue.n}",
            hint="run the check again: genepool check PATH",
        )
    return flags


def duplicate_labels(catalogue: Catalogue) -> NDArray[np.int64]:
    """Near-duplicate clusters of a catalogue's images, in its order."""
    return near_duplicates(catalogue.table(["phash"]).column("phash").to_pylist())
