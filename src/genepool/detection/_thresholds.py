"""Where a detector may decide: thresholds whose error bound was tested, in every group of images.

*Learn then Test* (A. N. Angelopoulos, S. Bates et al., arXiv 2110.01052, fixed-sequence testing): a third of
the controls orders pairs of thresholds from the safest to the most generous, the rest tests them in that
order and stops at the first that fails. A pair passes where, in **every** group, the exact binomial test
refutes "more than 1 − accuracy of the decisions are wrong" at level alpha. The null of a pair is a union over
groups, so that the largest p-value tests it (R. L. Berger, Technometrics 24 (1982) 295); a sequence that
stops at the first failure needs no further correction. Nothing that orders the pairs touches the data that
test them, hence: with probability 1 − alpha, over the drawing of the controls, no group of the thresholds
that are kept breaks the promise.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from genepool.errors import MeasureError
from genepool.stats import clopper_pearson

__all__ = ["Cell", "Thresholds", "controls_needed", "find_thresholds", "merge_groups", "split"]

Floats = NDArray[np.float64]
LEARN = 1 / 3
_STEP = 0.01
_GRID = 16
_LIKELY = math.log(0.8)


@dataclass(frozen=True, slots=True)
class Cell:
    """What the tested controls of one group say about the kept thresholds.

    ``called_ai`` and ``called_human`` count decisions among ``n`` images; ``upper`` is the one-sided 1 −
    alpha Clopper-Pearson bound on the share of its decisions that are wrong.
    """

    name: str
    ai: bool
    n: int
    called_ai: int
    called_human: int
    upper: float

    @property
    def decided(self) -> int:
        """Images that got a verdict."""
        return self.called_ai + self.called_human

    @property
    def wrong(self) -> int:
        """Verdicts that are wrong."""
        return self.called_human if self.ai else self.called_ai


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Raw logits from ``ai_above`` on are decided AI, up to ``human_below`` human; ``cells``: the groups."""

    ai_above: float
    human_below: float
    cells: tuple[Cell, ...]
    steps: int


def controls_needed(accuracy: float, alpha: float, wrong: int = 0) -> int:
    """Decided controls that show an accuracy at 1 − alpha when ``wrong`` of them were decided wrongly.

    49 for .94 at 95 % without an error: .94⁴⁹ < .05.
    """
    from scipy.stats import binom

    n = max(1, wrong)
    while binom.cdf(wrong, n, 1 - accuracy) > alpha:
        n += 1
    return n


def merge_groups(group: NDArray[np.str_], ai: NDArray[np.bool_], minimum: int) -> NDArray[np.str_]:
    """Names after groups of the same class below ``minimum`` images were merged, the smallest first.

    A class that is smaller than ``minimum`` altogether becomes one group.
    """
    names = np.array(group, dtype=object)
    for side in (ai, ~ai):
        while True:
            found, counts = np.unique(names[side].astype(str), return_counts=True)
            if len(found) < 2 or counts.min() >= minimum:
                break
            first, second = (str(found[i]) for i in np.argsort(counts, kind="stable")[:2])
            merged = " + ".join(sorted([*first.split(" + "), *second.split(" + ")]))
            names[side & np.isin(names.astype(str), [first, second])] = merged
    return names.astype(str)


def split(group: NDArray[np.str_], seed: int, share: float = LEARN) -> NDArray[np.bool_]:
    """Which controls order the thresholds (True) and which test them, drawn within each group."""
    rng = np.random.default_rng(seed)
    learn = np.zeros(len(group), np.bool_)
    for name in np.unique(group):
        members = rng.permutation(np.flatnonzero(group == name))
        learn[members[: round(share * len(members))]] = True
    return learn


def find_thresholds(
    logit: Floats,
    ai: NDArray[np.bool_],
    group: NDArray[np.str_],
    *,
    accuracy: float,
    alpha: float,
    seed: int = 0,
) -> Thresholds:
    """The most generous pair of thresholds that passes in every group (see the module's text).

    Args:
        logit: Raw logits, shape (n,); NaN where the detector abstains by itself.
        ai: Which controls are AI.
        group: Group of each control; a name must not be used for both classes.
        accuracy: Share of decisions that must be right, in (0.5, 1).
        alpha: Probability with which the promise may fail.
        seed: Of the draw that divides the controls.

    Raises:
        MeasureError: Too few controls decide anything, or no pair passes.
    """
    learn = split(group, seed)
    if not np.isfinite(logit[learn]).any():
        raise MeasureError("calibration: the detector abstained from every control")
    learned = _counts(logit[learn], ai[learn], group[learn])
    tested = _counts(logit[~learn], ai[~learn], group[~learn])
    path = _path(learned, tested, _Grid.over(logit[learn], ai[learn]), accuracy, alpha)
    kept: Thresholds | None = None
    for step, (human_below, ai_above, families) in enumerate(path, 1):
        cells = tuple(_cell(tested, names, human_below, ai_above, alpha) for names in families)
        if any(cell.upper > 1 - accuracy for cell in cells):
            if kept is None:
                raise _refused(cells, accuracy, alpha)
            break
        kept = Thresholds(ai_above, human_below, cells, step)
    if kept is None:
        raise MeasureError(
            f"calibration: too few decided controls to show an accuracy of {accuracy:.0%} at {1 - alpha:.0%}",
            hint=_hint(accuracy, alpha),
        )
    return kept


