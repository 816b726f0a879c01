"""Density and coverage, precision and recall: whose neighbourhood do a set's images fall into?"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from genepool.diversity._kernel import thinned
from genepool.errors import MeasureError
from genepool.records import Estimate

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Neighbourhood", "neighbourhood"]

MOST = 20_000
_BLOCK = 256
_SPARE = 4  # neighbours beyond the k-th that are measured exactly as well
_ROUNDING = 2e-6  # relative error of a squared distance in single precision, with room to spare

_METHODS = {
    "precision": "share of images within the {k}-th neighbour distance of a reference image (Kynkäänniemi et "
    "al. 2019); jackknife",
    "recall": "share of reference images within the {k}-th neighbour distance of an image (Kynkäänniemi et "
    "al. 2019), which noise raises; jackknife",
    "density": "reference neighbourhoods around an image, over {k} (Naeem et al. 2020); jackknife",
    "coverage": "share of reference images with an image within their {k}-th neighbour distance (Naeem et "
    "al. 2020); jackknife",
}


@dataclass(frozen=True, slots=True)
class Neighbourhood:
    """A set seen from a reference, each number with its interval.

    Attributes:
        precision: Share of the images that lie in some reference neighbourhood, [0, 1].
        recall: Share of the reference that lies in some neighbourhood of the images, [0, 1]. It rises with
            noise.
        density: How many reference neighbourhoods an image lies in, over k; 1 for a fresh sample.
        coverage: Share of the reference's neighbourhoods that hold an image, [0, 1].
    """

    precision: Estimate
    recall: Estimate
    density: Estimate
    coverage: Estimate

    def to_json(self) -> dict[str, Any]:
        """Each number as `Estimate.to_json`."""
        return {
            name: getattr(self, name).to_json() for name in ("precision", "recall", "density", "coverage")
        }


def neighbourhood(features: Any, reference: Any, k: int = 5, *, alpha: float = 0.05) -> Neighbourhood:
    """Precision, recall, density and coverage, with the values of the ``prdc`` package and intervals.

    Distances are computed in single precision, and again in double where that could change an answer.
    Intervals: the delete-one jackknife over both sets, neighbourhoods held fixed. O(n m d) time, memory for
    a few rows of distances.

    Args:
        features: ``(n, d)`` array, batches, or a function that returns batches; of more than 20,000 rows that
            many at even distances are used.
        reference: The same of the reference.
        k: Which neighbour's distance is a neighbourhood's radius.
        alpha: 1 − confidence.

    Raises:
        MeasureError: Not more than k + 1 rows on a side, NaN, widths that differ.
    """
    from scipy.special import ndtri

    y, x = thinned(features, MOST), thinned(reference, MOST)
    if k < 1 or min(len(x), len(y)) < k + 2:
        raise MeasureError(
            f"density and coverage: expected k ≥ 1 and at least {max(1, k) + 2} images on each side, "
            f"found k = {k}, {len(y)} images and a reference of {len(x)}",
            hint="add images, or choose a smaller k",
        )
    if x.shape[1] != y.shape[1]:
        raise MeasureError(f"density and coverage: widths {y.shape[1]} and {x.shape[1]} cannot be compared")
    middle = x.mean(axis=0)
    x, y = x - middle, y - middle
    of, around = _radii(x, k), _radii(y, k)
    inside, within = _Hits(len(x), len(y)), _Hits(len(y), len(x))
    for at, apart, exact in _pairs(x, y):
        rows = slice(at, at + len(apart))
        inside.add(rows, _below(apart, of[rows, None], exact))
        within.add_columns(rows, _below(apart, around[None, :], exact))
    quantile = float(ndtri(1.0 - alpha / 2.0))

    def made(name: str, value: float, variance: float, top: float = 1.0) -> Estimate:
        reach = quantile * math.sqrt(variance)
        ends = max(0.0, value - reach), min(top, value + reach)
        return Estimate(value, *ends, len(y), _METHODS[name].format(k=k), alpha)

    density = inside.by_column / k
    spread = density.var(ddof=1) / len(y) + (inside.by_row * (len(x) / (k * len(y)))).var(ddof=1) / len(x)
    return Neighbourhood(
        made("precision", *inside.reached_columns()),
        made("recall", *within.reached_columns()),
        made("density", float(density.mean()), float(spread), math.inf),
        made("coverage", *inside.reached_rows()),
    )


class _Hits:
    """Which row's neighbourhood holds which column: counts both ways, and who was the only one."""

    def __init__(self, rows: int, columns: int) -> None:
        self.by_row = np.zeros(rows, np.int64)
        self.by_column = np.zeros(columns, np.int64)
        self.row_of = np.zeros(
            columns, np.int64
        )  # sum of the rows that hold a column: the row, when there is one
        self.column_of = np.zeros(rows, np.int64)

    def add(self, rows: slice, hit: NDArray[np.bool_]) -> None:
        i, j = np.nonzero(hit)
        i = i + rows.start
        self.by_row += np.bincount(i, minlength=len(self.by_row))
        self.by_column += np.bincount(j, minlength=len(self.by_column))
        np.add.at(self.row_of, j, i)
        np.add.at(self.column_of, i, j)

    def add_columns(self, columns: slice, hit: NDArray[np.bool_]) -> None:
        """The same where ``hit`` holds a stretch of the columns, one in each of its rows."""
        j, i = np.nonzero(hit)
        j = j + columns.start
        self.by_row += np.bincount(i, minlength=len(self.by_row))
        self.by_column += np.bincount(j, minlength=len(self.by_column))
        np.add.at(self.row_of, j, i)
        np.add.at(self.column_of, i, j)

    def reached_columns(self) -> tuple[float, float]:
        """Share of the columns that some row holds, and its variance over both sets."""
        return _reached(self.by_column, self.row_of, len(self.by_row))

    def reached_rows(self) -> tuple[float, float]:
        """Share of the rows that hold some column, and its variance over both sets."""
        return _reached(self.by_row, self.column_of, len(self.by_column))


