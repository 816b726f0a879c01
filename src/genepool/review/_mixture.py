"""What is mixed into the random order, how far it has come, and what each person was shown."""

from __future__ import annotations

from dataclasses import dataclass, field

from genepool.store import Asked

__all__ = ["Mixture", "Person", "Progress"]


@dataclass(frozen=True, slots=True)
class Mixture:
    """What is mixed into the random order.

    Attributes:
        controls: Share of questions that are controls.
        repeats: Share of questions that repeat one of the reviewer's own.
        repeat_after: Questions between an image and its repeat, at least.
        overlap: Share of images that two people judge, where there are two.
        lease: Seconds after which an unanswered question is put to somebody else as well.
        outputs: Share of questions that are outputs of models whose sample nobody has seen yet.
        only_controls: Ask nothing but controls: the qualification of a reviewer.
    """

    controls: float = 0.10
    repeats: float = 0.05
    repeat_after: int = 50
    overlap: float = 0.10
    lease: float = 600.0
    outputs: float = 0.15
    only_controls: bool = False


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a draw has come.

    Attributes:
        n: Unverified images.
        answered: Images at the unbroken beginning of the order that have an answer: the audit's sample.
        judged: Unverified images with a blind answer, wherever in the order.
        verdicts: All verdicts of the workspace, controls and repeats too.
        disagreed: Images on which reviewers contradict each other.
        reviewers: People who were asked.
        controls_left: Control images that the reviewer has not seen, by truth.
        outputs_left: Model → outputs of its sample that nobody has judged.
    """

    n: int
    answered: int
    judged: int
    verdicts: int
    disagreed: int
    reviewers: tuple[str, ...]
    controls_left: dict[str, int]
    outputs_left: dict[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class Person:
    """What one reviewer was shown."""

    open: dict[str, Asked] = field(default_factory=dict)
    shown: set[str] = field(default_factory=set)
    judged: list[tuple[int, str]] = field(default_factory=list)  # (how many-th question, digest)
    repeated: set[str] = field(default_factory=set)
    asked: int = 0
