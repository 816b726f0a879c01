"""The section about people: how far they agree, how they do on controls, whose answers certify the share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from genepool.errors import GenepoolError
from genepool.report._text import count, interval, number, plural, printable, share

if TYPE_CHECKING:
    from genepool.records import Decision
    from genepool.review import Board, Rate, ReviewerBoard
    from genepool.store import Catalogue

__all__ = ["looked"]

_ROWS = 60


def looked(decision: Decision, catalogue: Catalogue | None = None) -> dict[str, Any] | None:
    """Agreement, reviewers and flags as rows; None where nobody has looked."""
    certificate, flags = decision.extra.get("certificate"), decision.extra.get("uncanny")
    told = certificate if isinstance(certificate, Mapping) else {}
    rows = [row for row in flags if isinstance(row, Mapping)] if isinstance(flags, (list, tuple)) else []
    labels = int(told.get("labels") or 0)
    people = [r for r in told.get("reviewers") or [] if isinstance(r, Mapping)]
    refused = told.get("refused")
    refused = refused if isinstance(refused, Mapping) else {}
    board = _board(catalogue)
    if not (rows or labels or people or refused or board):
        return None
    return {
        "labels": plural(labels, "answer"),
        "draw": int(told.get("draw") or 1),
        "detector": printable(told.get("detector") or "", 200),
        "reviewers": [_reviewer(r) for r in people[:_ROWS]],
        "refused": [
            (printable(name, 80), printable(why, 200)) for name, why in list(refused.items())[:_ROWS]
        ],
        "uncanny": [_flagged(row) for row in rows[:_ROWS]],
        "more": max(0, len(rows) - _ROWS),
        "agreement": _agreement(board) if board else [],
        "board": [_standing(one) for one in board.reviewers[:_ROWS]] if board else [],
        "unshown": max(0, len(board.reviewers) - _ROWS) if board else 0,
    }


def _board(catalogue: Catalogue | None) -> Board | None:
    """The board of the workspace; None where nobody has judged anything in it."""
    workspace = getattr(catalogue, "workspace", None)
    if workspace is None or not workspace.reviews.exists():
        return None
    from genepool.review import board
    from genepool.store import ReviewRecord

    try:
        with ReviewRecord(workspace) as record:
            found = board(record)
    except GenepoolError:  # damaged: `genepool doctor` says so, the page is about the decision
        return None
    return found if found.reviewers else None


def _agreement(board: Board) -> list[tuple[str, str, str, str]]:
    """Coefficient, value, interval, on what."""
    rows = []
    for name, one in (("Krippendorff's alpha", board.alpha), ("Gwet's AC1", board.ac1)):
        seen = f"{plural(one.units, 'image')}, {plural(one.ratings, 'answer')}"
        if one.value is None:
            why = "nobody's images were judged twice" if not one.units else "only one answer was in use"
            rows.append((name, "not defined", why, seen))
        else:
            rows.append((name, number(one.value), interval(one.lower, one.upper), seen))
    return rows


def _standing(one: ReviewerBoard) -> dict[str, str]:
    state = "counts" if one.counted else "does not count"
    if one.test:
        state = "test data, no person"
    return {
        "name": printable(one.reviewer, 80),
        "verdicts": count(one.verdicts),
        "human": _rate(one.human_recall),
        "ai": _rate(one.ai_recall),
        "again": _rate(one.self_agreement),
        "seconds": "–" if one.seconds is None else f"{one.seconds:.1f}",
        "state": state,
        "reason": printable(one.reason, 200),
    }


def _rate(rate: Rate) -> str:
    if rate.value is None:
        return "–"
    return f"{rate.k}/{rate.n} {interval(rate.lower, rate.upper)}"


def _reviewer(row: Mapping[str, Any]) -> dict[str, str]:
    def ends(key: str) -> str:
        value = row.get(key)
        return interval(float(value[0]), float(value[1])) if isinstance(value, (list, tuple)) else ""

    controls = row.get("controls") or [0, 0]
    return {
        "name": printable(row.get("reviewer", ""), 80),
        "human": ends("human_recall"),
        "ai": ends("ai_recall"),
        "controls": f"{count(int(controls[0]))} + {count(int(controls[1]))}",
    }


def _flagged(row: Mapping[str, Any]) -> dict[str, str]:
    k, n = int(row.get("uncanny", 0)), int(row.get("judged", 0))
    return {
        "model": printable(row.get("model", ""), 80),
        "generation": count(int(row.get("generation", 0))),
        "judged": count(n),
        "flagged": count(k),
        "share": share(k, n),
        "interval": interval(row.get("lower"), row.get("upper")),
    }
