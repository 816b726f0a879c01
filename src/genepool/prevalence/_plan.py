"""How many more looks: planning figures, never part of a bound.

Without scores, capital against a share of q₀ grows per look by about KL(q₁‖q₀) when the truth is q₁ (J. L.
Kelly, Bell Syst. Tech. J. 35 (1956) 917), and 1/(0.9·α) is needed. Scores that take away a share ρ² of
the variance shorten that by about (1 − ρ²). The factor for learning the bets was fitted to the simulations of
``bench/bench_certificate.py`` (docs/concepts/certificate.md).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from genepool.prevalence._auditor import Population
from genepool.prevalence._reviewers import Reviewer, audit_share, ceiling, panel_rates

__all__ = ["TYPICAL", "Plan", "labels_needed", "plan"]

_WEIGHT = 0.9
_LEARNING, _START = 1.0, 3
TYPICAL = Reviewer.of(97, 100, 97, 100, "typical")
"""Who is assumed where nobody has qualified yet: 97 of 100 controls of each kind recognised."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What it probably takes.

    Attributes:
        labels: Looks still to go, by assumed human share of the unverified images; None: out of reach with
            these reviewers, however many looks.
        seconds: Per verdict.
        controls: Controls to judge first, so that somebody may certify by sight.
    """

    labels: tuple[tuple[float, int | None], ...]
    seconds: float = 4.0
    controls: int = 0

    def sentence(self) -> str:
        """For the gate's message."""
        parts = []
        for share, labels in self.labels:
            if labels is None:
                parts.append(
                    f"no number of answers is enough if {share:.0%} of them are human (the reviewers must "
                    "first be measured on more images of known origin)"
                )
            else:
                minutes = max(1, math.ceil((labels + self.controls) * self.seconds / 60))
                first = f" after {self.controls} controls" if self.controls else ""
                unit = "minute" if minutes == 1 else "minutes"
                parts.append(
                    f"about {labels:,} labels{first} ({minutes:,} {unit}) if {share:.0%} of them are human"
                )
        return ", ".join(parts)


def labels_needed(
    share: float,
    population: Population,
    floor: float,
    alpha: float,
    *,
    reviewers: Sequence[Reviewer] = (),
    power: float = 0.0,
    done: float = 0.0,
) -> int | None:
    """Looks until the floor is proven or refuted, if so many of the unverified images are human.

    Args:
        share: Assumed human share of the unverified images.
        population: What is verified and what is not.
        floor: Of the whole set.
        alpha: Of the certificate.
        reviewers: Whose error is inside; none: right answers.
        power: ρ², share of the variance that the scores take away.
        done: Natural log of the capital won so far.

    Returns:
        At most all unverified images; None where the reviewers' error hides the difference.
    """
    units = population.units
    if units == 0:
        return 0
    need = floor * population.n - population.human
    if need <= 0 or need > units:
        return 0
    proving = share * units >= need
    rates = panel_rates(reviewers, alpha) if reviewers else None
    target = math.floor(need) if proving else units - math.ceil(need)
    side = None if rates is None else rates[0 if proving else 1]
    tested = float(ceiling(np.array([float(target)]), units, side)[0]) / units
    wanted = _apparent(share, reviewers, proving)
    own = alpha * audit_share(reviewers)
    if wanted <= tested + 1e-9:
        return None if reviewers else units
    growth = _divergence(wanted, tested)
    goal = max(0.0, math.log(1 / (_WEIGHT * own)) - max(0.0, done))
    return min(units, _START + math.ceil(_LEARNING * goal / growth * (1 - power)))


def _apparent(share: float, reviewers: Sequence[Reviewer], proving: bool) -> float:
    """Expected share of the answers that speak for the claim."""
    if not reviewers:
        return share if proving else 1 - share
    human = float(np.mean([r.human_right / r.human_shown for r in reviewers]))
    ai = float(np.mean([r.ai_right / r.ai_shown for r in reviewers]))
    return share * human + (1 - share) * (1 - ai) if proving else share * (1 - human) + (1 - share) * ai


def _divergence(p: float, q: float) -> float:
    """Kullback-Leibler divergence of two coins, in nats."""
    p, q = (min(1 - 1e-9, max(1e-9, x)) for x in (p, q))
    return max(1e-9, p * math.log(p / q) + (1 - p) * math.log((1 - p) / (1 - q)))


def plan(
    population: Population,
    floor: float,
    alpha: float,
    *,
    reviewers: Sequence[Reviewer] = (),
    share: float | None = None,
    power: float = 0.0,
    done: float = 0.0,
    seconds: float = 4.0,
    controls: int = 0,
) -> Plan:
    """Looks to go, for the estimated share, or for two shares that are far enough from the floor.

    Args:
        population: What is verified and what is not.
        floor: Of the whole set.
        alpha: Of the certificate.
        reviewers: Who may certify; none: `TYPICAL` is assumed.
        share: Estimated human share of the unverified images; None: not known yet.
        power: ρ² of the scores.
        done: Natural log of the capital won so far.
        seconds: Per verdict.
        controls: Controls still to be judged.
    """
    people = tuple(reviewers) or (TYPICAL,)
    need = (floor * population.n - population.human) / max(1, population.units)
    room = 1 - min(1.0, max(0.0, need))
    shares = (1 - room / 3, 1 - 2 * room / 3) if share is None else (share,)
    found = tuple(
        (s, labels_needed(s, population, floor, alpha, reviewers=people, power=power, done=done))
        for s in shares
    )
    return Plan(found, seconds, controls)
