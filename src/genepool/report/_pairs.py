"""Duplicates in pairs: a picture that repeats another one, beside the one that is kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from genepool.report._gallery import Tile
from genepool.report._text import count, number, plural, printable

if TYPE_CHECKING:
    from genepool.records import Decision

__all__ = ["Pair", "Repeats", "repeats"]

SHOWN = 12
WORDS = {
    "bytes": "equal bytes",
    "pixels": "equal pixels",
    "looks": "equal looks",
    "embedding": "equal to the copy embedder",
}


@dataclass(frozen=True, slots=True)
class Pair:
    """Two images and why they are thought to be one."""

    image: Tile
    kept: Tile
    words: str


@dataclass(frozen=True, slots=True)
class Repeats:
    """Counts by kind, and some of the pairs, least sure first."""

    rows: tuple[tuple[str, str], ...]
    pairs: tuple[Pair, ...]
    total: int

    @property
    def note(self) -> str:
        """How many pairs are shown of how many."""
        if len(self.pairs) >= self.total:
            return f"all {plural(self.total, 'pair')} shown" if self.total > 1 else "1 pair"
        return f"{count(len(self.pairs))} of {plural(self.total, 'pair')} shown, the least sure first"


def repeats(decision: Decision) -> Repeats | None:
    """Copies within the set; None where none were found."""
    found = decision.extra.get("duplicates")
    if not isinstance(found, Mapping):
        return None
    try:
        exact, near = int(found.get("n_exact") or 0), int(found.get("n_near") or 0)
    except (TypeError, ValueError):
        return None
    if exact + near == 0:
        return None
    rows = [
        ("repeat another file byte for byte", count(exact)),
        ("repeat another picture in other bytes", count(near)),
    ]
    spread = decision.extra.get("diversity")
    by = spread.get("copies") if isinstance(spread, Mapping) else None
    if isinstance(by, Mapping):
        rows += [
            (f"surest sign: {WORDS.get(str(kind), printable(kind, 30))}", count(int(n)))
            for kind, n in list(by.items())[:8]
            if isinstance(n, int) and n
        ]
    share = decision.measures.get("near_duplicates")
    if share is not None and share.value is not None:
        rows.append(("share of the images", number(share.value, bound=share.bound)))
    return Repeats(tuple(rows), tuple(_pairs(found.get("pairs"))), exact + near)


def _pairs(rows: Any) -> list[Pair]:
    out = []
    for row in rows[:SHOWN] if isinstance(rows, (list, tuple)) else ():
        if not isinstance(row, Mapping) or not row.get("image") or not row.get("kept"):
            continue
        by, why = str(row.get("by", "")), printable(row.get("why") or "", 80)
        words = WORDS.get(by, printable(by, 30))
        out.append(
            Pair(
                Tile(str(row["image"]), "could go"),
                Tile(str(row["kept"]), f"kept: {why}" if why else "kept"),
                words,
            )
        )
    return out
