"""An automatic stand-in for preference, learnt from the project's own votes: labelled, measured, refusable.

It is never mixed with people's scores. Where its agreement with held-out votes cannot be told from a coin's,
it is refused.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from genepool.errors import MeasureError
from genepool.review._board import Rate

if TYPE_CHECKING:
    from genepool.store import Vote

__all__ = ["Proxy", "learn_proxy"]

_RIDGE = 10.0
_FOLDS = 5


@dataclass(frozen=True, slots=True)
class Proxy:
    """A linear proxy for preference. Its label is part of it.

    Attributes:
        weights: ``(d,)`` on standardised features.
        centre: ``(d,)`` mean of the features.
        scale: ``(d,)`` their spread.
        agreement: Held-out votes that it predicts, with its exact 95 % interval.
        label: ``proxy``, always shown with its numbers.
    """

    weights: NDArray[np.float64]
    centre: NDArray[np.float64]
    scale: NDArray[np.float64]
    agreement: Rate
    label: str = "proxy"

    def rank(self, features: NDArray[Any]) -> NDArray[np.float64]:
        """Values whose order predicts preference; their size means nothing. ``(n, d)`` → ``(n,)``."""
        return np.asarray(((np.asarray(features, np.float64) - self.centre) / self.scale) @ self.weights)


def _fit(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    """Logistic regression without intercept, ridge penalty, Newton steps."""
    w = np.zeros(x.shape[1])
    for _ in range(25):
        p = 1 / (1 + np.exp(-np.clip(x @ w, -30, 30)))
        hessian = (x * (p * (1 - p))[:, None]).T @ x + _RIDGE * np.eye(len(w))
        step = np.linalg.solve(hessian, x.T @ (y - p) - _RIDGE * w)
        w = w + step
        if float(np.abs(step).max()) < 1e-8:
            break
    return w


def learn_proxy(votes: Sequence[Vote], features: Mapping[str, NDArray[Any]], *, tests: bool = False) -> Proxy:
    """Learn from votes, and measure on votes between images that were not learnt from.

    Images are dealt into five groups; a vote is predicted by a model that saw neither of its images, so what
    it measures is new images, not remembered ones.

    Args:
        votes: People's; ties are left out, reviewers marked as test data as well.
        features: Digest → ``(d,)`` style vector.
        tests: Count test data; only ever for tests of this package.

    Raises:
        MeasureError: Too few votes, or an agreement whose interval includes 50 %.
    """
    used = [
        v
        for v in votes
        if v.outcome in ("a", "b")
        and v.a in features
        and v.b in features
        and (tests or not v.reviewer.startswith("test:"))
    ]
    names = sorted({d for v in used for d in (v.a, v.b)})
    if len(used) < 30:
        raise MeasureError(
            f"proxy: expected at least 30 votes that are no tie on images with a style vector, "
            f"found {len(used)}",
            hint="needs people: genepool review PATH, page Compare",
        )
    table = np.array([features[name] for name in names], np.float64)
    centre, scale = table.mean(axis=0), np.maximum(table.std(axis=0), 1e-9)
    place = {name: row for row, name in enumerate(names)}
    group = np.random.default_rng(20261123).permutation(len(names)) % _FOLDS
    a, b = (np.array([place[getattr(v, side)] for v in used]) for side in ("a", "b"))
    x = (table[a] - table[b]) / scale
    y = np.array([v.outcome == "a" for v in used], np.float64)
    right = total = 0
    for i in range(_FOLDS):
        for j in range(i, _FOLDS):
            test = (np.minimum(group[a], group[b]) == i) & (np.maximum(group[a], group[b]) == j)
            train = ~np.isin(group[a], (i, j)) & ~np.isin(group[b], (i, j))
            if test.any() and train.sum() >= 10:
                guess = x[test] @ _fit(x[train], y[train]) > 0
                right += int((guess == (y[test] > 0.5)).sum())
                total += int(test.sum())
    rate = Rate.of(right, total)
    if rate.lower <= 0.5:
        raise MeasureError(
            f"proxy: agrees with {right} of {total} held-out votes, 95 % interval "
            f"[{rate.lower:.2f}, {rate.upper:.2f}]: no better than a coin",
            hint="more votes: genepool review PATH, page Compare",
        )
    return Proxy(_fit(x, y), centre, scale, rate)
