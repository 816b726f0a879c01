"""The convex programme behind re-weighting: least purity under a cap, a human quota, a quality floor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from genepool.injection._linear import cheapest

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from genepool.diversity import Panel

__all__ = ["Optimum", "Pictures", "minimise"]

_HELD = 60_000  # images whose features are kept in memory; of more they are computed again each time
_CHUNK = 8192


class Pictures:
    """Candidate images as rows ψ: their style features, and one coordinate for all that is off support.

    With it, the purity of any weighting w is ‖Σ wᵢ ψᵢ ψᵢᵀ‖², a convex quadratic form.
    """

    def __init__(self, panel: Panel, whitened: NDArray[np.float64], on: NDArray[np.bool_]) -> None:
        self._panel = panel
        self.whitened = whitened
        self.on = on
        self.size = 2 * len(panel.frequencies) + 1
        self._rows = self._make(slice(None)) if len(whitened) <= _HELD else None

    def __len__(self) -> int:
        return len(self.whitened)

    def _make(self, where: slice | NDArray[np.intp]) -> NDArray[np.float32]:
        whitened, on = self.whitened[where], self.on[where]
        rows = np.zeros((len(whitened), self.size), np.float32)
        for at in range(0, len(whitened), _CHUNK):
            part = slice(at, at + _CHUNK)
            rows[part, :-1] = self._panel.features(whitened[part]) * on[part, None]
        rows[:, -1] = ~on
        return rows

    def _chunks(self, where: NDArray[np.intp]) -> list[NDArray[np.intp]]:
        return [where[at : at + _CHUNK] for at in range(0, len(where), _CHUNK)]

    def moment(self, weights: NDArray[np.float64]) -> NDArray[np.float64]:
        """Σ wᵢ ψᵢ ψᵢᵀ."""
        total = np.zeros((self.size, self.size))
        for part in self._chunks(np.flatnonzero(weights)):
            rows = self._rows[part] if self._rows is not None else self._make(part)
            rows = rows * np.sqrt(weights[part])[:, None].astype(np.float32)
            total += rows.T @ rows
        return total

    def likeness(self, to: NDArray[np.intp]) -> NDArray[np.float64]:
        """``(n,)`` summed squared style similarity of every image to some of them."""
        others = self._rows[to] if self._rows is not None else self._make(to)
        values = np.empty(len(self))
        for part in self._chunks(np.arange(len(self))):
            rows = self._rows[part] if self._rows is not None else self._make(part)
            near = rows @ others.T
            values[part] = np.einsum("nk,nk->n", near, near)
        return values

    def similarity(self, where: NDArray[np.intp]) -> NDArray[np.float64]:
        """``(k, k)`` squared style similarity of some of the images, in [0, 1]."""
        rows = self._rows[where] if self._rows is not None else self._make(where)
        return np.asarray((rows @ rows.T) ** 2, np.float64)

    def commonness(self, moment: NDArray[np.float64]) -> NDArray[np.float64]:
        """ψᵢᵀ M ψᵢ: half the gradient of the purity at M."""
        values = np.empty(len(self))
        single = moment.astype(np.float32)
        for part in self._chunks(np.arange(len(self))):
            rows = self._rows[part] if self._rows is not None else self._make(part)
            values[part] = np.einsum("ni,ni->n", rows @ single, rows)
        return values


@dataclass(frozen=True, slots=True, eq=False)
class Optimum:
    """The end of the minimisation.

    Attributes:
        weights: ``(n,)``, not negative, at most the cap, summing to 1.
        purity: Their purity (with each image also compared with itself).
        gap: How far above the least possible purity this can be at most (Frank–Wolfe duality gap).
        commonness: ``(n,)`` each image's mean similarity to the weighted set.
        steps: Steps made.
    """

    weights: NDArray[np.float64]
    purity: float
    gap: float
    commonness: NDArray[np.float64]
    steps: int


def minimise(
    pictures: Pictures,
    count: int,
    demands: NDArray[np.float64],
    *,
    start: NDArray[np.float64] | None = None,
    steps: int = 60,
    tolerance: float = 0.01,
) -> Optimum:
    """Frank–Wolfe with exact line search (Frank & Wolfe 1956; Jaggi 2013): every step lowers the purity.

    Args:
        pictures: The candidates.
        count: At least this many images share the weight (cap 1/count each).
        demands: The quotas, as in `cheapest`; images that a policy rules out are no candidates at all.
        start: Weights to start from, feasible; None: the first solution of the linear programme.
        steps: Largest number of steps.
        tolerance: Stop when the gap is below this share of the purity.
    """
    n = len(pictures)
    weights = cheapest(np.zeros(n), count, demands)[0] if start is None else start
    moment = pictures.moment(weights)
    common = pictures.commonness(moment)
    purity = float(np.einsum("ij,ij->", moment, moment))
    gap, step = np.inf, 0
    while step < steps:
        step += 1
        target, _ = cheapest(common, count, demands)
        # The gradient is twice the commonness.
        gap = 2.0 * float((weights - target) @ common)
        if gap <= tolerance * purity:
            break
        other = pictures.moment(target)
        cross, far = float(np.einsum("ij,ij->", moment, other)), float(np.einsum("ij,ij->", other, other))
        move = min(1.0, max(0.0, (purity - cross) / max(purity - 2.0 * cross + far, 1e-300)))
        if move == 0.0:
            break
        weights = (1.0 - move) * weights + move * target
        moment = (1.0 - move) * moment + move * other
        common = (1.0 - move) * common + move * pictures.commonness(other)
        purity = float(np.einsum("ij,ij->", moment, moment))
    return Optimum(weights, purity, max(0.0, gap), common, step)