def _reached(count: NDArray[np.int64], only: NDArray[np.int64], others: int) -> tuple[float, float]:
    share = float((count > 0).mean())
    own = share * (1.0 - share) / len(count)
    # Without one of the others, those are lost that it alone reached.
    lost = np.bincount(only[count == 1], minlength=others) / len(count)
    return share, own + float(((lost - lost.mean()) ** 2).sum()) * (others - 1) / others


def _pairs(x: NDArray[np.float64], y: NDArray[np.float64]) -> Any:
    """Squared distances of 256 rows at a time to all of ``y``, and a function for exact ones."""
    low, other = x.astype(np.float32), y.astype(np.float32)
    squares = np.einsum("nd,nd->n", other, other)
    for at in range(0, len(x), _BLOCK):
        part = low[at : at + _BLOCK]
        apart = part @ other.T
        apart *= -2.0
        apart += squares
        apart += np.einsum("nd,nd->n", part, part)[:, None]

        def exact(i: Any, j: Any, at: int = at) -> NDArray[np.float64]:
            gap = x[at + i] - y[j]
            found: NDArray[np.float64] = np.einsum("nd,nd->n", gap, gap)
            return found

        yield at, apart, (exact, _ROUNDING * float(squares.max() + (part**2).sum(axis=1).max()))


def _below(apart: NDArray[np.float32], radius: NDArray[np.float64], check: Any) -> NDArray[np.bool_]:
    """Squared distances strictly below squared radii; what rounding could turn is measured exactly."""
    exact, rounding = check
    # One pass decides nearly all; the few pairs in a thin shell around the radius are measured again.
    hit: NDArray[np.bool_] = apart < (radius + rounding).astype(np.float32)
    i, j = np.nonzero(hit)
    near = apart[i, j] >= np.broadcast_to(radius - rounding, apart.shape)[i, j]
    i, j = i[near], j[near]
    hit[i, j] = exact(i, j) < np.broadcast_to(radius, apart.shape)[i, j]
    return hit


def _radii(x: NDArray[np.float64], k: int) -> NDArray[np.float64]:
    """Squared distance of each row to its k-th neighbour in the same set."""
    found = np.empty(len(x))
    few = min(len(x) - 1, k + _SPARE)
    for at, apart, (exact, rounding) in _pairs(x, x):
        rows = np.arange(len(apart))
        apart[rows, at + rows] = np.inf  # not its own neighbour
        near = np.argpartition(apart, few - 1, axis=1)[:, :few]
        gaps = exact(np.repeat(rows, few), near.reshape(-1)).reshape(-1, few)
        gaps.sort(axis=1)
        found[at : at + len(apart)] = gaps[:, k - 1]
        if few < len(x) - 1:
            # A neighbour that rounding kept out of the few cannot be nearer than the farthest of them by
            # much.
            edge = np.take_along_axis(apart, near, 1).max(axis=1)
            for row in np.flatnonzero(gaps[:, k - 1] > edge - 2 * rounding):
                every = exact(np.full(len(x), row), np.arange(len(x)))
                every[at + row] = np.inf
                found[at + row] = np.partition(every, k - 1)[k - 1]
    return found
