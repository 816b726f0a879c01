"""A complex steerable pyramid: a picture as marks of several sizes and directions, and back again.

Simoncelli & Freeman (ICIP 1995) in the Fourier domain, with the analytic bands of Portilla & Simoncelli
(IJCV 40 (2000) 49): magnitudes say how strong a mark is, phases where it lies. It is tight: building and
collapsing gives the picture back.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["ORIENTATIONS", "Pyramid", "build", "collapse", "levels_for"]

ORIENTATIONS = 4
_SMALLEST = 24


@dataclass(slots=True)
class Pyramid:
    """One plane taken apart.

    Attributes:
        high: ``(h, w)`` what is finer than the finest band.
        bands: Finest first; each ``(ORIENTATIONS, h / 2^k, w / 2^k)`` complex.
        low: What is coarser than the coarsest band.
    """

    high: NDArray[np.float64]
    bands: list[NDArray[np.complex128]]
    low: NDArray[np.float64]


def levels_for(height: int, width: int) -> int:
    """Levels of a picture of this size: the coarsest keeps 24 pixels."""
    return max(1, min(5, int(math.log2(max(1.0, min(height, width) / _SMALLEST)))))


@lru_cache(maxsize=32)
def _grid(height: int, width: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    fy = np.fft.fftfreq(height)[:, None] * 2
    fx = np.fft.fftfreq(width)[None, :] * 2
    radius = np.hypot(fy, fx)
    radius[0, 0] = 1e-12
    return np.log2(radius), np.arctan2(fy, fx)


def _edge(log_radius: NDArray[np.float64], at: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Low- and high-pass with a raised-cosine edge one octave wide that ends at 2^at of the Nyquist rate."""
    t = np.clip(log_radius - at + 1.0, 0.0, 1.0) * (math.pi / 2)
    return np.cos(t), np.sin(t)


@lru_cache(maxsize=32)
def _fans(height: int, width: int) -> NDArray[np.float64]:
    """Angular windows; their squares, together with those of the opposite direction, sum to 1."""
    angle = _grid(height, width)[1]
    order = ORIENTATIONS - 1
    scale = 2 ** (2 * order) * math.factorial(order) ** 2 / (ORIENTATIONS * math.factorial(2 * order))
    fans = []
    for k in range(ORIENTATIONS):
        turn = np.mod(angle - math.pi * k / ORIENTATIONS + math.pi, 2 * math.pi) - math.pi
        fans.append(np.where(np.abs(turn) < math.pi / 2, math.sqrt(scale) * np.cos(turn) ** order, 0.0))
    return np.stack(fans)


def _halved(spectrum: NDArray[Any]) -> NDArray[Any]:
    """The lower half of the frequencies each way: the plane at half its size."""
    height, width = spectrum.shape[-2:]
    rows = np.r_[0 : height // 4, height - height // 4 : height]
    columns = np.r_[0 : width // 4, width - width // 4 : width]
    return np.asarray(spectrum[..., rows[:, None], columns[None, :]] / 4)


def _doubled(spectrum: NDArray[Any], shape: tuple[int, int]) -> NDArray[Any]:
    height, width = shape
    rows = np.r_[0 : height // 4, height - height // 4 : height]
    columns = np.r_[0 : width // 4, width - width // 4 : width]
    out = np.zeros(shape, spectrum.dtype)
    out[rows[:, None], columns[None, :]] = spectrum * 4
    return out


def build(plane: NDArray[Any], levels: int) -> Pyramid:
    """Take a plane apart.

    Args:
        plane: ``(h, w)``, both divisible by 2^levels.
        levels: Sizes of marks, at least 1.
    """
    spectrum = np.fft.fft2(np.asarray(plane, np.float64))
    low, high = _edge(_grid(*spectrum.shape)[0], 0.0)
    residue = np.fft.ifft2(spectrum * high).real
    spectrum = spectrum * low
    bands = []
    for _ in range(levels):
        shape = spectrum.shape
        low, high = _edge(_grid(*shape)[0], -1.0)
        # Twice one half-plane is the analytic signal of the real band.
        bands.append(np.fft.ifft2(2.0 * spectrum * high * _fans(*shape)))
        spectrum = _halved(spectrum * low)
    return Pyramid(residue, bands, np.fft.ifft2(spectrum).real)


def collapse(pyramid: Pyramid) -> NDArray[np.float64]:
    """Put a plane together again."""
    spectrum = np.fft.fft2(pyramid.low)
    for band in reversed(pyramid.bands):
        shape = (band.shape[1], band.shape[2])
        low, high = _edge(_grid(*shape)[0], -1.0)
        # The real part of an analytic band holds both directions again; the window is even up to its sign.
        fans = _fans(*shape)
        both = fans + np.roll(fans[:, ::-1, ::-1], 1, axis=(1, 2))
        marks = (np.fft.fft2(band.real) * both).sum(0) * high
        spectrum = _doubled(spectrum, shape) * low + marks
    low, high = _edge(_grid(*spectrum.shape)[0], 0.0)
    return np.asarray(np.fft.ifft2(spectrum * low + np.fft.fft2(pyramid.high) * high).real)
