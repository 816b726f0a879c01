"""Marks from one picture onto another: statistics of a steerable pyramid, band by band.

What a hand does to a surface shows in the joint statistics of oriented bands (Portilla & Simoncelli, IJCV 40
(2000) 49). Each band of the picture keeps its phases, which say where things are, and takes the style's
distribution of magnitudes (the matching of Heeger & Bergen, SIGGRAPH 1995, on magnitudes); across directions
the magnitudes take the style's correlations. Where the picture is flat there is nothing to carry a mark, so a
little of a texture made from seeded noise with the same statistics is laid under it first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from genepool.injection._pyramid import ORIENTATIONS, Pyramid, build, collapse, levels_for

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["MarkStatistics", "match", "padded", "statistics_of"]

_QUANTILES = np.linspace(0.0, 1.0, 257)
_MOST = 3.0
"""A magnitude grows by no more than this factor: what is hardly there is noise."""


class MarkStatistics:
    """Statistics of the marks of one plane, over one or several pictures.

    Attributes:
        magnitudes: One ``(ORIENTATIONS, 257)`` table of magnitude quantiles for each level, finest first.
        relations: One ``(ORIENTATIONS, ORIENTATIONS)`` correlation matrix of magnitudes for each level.
        pixels: ``(257,)`` quantiles of the plane itself.
        high: Spread of what is finer than the finest band.
    """

    def __init__(self, planes: list[NDArray[Any]], levels: int) -> None:
        built = [build(padded(plane, levels), levels) for plane in planes]
        self.levels = levels
        self.magnitudes, self.relations = [], []
        for k in range(levels):
            rows = np.concatenate([np.abs(p.bands[k]).reshape(ORIENTATIONS, -1) for p in built], axis=1)
            self.magnitudes.append(np.quantile(rows, _QUANTILES, axis=1).T)
            self.relations.append(_correlation(rows))
        self.pixels = np.quantile(np.concatenate([plane.ravel() for plane in planes]), _QUANTILES)
        self.high = float(np.mean([p.high.std() for p in built]))


def statistics_of(pictures: list[NDArray[Any]], levels: int) -> list[MarkStatistics]:
    """Statistics of each channel of Lab pictures ``(h, w, 3)``."""
    return [MarkStatistics([picture[..., c] for picture in pictures], levels) for c in range(3)]


def match(
    lab: NDArray[Any],
    style: list[MarkStatistics],
    *,
    strength: float = 1.0,
    ground: float = 0.0,
    seed: int = 0,
    rounds: int = 2,
) -> NDArray[np.float32]:
    """Give a picture the marks of a style.

    Args:
        lab: ``(h, w, 3)``.
        style: As from `statistics_of`, with no more levels than the picture allows.
        strength: 0: as it is; 1: the style's statistics in full.
        ground: Share of each level's spread that seeded texture contributes before matching.
        seed: Of that texture.
        rounds: Bands and pixels are matched in turns, this many times.
    """
    rng = np.random.default_rng(seed)
    out = np.empty(lab.shape, np.float32)
    height, width = lab.shape[:2]
    for c, statistics in enumerate(style):
        plane = np.asarray(lab[..., c], np.float64)
        for turn in range(rounds):
            pyramid = build(padded(plane, statistics.levels), statistics.levels)
            noise = None
            if ground > 0 and turn == 0:
                noise = build(rng.normal(size=pyramid.high.shape), statistics.levels)
            _match_bands(pyramid, statistics, noise, strength, ground)
            plane = collapse(pyramid)[:height, :width]
            plane = (1 - strength) * plane + strength * _quantile_map(plane, statistics.pixels)
        out[..., c] = plane
    return out


def _match_bands(
    pyramid: Pyramid, style: MarkStatistics, noise: Pyramid | None, strength: float, ground: float
) -> None:
    for k, band in enumerate(pyramid.bands):
        if noise is not None:
            spread = style.magnitudes[k].std(axis=1) / np.maximum(
                np.abs(noise.bands[k]).std(axis=(1, 2)), 1e-9
            )
            band = band + ground * spread[:, None, None] * noise.bands[k]
        size = np.abs(band)
        wanted = np.stack(
            [_quantile_map(size[o], style.magnitudes[k][o], _magnitudes(size[o])) for o in range(len(band))]
        )
        wanted = _related(wanted, style.relations[k], style.magnitudes[k])
        gain = np.minimum(wanted / np.maximum(size, 1e-6), _MOST)
        pyramid.bands[k] = band * ((1 - strength) + strength * gain)
    have = float(pyramid.high.std())
    pyramid.high = pyramid.high * ((1 - strength) + strength * min(style.high / max(have, 1e-6), _MOST))


def _magnitudes(size: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.quantile(size, _QUANTILES))


def _quantile_map(
    plane: NDArray[np.float64], target: NDArray[np.float64], own: NDArray[np.float64] | None = None
) -> NDArray[np.float64]:
    own = np.quantile(plane, _QUANTILES) if own is None else own
    rising = own + 1e-9 * np.arange(len(own)) * max(1.0, float(np.ptp(own)))
    return np.asarray(np.interp(plane, rising, target))


def _correlation(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.corrcoef(rows + 1e-12 * np.arange(rows.shape[1])))


def _related(
    size: NDArray[np.float64], relation: NDArray[np.float64], quantiles: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Magnitudes with the style's correlation between directions, and its marginals again."""
    rows = size.reshape(len(size), -1)
    mean, spread = rows.mean(1, keepdims=True), np.maximum(rows.std(1, keepdims=True), 1e-9)
    normal = (rows - mean) / spread
    own = _root(_correlation(rows), -0.5)
    turned = _root(relation, 0.5) @ own @ normal
    wanted = np.maximum(turned * quantiles.std(1)[:, None] + quantiles.mean(1)[:, None], 0.0)
    return np.asarray(wanted.reshape(size.shape))


def _root(matrix: NDArray[np.float64], power: float) -> NDArray[np.float64]:
    values, vectors = np.linalg.eigh((matrix + matrix.T) / 2)
    return np.asarray((vectors * np.maximum(values, 1e-3) ** power) @ vectors.T)


def padded(plane: NDArray[Any], levels: int) -> NDArray[Any]:
    """The plane mirrored on the right and below to a multiple of 2^levels, no edge that is not there."""
    height, width = plane.shape
    step = 2**levels
    return np.pad(plane, ((0, -height % step), (0, -width % step)), mode="symmetric")


def common_levels(pictures: list[NDArray[Any]]) -> int:
    """Levels that all these pictures allow."""
    return min(levels_for(*picture.shape[:2]) for picture in pictures)
