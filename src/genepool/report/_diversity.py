"""The diversity section: what stands behind the index, who is rare, what is missing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from genepool.report._kept import kept
from genepool.report._text import count, interval, number, printable

if TYPE_CHECKING:
    from genepool.records import Decision
    from genepool.store import Catalogue

__all__ = ["Facts", "Lost", "facts", "lost"]

ROWS = 12


@dataclass(frozen=True, slots=True)
class Facts:
    """Rows of the section's tables, ready to print.

    Attributes:
        numbers: Name, value, interval.
        missing: Under-represented styles: like, images, expected.
        groups: What sidecars name: column, named, evenly used, with few images.
        slices: Slices with the lowest index: column and name, index, interval, images.
        rare, common: Uris of the rarest and the commonest images.
        looked_at: Among how many these were sought.
    """

    numbers: tuple[tuple[str, str, str], ...]
    missing: tuple[tuple[str, str, str], ...]
    groups: tuple[tuple[str, str, str, str], ...]
    slices: tuple[tuple[str, str, str, str], ...]
    rare: tuple[str, ...]
    common: tuple[str, ...]
    looked_at: int


@dataclass(frozen=True, slots=True)
class Lost:
    """What is left of an earlier generation's styles: of ``genepool diversity PATH --reference R``.

    Attributes:
        words: What was compared, and whether the set has changed since.
        numbers: Name, value, interval.
        missing: Lost styles: like, images, expected.
        total: How many styles are lost.
    """

    words: str
    numbers: tuple[tuple[str, str, str], ...]
    missing: tuple[tuple[str, str, str], ...]
    total: int


def lost(decision: Decision, catalogue: Catalogue | None) -> Lost | None:
    """What was kept of the last comparison; None where there was none, or of another set."""
    data = kept(catalogue, "diversity.json")
    found = data.get("reference") if isinstance(data, Mapping) else None
    try:
        if not isinstance(found, Mapping) or data["dataset"]["uri"] != decision.uri:
            return None
        styles = found["lost"]
        against, n = printable(data.get("against") or "a reference", 200), count(int(found["n"]))
        words = f"Against {against}, {n} images."
        if data["dataset"]["root"] != decision.root:
            words += " The set has changed since this comparison."
        rows = [
            (title, number(float(e["value"])), interval(e.get("lower"), e.get("upper")))
            for title, e in (
                ("unique features retained, %", found["ufr"]),
                ("coverage", found["coverage"]),
                ("density", found["density"]),
                ("Fréchet distance", found["frechet"]),
            )
        ]
        return Lost(words, tuple(rows), _missing(styles["missing"]), int(styles["under_represented"]))
    except (KeyError, TypeError, ValueError, AttributeError):
        return None  # of another version


def _missing(rows: Any) -> tuple[tuple[str, str, str], ...]:
    return tuple(
        (
            printable(row.get("like") or f"prototype {row.get('prototype')}", 60),
            number(float(row.get("count", 0))),
            number(float(row.get("expected", 0))),
        )
        for row in _rows(rows)[:ROWS]
    )


def facts(decision: Decision) -> Facts | None:
    """What the gate measured beside the index; None where it measured nothing."""
    found = decision.extra.get("diversity")
    if not isinstance(found, Mapping) or not isinstance(found.get("prototypes"), Mapping):
        return None
    return Facts(
        tuple(_numbers(found)),
        _missing(found["prototypes"].get("missing")),
        tuple(_groups(found.get("groups"))),
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
    return rows


def _groups(found: Any) -> list[tuple[str, str, str, str]]:
    if not isinstance(found, Mapping):
        return []
    return [
        (
            printable(column, 30),
            count(int(shares.get("groups") or 0)),
            f"{float((shares.get('hill') or (0, 0, 0))[2]):.0f}",
            count(len(shares.get("under_represented") or ())),
        )
        for column, shares in found.items()
        if isinstance(shares, Mapping)
    ][:ROWS]


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
