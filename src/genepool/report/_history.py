"""The index over time: what each check of the set found, from the history that a decision carries."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from genepool.report import _figures
from genepool.report._charts import Chart
from genepool.report._svg import inline
from genepool.report._text import count, day, interval, number, plural

if TYPE_CHECKING:
    from genepool.records import Decision

__all__ = ["chart", "points"]

DRAWN = 40
"""Checks that are drawn, the newest."""
LATEST = 4e9
"""Later than this (the year 2096) is no time at which somebody checked."""


def points(decision: Decision) -> list[dict[str, Any]]:
    """``{"at", "value", "lower", "upper", "n", "status"}`` of each check with an index, oldest first."""
    found = decision.extra.get("history")
    rows = found if isinstance(found, (list, tuple)) else ()
    out = []
    for row in rows:
        index = row.get("diversity") if isinstance(row, Mapping) else None
        at = row.get("at") if isinstance(row, Mapping) else None
        if not isinstance(index, Mapping) or not isinstance(at, (int, float)) or not 0 <= at < LATEST:
            continue
        value = index.get("value")
        if isinstance(value, (int, float)) and math.isfinite(value):
            ends = {key: index.get(key) for key in ("lower", "upper")}
            out.append({"at": at, "value": value, **ends, "n": row.get("n"), "status": row.get("status")})
    return out


def chart(decision: Decision) -> Chart | None:
    """The index check by check; None where there are fewer than two."""
    known = points(decision)
    if len(known) < 2:
        return None
    shown = known[-DRAWN:]
    line = decision.measures.get("diversity")
    floor = line.bound if line is not None else None
    first, last = shown[0], shown[-1]
    alt = (
        f"Style diversity index over {plural(len(shown), 'check')}: {number(first['value'])} on "
        f"{day(first['at'])}, {number(last['value'])} on {day(last['at'])}"
        + (f", floor {number(floor)}." if floor is not None else ".")
    )
    kept = "" if len(shown) == len(known) else f" The newest {len(shown)} of {len(known)} are drawn."
    return Chart(
        inline(_figures.over_time(shown, floor, "style diversity index"), "history", alt),
        f"The index at each check of a changed set, with its interval; times in UTC.{kept}",
        ("check", "index", "interval", "images", "decision"),
        tuple(
            (
                day(p["at"]),
                number(p["value"], bound=floor),
                interval(p["lower"], p["upper"], bound=floor),
                count(int(p["n"] or 0)),
                str(p["status"] or "")[:12],
            )
            for p in shown[::-1]
        ),
    )
