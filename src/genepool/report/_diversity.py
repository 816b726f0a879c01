"""The diversity section: what stands behind the index, who is rare, what is missing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from genepool.report._text import count, interval, number, printable

if TYPE_CHECKING:
    from genepool.records import Decision

__all__ = ["Facts", "facts"]

ROWS = 12


@dataclass(frozen=True, slots=True)
class Facts:
    """Rows of the section's tables, ready to print.

    Attributes:
        numbers: Name, value, interval.
        missing: Under-represented styles: like, images, expected.
        slices: Slices with the lowest index: column and name, index, interval, images.
        rare, common: Uris of the rarest and the commonest images.
        looked_at: Among how many these were sought.
    """

    numbers: tuple[tuple[str, str, str], ...]
    missing: tuple[tuple[str, str, str], ...]
    slices: tuple[tuple[str, str, str, str], ...]
    rare: tuple[str, ...]
    common: tuple[str, ...]
    looked_at: int


def facts(decision: Decision) -> Facts | None:
    """What the gate measured beside the index; None where it measured nothing."""
    found = decision.extra.get("diversity")
    if not isinstance(found, Mapping) or not isinstance(found.get("prototypes"), Mapping):
        return None
    return Facts(
        tuple(_numbers(found)),
        tuple(
            (
                printable(row.get("like") or f"prototype {row.get('prototype')}", 60),
                number(float(row.get("count", 0))),
                number(float(row.get("expected", 0))),
            )
            for row in _rows(found["prototypes"].get("missing"))[:ROWS]
        ),
        tuple(_slices(found.get("slices"))),
        tuple(map(str, found.get("rarest") or ())),
        tuple(map(str, found.get("commonest") or ())),
        int(found.get("looked_at") or 0),
    )


def _rows(value: Any) -> list[Mapping[str, Any]]:
    return [row for row in value if isinstance(row, Mapping)] if isinstance(value, (list, tuple)) else []


def _numbers(found: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    places = found["prototypes"]
    hill = places.get("hill") or (0, 0, 0)
    rows = [
        ("effective styles", f"{float(found.get('styles') or 0):.0f}", ""),
        ("on the panel's support, or verified human", f"{float(found.get('on_support') or 0):.1%}", ""),
        ("prototypes seen", f"{hill[0]:.0f} of {places.get('of')}", ""),
        ("prototypes as if evenly used", f"{hill[2]:.0f}", ""),
        ("prototypes under-represented", count(int(places.get("under_represented") or 0)), ""),
    ]
    for name, key in (("index over whole artists", "sdi_by_artist"), ("raw Vendi score", "vendi")):
        value = found.get(key)
        if isinstance(value, Mapping) and value.get("value") is not None:
            rows.append((name, number(value["value"]), interval(value.get("lower"), value.get("upper"))))
    for column, shares in (found.get("groups") or {}).items():
        if isinstance(shares, Mapping):
            named = f"{shares.get('groups')} named, evenly used {(shares.get('hill') or (0, 0, 0))[2]:.0f}"
            rare = len(shares.get("under_represented") or ())
            rows.append((printable(column, 30), named + (f", {rare} with few images" if rare else ""), ""))
    return rows


def _slices(found: Any) -> list[tuple[str, str, str, str]]:
    if not isinstance(found, Mapping):
        return []
    every = [
        (float(e.get("value") or 0.0), f"{column} {name}", e)
        for column, slices in found.items()
        if isinstance(slices, Mapping)
        for name, e in slices.items()
        if isinstance(e, Mapping)
    ]
    return [
        (
            printable(name, 80),
            number(value),
            interval(e.get("lower"), e.get("upper")),
            count(int(e.get("n") or 0)),
        )
        for value, name, e in sorted(every, key=lambda row: row[:2])[:ROWS]
    ]
