"""The classical style descriptor: which colours a picture uses and how its marks are made. No weights.

Four families, all on one small area-averaged copy in CIE Lab (CIE 15:2004, D65):

* colour: moments and correlations of L*, a*, b*, quantiles of lightness and chroma, a hue circle weighted by
  chroma, and a soft 4 × 4 × 4 palette (square roots, so that distances are Hellinger distances);
* marks: first and second differences in four directions on a four-level binomial pyramid
  (Burt & Adelson 1983), compressed by a logarithm, with mean and spread of each channel;
* togetherness: the second-order (Gram) statistics of those channels and the colours on a common coarse grid,
  the classical cousin of the Gram matrices of Gatys et al. 2016 and of the joint statistics of
  Portilla & Simoncelli 2000;
* shape of the distributions: kurtosis, share of flat and of sharp pixels, residual noise at each level.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["DIMENSION", "SHORT_SIDE", "describe"]

SHORT_SIDE = 128
"""Pixels of the short side of the copy that is described."""
LEVELS = 4
_LEAST = 48  # smaller pictures are mirrored up to this size, so that every level of the pyramid exists
_ASPECT = 3  # of longer panoramas the middle is described

# sRGB (IEC 61966-2-1) linear light → XYZ, rows already divided by the D65 white.
_XYZ = np.array(
    [
        [0.4124564 / 0.95047, 0.3575761 / 0.95047, 0.1804375 / 0.95047],
        [0.2126729, 0.7151522, 0.0721750],
        [0.0193339 / 1.08883, 0.1191920 / 1.08883, 0.9503041 / 1.08883],
    ],
    dtype=np.float32,
)
_STEPS = 16384


@functools.cache
def _tables() -> tuple[NDArray[Any], NDArray[Any]]:
    code = np.arange(256) / 255.0
    linear = np.where(code <= 0.04045, code / 12.92, ((code + 0.055) / 1.055) ** 2.4)
    t = np.arange(_STEPS + 1) / _STEPS
    root = np.where(t > (6 / 29) ** 3, np.cbrt(t), t * (29 / 6) ** 2 / 3 + 4 / 29)
    return linear.astype(np.float32), root.astype(np.float32)


def _lab(rgb: NDArray[np.uint8]) -> NDArray[Any]:
    """CIE Lab planes ``(3, height, width)``: L* in 0..100, a* and b* about −100..100."""
    linear, root = _tables()
    light = linear[rgb.reshape(-1, 3).T]
    index = (np.clip(_XYZ @ light, 0.0, 1.0) * _STEPS + 0.5).astype(np.int32)
    fx, fy, fz = root[index]
    planes = np.stack((116.0 * fy - 16.0, 500.0 * (fx - fy), 200.0 * (fy - fz)))
    return planes.reshape(3, *rgb.shape[:2]).astype(np.float32, copy=False)


def _frame(rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The part that is described: at most three times longer than wide, at least 48 pixels each way."""
    height, width = rgb.shape[:2]
    tall, wide = min(height, _ASPECT * max(width, _LEAST)), min(width, _ASPECT * max(height, _LEAST))
    top, left = (height - tall) // 2, (width - wide) // 2
    rgb = rgb[top : top + tall, left : left + wide]
    if min(tall, wide) < _LEAST:
        grow = [(0, max(0, _LEAST - tall)), (0, max(0, _LEAST - wide)), (0, 0)]
        rgb = np.pad(rgb, grow, mode="symmetric")
    return rgb


def _half(plane: NDArray[Any]) -> NDArray[Any]:
    """Binomial blur (1 2 1)/4 both ways, every second pixel, in even-sized output."""
    rows = plane[:, 0:-2:2] + 2.0 * plane[:, 1:-1:2] + plane[:, 2::2]
    out = rows[0:-2:2] + 2.0 * rows[1:-1:2] + rows[2::2]
    halved: NDArray[Any] = out * np.float32(1 / 16)
    return halved


