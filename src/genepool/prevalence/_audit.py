"""The audit: prove or refute "at least this share is human" with as few looks as possible.

Images are drawn uniformly without replacement and shown to a person; the detector's scores only reduce the
variance (a control variate whose weight is learnt as the audit goes), so they cannot make a bound wrong,
however bad the detector is. The derivation stands in `genepool.stats.BettingGame` (the game), in
``_auditor.py`` (the two-sided confidence sequence) and in ``_reviewers.py`` (reviewers who err).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from genepool.errors import MeasureError
from genepool.prevalence._auditor import Auditor, Population
from genepool.prevalence._reviewers import Reviewer, audit_share, panel_rates

__all__ = ["AuditResult", "Sequential", "audit", "checked", "filled"]

Status = Literal["pass", "fail", "undecided"]

METHOD = (
    "random audit without replacement, detector as control variate, betting e-process (Waudby-Smith & Ramdas "
    "2024); both ends hold together, at every stopping time, with probability 1 − alpha"
)
ASSUMPTIONS = (
    "the images shown were drawn at random, and every image drawn was answered or counted against the claim",
    "the scores were fixed before the answers and learnt nothing from them",
    "images counted without a look are what their evidence says",
)
SURE = "the answers are right: reviewer error is not part of this bound"
ERRING = (
    "reviewers err on this set as on their controls (Clopper-Pearson bounds inside alpha): controls look "
    "like the set, who judged an image was not chosen by its content, errors on different images are "
    "independent"
)


@dataclass(frozen=True, slots=True)
class AuditResult:
    """What an audit found.

    Attributes:
        status: ``pass`` (the floor is proven), ``fail`` (refuted) or ``undecided`` (labels ran out).
        n_labels: Images that were looked at.
        lower: Human share of the whole set that is proven.
        upper: Largest share that is not refuted; lower and upper hold together, at all times, with
            probability 1 − alpha.
        point: Best guess of the share, within these ends.
        trace: ``(n_labels, 2)`` lower and upper after each look.
        n: Images in the whole set.
        alpha: As given.
        method: How, in words, with the source.
        assumptions: What must hold.
    """

    status: Status
    n_labels: int
    lower: float
    upper: float
    point: float
    trace: NDArray[np.float64] = field(repr=False)
    n: int = 0
    alpha: float = 0.05
    method: str = METHOD
    assumptions: tuple[str, ...] = ASSUMPTIONS

    @property
    def interval(self) -> tuple[float, float]:
        """``(lower, upper)``."""
        return self.lower, self.upper


class Sequential:
    """One audit, answer by answer, for those who cannot hand over an oracle.

    Args:
        scores: ``(units,)`` p(human) in [0, 1] of the images that may be drawn (see `filled`).
        population: How many images there are of what.
        floor: Share to be proven, in (0, 1).
        alpha: 1 − confidence.
        reviewers: Whose answers are used; empty: answers are right.
        together: Some image was judged by several of them.

    Raises:
        MeasureError: A reviewer who may not certify by sight.
    """

    def __init__(
        self,
        scores: NDArray[np.float64],
        population: Population,
        *,
        floor: float,
        alpha: float,
        reviewers: Sequence[Reviewer] = (),
        together: bool = False,
    ) -> None:
        for one in reviewers:
            if why := one.refusal():
                raise MeasureError(
                    f"reviewer {one.name or '?'} may not certify by sight: {why}",
                    hint="let them judge more images of known origin: genepool review PATH --controls DIR "
                    "(DIR/human and DIR/ai); or say whose work it is: genepool register human FOLDER",
                )
        self.floor, self.alpha, self.reviewers = floor, alpha, tuple(reviewers)
        rates = [panel_rates(reviewers, alpha, together=together)] if reviewers else None
        own = alpha * audit_share(self.reviewers)
        self._auditor = Auditor(scores, population, floor, own, rates)
        self._trace: list[tuple[float, float]] = []
        self.lower, self.upper = self._ends()

    @property
    def status(self) -> Status:
        """As of now."""
        return "pass" if self.lower >= self.floor else "fail" if self.upper < self.floor else "undecided"

    @property
    def left(self) -> int:
        """Images not yet drawn."""
        return int(self._auditor.games[0].left)

    @property
    def count(self) -> int:
        """Answers so far."""
        return len(self._trace)

    def see(self, score: float, answer: bool | None) -> None:
        """Take in the answer about one image drawn at random from those left; None: cannot say."""
        self._auditor.see(score, answer is True, answer is False)
        self.lower, self.upper = self._ends()
        self._trace.append((self.lower, self.upper))

    def _ends(self) -> tuple[float, float]:
        lower, upper = self._auditor.bounds()
        return float(lower[0]), float(upper[0])

    def power(self) -> float:
        """Squared correlation of score and answer so far (shrunk): the share of variance the scores save."""
        return float(self._auditor.games[0].saved()[0])

    def progress(self) -> tuple[float, float]:
        """Natural logarithms: capital against "no more than the floor" now, and what it takes."""
        return self._auditor.toward()

    def result(self) -> AuditResult:
        """Everything that was found so far."""
        return AuditResult(
            status=self.status,
            n_labels=len(self._trace),
            lower=self.lower,
            upper=self.upper,
            point=self._point(),
            trace=np.array(self._trace, np.float64).reshape(-1, 2),
            n=self._auditor.population.n,
            alpha=self.alpha,
            assumptions=(*ASSUMPTIONS, ERRING if self.reviewers else SURE),
        )

    def _point(self) -> float:
        """Counted images and, for the rest, the share of answers, corrected by scores and for error rates."""
        human, ai = self._auditor.games
        p = self._auditor.population
        if human.count == 0 or p.n == 0:
            return (self.lower + self.upper) / 2
        decided = float(human.ones[0] + ai.ones[0])
        share = float(human.ones[0]) / decided if decided else 0.5
        if self.reviewers:
            h = float(np.mean([(r.human_right + 1) / (r.human_shown + 2) for r in self.reviewers]))
            a = float(np.mean([(r.ai_right + 1) / (r.ai_shown + 2) for r in self.reviewers]))
            share = (share + a - 1) / (h + a - 1)
            seen = share * p.units
        else:
            slope = float(human.learnt()[0][0])
            rest = min(1.0, max(0.0, share - slope * float(human.drift()[0])))
            seen = float(human.ones[0]) + (human.count - decided) * share + human.left * rest
        return min(self.upper, max(self.lower, (p.human + seen) / p.n))


def audit(
    scores: Any,
    oracle: Callable[[int], bool | None],
    *,
    floor: float = 0.70,
    alpha: float = 0.05,
    max_labels: int | None = None,
    reviewer: Reviewer | Sequence[Reviewer] | None = None,
    strata: Any = None,
    rng: np.random.Generator | int | None = None,
) -> AuditResult:
    """Ask a person about images drawn at random until the floor is proven or refuted.

    The truth lies within (lower, upper) at every moment with probability at least 1 − alpha; so ``pass``
    where the share is at most ``floor``, or ``fail`` where it is at least ``floor``, has probability at most
    alpha, whatever the scores are and whenever one stops. (A set of exactly the floor also passes once it
    was counted so far that it is known to meet the floor.)

    Args:
        scores: ``(n,)`` the detector's p(human) of every image of the whole set, in [0, 1]; NaN where it
            abstained.
        oracle: Called with an image's index; True for human, False for not, None when the person cannot say
            (counted against whatever would be claimed).
        floor: Share to be proven, in (0, 1).
        alpha: 1 − confidence, in (0, 1).
        max_labels: Most images to ask about; None: all.
        reviewer: What controls say about who answers; several: each image is judged by one of them. None:
            the answers are right.
        strata: ``(n,)`` 1 for verified human, 0 for verified machine-made (both are counted, not shown), −1
            for unknown; None: all unknown.
        rng: Source of randomness, or its seed.

    Returns:
        Status, bounds on the share of the whole set, and the bounds after every look.

    Raises:
        MeasureError: Scores, strata or numbers that cannot be; a reviewer who may not certify by sight.
    """
    values, kinds = checked(scores, strata, floor, alpha, max_labels)
    open_ = np.flatnonzero(kinds < 0)
    population = Population(len(values), int((kinds == 1).sum()), int((kinds == 0).sum()))
    people = () if reviewer is None else (reviewer,) if isinstance(reviewer, Reviewer) else tuple(reviewer)
    values[open_] = filled(values[open_])
    running = Sequential(values[open_], population, floor=floor, alpha=alpha, reviewers=people)
    order = np.random.default_rng(rng).permutation(open_)
    limit = len(order) if max_labels is None else min(max_labels, len(order))
    for index in order[:limit]:
        if running.status != "undecided":
            break
        running.see(float(values[index]), oracle(int(index)))
    return running.result()


def filled(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """An abstention says nothing: it gets the mean, which is fixed before anything is drawn."""
    known = np.isfinite(scores)
    return np.where(known, scores, scores[known].mean() if known.any() else 0.5)


def checked(
    scores: Any, strata: Any, floor: float, alpha: float, max_labels: int | None = None
) -> tuple[NDArray[np.float64], NDArray[np.int8]]:
    """Scores and strata as arrays.

    Raises:
        MeasureError: Scores, strata or numbers that cannot be.
    """
    values = np.array(scores, np.float64)
    if values.ndim != 1 or not len(values):
        raise MeasureError(f"audit: expected scores of at least one image, found shape {values.shape}")
    known = ~np.isnan(values)
    if not ((values[known] >= 0) & (values[known] <= 1)).all():
        raise MeasureError("audit: expected scores in [0, 1] or NaN, found others")
    kinds = np.full(len(values), -1, np.int8) if strata is None else np.asarray(strata)
    if kinds.shape != values.shape or not np.isin(kinds, (-1, 0, 1)).all():
        raise MeasureError(f"audit: expected {len(values)} strata of −1, 0 or 1, found shape {kinds.shape}")
    if not 0 < floor < 1 or not 0 < alpha < 1:
        raise MeasureError(f"audit: expected floor and alpha between 0 and 1, found {floor} and {alpha}")
    if max_labels is not None and max_labels < 0:
        raise MeasureError(f"audit: expected a number of labels of at least 0, found {max_labels}")
    return values, kinds.astype(np.int8)
