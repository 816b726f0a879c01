"""Kinship and inbreeding over mixtures: the tabular method with n parents instead of two.

With slots w1 and w2 (where two parents would stand) and a = (w1 + w2)/2, for a model i of size N_i::

    f_ij = Σ_k a_k f_kj          (j older)           F_i = Σ_kl w1_k f_kl w2_l
    f_ii = (1 + F_i)/2 · 1/N_i + (1 − 1/N_i) · Σ_kl a_k f_kl a_l

Founders are unrelated: f_cc = 1/(2 N_c) for two images drawn with replacement from N_c founders. With one
parent in each slot and N = 1 this is S. Wright's F (Am. Nat. 56 (1922) 330) by L. L. Emik and C. E. Terrill's
tabular method (J. Hered. 40 (1949) 51).

How it stays small: a model's founder shares P = (I − A)⁻¹ B (A over models, B over founders) are never
written out. With D = diag(f_cc) and the m × m matrix G = B D Bᵀ, which sparse products give, the founders'
part of every kinship is H = B D Pᵀ, and its columns follow H_j = G_j + Σ_k a_jk H_k. So memory is a few
m × m matrices, however many founder cohorts and datasets there are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from genepool.errors import MeasureError
from genepool.lineage._sparse import Mixtures, rows

__all__ = ["MODELS", "Coefficients", "Slots"]

MODELS = 5_000
"""Models up to which coefficients are exact: three dense matrices of 200 MB."""
_CELLS = 8_000_000
"""Numbers in one block of mixtures written out over all cohorts (64 MB)."""


_Sparse: TypeAlias = "tuple[NDArray[np.int64], NDArray[np.float64]]"


@dataclass(frozen=True, slots=True)
class Slots:
    """What a model descends from: weights over founders, datasets and older models; its effective size."""

    first: Mapping[str, float]
    second: Mapping[str, float]
    size: float


class Coefficients:
    """All kinships of a pedigree.

    Args:
        founders: Cohort → number of unrelated founders.
        datasets: Name → weights over founders, models and datasets.
        models: Name → slots, every model after those it descends from.

    Raises:
        MeasureError: More than `MODELS` models.
    """

    def __init__(
        self,
        founders: Mapping[str, float],
        datasets: Mapping[str, Mapping[str, float]],
        models: Mapping[str, Slots],
    ) -> None:
        m, c = len(models), len(founders)
        if m > MODELS:
            raise MeasureError(
                f"pedigree: expected at most {MODELS} models for exact coefficients, found {m}",
                hint="Pedigree.estimate(name, …) gives them with an interval, by dropping genes",
            )
        self._m, self._c = m, c
        self._column = {name: i for i, name in enumerate((*founders, *models, *datasets))}
        self._self = np.array([0.5 / size for size in founders.values()], np.float64)
        self._mixtures = Mixtures(datasets, self._column)
        self._model = {name: i for i, name in enumerate(models)}
        self._sizes = np.array([slots.size for slots in models.values()], np.float64)
        self.inbreeding = np.zeros(m)
        self.kinship = np.zeros((m, m))
        self._build(list(models.values()))

    # --------------------------------------------------------------------------------- building

    def _build(self, slots: list[Slots]) -> None:
        m = self._m
        same = np.array([s.first is s.second for s in slots], np.bool_)
        first, second = (rows([s[k] for s in map(_both, slots)], self._column) for k in (0, 1))
        single = bool(same.all())
        self._mixed = second if single else (first + second) / 2
        # Row j holds, for each model i, the founders' part of its slot against model j.
        self._two = np.zeros((m, m))
        self._one = self._two if single else np.zeros((m, m))
        self._ancestors: list[_Sparse] = []
        parts: list[tuple[_Sparse, _Sparse]] = []
        own = np.zeros((2, m))
        step = max(1, min(512, _CELLS // max(1, len(self._column))))
        for at in range(0, m, step):
            models = np.arange(at, min(m, at + step))
            block = self._expand(second[models])
            self._two[:, models] = self._mixed @ self._drifted(block)
            seconds = [_pick(block[:, k], self._c, m) for k in range(len(models))]
            firsts = self._firsts(models[~same[models]], first, block, at, own)
            own[:, models[same[models]]] = self._product(block, block)[same[models]]
            if not single:
                self._one[:, models[same[models]]] = self._two[:, models[same[models]]]
            parts.extend((firsts.get(int(i), v), v) for i, v in zip(models, seconds, strict=True))
        for i, (u, v) in enumerate(parts):
            self._add(i, u, v, own[:, i], single)

    def _firsts(
        self,
        models: NDArray[np.int64],
        first: Any,
        seconds: NDArray[np.float64],
        at: int,
        own: NDArray[np.float64],
    ) -> dict[int, _Sparse]:
        """The first slots of those models of a block whose slots differ: fine-tuned ones, mostly.

        A base that is a model holds no founders of its own, so that it needs no column over all cohorts.
        """
        found: dict[int, _Sparse] = {}
        c, m = self._c, self._m
        mixed: list[int] = []
        for i in models.tolist():
            row = slice(first.indptr[i], first.indptr[i + 1])
            columns, weights = first.indices[row].astype(np.int64), first.data[row]
            if ((columns >= c) & (columns < c + m)).all():
                found[i] = (columns - c, weights)
            else:
                mixed.append(i)
        own[1, models] = self._product(seconds, seconds)[models - at] / 4
        if mixed:
            block, others = self._expand(first[mixed]), seconds[:, np.array(mixed) - at]
            self._one[:, mixed] = self._mixed @ self._drifted(block)
            cross = self._product(block, others)
            own[0, mixed] = cross
            own[1, mixed] += self._product(block, block) / 4 + cross / 2
            found |= {i: _pick(block[:, k], c, m) for k, i in enumerate(mixed)}
        return found

    def _expand(self, mixtures: Any) -> NDArray[np.float64]:
        """Mixtures as columns over founders and models, datasets resolved."""
        block = np.zeros((mixtures.shape[1], mixtures.shape[0]))
        lengths = np.diff(mixtures.indptr)
        block[mixtures.indices, np.repeat(np.arange(len(lengths)), lengths)] = mixtures.data
        self._mixtures.push(block)
        return block

    def _drifted(self, block: NDArray[np.float64]) -> NDArray[np.float64]:
        """D·v for the founders of a block, carried up to the datasets; models count as nothing here."""
        values = np.empty_like(block)
        np.multiply(block[: self._c], self._self[:, None], out=values[: self._c])
        values[self._c :] = 0.0
        self._mixtures.pull(values)
        return values

    def _product(self, u: NDArray[np.float64], v: NDArray[np.float64]) -> NDArray[np.float64]:
        """Founders' part of the kinship of each mixture of one block with that of another."""
        return np.asarray(np.einsum("ck,ck,c->k", u[: self._c], v[: self._c], self._self))

    def _add(self, i: int, u: _Sparse, v: _Sparse, own: NDArray[np.float64], single: bool) -> None:
        at, weight = u if single else _mean(u, v)
        self._ancestors.append((at, weight))
        # Founders' parts against this model: its own, and through the models it descends from.
        self._one[i] += weight @ self._one[at]
        if not single:
            self._two[i] += weight @ self._two[at]
        # Row j < i of these is complete; column i holds model i's founders' parts against j.
        first, second = self._one[:i, i], self._two[:i, i]
        both = first if single else (first + second) / 2
        self.kinship[i, :i] = self.kinship[:i, i] = weight @ self.kinship[at, :i] + both
        inner = u[1] @ self.kinship[np.ix_(u[0], v[0])] @ v[1]
        f = float(inner + u[1] @ second[u[0]] + v[1] @ first[v[0]] + own[0])
        self.inbreeding[i] = f
        if single:
            apart = f
        else:
            inner = weight @ self.kinship[np.ix_(at, at)] @ weight
            apart = float(inner + 2 * (weight @ both[at]) + own[1])
        size = self._sizes[i]
        self.kinship[i, i] = (1 + f) / 2 / size + (1 - 1 / size) * apart

    # ---------------------------------------------------------------------------------- reading

    def _leaves(self, weights: Mapping[str, float]) -> NDArray[np.float64]:
        """One mixture over founders and models."""
        return self._expand(rows([weights], self._column))[: self._c + self._m, 0]

    def _through(self, weights: NDArray[np.float64]) -> NDArray[np.float64]:
        """``weights`` over models, each model then counted for all its ancestors: (I − Aᵀ)⁻¹ w."""
        total = weights.copy()
        for i in range(self._m - 1, -1, -1):
            if total[i]:
                at, weight = self._ancestors[i]
                total[at] += total[i] * weight
        return total

    def between(self, u: Mapping[str, float], v: Mapping[str, float]) -> float:
        """Kinship of an image drawn from one mixture with an image drawn from another."""
        c = self._c
        one, two = self._leaves(u), self._leaves(v)
        left, right = self._founders(one[c:]), self._founders(two[c:])
        founders = one[:c] @ (self._self * two[:c]) + one[:c] @ (self._self * right)
        founders += two[:c] @ (self._self * left)
        return float(founders + one[c:] @ self.kinship @ two[c:])

    def _founders(self, models: NDArray[np.float64]) -> NDArray[np.float64]:
        """Founder shares of a mixture of models."""
        if not models.any():
            return np.zeros(self._c)
        through = self._through(models)
        block = np.zeros((len(self._column), 1))
        block[:, 0] = self._mixed.T @ through
        block[self._c : self._c + self._m] = 0.0
        self._mixtures.push(block)
        return block[: self._c, 0]

    def mean_inbreeding(self, weights: Mapping[str, float]) -> float:
        """Mean F of the images of a mixture (founders: 0)."""
        if len(weights) == 1 and (model := self._model.get(next(iter(weights)))) is not None:
            return float(self.inbreeding[model])
        return float(self._leaves(weights)[self._c :] @ self.inbreeding)


def _both(slots: Slots) -> tuple[Mapping[str, float], Mapping[str, float]]:
    return slots.first, slots.second


def _pick(column: NDArray[np.float64], c: int, m: int) -> _Sparse:
    """The models in a mixture over all columns."""
    models = column[c : c + m]
    at = np.flatnonzero(models)
    return at, models[at]


def _mean(u: _Sparse, v: _Sparse) -> _Sparse:
    at, where = np.unique(np.concatenate((u[0], v[0])), return_inverse=True)
    return at, np.bincount(where, np.concatenate((u[1], v[1])) / 2, len(at)).astype(np.float64)
