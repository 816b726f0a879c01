"""Preference score from 0 to 10: people's pairwise votes, a Bradley-Terry model with ties, a frozen ladder.

The model is R. R. Davidson's (JASA 65 (1970) 317), fit in `_davidson`; the covariance is the inverse of the
Fisher information. An image's score is ten times its expected share of wins (ties count half) against the
rungs of the ladder, so scores of different sets can be compared.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from genepool.errors import UsageError
from genepool.review._board import Rate
from genepool.review._davidson import information, most_likely
from genepool.review._persons import is_person
from genepool.review._raters import RATERS, rater_widths

if TYPE_CHECKING:
    from genepool.store import Vote

__all__ = ["Fit", "PositionBias", "PreferenceReport", "PreferenceScore", "fit_votes", "preference_scores"]

_PRIOR = 0.1
"""Weight of one imagined win and one imagined loss of every image against an average one: keeps an image
that always wins finite. A tenth of a vote each."""
_Z = 1.959963984540054
METHOD = (
    "Bradley-Terry with ties (Davidson 1970), most likely strengths; 95 % interval by the delta method "
    "from the Fisher information, on the logit scale"
)
_FEW = (
    "votes are taken as independent: it speaks for the {n} who voted, five or more are needed for people at "
    "large"
)
_MANY = "or from a bootstrap over the {n} raters, whichever is wider"


@dataclass(frozen=True, slots=True)
class PreferenceScore:
    """A score from 0 to 10 with its 95 % interval, and the votes it rests on."""

    value: float
    lower: float
    upper: float
    votes: int

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class PositionBias:
    """How often the left image won, of the votes that were no tie; sides are drawn at random.

    ``found`` is True where the 95 % interval excludes one half.
    """

    left: Rate

    @property
    def found(self) -> bool:
        """Whether people favour a side."""
        return self.left.n > 0 and not self.left.lower <= 0.5 <= self.left.upper


@dataclass(frozen=True, slots=True)
class Fit:
    """Strengths, their covariance, and the tie parameter.

    Attributes:
        items: Digests in the order of ``theta``.
        theta: ``(n,)`` log strengths; 0 is an average image.
        log_tie: log ν.
        covariance: ``(n + 1, n + 1)`` of (theta, log ν).
    """

    items: tuple[str, ...]
    theta: NDArray[np.float64]
    log_tie: float
    covariance: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class PreferenceReport:
    """What people prefer.

    Attributes:
        scores: Digest → score, of images that are no rung.
        rungs: Rung's name → strength θ with its 95 % interval.
        mean: Score of the set: mean over the images voted on, with their spread in its interval.
        votes: Votes that counted.
        tests: Votes of reviewers marked as test data: never counted.
        quarantined: Votes of quarantined reviewers: never counted.
        ladder: Votes between two rungs of one scene in which the less degraded one won, of all that were no
            tie: do people look?
        position: Whether a side is favoured.
        needs: Empty, or what is missing: people.
        method: How it was computed.
        raters: People whose votes counted.
    """

    scores: dict[str, PreferenceScore]
    rungs: dict[str, tuple[float, float, float]]
    mean: PreferenceScore | None
    votes: int
    tests: int
    quarantined: int
    ladder: Rate
    position: PositionBias
    needs: str
    method: str = METHOD
    raters: int = 0

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)


def fit_votes(votes: Sequence[Vote], weights: NDArray[np.float64] | None = None) -> Fit:
    """Fit the model to votes.

    Args:
        votes: At least one; ``both_bad`` is a tie.
        weights: ``(votes,)`` how often each counts, from 0; None: once.

    Raises:
        UsageError: No vote.
    """
    if not votes:
        raise UsageError("preference: expected at least one vote, found none", hint="genepool review PATH")
    items = sorted({digest for vote in votes for digest in (vote.a, vote.b)})
    place = {digest: i for i, digest in enumerate(items)}
    phantom = len(items)
    a = np.array([place[v.a] for v in votes] + 2 * list(range(phantom)))
    b = np.array([place[v.b] for v in votes] + 2 * [phantom] * phantom)
    won = [_WON.get(v.outcome, 0) for v in votes] + [1] * phantom + [-1] * phantom
    own = np.ones(len(votes)) if weights is None else weights
    weights = np.concatenate([own, np.full(2 * phantom, _PRIOR)])
    theta, tie = most_likely(a, b, np.array(won), weights, phantom)
    told = information(theta, tie, a, b, weights, phantom)
    told[-1, -1] += 0.01  # a little for sets without any tie
    covariance = np.asarray(np.linalg.inv(told), np.float64)
    return Fit(tuple(items), theta[:phantom], math.log(tie), covariance)


_WON = {"a": 1, "b": -1}


def _share(d: NDArray[np.float64], tie: float) -> tuple[NDArray[np.float64], ...]:
    """Expected share of wins, ties half, and its derivatives by d and log ν."""
    half = np.exp(d / 2)
    total = half + 1 / half + 2 * tie
    slope = (half - 1 / half) / 2
    share = (half + tie) / total
    return share, (half / 2 - share * slope) / total, tie * (1 - 2 * share) / total


def _wins(fit: Fit, rows: Sequence[int], rungs: Sequence[int]) -> NDArray[np.float64]:
    """``(rows,)`` expected share of wins against the rungs."""
    gaps = fit.theta[list(rows)][:, None] - fit.theta[list(rungs)][None, :]
    return np.asarray(_share(gaps, math.exp(fit.log_tie))[0].mean(axis=1))


def _logit(share: Any) -> Any:
    share = np.clip(share, 1e-9, 1 - 1e-9)
    return np.log(share / (1 - share))


def _score(
    fit: Fit, rows: Sequence[int], rungs: Sequence[int], votes: int, spread: bool, least: float = 0.0
) -> PreferenceScore:
    """Score of the images in these rows together.

    Args:
        fit: The model.
        rows: Images.
        rungs: Rows of the ladder.
        votes: For the record.
        spread: The images stand for a whole set: their own spread is part of the interval.
        least: Half width on the logit scale by the bootstrap over raters.
    """
    tie = math.exp(fit.log_tie)
    shares: list[float] = []
    gradient = np.zeros(len(fit.items) + 1)
    for row in rows:
        wins, by_d, by_tie = _share(fit.theta[row] - fit.theta[list(rungs)], tie)
        shares.append(float(wins.mean()))
        gradient[row] += by_d.mean() / len(rows)
        np.add.at(gradient, list(rungs), -by_d / len(rungs) / len(rows))
        gradient[-1] += by_tie.mean() / len(rows)
    share = min(max(sum(shares) / len(shares), 1e-9), 1.0 - 1e-9)
    slope = share * (1 - share)
    width = _Z * math.sqrt(float(gradient @ fit.covariance @ gradient)) / slope
    width = max(width, least)
    if spread and len(shares) > 1:
        width = math.hypot(width, _Z * math.sqrt(float(np.var(shares, ddof=1)) / len(shares)) / slope)
    middle, width = float(_logit(share)), min(width, 50.0)
    lower, upper = (10 / (1 + math.exp(-(middle + step))) for step in (-width, width))
    return PreferenceScore(10 * share, lower, upper, votes)


def preference_scores(
    votes: Sequence[Vote],
    rungs: Mapping[str, str],
    *,
    steps: Mapping[str, tuple[str, int]] | None = None,
    quarantined: Mapping[str, str] | None = None,
    tests: bool = False,
    command: str = "genepool review PATH",
    of: Collection[str] | None = None,
) -> PreferenceReport:
    """Scores of all images that people voted on.

    Args:
        votes: As recorded.
        rungs: The ladder, digest → name.
        steps: Digest → (scene, step of degradation, 0 the best) of rungs whose order is known.
        quarantined: Reviewers whose votes do not count.
        tests: Count reviewers marked as test data; only ever for tests of this package.
        command: What to run where people are needed.
        of: Digests over which ``mean`` is taken, one of several sets that were voted on; None: all.

    Raises:
        UsageError: An empty ladder.
    """
    if not rungs:
        raise UsageError("preference: expected a ladder of at least one rung, found none")
    out = quarantined or {}
    people = [v for v in votes if tests or is_person(v.reviewer)]
    counted = [v for v in people if v.reviewer not in out]
    known = {d for v in counted for d in (v.a, v.b)}
    missing = ""
    if not counted:
        missing = f"needs people: {command}, page Compare"
    elif not known & set(rungs):
        missing = f"needs people: no vote against the ladder yet; {command}, page Compare"
    left = Counter(v.outcome for v in counted)
    report = PreferenceReport(
        scores={},
        rungs={},
        mean=None,
        votes=len(counted),
        tests=len(votes) - len(people),
        quarantined=len(people) - len(counted),
        ladder=_ladder_check(counted, steps or {}),
        position=PositionBias(Rate.of(left["a"], left["a"] + left["b"])),
        needs=missing,
        raters=len({v.reviewer for v in counted}),
    )
    if missing:
        return report
    return _scored(report, counted, rungs, of)


def _scored(
    report: PreferenceReport, votes: Sequence[Vote], rungs: Mapping[str, str], of: Collection[str] | None
) -> PreferenceReport:
    """The report with its scores."""
    fit = fit_votes(votes)
    times = Counter(d for v in votes for d in (v.a, v.b))
    held = [i for i, digest in enumerate(fit.items) if digest in rungs]
    rows = [i for i, digest in enumerate(fit.items) if digest not in rungs]
    chosen = rows if of is None else [i for i in rows if fit.items[i] in set(of)]

    def measure(found: Fit) -> NDArray[np.float64]:
        each = _wins(found, [*rows, *chosen], held)
        whole = [float(each[len(rows) :].mean())] if chosen else []
        return np.asarray(_logit(np.array([*each[: len(rows)], *whole])), np.float64)

    widths = rater_widths(votes, lambda weights: fit_votes(votes, weights), measure) if rows else None
    least = np.zeros(len(rows) + 1) if widths is None else widths
    for place, i in enumerate(rows):
        digest = fit.items[i]
        report.scores[digest] = _score(fit, [i], held, times[digest], False, float(least[place]))
    for i in held:
        half = _Z * math.sqrt(float(fit.covariance[i, i]))
        theta = float(fit.theta[i])
        report.rungs[rungs[fit.items[i]]] = (theta, theta - half, theta + half)
    words = (_MANY if report.raters >= RATERS else _FEW).format(n=report.raters)
    report = replace(report, method=f"{METHOD}; {words}")
    if not chosen:
        return report
    total = sum(times[fit.items[i]] for i in chosen) if of is not None else len(votes)
    return replace(report, mean=_score(fit, chosen, held, total, True, float(least[len(rows)])))


def _ladder_check(votes: Sequence[Vote], steps: Mapping[str, tuple[str, int]]) -> Rate:
    right = total = 0
    for vote in votes:
        a, b = steps.get(vote.a), steps.get(vote.b)
        if a and b and a[0] == b[0] and a[1] != b[1] and vote.outcome in _WON:
            total += 1
            right += (vote.outcome == "a") == (a[1] < b[1])
    return Rate.of(right, total)
