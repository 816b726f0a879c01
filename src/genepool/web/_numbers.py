"""The numbers on the pages: how many images, why these, how many answers and minutes still."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from genepool import review

if TYPE_CHECKING:
    from genepool.prevalence import Certificate
    from genepool.web._room import Room

__all__ = ["board_rows", "judge_rows", "queue_numbers"]

_PACE = 4.0
"""Seconds per answer that are assumed before the reviewer's own pace is known."""


def queue_numbers(room: Room, reviewer: str) -> dict[str, Any]:
    """Everything that the Queue page says."""
    origins = room.origins
    human = int(np.count_nonzero(origins.column("human").to_numpy(zero_copy_only=False)))
    progress = room.queue.progress(reviewer)
    n, unknown = origins.num_rows, progress.n
    certificate = room.certificate()
    mine = next((r for r in review.board(room.queue.record).reviewers if r.reviewer == reviewer), None)
    pace = mine.seconds if mine is not None and mine.seconds is not None and mine.verdicts >= 5 else _PACE
    return {
        **_left(room, certificate, pace),
        "n": n,
        "human": human,
        "machine": n - human - unknown,
        "unknown": unknown,
        "asked": progress.answered,
        "disagreed": progress.disagreed,
        "verdicts": progress.verdicts,
        "pace": pace,
        "own_pace": pace != _PACE,
        "floor": room.config.policy.human_ratio,
        "seed": room.queue.draw.seed,
        "controls": progress.controls_left,
        "mixture": room.queue.mixture,
        "problem": room.recorder.problem,
        "mine": mine,
        "set": room.catalogue.dataset.uri,
        "qualifying": room.queue.mixture.only_controls,
        "outputs": progress.outputs_left,
        "draw": room.queue.draw,
        "planning": room.planning(),
    }


def _left(room: Room, certificate: Certificate | None, pace: float) -> dict[str, Any]:
    """How many answers and minutes still, from the certificate's own plan."""
    if certificate is None:
        return {"state": "computing", "more": None, "minutes": None, "how": "", "ratio": None, "first": 0}
    ratio, plan = certificate.ratio, certificate.plan
    base: dict[str, Any] = {
        "more": None,
        "minutes": None,
        "how": certificate.note,
        "ratio": ratio,
        "first": 0,
    }
    if plan is None:
        floor = room.config.policy.human_ratio
        state = "pass" if ratio.lower >= floor else "fail" if ratio.upper < floor else "nothing"
        return {**base, "state": state}
    share, labels = plan.labels[0]
    if labels is None:
        return {**base, "state": "hidden", "how": plan.sentence()}
    mixed = 1 + room.queue.mixture.controls + room.queue.mixture.repeats
    questions = round(labels * mixed) + plan.controls
    return {
        **base,
        "state": "open",
        "more": labels,
        "minutes": max(1, round(questions * pace / 60)),
        "how": f"if {share:.0%} of the unverified images are human",
        "first": plan.controls,
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


def judge_rows(judges: review.Judges | str | None) -> dict[str, Any]:
    """Who likes what, as the Board page prints it: people, the proxy, published models, one line each."""
    if judges is None or isinstance(judges, str):
        return {"preference": None, "judges": [], "problem": judges or "", "asking": judges is None}
    rows: list[dict[str, Any]] = [
        {
            "name": column.title,
            "label": column.label,
            "agreement": column.agreement,
            "ladder": f"{column.ladder.k} of {column.ladder.n}",
            "state": "no better than a coin" if column.agreement.n and column.agreement.coin else "",
        }
        for column in judges.models
    ]
    rows += [
        {"name": name, "label": "published model", "agreement": None, "ladder": "", "state": why}
        for name, why in judges.problems.items()
    ]
    if judges.proxy is not None:
        proxy: dict[str, Any] = {
            "name": "learnt from these votes",
            "label": judges.proxy.label,
            "ladder": "",
            "state": "",
        }
        rows.insert(0, {**proxy, "agreement": judges.proxy.agreement})
    elif judges.people.votes:
        refused: dict[str, Any] = {
            "name": "learnt from these votes",
            "label": "proxy",
            "agreement": None,
            "ladder": "",
        }
        rows.insert(0, {**refused, "state": f"refused: {judges.proxy_note.removeprefix('proxy: ')}"})
    return {"preference": judges.people, "judges": rows, "problem": "", "asking": False}