# ------------------------------------------------------------------------------- counting decisions


@dataclass(frozen=True, slots=True)
class _Group:
    """Finite logits of one group, sorted, and how many controls it has altogether."""

    ai: bool
    values: Floats
    n: int

    def below(self, t: Floats | float) -> NDArray[np.int64]:
        return np.asarray(np.searchsorted(self.values, t, "right"), np.int64)

    def above(self, t: Floats | float) -> NDArray[np.int64]:
        return np.asarray(len(self.values) - np.searchsorted(self.values, t, "left"), np.int64)

    def smooth_below(self, t: Floats) -> Floats:
        """`below` from a kernel density: beyond the last control the tail falls on, and is not zero."""
        from scipy.special import ndtr

        n = len(self.values)
        if n < 2:
            return self.below(t).astype(np.float64)
        quarter, rest = np.quantile(self.values, [0.25, 0.75])
        spread = min(self.values.std(), (rest - quarter) / 1.34) or self.values.std() or 1.0
        width = 0.9 * spread * n**-0.2
        return np.asarray(ndtr((t[:, None] - self.values) / width).sum(1))


@dataclass(frozen=True, slots=True)
class _Grid:
    """Candidate thresholds; every one of the first is paired with every greater one of the second."""

    human: Floats
    ai: Floats

    @classmethod
    def over(cls, logit: Floats, ai: NDArray[np.bool_]) -> _Grid:
        finite = np.isfinite(logit)
        levels = np.concatenate([[0.005, 0.01, 0.02], np.linspace(0.04, 0.96, _GRID)])
        # Half of each class, so that a small class is not overlooked.
        sides = [logit[finite & side] for side in (ai, ~ai) if (finite & side).any()]
        human = np.concatenate([np.quantile(side, levels) for side in sides])
        above = np.concatenate([np.quantile(side, 1 - levels) for side in sides])
        return cls(np.unique(human), np.unique(above))


def _counts(logit: Floats, ai: NDArray[np.bool_], group: NDArray[np.str_]) -> dict[str, _Group]:
    found = {}
    for name in np.unique(group):
        mine = group == name
        values = logit[mine]
        found[str(name)] = _Group(bool(ai[mine][0]), np.sort(values[np.isfinite(values)]), int(mine.sum()))
    return found


def _cell(
    groups: Mapping[str, _Group], names: Sequence[str], human_below: float, ai_above: float, alpha: float
) -> Cell:
    members = [groups[name] for name in names]
    called_ai = sum(int(g.above(ai_above)) for g in members)
    called_human = sum(int(g.below(human_below)) for g in members)
    wrong = called_human if members[0].ai else called_ai
    upper = clopper_pearson(wrong, called_ai + called_human, 2 * alpha)[1]
    return Cell(" + ".join(names), members[0].ai, sum(g.n for g in members), called_ai, called_human, upper)


# ------------------------------------------------------------------------------- the order of the tests

_Step = tuple[float, float, tuple[tuple[str, ...], ...]]


