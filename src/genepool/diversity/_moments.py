"""Fréchet distance: how far mean and covariance of a set are from a reference's; one pass, mergeable."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from genepool.diversity._batches import batches
from genepool.errors import MeasureError
from genepool.records import Estimate

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["FrechetEstimate", "MomentState", "frechet_distance"]

BLOCKS = 32
METHOD = (
    "Fréchet distance of two Gaussians (Dowson & Landau 1982; Heusel et al. 2017), biased upwards by about "
    "the floor; interval from the influence of {blocks} blocks on each side"
)


class FrechetEstimate(Estimate):
    """A Fréchet distance, in squared units of the features.

    Attributes:
        floor: What two samples of these sizes out of one and the same Gaussian read on average.
    """

    __slots__ = ("floor",)

    floor: float

    @classmethod
    def build(cls, base: tuple[float, float, float, int, str, float], floor: float) -> FrechetEstimate:
        """From the arguments of `Estimate` and the floor."""
        self = cls(*base)
        self.floor = float(floor)
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return FrechetEstimate.build, (self.__getnewargs__(), self.floor)

    def to_json(self) -> dict[str, Any]:
        """The estimate with its floor."""
        return {**super().to_json(), "floor": self.floor}


class MomentState:
    """Count, sum and second moments of features in 32 blocks, so that an interval needs no second pass.

    Rows go to the blocks in turn; states of parts add up block by block. O(n d²) time, 32 d² numbers.

    Args:
        dim: Width of the features.
    """

    def __init__(self, dim: int) -> None:
        self.counts: NDArray[np.float64] = np.zeros(BLOCKS)
        self.sums: NDArray[np.float64] = np.zeros((BLOCKS, dim))
        self.seconds: NDArray[np.float64] = np.zeros((BLOCKS, dim, dim))

    @property
    def n(self) -> int:
        """Rows seen."""
        return int(self.counts.sum())

    def update(self, features: NDArray[Any]) -> None:
        """Add ``(k, d)`` features.

        Raises:
            MeasureError: NaN or infinity, another width.
        """
        x = np.asarray(features, np.float64)
        if x.ndim != 2 or x.shape[1] != self.sums.shape[1]:
            raise MeasureError(f"features: expected shape (n, {self.sums.shape[1]}), found {x.shape}")
        bad = ~np.isfinite(x).all(axis=1)
        if bad.any():
            raise MeasureError(
                f"features: {int(bad.sum())} of {len(x)} rows hold NaN or infinity, "
                f"first row {int(bad.argmax())}",
                hint="leave those rows out, with a reason",
            )
        start = self.n
        for block in range(BLOCKS):
            part = x[(block - start) % BLOCKS :: BLOCKS]
            if len(part):
                self.counts[block] += len(part)
                self.sums[block] += part.sum(axis=0)
                self.seconds[block] += part.T @ part

    def merge(self, other: MomentState) -> MomentState:
        """Add another part's state to this one and return it.

        Raises:
            MeasureError: The widths differ.
        """
        if self.sums.shape != other.sums.shape:
            raise MeasureError(
                f"Fréchet: widths {self.sums.shape[1]} and {other.sums.shape[1]} cannot be merged"
            )
        self.counts += other.counts
        self.sums += other.sums
        self.seconds += other.seconds
        return self

    def mean(self) -> NDArray[np.float64]:
        """``(d,)`` mean."""
        mean: NDArray[np.float64] = self.sums.sum(axis=0) / self.n
        return mean

    def covariance(self) -> NDArray[np.float64]:
        """``(d, d)`` sample covariance (divisor n − 1, as ``numpy.cov``)."""
        mean = self.mean()
        centred: NDArray[np.float64] = (self.seconds.sum(axis=0) - self.n * np.outer(mean, mean)) / (
            self.n - 1
        )
        return centred


def frechet_distance(features: Any, reference: Any, *, alpha: float = 0.05) -> FrechetEstimate:
    """|μ₁ − μ₂|² + tr(Σ₁ + Σ₂ − 2 (Σ₁Σ₂)^½), the distance behind FID, on any features.

    The value is the ordinary one, as torch-fidelity computes it. It is biased upwards at small n: compare
    sets of equal size, and with `FrechetEstimate.floor`.

    Args:
        features: ``(n, d)`` array, batches, a function that returns batches, or a `MomentState`.
        reference: The same of the reference.
        alpha: 1 − confidence.

    Raises:
        MeasureError: Fewer than 32 rows on a side (no interval), NaN, widths that differ.
    """
    from scipy.special import stdtrit

    a, b = _state(features), _state(reference)
    if min(a.n, b.n) < BLOCKS:
        raise MeasureError(
            f"Fréchet: expected at least {BLOCKS} images on each side for an interval, found {a.n} and {b.n}",
            hint="add images, or look at the style diversity index, which needs fewer",
        )
    if a.sums.shape != b.sums.shape:
        raise MeasureError(f"Fréchet: widths {a.sums.shape[1]} and {b.sums.shape[1]} cannot be compared")
    gap = a.mean() - b.mean()
    one, two = a.covariance(), b.covariance()
    root, inverse = _root(one)
    middle = root @ two @ root
    cross = np.sqrt(np.clip(np.linalg.eigvalsh((middle + middle.T) / 2), 0.0, None)).sum()
    value = max(0.0, float(gap @ gap + np.trace(one) + np.trace(two) - 2.0 * cross))
    # The transport map T from the first Gaussian to the second gives both gradients: I − T and I − T⁻¹.
    forth, back = _maps(root, inverse, middle)
    error = math.sqrt(_influence(a, 2.0 * gap, forth) + _influence(b, -2.0 * gap, back))
    reach = float(stdtrit(BLOCKS - 1, 1.0 - alpha / 2.0)) * error
    method = METHOD.format(blocks=BLOCKS)
    base = (value, max(0.0, value - reach), value + reach, a.n, method, alpha)
    pooled = (one * a.n + two * b.n) / (a.n + b.n)
    return FrechetEstimate.build(base, _floor(pooled, a.n, b.n))


def _state(features: Any) -> MomentState:
    if isinstance(features, MomentState):
        return features
    start = batches(features)
    first = next(start(), None)
    if first is None:
        raise MeasureError(f"Fréchet: expected at least {BLOCKS} images, found none")
    state = MomentState(first.shape[1])
    for part in start():
        state.update(part)
    return state


def _root(covariance: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Symmetric square root and its pseudo-inverse."""
    values, vectors = np.linalg.eigh(covariance)
    strong = values > values[-1] * 1e-10
    roots = np.sqrt(np.where(strong, values, 0.0))
    inverse = np.where(strong, 1.0 / np.where(strong, roots, 1.0), 0.0)
    return (vectors * roots) @ vectors.T, (vectors * inverse) @ vectors.T


