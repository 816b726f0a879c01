"""What machines leave in pixels: numbers about the noise residual and the spectrum of native crops.

A crop is taken at native scale and never resized, because resizing removes exactly what is looked for. The
residual is what a small binomial blur takes away. Up-sampling layers leave periodic peaks at the frequencies
1/2, 1/4 and 1/8 of the grid and correlated residuals (Durall, Keuper & Keuper, CVPR 2020; Corvi et al.,
ICASSP 2023); the radial spectrum of photographs and paintings falls as a power law, that of generators bends.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["BINS", "CROPS", "NAMES", "crop_side", "crops_of", "describe", "frequencies"]

NAMES = (
    "residual power",
    "spectral slope",
    "high-frequency excess",
    "peaks at 1/2",
    "peaks at 1/4",
    "peaks at 1/8",
    "residual correlation at 1",
    "residual correlation at 1 diagonal",
    "residual correlation at 2",
    "residual kurtosis",
    "residual correlation between colours",
)
"""What `describe` says of a picture, in this order."""
CROPS = 4
BINS = 24
_LARGEST, _SMALLEST = 64, 8
_FLOOR = 1e-2  # of power, in squared grey levels: what rounding to whole levels leaves


def crop_side(short_sides: NDArray[np.int64]) -> int:
    """The largest power of two from 8 to 64 that fits into 95 % of the pictures; 0: none does."""
    if not len(short_sides):
        return 0
    fits = float(np.quantile(short_sides, 0.05))
    side = _LARGEST
    while side > fits:
        side //= 2
    return side if side >= _SMALLEST else 0


def crops_of(pixels: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """Up to four native squares that do not overlap, at fixed places: the middles of a 2 × 2 grid.

    Places do not follow the content: the most textured crop of a smooth set is not that of a rough one.

    Returns:
        ``(k, side, side, 3)``; k = 0 where the picture is too small.
    """
    height, width = pixels.shape[:2]
    if min(height, width) < side:
        return np.zeros((0, side, side, 3), np.uint8)
    rows, columns = (2 if length >= 2 * side else 1 for length in (height, width))
    found = []
    for i in range(rows):
        for j in range(columns):
            top = round((i + 0.5) * height / rows - side / 2)
            left = round((j + 0.5) * width / columns - side / 2)
            top, left = min(max(top, 0), height - side), min(max(left, 0), width - side)
            found.append(pixels[top : top + side, left : left + side])
    return np.stack(found)


def describe(crops: NDArray[np.uint8]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """A picture's numbers, means over its crops.

    Args:
        crops: ``(k, side, side, 3)`` uint8, k ≥ 1, side ≥ 8.

    Returns:
        ``(11,)`` as in `NAMES`, and the ``(24,)`` radial spectrum: log10 of power at `frequencies`.
    """
    colour = crops.astype(np.float64)
    grey = colour @ np.array([0.299, 0.587, 0.114])
    residual = grey - _blurred(grey)
    power = _spectrum(grey)
    log = np.log(power + _FLOOR)
    side = grey.shape[1]
    radius, families = _layout(side)
    rings = _radial(log, side)
    middle = np.exp(rings)
    freq = frequencies()
    band = freq >= 0.1
    axis = np.log(freq[band])
    axis = axis - axis.mean()
    slope = (rings[:, band] * axis).sum(axis=1) / (axis**2).sum()
    high, low = middle[:, freq > 0.35].mean(axis=1), middle[:, (freq > 0.15) & (freq <= 0.35)].mean(axis=1)
    smooth = np.stack([np.interp(radius, freq, ring) for ring in rings]).reshape(log.shape)
    peaks = [(log - smooth)[:, rows, columns].mean(axis=1) for rows, columns in families]
    spread = (residual**2).mean(axis=(1, 2))
    numbers = [
        np.log(spread + _FLOOR),
        slope,
        np.log(high / low),
        *peaks,
        *_correlations(residual, spread),
        np.log((residual**4).mean(axis=(1, 2)) / (spread + _FLOOR) ** 2 + 0.1),
        _between_colours(colour),
    ]
    return np.stack(numbers, axis=1).mean(axis=0), (rings / np.log(10)).mean(axis=0)


def frequencies() -> NDArray[np.float64]:
    """``(24,)`` radial frequencies in cycles per pixel, up to 1/2."""
    centres: NDArray[np.float64] = (np.arange(BINS) + 0.5) / BINS * 0.5
    return centres


def _blurred(planes: NDArray[np.float64]) -> NDArray[np.float64]:
    """(1 4 6 4 1)/16 both ways, mirrored at the edges."""
    for axis in (1, 2):
        padded = np.pad(planes, [(2, 2) if a == axis else (0, 0) for a in range(3)], mode="reflect")
        n = planes.shape[axis]
        parts = [np.take(padded, range(k, k + n), axis=axis) * w for k, w in enumerate((1, 4, 6, 4, 1))]
        planes = sum(parts[1:], parts[0]) / 16.0
    return planes


def _spectrum(grey: NDArray[np.float64]) -> NDArray[np.float64]:
    """Power of Hann-windowed crops, per pixel: white noise of variance σ² has power σ²."""
    side = grey.shape[1]
    window = np.hanning(side + 2)[1:-1]
    window = np.outer(window, window)
    centred = grey - grey.mean(axis=(1, 2), keepdims=True)
    power: NDArray[np.float64] = np.abs(np.fft.fft2(centred * window)) ** 2 / (window**2).sum()
    return power


@functools.cache
def _layout(side: int) -> tuple[NDArray[np.float64], list[tuple[Any, Any]]]:
    """Radial frequency of each bin, and the bins of the grid's harmonics 1/2, 1/4 and 1/8."""
    line = np.fft.fftfreq(side)
    radius = np.hypot(line[:, None], line[None, :])
    families = []
    for part in (2, 4, 8):
        k = side // part
        places = (
            [(k, 0), (0, k), (k, k)] if part == 2 else [(k, 0), (0, k), (-k, 0), (0, -k), (k, k), (-k, k)]
        )
        families.append(([p[0] for p in places], [p[1] for p in places]))
    return radius, families


