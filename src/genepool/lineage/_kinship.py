"""Kinship and inbreeding over mixtures: the tabular method with n parents instead of two.

With slots w1 and w2 (where two parents would stand) and a = (w1 + w2)/2, for a model i of size N_i::

    f_ij = Σ_k a_k f_kj          (j older)           F_i = Σ_kl w1_k f_kl w2_l
    f_ii = (1 + F_i)/2 · 1/N_i + (1 − 1/N_i) · Σ_kl a_k f_kl a_l

Founders are unrelated: f_cc = 1/(2 N_c) for two images drawn with replacement from N_c founders. With one
parent in each slot and N = 1 this is S. Wright's F (Am. Nat. 56 (1922) 330) by L. L. Emik and C. E. Terrill's
tabular method (J. Hered. 40 (1949) 51). Founders enter only through P, each model's founder contributions, so
the dense part is models × models however many founders there are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from genepool.errors import MeasureError

__all__ = ["Coefficients", "Slots"]

# Dense founder contributions of models: 8 bytes each, so this is 1.6 GB.
_LIMIT = 200_000_000


@dataclass(frozen=True, slots=True)
class Slots:
    """What a model descends from: weights over founders and older models, and its effective size."""

    first: Mapping[str, float]
    second: Mapping[str, float]
    size: float


class Coefficients:
    """All kinships of a pedigree.

    Args:
        founders: Cohort → number of unrelated founders.
        models: Name → slots, every model after those it descends from.

    Raises:
        MeasureError: Too many models × founder cohorts for the exact method.
    """

    def __init__(self, founders: Mapping[str, float], models: Mapping[str, Slots]) -> None:
        m, c = len(models), len(founders)
        if m * c > _LIMIT or m * m > _LIMIT:
            raise MeasureError(
                f"pedigree: {m} models × {c} founder cohorts are too many for exact coefficients"
            )
        self._founder = {name: i for i, name in enumerate(founders)}
        self._model = {name: i for i, name in enumerate(models)}
        self._self = np.array([0.5 / size for size in founders.values()], np.float64)
        self.kinship = np.zeros((m, m))
        self.contributions = np.zeros((m, c))
        self.inbreeding = np.zeros(m)
        for i, slots in enumerate(models.values()):
            self._add(i, slots)

    def _add(self, i: int, slots: Slots) -> None:
        first, second = self._split(slots.first), self._split(slots.second)
        if slots.first is slots.second:
            mixed = second
        else:
            names = [*slots.first, *slots.second]
            mixed = self._split(
                {k: (slots.first.get(k, 0.0) + slots.second.get(k, 0.0)) / 2 for k in dict.fromkeys(names)}
            )
        row = self._against(mixed, i)
        self.kinship[i, :i] = self.kinship[:i, i] = row
        models, weights, founders, shares = mixed
        self.contributions[i] = weights @ self.contributions[models]
        self.contributions[i, founders] += shares
        f = self._bilinear(first, second, i)
        self.inbreeding[i] = f
        apart = self._bilinear(mixed, mixed, i) if slots.first is not slots.second else f
        self.kinship[i, i] = (1 + f) / 2 / slots.size + (1 - 1 / slots.size) * apart

    def _split(
        self, weights: Mapping[str, float]
    ) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.int64], NDArray[np.float64]]:
        """Weights as (model indices, shares, founder indices, shares); unknown ancestors are left out."""

        def pick(index: Mapping[str, int]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
            found = [(index[k], v) for k, v in weights.items() if k in index]
            return np.array([i for i, _ in found], np.int64), np.array([v for _, v in found], np.float64)

        return *pick(self._model), *pick(self._founder)

    def _against(
        self,
        part: tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.int64], NDArray[np.float64]],
        upto: int,
    ) -> NDArray[np.float64]:
        """Kinship of a mixture with each of the first ``upto`` models."""
        models, weights, founders, shares = part
        row = weights @ self.kinship[models, :upto]
        drift = shares * self._self[founders]
        if len(founders) * 8 > self.contributions.shape[1]:
            dense = np.zeros(self.contributions.shape[1])
            dense[founders] = drift
            return np.asarray(row + self.contributions[:upto] @ dense)
        return np.asarray(row + self.contributions[:upto, founders] @ drift)

    def _bilinear(
        self,
        u: tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.int64], NDArray[np.float64]],
        v: tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.int64], NDArray[np.float64]],
        upto: int,
    ) -> float:
        models, weights, founders, shares = u
        by_model = float(weights @ self._against(v, upto)[models])
        other = np.zeros(self.contributions.shape[1])
        other += v[1] @ self.contributions[v[0]]
        np.add.at(other, v[2], v[3])
        return by_model + float(shares @ (other[founders] * self._self[founders]))

    def between(self, u: Mapping[str, float], v: Mapping[str, float]) -> float:
        """Kinship of an image drawn from one mixture with an image drawn from another."""
        return self._bilinear(self._split(u), self._split(v), len(self.kinship))

    def founder_shares(self, weights: Mapping[str, float]) -> NDArray[np.float64]:
        """``(founder cohorts,)`` share of a mixture's ancestry that goes back to each."""
        models, shares, founders, direct = self._split(weights)
        total = shares @ self.contributions[models]
        np.add.at(total, founders, direct)
        return np.asarray(total)

    def mean_inbreeding(self, weights: Mapping[str, float]) -> float:
        """Mean F of the images of a mixture (founders: 0)."""
        models, shares, _, _ = self._split(weights)
        return float(shares @ self.inbreeding[models])

    def order(self) -> Sequence[str]:
        """Founder cohorts, in the order of `founder_shares`."""
        return list(self._founder)
