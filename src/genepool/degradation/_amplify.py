"""Pattern amplification: how far pixels are from human ones, and how a generator's own marks grow."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from genepool.records import Estimate

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Marks"]

_DRAWS = 4000
_RIDGE = 0.01


class Marks:
    """The reference's artefact numbers: their mean, and the scale on which a shift is measured.

    Args:
        reference: ``(n, k)`` numbers of the reference's pictures, as in ``_artefacts.NAMES``; rows with NaN
            (pictures smaller than a crop) are left out.
        alpha: 1 − confidence.
        seed: Of the draws behind the interval of `amplification`.
    """

    def __init__(self, reference: NDArray[np.float64], alpha: float, seed: int) -> None:
        rows = _known(reference)
        spread = np.cov(rows, rowvar=False)
        # A little of the diagonal: eleven related numbers of a few dozen pictures are nearly singular.
        scale = np.diag(spread) + 1e-9
        values, axes = np.linalg.eigh((1 - _RIDGE) * spread + _RIDGE * np.diag(scale))
        self._whiten = axes / np.sqrt(np.clip(values, 1e-12, None))
        self._reference = rows @ self._whiten
        self.alpha, self.seed = alpha, seed

    def shift(self, numbers: NDArray[np.float64]) -> Estimate:
        """Distance of the mean picture from the reference's, in standard deviations of human pictures.

        The squared Mahalanobis distance of the two means, less what sampling alone would give, floored at 0;
        normal interval on the square.
        """
        from scipy.special import ndtri

        rows = _known(numbers) @ self._whiten
        gap = rows.mean(axis=0) - self._reference.mean(axis=0)
        noise = np.cov(rows, rowvar=False) / len(rows)
        noise = noise + np.cov(self._reference, rowvar=False) / len(self._reference)
        square = float(gap @ gap - np.trace(noise))
        variance = 4.0 * float(gap @ noise @ gap) + 2.0 * float((noise * noise).sum())
        reach = float(ndtri(1 - self.alpha / 2)) * math.sqrt(variance)
        value, lower, upper = (math.sqrt(max(0.0, x)) for x in (square, square - reach, square + reach))
        method = (
            f"Mahalanobis distance of mean residual and spectral numbers ({rows.shape[1]}) of native crops, "
            f"{len(rows)} pictures against {len(self._reference)} of the reference, less bias; normal"
        )
        return Estimate(value, lower, upper, len(rows), method, self.alpha)

    def amplification(self, first: NDArray[np.float64], numbers: NDArray[np.float64]) -> Estimate | None:
        """How strongly the first generation's own marks show: 1 as in it, 2 twice as strongly, 0 not at all.

        The shift of this generation from the reference, projected on the first generation's shift:
        ⟨δ_g, δ_1⟩ / ⟨δ_1, δ_1⟩, each less what sampling alone would give. Percentile interval from draws of
        the three means.

        Returns:
            None where the first generation's shift cannot be told from nothing.
        """
        if self.shift(first).lower <= 0:
            return None
        rng = np.random.default_rng(self.seed)
        one, two = _known(first) @ self._whiten, _known(numbers) @ self._whiten
        drawn = [_means(rows, rng) for rows in (self._reference, one, two)]
        means = [rows.mean(axis=0) for rows in (self._reference, one, two)]
        shared = float(np.trace(np.cov(self._reference, rowvar=False))) / len(self._reference)
        own = float(np.trace(np.cov(one, rowvar=False))) / len(one)
        centre, start, now = means
        below = float(((start - centre) ** 2).sum()) - shared - own
        value = (float(((now - centre) * (start - centre)).sum()) - shared) / below
        # Draws around the measured means carry their noise twice.
        centre, start, now = drawn
        squares = ((start - centre) ** 2).sum(axis=1) - 2 * (shared + own)
        across = ((now - centre) * (start - centre)).sum(axis=1) - 2 * shared
        replicas = across / np.where(np.abs(squares) > 1e-12, squares, np.inf)
        lower, upper = (float(x) for x in np.quantile(replicas, [self.alpha / 2, 1 - self.alpha / 2]))
        method = (
            "shift from the reference projected on the first generation's shift, bias removed; percentile "
            f"interval from {_DRAWS} draws of the means"
        )
        return Estimate(value, min(lower, value), max(upper, value), len(two), method, self.alpha)


def _means(rows: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    """Draws of the mean of ``rows``, from its normal limit."""
    drawn: NDArray[np.float64] = rng.multivariate_normal(
        rows.mean(axis=0), np.cov(rows, rowvar=False) / len(rows), _DRAWS, method="eigh"
    )
    return drawn


def _known(numbers: NDArray[np.float64]) -> NDArray[np.float64]:
    rows: NDArray[np.float64] = numbers[np.isfinite(numbers).all(axis=1)]
    return rows
