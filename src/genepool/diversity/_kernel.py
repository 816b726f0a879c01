"""Kernel distance (KID): unbiased squared maximum mean discrepancy with the cubic kernel."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from genepool.diversity._batches import batches
from genepool.errors import MeasureError
from genepool.records import Estimate

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["kernel_distance", "thinned"]

MOST = 10_000
_BLOCK = 512
_LEAST = 10
METHOD = (
    "unbiased squared MMD (Gretton et al. 2012) with the kernel (x·y/d + 1)³ of KID (Bińkowski et al. 2018) "
    "over {n} and {m} images; U-statistic interval"
)


def kernel_distance(features: Any, reference: Any, *, alpha: float = 0.05) -> Estimate:
    """The unbiased squared MMD of KID between a set and a reference; 0 on average when they are alike.

    What torch-fidelity computes on one of its subsets, here on all images at once (of more than 10,000, on
    that many at even distances), which needs no drawing of lots. O(n²d) time, O(n d) memory.

    Args:
        features: ``(n, d)`` array, batches, or a function that returns batches.
        reference: The same of the reference.
        alpha: 1 − confidence.

    Raises:
        MeasureError: Fewer than 10 rows on a side (no interval), NaN, widths that differ.
    """
    from scipy.special import ndtri

    x, y = thinned(features, MOST), thinned(reference, MOST)
    n, m = len(x), len(y)
    if min(n, m) < _LEAST:
        raise MeasureError(
            f"kernel distance: expected at least {_LEAST} images on each side, found {n} and {m}",
            hint="add images",
        )
    if x.shape[1] != y.shape[1]:
        raise MeasureError(f"kernel distance: widths {x.shape[1]} and {y.shape[1]} cannot be compared")
    xx, yy = _others(x), _others(y)
    xy, yx = _across(x, y)
    value = float(xx.mean() + yy.mean() - 2.0 * xy.mean())
    error = 2.0 * math.sqrt((xx - xy).var(ddof=1) / n + (yy - yx).var(ddof=1) / m)
    reach = float(ndtri(1.0 - alpha / 2.0)) * error
    return Estimate(value, value - reach, value + reach, n, METHOD.format(n=n, m=m), alpha)


def thinned(features: Any, most: int) -> NDArray[np.float64]:
    """All rows, or ``most`` of them at even distances, as one ``(n, d)`` float64 array.

    Raises:
        MeasureError: None at all, NaN or infinity.
    """
    start = batches(features)
    total = sum(len(part) for part in start())
    if not total:
        raise MeasureError("features: expected at least one row, found none")
    wanted = np.unique(np.linspace(0, total - 1, min(total, most)).astype(np.int64))
    rows, at = [], 0
    for part in start():
        low, high = np.searchsorted(wanted, (at, at + len(part)))
        rows.append(np.asarray(part[wanted[low:high] - at], np.float64))
        at += len(part)
    found: NDArray[np.float64] = np.concatenate(rows)
    bad = ~np.isfinite(found).all(axis=1)
    if bad.any():
        raise MeasureError(
            f"features: {int(bad.sum())} of {len(found)} rows hold NaN or infinity, "
            f"first row {int(wanted[bad.argmax()])}",
            hint="leave those rows out, with a reason",
        )
    return found


def _cubic(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    k = x @ y.T
    k /= x.shape[1]
    k += 1.0
    cubed: NDArray[np.float64] = k * k
    cubed *= k
    return cubed


def _others(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Each row's mean kernel to the other rows of its set."""
    own = (np.einsum("nd,nd->n", x, x) / x.shape[1] + 1.0) ** 3
    sums = np.concatenate([_cubic(x[at : at + _BLOCK], x).sum(axis=1) for at in range(0, len(x), _BLOCK)])
    means: NDArray[np.float64] = (sums - own) / (len(x) - 1)
    return means


def _across(
    x: NDArray[np.float64], y: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Each row's mean kernel to the rows of the other set, for both sets."""
    rows, columns = [], np.zeros(len(y))
    for at in range(0, len(x), _BLOCK):
        k = _cubic(x[at : at + _BLOCK], y)
        rows.append(k.mean(axis=1))
        columns += k.sum(axis=0)
    return np.concatenate(rows), columns / len(x)
