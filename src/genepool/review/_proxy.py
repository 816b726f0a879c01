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
from genepool.review._persons import is_person

if TYPE_CHECKING:
    from genepool.store import Vote

__all__ = ["Proxy", "VoteAgreement", "learn_proxy", "vote_agreement"]

_RIDGE = 10.0
_FOLDS = 5


@dataclass(frozen=True, slots=True)
class VoteAgreement:
    """How often something that is no person chooses as people did.

    Attributes:
        k: Votes that it would have given alike.
        n: Votes, ties left out.
        value: ``k / n``; None without votes.
        lower: Lower end of the 95 % interval.
        upper: Upper end.
        effective: Independent votes that carry as much as these.
    """

    k: int
    n: int
    value: float | None
    lower: float
    upper: float
    effective: float

    @property
    def coin(self) -> bool:
        """Whether it cannot be told from a coin: the interval includes one half."""
        return self.lower <= 0.5 <= self.upper

    def sentence(self) -> str:
        """For pages and errors."""
        if self.value is None:
            return "no vote to compare with"
        return (
            f"agrees with {self.k} of {self.n} votes, {self.value:.0%}, "
            f"95 % interval [{self.lower:.2f}, {self.upper:.2f}]"
        )


def vote_agreement(
    hits: NDArray[np.bool_], a: NDArray[np.int64], b: NDArray[np.int64], rater: NDArray[np.int64]
) -> VoteAgreement:
    """Agreement with votes that hang together, because they share an image or a rater.

    Votes about one image are right or wrong together, so an interval that takes them as independent is too
    narrow: with 50 images and 400 votes it calls one coin in six a judge. The variance is the sum, over
    images, of the square of the residuals of all votes about each (dyadic clusters: P. M. Aronow, C. Samii
    and V. A. Assenova, Polit. Anal. 23 (2015) 564; a vote counts at both its images, which errs on the
    careful side), and over raters likewise; the interval is Clopper and Pearson's for as many independent
    votes as have that variance, and Student's quantile for the number of images widens it.

    Args:
        hits: ``(n,)`` whether it chose as the person did.
        a: ``(n,)`` number of the left image.
        b: ``(n,)`` number of the right image.
        rater: ``(n,)`` number of the person.
    """
    from scipy.special import betaincinv, ndtri, stdtrit

    n, k = len(hits), int(hits.sum())
    if not n:
        return VoteAgreement(0, 0, None, 0.0, 1.0, 0.0)
    p = k / n
    e = hits - p
    size = int(max(a.max(), b.max())) + 1
    per_image = np.bincount(a, e, size) + np.bincount(b, e, size)
    total = float((per_image**2).sum())
    if rater.max() > 0:  # one person alone is no sample of people
        total += max(0.0, float((np.bincount(rater, e) ** 2).sum() - (e**2).sum()))
    seen = len(np.unique(np.concatenate([a, b])))
    # With few images the sum is too small by about one in as many; and never better than independent votes.
    variance = max(total / n**2 * seen / max(seen - 2, 1), p * (1 - p) / n)
    wide = (float(stdtrit(max(seen - 2, 1), 0.975)) / float(ndtri(0.975))) ** 2
    effective = min(float(n), p * (1 - p) / (variance * wide)) if variance > 0 else min(float(n), seen / 2)
    lower = 0.0 if k == 0 else float(betaincinv(effective * p, effective * (1 - p) + 1, 0.025))
    upper = 1.0 if k == n else float(betaincinv(effective * p + 1, effective * (1 - p), 0.975))
    return VoteAgreement(k, n, p, lower, upper, effective)


@dataclass(frozen=True, slots=True)
class Proxy:
    """A linear proxy for preference. Its label is part of it.

    Attributes:
        weights: ``(d,)`` on standardised features.
        centre: ``(d,)`` mean of the features.
        scale: ``(d,)`` their spread.
        agreement: Held-out votes that it predicts, with the 95 % interval.
        label: ``proxy``, always shown with its numbers.
    """

    weights: NDArray[np.float64]
    centre: NDArray[np.float64]
    scale: NDArray[np.float64]
    agreement: VoteAgreement
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
        and (tests or is_person(v.reviewer))
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
    guess, asked = np.zeros(len(used), np.bool_), np.zeros(len(used), np.bool_)
    for i in range(_FOLDS):
        for j in range(i, _FOLDS):
            test = (np.minimum(group[a], group[b]) == i) & (np.maximum(group[a], group[b]) == j)
            train = ~np.isin(group[a], (i, j)) & ~np.isin(group[b], (i, j))
            if test.any() and train.sum() >= 10:
                guess[test] = x[test] @ _fit(x[train], y[train]) > 0
                asked |= test
    raters = {name: i for i, name in enumerate(sorted({v.reviewer for v in used}))}
    who = np.array([raters[v.reviewer] for v in used])
    found = vote_agreement((guess == (y > 0.5))[asked], a[asked], b[asked], who[asked])
    if found.lower <= 0.5:
        raise MeasureError(
            f"proxy: {found.sentence()}: no better than a coin",
            hint="more votes: genepool review PATH, page Compare",
        )
    return Proxy(_fit(x, y), centre, scale, found)