def _radial(log: NDArray[np.float64], side: int) -> NDArray[np.float64]:
    """``(k, 24)`` mean log power in rings; rings without a bin (small crops) are interpolated."""
    radius, _ = _layout(side)
    ring = np.minimum((radius.ravel() / 0.5 * BINS).astype(int), BINS)
    ring[0] = BINS  # the mean of the crop is no frequency
    counts = np.bincount(ring, minlength=BINS + 1)[:BINS]
    sums = np.stack([np.bincount(ring, row.ravel(), BINS + 1)[:BINS] for row in log])
    known = counts > 0
    freq = frequencies()
    means = sums[:, known] / counts[known]
    return np.stack([np.interp(freq, freq[known], row) for row in means])


def _correlations(residual: NDArray[np.float64], spread: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    """Autocorrelation of the residual one pixel away, one diagonally, and two."""

    def at(dy: int, dx: int) -> NDArray[np.float64]:
        height, width = residual.shape[1:]
        moved = residual[:, dy:, dx:] * residual[:, : height - dy, : width - dx]
        value: NDArray[np.float64] = moved.mean(axis=(1, 2)) / (spread + _FLOOR)
        return value

    return [(at(0, 1) + at(1, 0)) / 2, at(1, 1), (at(0, 2) + at(2, 0)) / 2]


def _between_colours(colour: NDArray[np.float64]) -> NDArray[np.float64]:
    red, green, blue = (colour[..., c] - _blurred(colour[..., c]) for c in range(3))

    def related(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
        scale = np.sqrt((a**2).mean(axis=(1, 2)) * (b**2).mean(axis=(1, 2)))
        value: NDArray[np.float64] = (a * b).mean(axis=(1, 2)) / (scale + _FLOOR)
        return value

    return (related(red, green) + related(green, blue)) / 2
