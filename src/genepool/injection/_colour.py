"""Colour from one picture onto another: three maps in CIE Lab, from a change of mean to optimal transport.

* `reinhard`: mean and spread of each channel (Reinhard et al., IEEE CG&A 21 (2001) 34).
* `gaussian`: the optimal transport between the two Gaussians of colour, the linear Monge–Kantorovich map
  (Pitié & Kokaram, CVMP 2007), by POT.
* `transport`: exact discrete optimal transport between two palettes of sampled colours, by POT, carried to
  every pixel as a smooth displacement (the barycentric map of Ferradans et al., SIAM J. Imaging Sci. 7 (2014)
  1853).
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np

from genepool.errors import MissingExtra

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["from_lab", "gaussian", "reinhard", "to_lab", "transport"]

_PALETTE = 512
_NEAREST = 12
_GRID = 24
# sRGB (IEC 61966-2-1) linear light → XYZ, rows divided by the D65 white.
_XYZ = np.array(
    [
        [0.4124564 / 0.95047, 0.3575761 / 0.95047, 0.1804375 / 0.95047],
        [0.2126729, 0.7151522, 0.0721750],
        [0.0193339 / 1.08883, 0.1191920 / 1.08883, 0.9503041 / 1.08883],
    ]
)
_RGB = np.linalg.inv(_XYZ)
_KNEE = 6 / 29


def to_lab(rgb: NDArray[np.uint8]) -> NDArray[np.float32]:
    """From sRGB ``(h, w, 3)`` uint8 to CIE Lab (CIE 15:2004, D65): L* in 0..100, a* and b* about ±100."""
    code = np.arange(256) / 255.0
    linear = np.where(code <= 0.04045, code / 12.92, ((code + 0.055) / 1.055) ** 2.4)[rgb]
    t = linear @ _XYZ.T
    f = np.where(t > _KNEE**3, np.cbrt(t), t / (3 * _KNEE**2) + 4 / 29)
    lab = np.stack((116 * f[..., 1] - 16, 500 * (f[..., 0] - f[..., 1]), 200 * (f[..., 1] - f[..., 2])), -1)
    return lab.astype(np.float32)


def from_lab(lab: NDArray[Any]) -> NDArray[np.uint8]:
    """CIE Lab ``(h, w, 3)`` → sRGB uint8; what sRGB cannot show is clipped."""
    lab = np.asarray(lab, np.float64)
    fy = (lab[..., 0] + 16) / 116
    f = np.stack((fy + lab[..., 1] / 500, fy, fy - lab[..., 2] / 200), -1)
    linear = np.where(f > _KNEE, f**3, 3 * _KNEE**2 * (f - 4 / 29)) @ _RGB.T
    linear = np.clip(linear, 0.0, 1.0)
    code = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return np.asarray(np.clip(code * 255 + 0.5, 0, 255), np.uint8)


def reinhard(lab: NDArray[Any], style: NDArray[Any]) -> NDArray[np.float32]:
    """Mean and spread of each channel of ``style`` ``(m, 3)`` given to ``lab`` ``(…, 3)``."""
    rows = lab.reshape(-1, 3)
    gain = style.std(0) / np.maximum(rows.std(0), 1e-3)
    moved = (rows - rows.mean(0)) * np.minimum(gain, 4.0) + style.mean(0)
    return np.asarray(moved.reshape(lab.shape), np.float32)


def gaussian(lab: NDArray[Any], style: NDArray[Any]) -> NDArray[np.float32]:
    """Mean and covariance of ``style`` ``(m, 3)`` given to ``lab``, with the least total change of colour.

    Raises:
        MissingExtra: POT is not installed.
    """
    ot = _pot()
    rows = lab.reshape(-1, 3).astype(np.float64)
    own, theirs = (np.cov(x, rowvar=False) + 0.5 * np.eye(3) for x in (rows, style.astype(np.float64)))
    matrix, shift = ot.gaussian.bures_wasserstein_mapping(
        rows.mean(0), np.asarray(style, np.float64).mean(0), own, theirs
    )
    return np.asarray((rows @ matrix + shift).reshape(lab.shape), np.float32)


def transport(lab: NDArray[Any], style: NDArray[Any], *, seed: int = 0) -> NDArray[np.float32]:
    """The palette of ``style`` ``(m, 3)`` given to ``lab`` by exact optimal transport of sampled colours.

    Args:
        lab: ``(h, w, 3)``.
        style: Colours of the target.
        seed: Which colours are sampled.

    Raises:
        MissingExtra: POT is not installed.
    """
    ot = _pot()
    rng = np.random.default_rng(seed)
    rows = lab.reshape(-1, 3).astype(np.float64)
    mine, theirs = (
        x[rng.choice(len(x), min(_PALETTE, len(x)), replace=False)]
        for x in (rows, np.asarray(style, np.float64))
    )
    plan = ot.emd(ot.unif(len(mine)), ot.unif(len(theirs)), ot.dist(mine, theirs), numItermax=1_000_000)
    moved = plan @ theirs * len(mine)
    shift = _smooth(mine, moved - mine, rows)
    return np.asarray((rows + shift).reshape(lab.shape), np.float32)


def _smooth(
    colours: NDArray[np.float64], shifts: NDArray[np.float64], rows: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Displacement of every pixel: that of its neighbourhood of colours; what was smooth stays smooth.

    It is worked out on a grid over the colours in use and interpolated from there: the cost hardly depends on
    the number of pixels.
    """
    from scipy import ndimage
    from scipy.spatial import cKDTree

    low, high = rows.min(0), rows.max(0)
    span = np.maximum(high - low, 1e-3)
    ways = [np.linspace(low[c], low[c] + span[c], _GRID) for c in range(3)]
    knots = np.stack(np.meshgrid(*ways, indexing="ij"), -1).reshape(-1, 3)
    k = min(_NEAREST, len(colours))
    gap, near = cKDTree(colours).query(knots, k=k)
    gap, near = gap.reshape(len(knots), k), near.reshape(len(knots), k)
    weight = np.exp(-2.0 * (gap / np.maximum(gap[:, -1:], 4.0)) ** 2)
    weight /= weight.sum(1, keepdims=True)
    field = np.einsum("nk,nkc->nc", weight, shifts[near]).reshape(_GRID, _GRID, _GRID, 3)
    at = ((rows - low) / span * (_GRID - 1)).T
    return np.stack(
        [ndimage.map_coordinates(field[..., c], at, order=1, mode="nearest") for c in range(3)], -1
    )


def _pot() -> Any:
    # POT imports every array library that it finds (torch alone takes seconds); numpy is all that is needed.
    for name in ("PYTORCH", "JAX", "CUPY", "TENSORFLOW"):
        os.environ.setdefault(f"POT_BACKEND_DISABLE_{name}", "1")
    try:
        import ot
        import ot.gaussian
    except ImportError:
        raise MissingExtra(needs="POT", extra="inject") from None
    return ot
