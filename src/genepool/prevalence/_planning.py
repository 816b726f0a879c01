"""Tables for whoever has to decide how many answers to ask for: no part of any bound."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from genepool.errors import MeasureError
from genepool.prevalence._auditor import Population
from genepool.prevalence._plan import TYPICAL, labels_needed
from genepool.prevalence._reviewers import Reviewer
from genepool.stats import acceptance_plan

__all__ = ["Planning", "planning"]

_SHARES = (0.99, 0.95, 0.90, 0.85, 0.80, 0.75, 0.60, 0.50)
_MISSES = (0, 1, 2, 5, 10)


@dataclass(frozen=True, slots=True)
class Planning:
    """What it takes, by how human the unverified images are.

    Attributes:
        need: Share of the unverified images that must be human for the whole to meet the floor; None: it is
            decided by verified images alone.
        rows: (assumed human share of the unverified images, answers to go, minutes); None: out of reach by
            sight.
        reviewers: Whose measured errors are inside; empty: a typical reviewer is assumed.
        fixed: (images found not human that are tolerated, images to look at): plans decided beforehand, right
            answers.
        seconds: Per answer.
        alpha: Of the certificate.
    """

    need: float | None
    rows: tuple[tuple[float, int | None, int | None], ...] = ()
    reviewers: tuple[str, ...] = ()
    fixed: tuple[tuple[int, int], ...] = ()
    seconds: float = 4.0
    alpha: float = 0.05

    def lines(self) -> list[str]:
        """For the terminal."""
        if self.need is None:
            return ["decided by verified images alone: nothing to ask"]
        who = (
            ", ".join(self.reviewers) or "a reviewer who recognises 97 of 100 controls of each kind (assumed)"
        )
        found = [f"of the unverified images {self.need:.1%} must be human; with {who}:"]
        for share, labels, minutes in self.rows:
            if labels is None:
                found.append(
                    f"  if {share:.0%} are human: no number of answers is enough (measure the reviewers on "
                    "more images of known origin, --controls DIR, or register whose work it is)"
                )
            else:
                found.append(f"  if {share:.0%} are human: about {labels:,} more answers, {minutes:,} min")
        if self.fixed:
            plans = ", ".join(f"{n:,} with {misses} not human" for misses, n in self.fixed)
            found.append(f"decided beforehand, with right answers: {plans}")
        return found


def planning(
    population: Population,
    floor: float,
    alpha: float,
    *,
    reviewers: Sequence[Reviewer] = (),
    seconds: float = 4.0,
    power: float = 0.0,
    done: float = 0.0,
) -> Planning:
    """The tables for a set.

    Args:
        population: What is verified and what is not.
        floor: Of the whole set.
        alpha: What the audit may spend.
        reviewers: Who may certify; none: a typical one.
        seconds: Per answer.
        power: Share of the variance that the scores take away.
        done: Natural log of the capital won so far.
    """
    units = population.units
    need = (floor * population.n - population.human) / units if units else -1.0
    if not 0 < need <= 1:
        return Planning(None, alpha=alpha, seconds=seconds)
    people = tuple(reviewers) or (TYPICAL,)
    rows: list[tuple[float, int | None, int | None]] = []
    for share in _SHARES:
        labels = labels_needed(share, population, floor, alpha, reviewers=people, power=power, done=done)
        minutes = None if labels is None else max(1, math.ceil(labels * seconds / 60))
        rows.append((share, labels, minutes))
    fixed = []
    for misses in _MISSES:
        try:
            fixed.append((misses, acceptance_plan(need, misses, alpha, population=units)))
        except MeasureError:
            break
    names = tuple(r.name for r in reviewers)
    return Planning(need, tuple(rows), names, tuple(fixed), seconds, alpha)