def _differences(plane: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """First and second differences in four directions (0°, 45°, 90°, 135°), each ``(4, h − 2, w − 2)``."""
    centre = 2.0 * plane[1:-1, 1:-1]
    pairs = (
        (plane[1:-1, 2:], plane[1:-1, :-2], 1.0),
        (plane[:-2, 2:], plane[2:, :-2], 0.70710678),
        (plane[2:, 1:-1], plane[:-2, 1:-1], 1.0),
        (plane[2:, 2:], plane[:-2, :-2], 0.70710678),
    )
    first = np.stack([(a - b) * np.float32(0.5 * k) for a, b, k in pairs])
    # A diagonal neighbour is √2 farther away: the second difference scales with the square of the distance.
    second = np.stack([(a + b - centre) * np.float32(k * k) for a, b, k in pairs])
    return first, second


def _pool(maps: NDArray[Any], rows: int, columns: int) -> NDArray[Any]:
    """Means of ``(channels, h, w)`` maps over ``rows × columns`` cells; edges that do not fit are cut."""
    channels, height, width = maps.shape
    dy, dx = height // rows, width // columns
    cut = maps[:, : rows * dy, : columns * dx]
    # reduceat-free: two short reductions are several times faster than one over a 5-D view.
    cut = cut.reshape(channels * rows * dy, columns, dx).mean(axis=2)
    cells: NDArray[Any] = cut.reshape(channels, rows, dy, columns).mean(axis=2)
    return cells


def _colour(lab: NDArray[Any]) -> list[NDArray[Any]]:
    # Every second pixel each way: thousands of colours are enough, at a quarter of the price.
    flat = lab[:, ::2, ::2].reshape(3, -1)
    mean = flat.mean(axis=1)
    centred = flat - mean[:, None]
    # Products and square roots: numpy's general power and hypot cost several times more.
    squares = centred * centred
    spread = np.sqrt(squares.mean(axis=1)) + np.float32(1e-3)
    skew = np.tanh((squares * centred).mean(axis=1) / (2.0 * spread**3))
    relation = (centred @ centred.T / (flat.shape[1] * np.outer(spread, spread)))[np.triu_indices(3, 1)]
    chroma = np.sqrt(flat[1] * flat[1] + flat[2] * flat[2])
    cuts = (0.05, 0.25, 0.5, 0.75, 0.95)
    size = flat.shape[1] - 1
    ranks = [round(c * size) for c in cuts]
    quantiles = [np.partition(x, ranks)[ranks] for x in (flat[0], chroma)]
    angle = np.arctan2(flat[2], flat[1]) * (12.0 / (2.0 * np.pi)) + 12.0
    lower = np.floor(angle)
    part = (angle - lower).astype(np.float32)
    bins = lower.astype(np.int64)
    hue = np.bincount(bins % 12, chroma * (1.0 - part), 12) + np.bincount((bins + 1) % 12, chroma * part, 12)
    hue = np.sqrt(hue / (hue.sum() + flat.shape[1]))
    return [
        mean / np.array([50, 40, 40], np.float32),
        spread / np.array([25, 15, 15], np.float32),
        0.5 * skew,
        0.5 * relation,
        quantiles[0] / 50.0,
        quantiles[1] / 40.0,
        hue,
        _palette(flat),
    ]


def _palette(flat: NDArray[Any]) -> NDArray[Any]:
    """Square roots of a 4 × 4 × 4 histogram with linear sharing between neighbouring cells, length 64."""
    edge = np.array([[100 / 3.0], [26.0], [26.0]], np.float32)
    start = np.array([[0.0], [-39.0], [-39.0]], np.float32)
    place = np.clip((flat - start) / edge, 0.0, 2.9999)
    cell = place.astype(np.int32)
    part = place - cell.astype(np.float32)
    base = cell[0] * 16 + cell[1] * 4 + cell[2]
    near = 1.0 - part
    counts = np.zeros(64)
    for corner in range(8):
        i, j, k = corner >> 2 & 1, corner >> 1 & 1, corner & 1
        weight = (part if i else near)[0] * (part if j else near)[1] * (part if k else near)[2]
        counts += np.bincount(base + (16 * i + 4 * j + k), weight, 64)
    shares: NDArray[Any] = np.sqrt(counts / flat.shape[1])
    return shares


def _shape(first: NDArray[Any], second: NDArray[Any]) -> NDArray[Any]:
    """Five numbers of one level: kurtosis, flat and sharp shares, noise residual, and line against edge."""
    steep = first[0] * first[0] + first[2] * first[2]
    power = float(steep.mean()) + 1e-3
    kurtosis = np.log(float((steep * steep).mean()) / power**2 + 1e-3)
    residual = np.abs(second[0] - second[2]).ravel()
    middle = float(np.partition(residual, residual.size // 2)[residual.size // 2])
    lines = float((second * second).mean())
    return np.array(
        [
            kurtosis / 3.0,
            (steep < 0.5).mean(),
            (steep > 64.0).mean(),
            np.log1p(middle) / 2.0,
            np.log((lines + 1e-2) / (power + 1e-2)) / 3.0,
        ]
    )


def describe(rgb: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The style descriptor of one picture.

    Args:
        rgb: ``(height, width, 3)`` uint8 sRGB, the short side about `SHORT_SIDE` pixels; smaller pictures are
            mirrored, longer panoramas cut to their middle.

    Returns:
        Unit vector of length `DIMENSION`, float32, finite for every input, the same on every machine up to
        floating-point rounding.
    """
    lab = _lab(_frame(rgb))
    parts = _colour(lab)
    plane, pooled = lab[0], []
    coarse = [side >> (LEVELS - 1) for side in lab.shape[1:]]
    rows, columns = max(2, coarse[0] - 3), max(2, coarse[1] - 3)
    for level in range(LEVELS):
        first, second = _differences(plane)
        energy = np.log1p(np.abs(np.concatenate((first, second))))
        parts += [energy.mean(axis=(1, 2)) / 2.0, energy.std(axis=(1, 2)), _shape(first, second)]
        pooled.append(_pool((energy[:4] + energy[4:]) * np.float32(0.5), rows, columns))
        if level < LEVELS - 1:
            plane = _half(plane)
    tint = lab[1:]
    for _ in range(2):
        slopes = np.log1p(np.abs(tint[:, 1:, 1:] - tint[:, :-1, :-1]))
        parts.append(slopes.mean(axis=(1, 2)))
        pooled.append(_pool(slopes.mean(axis=0)[None], rows, columns))
        tint = np.stack([_half(tint[0]), _half(tint[1])])
    pooled.append(_pool(lab, rows, columns) / np.array([25, 15, 15], np.float32)[:, None, None])
    joint = np.concatenate(pooled).reshape(-1, rows * columns)
    joint = joint - joint.mean(axis=1, keepdims=True)
    gram = (joint @ joint.T / joint.shape[1])[np.triu_indices(len(joint))]
    parts.append(0.5 * np.sign(gram) * np.sqrt(np.abs(gram)))
    vector = np.concatenate([np.asarray(p, dtype=np.float64).ravel() for p in parts])
    unit: NDArray[np.float32] = (vector / np.sqrt(vector @ vector)).astype(np.float32)
    return unit


DIMENSION = (
    3 * 3 + 3 + 10 + 12 + 64 + LEVELS * 21 + 2 * 2 + (LEVELS * 4 + 2 + 3) * (LEVELS * 4 + 2 + 3 + 1) // 2
)
"""Length of the descriptor."""
