"""Datasets inside datasets, resolved without writing any mixture out: pushes and pulls along sparse edges.

Every cohort is a column: founders first, then models, then datasets. A dataset is a row of weights over
columns. `Mixtures.push` replaces the datasets in a block of mixtures by what they hold; `Mixtures.pull` gives
datasets the weighted mean of what their parts have. Both go level by level, so that a set of 100,000 cohorts
that a thousand models share is stored once and not a thousand times.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Mixtures", "rows"]


def rows(mixtures: Sequence[Mapping[str, float]], column: Mapping[str, int]) -> Any:
    """Mixtures as a sparse matrix (CSR), one row each; names without a column are left out."""
    from scipy.sparse import csr_array

    picked = [[(column[name], weight) for name, weight in mix.items() if name in column] for mix in mixtures]
    lengths = [len(row) for row in picked]
    total = sum(lengths)
    indices = np.fromiter((at for row in picked for at, _ in row), np.int64, total)
    weights = np.fromiter((weight for row in picked for _, weight in row), np.float64, total)
    starts = np.concatenate(([0], np.cumsum(lengths, dtype=np.int64)))
    found = csr_array((weights, indices, starts), shape=(len(mixtures), len(column)))
    found.sort_indices()
    return found


class _Level:
    """Datasets whose parts are all on lower levels, and their weights over the columns that they touch."""

    def __init__(self, at: NDArray[np.int64], weights: Any) -> None:
        self.at = at
        touched = np.unique(weights.indices)
        self.touched: Any = touched
        if len(touched) and 2 * len(touched) >= touched[-1] + 1 - touched[0]:
            # Most of a range: a view of it is cheaper than a copy of its rows.
            self.touched = slice(int(touched[0]), int(touched[-1]) + 1)
        self.weights = weights[:, self.touched]
        self.back = self.weights.T.tocsr()


class Mixtures:
    """The datasets of a pedigree.

    Args:
        datasets: Name → weights over columns, in any order, without cycles.
        column: Name → column of every founder cohort, model and dataset.
    """

    def __init__(self, datasets: Mapping[str, Mapping[str, float]], column: Mapping[str, int]) -> None:
        self.column = column
        depth: dict[str, int] = {}
        for name in datasets:
            stack = [name]
            while stack:
                top = stack[-1]
                waiting = [part for part in datasets[top] if part in datasets and part not in depth]
                if waiting:
                    stack.extend(waiting)
                    continue
                stack.pop()
                depth[top] = 1 + max((depth[part] for part in datasets[top] if part in datasets), default=-1)
        levels: dict[int, list[str]] = {}
        for name, level in depth.items():
            levels.setdefault(level, []).append(name)
        self._levels = [
            _Level(
                np.array([column[name] for name in levels[level]], np.int64),
                rows([datasets[name] for name in levels[level]], column),
            )
            for level in sorted(levels)
        ]

    def push(self, block: NDArray[np.float64]) -> None:
        """Hand the weights of datasets down to what they hold, in place.

        Args:
            block: ``(columns, k)`` one mixture a column; rows of datasets end as 0.
        """
        for level in reversed(self._levels):
            share = block[level.at]
            if share.any():
                block[level.touched] += level.back @ share
                block[level.at] = 0.0

    def pull(self, block: NDArray[np.float64]) -> None:
        """Give datasets the weighted sum of their parts' values, in place.

        Args:
            block: ``(columns, k)`` values of founders and models; rows of datasets are overwritten.
        """
        for level in self._levels:
            block[level.at] = level.weights @ block[level.touched]
