"""The section about people: whose answers certify the share, and what felt uncanny to them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from genepool.report._text import count, interval, plural, printable, share

if TYPE_CHECKING:
    from genepool.records import Decision

__all__ = ["looked"]

_ROWS = 60


def looked(decision: Decision) -> dict[str, Any] | None:
    """Reviewers and flags as rows; None where nobody has looked."""
    certificate, flags = decision.extra.get("certificate"), decision.extra.get("uncanny")
    told = certificate if isinstance(certificate, Mapping) else {}
    rows = [row for row in flags if isinstance(row, Mapping)] if isinstance(flags, (list, tuple)) else []
    labels = int(told.get("labels") or 0)
    people = [r for r in told.get("reviewers") or [] if isinstance(r, Mapping)]
    refused = told.get("refused")
    refused = refused if isinstance(refused, Mapping) else {}
    if not (rows or labels or people or refused):
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
    }


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
