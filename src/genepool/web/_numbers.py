"""The numbers on the pages: how many images, why these, how many answers and minutes still."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from genepool import review
from genepool.stats import clopper_pearson

if TYPE_CHECKING:
    from genepool.web._room import Room

__all__ = ["answers_left", "board_rows", "queue_numbers"]

_PACE = 6.0
"""Seconds per answer that are assumed before the reviewer's own pace is known."""


def answers_left(
    floor: float, n: int, human: int, ai: int, answers: int, said_human: int, alpha: float = 0.05
) -> tuple[int | None, str]:
    """About how many more answers decide whether the human share reaches the floor.

    A plan, never the certificate: it takes the share of "human" answers so far as the truth and asks how many
    answers make the exact one-sided bound (Clopper and Pearson 1934) clear the share that is needed. Before
    twenty answers it is the smallest number that could do, the zero-failure plan.

    Args:
        floor: Share that must be human.
        n: Images of the set.
        human: Of these verified human.
        ai: Verified machine-made or computed.
        answers: Blind answers in the sample so far.
        said_human: Of these "human".
        alpha: Error probability.

    Returns:
        (More answers, one sentence); None where people cannot or need not settle it.
    """
    unknown = n - human - ai
    if not unknown:
        return None, "every image is verified: nothing is left to ask"
    need = (floor * n - human) / unknown
    if need <= 0:
        return None, "the verified images alone reach the floor"
    if need > 1:
        return None, "too many images are verified machine-made: no answer can lift the set to the floor"
    if answers < 20:
        zero = math.ceil(math.log(alpha) / math.log(min(need, 1 - 1e-9)))
        least = min(unknown, max(zero, 20))
        return max(least - answers, 0), "if nearly all look human; an estimate follows after 20 answers"
    share = said_human / answers

    def settled(m: int) -> bool:
        lower, upper = clopper_pearson(round(share * m), m, 2 * alpha)
        return lower > need or upper < need

    low, high = 1, 1
    while high < unknown and not settled(high):
        low, high = high, high * 2
    while high < unknown and low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if settled(middle) else (middle + 1, high)
    word = "reaches" if share >= need else "misses"
    return max(0, min(high, unknown) - answers), f"at the present share of “human” answers, which {word} it"


def queue_numbers(room: Room, reviewer: str) -> dict[str, Any]:
    """Everything that the Queue page says."""
    origins = room.origins
    human = int(np.count_nonzero(origins.column("human").to_numpy(zero_copy_only=False)))
    progress = room.queue.progress(reviewer)
    n, unknown = origins.num_rows, progress.n
    sample = room.queue.record.sampled(room.queue.draw.id)
    said: dict[int, list[str]] = {}
    for position, _, answer, _ in sample:
        said.setdefault(position, []).append(answer)
    votes = [answers.count("human") > answers.count("ai") for answers in said.values()]
    floor, alpha = room.config.policy.human_ratio, room.config.policy.alpha
    more, how = answers_left(floor, n, human, n - human - unknown, len(votes), sum(votes), alpha)
    mine = next((r for r in review.board(room.queue.record).reviewers if r.reviewer == reviewer), None)
    pace = mine.seconds if mine is not None and mine.seconds is not None and mine.verdicts >= 5 else _PACE
    extra = 1 + room.queue.mixture.controls + room.queue.mixture.repeats
    return {
        "n": n,
        "human": human,
        "machine": n - human - unknown,
        "unknown": unknown,
        "asked": min(len(votes), unknown),
        "disagreed": progress.disagreed,
        "verdicts": progress.verdicts,
        "more": more,
        "how": how,
        "minutes": None if more is None else max(1, round(more * extra * (pace + 0.5) / 60)),
        "pace": pace,
        "own_pace": pace != _PACE,
        "floor": floor,
        "seed": room.queue.draw.seed,
        "controls": progress.controls_left,
        "mixture": room.queue.mixture,
        "problem": room.recorder.problem,
        "mine": mine,
        "set": room.catalogue.dataset.uri,
        "fallback": room.queue.mixture.only_controls,
    }


def board_rows(board: review.Board) -> list[dict[str, Any]]:
    """The reviewers as the Board page prints them."""
    return [
        {
            "row": row,
            "human": _rate(row.human_recall),
            "ai": _rate(row.ai_recall),
            "same": _rate(row.self_agreement),
            "seconds": "–" if row.seconds is None else f"{row.seconds:.1f} s",
        }
        for row in board.reviewers
    ]


def _rate(rate: review.Rate) -> str:
    if rate.value is None:
        return "no controls yet" if rate.n == 0 else "–"
    return f"{rate.k} of {rate.n} · [{rate.lower:.2f}, {rate.upper:.2f}]"
