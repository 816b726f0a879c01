"""The space in which generations are compared: the reference's main directions, at unit variance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from genepool.errors import MeasureError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from genepool.degradation._sets import SampleSet
    from genepool.diversity import FeatureAtlas, Panel

__all__ = ["FEWEST_REFERENCE", "Space"]

FEWEST_REFERENCE = 60
"""Reference pictures that are needed at least: a third of them is held out."""
DIRECTIONS = 16
"""As many as the packaged panel has; fewer where the reference has under 160 pictures."""
_PROTOTYPES = 1024
_SHARE = 0.35  # of the median distance: the packaged panel's bandwidth
_BROAD = 0.89  # the index that the reference itself reads, by construction as in the packaged panel


@dataclass(frozen=True, slots=True, eq=False)
class Space:
    """What generations are measured against.

    Two thirds of the reference are the yardstick; the held-out third says what human work itself scores.

    Attributes:
        panel: A panel made of the reference alone: whitening, support, kernel, scale of the index.
        atlas: Prototypes for feature retention.
        yardstick: ``(a, d)`` whitened vectors of the two thirds.
        held_out: The rest, as a set.
        artefacts: ``(a, 11)`` artefact numbers of the two thirds; None: vectors were given.
    """

    panel: Panel
    atlas: FeatureAtlas
    yardstick: NDArray[np.float64]
    held_out: SampleSet
    reference: SampleSet
    artefacts: NDArray[np.float64] | None

    @classmethod
    def of(cls, reference: SampleSet, seed: int) -> Space:
        """From the reference's pictures.

        Raises:
            MeasureError: Fewer than 60, or all alike.
        """
        if reference.n < FEWEST_REFERENCE:
            raise MeasureError(
                f"degradation: {reference.name}: expected at least {FEWEST_REFERENCE} reference pictures, "
                f"found {reference.n}",
                hint=f"add {FEWEST_REFERENCE - reference.n} more human pictures",
            )
        from genepool.diversity import FeatureAtlas

        # The atlas holds every third row out, and so does the rest: the order must not mean anything.
        mixed = reference.part(np.random.default_rng(seed).permutation(reference.n), reference.name)
        held = np.arange(mixed.n) % 3 == 2
        panel = _panel(mixed.vectors, ~held, seed)
        return cls(
            panel,
            FeatureAtlas(mixed.vectors, panel, seed=seed),
            panel.whiten(mixed.vectors[~held]),
            mixed.part(held, "held-out reference"),
            mixed,
            None if mixed.artefacts is None else mixed.artefacts[~held],
        )


def _panel(vectors: NDArray[np.float64], kept: NDArray[np.bool_], seed: int) -> Panel:
    """A panel of the reference: its kept part gives directions and support, all of it the scale."""
    from genepool.diversity import Panel, StyleState

    base = vectors[kept]
    mean = base.mean(axis=0)
    values, axes = np.linalg.eigh(np.cov(base - mean, rowvar=False).reshape(base.shape[1], -1))
    count = min(DIRECTIONS, max(2, len(vectors) // 10), base.shape[1])
    values, axes = values[::-1][:count], axes[:, ::-1][:, :count]
    known = values > 1e-12 * max(float(values[0]), 1e-300)
    if not values[0] > 1e-12 or not known.any():
        raise MeasureError(
            "degradation: the reference's pictures are all alike", hint="give a reference with some variety"
        )
    projection = axes[:, known] / np.sqrt(values[known])
    # Eigenvectors are known up to sign: the largest entry of each is made positive.
    projection *= np.sign(projection[np.abs(projection).argmax(axis=0), range(projection.shape[1])])
    points = (base - mean) @ projection
    gaps = _gaps(points)
    reach = float(np.sqrt(np.quantile(gaps.min(axis=1), 0.95)))
    median = float(np.sqrt(np.median(gaps[np.isfinite(gaps)])))
    thinned = points[np.linspace(0, len(points) - 1, min(len(points), _PROTOTYPES)).astype(int)]
    frequencies = np.random.default_rng(seed).standard_normal((256, points.shape[1]))
    facts = {
        "mean": mean,
        "projection": projection,
        "prototypes": thinned,
        "shares": np.full(len(thinned), 1.0 / len(thinned)),
        "radii": np.full(len(thinned), max(reach, 1e-9)),
        "reach": max(reach, 1e-9),
        "frequencies": frequencies,
        "bandwidth": max(_SHARE * median, 1e-9),
    }
    draft = Panel(name="the reference", embedder="reference", reference=2.0, **facts)
    state = StyleState(draft)
    state.update(vectors)
    pairs = len(vectors) * (len(vectors) - 1.0)
    styles = 1.0 / max(state.purity(), 1.0 / pairs)
    return Panel(
        name="the reference", embedder="reference", reference=max(styles ** (1 / _BROAD), 1.0 + 1e-6), **facts
    )


def _gaps(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Squared distances between different points; infinite on the diagonal."""
    square = (points**2).sum(axis=1)
    gaps: NDArray[np.float64] = np.clip(square[:, None] + square[None, :] - 2.0 * points @ points.T, 0, None)
    np.fill_diagonal(gaps, np.inf)
    return gaps