def _maps(
    root: NDArray[np.float64], inverse: NDArray[np.float64], middle: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    cross, crossed = _root((middle + middle.T) / 2)
    eye = np.eye(len(root))
    return eye - inverse @ cross @ inverse, eye - root @ crossed @ root


def _influence(state: MomentState, tilt: NDArray[np.float64], bend: NDArray[np.float64]) -> float:
    """Variance that one side's sampling gives the distance, from what its blocks add to the gradient."""
    mean, n = state.mean(), state.n
    filled = state.counts > 0
    counts, sums = state.counts[filled], state.sums[filled]
    linear = sums @ tilt - counts * (mean @ tilt)
    crossed = sums @ (bend @ mean)
    square = (
        np.einsum("bij,ij->b", state.seconds[filled], bend) - 2.0 * crossed + counts * (mean @ bend @ mean)
    )
    change = (linear + square - counts * square.sum() / n) / n
    blocks = len(counts)
    return float((change**2).sum() * blocks / (blocks - 1))


def _floor(covariance: NDArray[np.float64], n: int, m: int) -> float:
    """Mean distance of two samples of one Gaussian, to second order (Bhatia et al. 2019)."""
    values = np.clip(np.linalg.eigvalsh(covariance), 0.0, None)
    pairs = np.outer(values, values) / np.maximum(values[:, None] + values, 1e-300)
    bent = 0.5 * (pairs.sum() + np.trace(pairs))
    return float((1.0 / n + 1.0 / m) * (values.sum() + bent))
