"""What is known about each reviewer: accuracy, self-agreement, speed; and whose verdicts count."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from genepool.review._agreement import Agreement, agreement
from genepool.review._persons import is_person
from genepool.stats import clopper_pearson

if TYPE_CHECKING:
    from genepool.records import Verdict
    from genepool.store import ReviewRecord

__all__ = ["Board", "Rate", "ReviewerBoard", "board", "judge_standings"]

_FAST = 0.3
"""Seconds below which nobody has looked at the image."""
_LEVEL = 0.01
"""Error probability of each test that can quarantine; every look at the board repeats it, so it is small."""


@dataclass(frozen=True, slots=True)
class Rate:
    """A share with its exact 95 % interval (Clopper and Pearson 1934).

    Attributes:
        k: Successes.
        n: Trials.
        value: ``k / n``; None without trials.
        lower: Lower end.
        upper: Upper end.
    """

    k: int
    n: int
    value: float | None
    lower: float
    upper: float

    @classmethod
    def of(cls, k: int, n: int, alpha: float = 0.05) -> Rate:
        """From counts."""
        return cls(k, n, k / n if n else None, *clopper_pearson(k, n, alpha))


@dataclass(frozen=True, slots=True)
class ReviewerBoard:
    """One reviewer.

    Attributes:
        reviewer: Name.
        verdicts: Blind verdicts on images of sets, repeats left out.
        human_recall: Human controls called human.
        ai_recall: Machine-made controls called AI.
        self_agreement: Repeats answered as before.
        seconds: Median seconds per verdict; None: not known.
        fast: Verdicts given within 0.3 s.
        uncanny: Images flagged as uncanny.
        changed: Minds changed after the evidence was seen.
        counted: Whether the verdicts count.
        reason: Why not, or a warning.
        test: Marked as test data, no person.
    """

    reviewer: str
    verdicts: int
    human_recall: Rate
    ai_recall: Rate
    self_agreement: Rate
    seconds: float | None
    fast: Rate
    uncanny: int
    changed: int
    counted: bool
    reason: str
    test: bool

    @property
    def youden(self) -> float | None:
        """Youden's J = human recall + AI recall − 1; None without controls of both kinds."""
        if self.human_recall.value is None or self.ai_recall.value is None:
            return None
        return self.human_recall.value + self.ai_recall.value - 1


@dataclass(frozen=True, slots=True)
class Board:
    """All reviewers, and how far they agree.

    Attributes:
        reviewers: By number of verdicts.
        alpha: Krippendorff's alpha over images that several people judged.
        ac1: Gwet's AC1 over the same.
    """

    reviewers: tuple[ReviewerBoard, ...]
    alpha: Agreement
    ac1: Agreement

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)


def board(record: ReviewRecord) -> Board:
    """The board of a workspace.

    Raises:
        WorkspaceError: The review file cannot be read.
    """
    alpha, ac1 = agreement(record.blind())
    return Board(tuple(_reviewers(record)), alpha, ac1)


def _reviewers(record: ReviewRecord) -> list[ReviewerBoard]:
    given, truths, out = record.all(), record.controls(), record.quarantined()
    people: dict[str, list[Verdict]] = {}
    for verdict in given:
        people.setdefault(verdict.reviewer, []).append(verdict)
    rows = [_reviewer(name, mine, truths, out) for name, mine in people.items()]
    return sorted(rows, key=lambda r: (-r.verdicts, r.reviewer))


def _reviewer(
    name: str, given: list[Verdict], truths: Mapping[str, str], out: Mapping[str, str]
) -> ReviewerBoard:
    blind = _final(v for v in given if not v.changed)
    images = [v for v in blind if not v.control and not v.repeat]
    controls = [v for v in blind if v.control and v.sha256 in truths and v.answer != "unsure"]
    recalls = {}
    for truth in ("human", "ai"):
        mine = [v for v in controls if truths[v.sha256] == truth]
        recalls[truth] = Rate.of(sum(v.answer == truth for v in mine), len(mine))
    first: dict[str, str] = {}
    for verdict in images:
        first.setdefault(verdict.sha256, verdict.answer)
    again = [v for v in blind if v.repeat and v.sha256 in first]
    same = Rate.of(sum(v.answer == first[v.sha256] for v in again), len(again))
    times = [v.seconds for v in blind if v.seconds is not None]
    fast = Rate.of(sum(t < _FAST for t in times), len(times))
    return ReviewerBoard(
        reviewer=name,
        verdicts=len(images),
        human_recall=recalls["human"],
        ai_recall=recalls["ai"],
        self_agreement=same,
        seconds=statistics.median(times) if times else None,
        fast=fast,
        uncanny=len({v.sha256 for v in given if v.uncanny}),
        changed=sum(v.changed for v in given),
        counted=name not in out,
        reason=out.get(name, "") or _warning(images),
        test=not is_person(name),
    )


def _final(given: Iterable[Verdict]) -> list[Verdict]:
    """The last verdict on each question; verdicts that answer no question stay as they are."""
    last: dict[str, Verdict] = {}
    for number, verdict in enumerate(given):
        last[verdict.token or f"#{number}"] = verdict
    return list(last.values())


def _warning(images: list[Verdict]) -> str:
    answers = {v.answer for v in images}
    if len(images) >= 50 and len(answers) == 1:
        return f"all {len(images)} answers are “{answers.pop()}”: only controls can tell if that is right"
    return ""


def _careless(row: ReviewerBoard) -> str:
    """Why a reviewer's verdicts should not count; empty where nothing is proven against them."""
    human, ai = row.human_recall, row.ai_recall
    if human.n and ai.n:
        # Upper end for a sum of two independent shares from the ends of each (MOVER: G. Y. Zou and A. Donner,
        # Statist. Med. 27 (2008) 1693).
        gaps = [Rate.of(r.k, r.n, _LEVEL).upper - (r.value or 0.0) for r in (human, ai)]
        best = (row.youden or 0.0) + math.hypot(*gaps)
        if best < 0.5:
            return (
                f"controls: {human.k} of {human.n} human and {ai.k} of {ai.n} machine-made ones recognised; "
                f"Youden's J is at most {best:.2f}, 0.50 is needed"
            )
    same = row.self_agreement
    if same.n and Rate.of(same.k, same.n, _LEVEL).upper < 0.7:
        return f"repeats: {same.k} of {same.n} answered as before"
    fast = row.fast
    if fast.n >= 20 and Rate.of(fast.k, fast.n, _LEVEL).lower > 0.5:
        return f"speed: {fast.k} of {fast.n} verdicts within {_FAST} s"
    return ""


def judge_standings(record: ReviewRecord, clock: Callable[[], float] = time.time) -> dict[str, str]:
    """Quarantine reviewers who are proven careless, and let back in who was quarantined and is no longer.

    Careless is: the 99 % interval of the controls rules out a Youden's J of one half (random clicking and
    "always human" both have J = 0); or that of the repeats rules out 70 % self-agreement; or most verdicts
    came within 0.3 s. Verdicts are kept; they do not count while the quarantine lasts.

    Returns:
        Reviewers whose standing changed, with the reason (empty: counted again).
    """
    found = {}
    for row in _reviewers(record):
        reason = _careless(row)
        if bool(reason) == row.counted:
            record.set_standing(row.reviewer, "quarantined" if reason else "counted", reason, clock())
            found[row.reviewer] = reason
    return found