def _path(
    learned: Mapping[str, _Group], tested: Mapping[str, _Group], grid: _Grid, accuracy: float, alpha: float
) -> list[_Step]:
    """Pairs of thresholds from the one most sure to pass to the one that decides most."""
    from scipy.stats import binom

    largest = sum(g.n for g in tested.values())
    trials = np.arange(largest + 1)
    # Most errors among n decisions that still pass; −1: none do. ppf is the first count that is *not* below.
    allowed = binom.ppf(alpha, trials, 1 - accuracy).astype(np.int64)
    allowed -= binom.cdf(allowed, trials, 1 - accuracy) > alpha
    allowed[0] = -1
    names = list(learned)
    sizes = np.array([learned[g].n for g in names])
    grow = np.array([tested[g].n for g in names]) / np.maximum(1, sizes)
    ai = np.array([learned[g].ai for g in names])
    # Expected decisions among the controls that test, shape (groups, candidates).
    low = np.array([learned[g].smooth_below(grid.human) for g in names]) * grow[:, None]
    high = (
        np.array([len(learned[g].values) - learned[g].smooth_below(grid.ai) for g in names]) * grow[:, None]
    )
    needs = [controls_needed(accuracy, alpha, wrong) for wrong in (1, 0)]
    found: list[tuple[float, float, _Step]] = []
    for i, human_below in enumerate(grid.human.tolist()):
        for j in np.flatnonzero(grid.ai > human_below).tolist():
            decided = low[:, i] + high[:, j]
            families = next(filter(None, (_families(names, ai, decided, need) for need in needs)), [])
            if not families:
                continue
            sure = _log_power(families, decided, np.where(ai, low[:, i], high[:, j]), allowed)
            share = decided / (sizes * grow)
            covered = float(np.mean([share[side].mean() for side in (ai, ~ai)]))
            step = (human_below, float(grid.ai[j]), tuple(tuple(names[k] for k in f) for f in families))
            found.append((sure, covered, step))
    return _front(found)


def _families(names: Sequence[str], ai: NDArray[np.bool_], expected: Floats, need: int) -> list[list[int]]:
    """Groups that will be tested together: one with too few decisions to show anything joins the next.

    Empty where a whole class decides too little.
    """
    families: list[list[int]] = []
    for side in (ai, ~ai):
        members = sorted(np.flatnonzero(side).tolist(), key=lambda k: (expected[k], names[k]))
        if expected[members].sum() < need:
            return []
        mine: list[list[int]] = []
        thin: list[int] = []
        for k in members:
            thin.append(k)
            if expected[thin].sum() >= 1.1 * need:
                mine.append(thin)
                thin = []
        if thin and mine:
            mine[-1] = [*mine[-1], *thin]
        elif thin:
            mine.append(thin)
        families += mine
    return [sorted(family) for family in families]


def _log_power(
    families: Sequence[Sequence[int]], decided: Floats, wrong: Floats, allowed: NDArray[np.int64]
) -> float:
    """How likely every family passes, if the test part errs as the learning part did."""
    from scipy.special import bdtr

    total = 0.0
    for family in families:
        n = int(decided[list(family)].sum())
        rate = min(1.0, (wrong[list(family)].sum() + 1.0) / (n + 2.0))
        k = int(allowed[min(len(allowed) - 1, n)])
        total += math.log(max(1e-12, float(bdtr(k, n, rate)))) if k >= 0 else math.log(1e-12)
    return total


def _front(found: list[tuple[float, float, _Step]]) -> list[_Step]:
    """From the surest pair on, only pairs that decide more than the one before."""
    if not found:
        return []
    # Groups join others where they decide too little, never to hide behind them: where pairs that test more
    # groups by themselves are likely to pass, only those are looked at.
    likely = [len(step[2]) for sure, _, step in found if sure >= _LIKELY]
    found = [f for f in found if len(f[2][2]) >= max(likely, default=0)]
    ranked = sorted(found, key=lambda f: (-f[0], -f[1]))
    path: list[_Step] = []
    reached = -1.0
    for _, covered, step in ranked:
        if covered >= reached + _STEP:
            path.append(step)
            reached = covered
    return path


# ------------------------------------------------------------------------------- what to say when it fails


def _refused(cells: Sequence[Cell], accuracy: float, alpha: float) -> MeasureError:
    worst = max(cells, key=lambda c: c.upper)
    side = "AI" if worst.ai else "human"
    return MeasureError(
        f"calibration: no thresholds hold {accuracy:.0%} at {1 - alpha:.0%} in every group: of "
        f"{worst.decided} decided {side} controls in {worst.name!r} {worst.wrong} are wrong, which allows "
        f"an error of {worst.upper:.1%}, expected at most {1 - accuracy:.1%}",
        hint=_hint(accuracy, alpha),
    )


def _hint(accuracy: float, alpha: float) -> str:
    zero, one = (controls_needed(accuracy, alpha, wrong) for wrong in (0, 1))
    whole = math.ceil(zero / (1 - LEARN))
    return (
        f"{accuracy:.0%} at {1 - alpha:.0%} needs {zero} decided test controls without an error ({one} with "
        f"one) in each group; a third of the controls is spent on choosing, so at least {whole} per group "
        f"where all are decided, {2 * whole} where half are; or ask for less: a lower threshold"
    )
