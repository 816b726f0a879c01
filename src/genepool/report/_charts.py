"""The charts of the page: their numbers, captions, alternative texts and tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from genepool.report import _plot
from genepool.report._svg import PALETTE, inline
from genepool.report._text import count, plural, printable, share

if TYPE_CHECKING:
    from markupsafe import Markup

    from genepool.records import Decision
    from genepool.report._style import StyleView

__all__ = ["Chart", "classes", "generation_chart", "style_chart", "tiers"]

TIER_WORDS = {
    "proven": "a signature with a trusted chain binds the claim to these bytes",
    "attested": "a trusted key says so in the log",
    "declared": "unsigned metadata or a sidecar says so",
    "recovered": "found again by its look",
    "inferred": "a detector alone says so",
    "unknown": "nothing is known",
}


@dataclass(frozen=True, slots=True)
class Chart:
    """A drawing with its words: alternative text, caption, and the same numbers as a table."""

    svg: Markup
    caption: str
    head: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()


def tiers(decision: Decision, origins: Any) -> dict[str, Any] | None:
    """How the origins are known: one bar and its legend."""
    counts = _ints(decision.extra.get("origins"))
    if not counts and origins is not None and "tier" in origins.column_names:
        counts = _plot.tier_counts(origins)
    total = sum(counts.values())
    if not total:
        return None
    ordered = {tier: counts.pop(tier, 0) for tier in _plot.TIERS} | counts
    words = ", ".join(f"{count(n)} {tier}" for tier, n in ordered.items() if n)
    alt = printable(f"How origins are known: {words}.", 400)
    svg = inline(_plot.stack(ordered), "tiers", alt, stretch=True)
    return {
        "svg": svg,
        "rows": [
            {
                "tier": printable(tier, 40) or "none",
                "colour": f"tier-{tier}" if tier in _plot.TIERS else "tier-unknown",
                "n": count(n),
                "share": share(n, total),
                "words": TIER_WORDS.get(tier, ""),
            }
            for tier, n in ordered.items()
        ],
    }


def classes(decision: Decision, origins: Any) -> Chart | None:
    """What made the images, as far as is known."""
    counts = _ints(decision.extra.get("classes"))
    if not counts and origins is not None and "origin" in origins.column_names:
        import pyarrow.compute as pc

        rows = pc.value_counts(origins["origin"]).to_pylist()
        counts = {str(row["values"]): int(row["counts"]) for row in rows}
    order = ("captured", "human_made", "algorithmic", "mixed", "synthetic", "unknown")
    counts = {k: counts[k] for k in (*order, *sorted(set(counts) - set(order))) if counts.get(k)}
    if not counts:
        return None
    names = {k.replace("_", "-"): n for k, n in list(counts.items())[:12]}
    muted = {"unknown": PALETTE["tier-recovered"]}
    alt = printable(
        "What made the images: " + ", ".join(f"{count(n)} {k}" for k, n in names.items()) + ".", 400
    )
    return Chart(
        inline(_plot.bars(names, muted), "classes", alt),
        "What made the images, settled from all evidence.",
        ("made by", "images", "share"),
        _counted(names),
    )


def generation_chart(decision: Decision) -> Chart | None:
    """Images by generation, with the maximum."""
    counts = _ints(decision.extra.get("generations"))
    if not sum(counts.values()):
        return None
    numbers = sorted((k for k in counts if k.isdigit()), key=int)
    if len(numbers) > 9:  # a long tail becomes one column
        for k in numbers[8:]:
            counts[f"{numbers[8]}+"] = counts.get(f"{numbers[8]}+", 0) + counts.pop(k)
    line = decision.measures.get("generation")
    maximum = int(line.bound) if line is not None and line.bound is not None else None
    above = sum(n for k, n in counts.items() if k.isdigit() and maximum is not None and int(k) > maximum)
    alt = "Images by generation: " + ", ".join(f"{count(n)} at {k}" for k, n in counts.items()) + "."
    if maximum is not None:
        alt += f" The maximum is {maximum}; {count(above)} are above it."
    return Chart(
        inline(_plot.generations(counts, maximum), "generations", printable(alt, 500)),
        "Generation 0 was made by a person or a camera; every model in between adds one.",
        ("generation", "images", "share"),
        _counted(counts),
    )


def style_chart(view: StyleView | None) -> Chart | None:
    """The style map."""
    if view is None:
        return None
    counts = {g: view.groups.count(g) for g in _plot.GROUPS}
    words = ", ".join(f"{count(n)} {g}" for g, n in counts.items() if n)
    drawn = (
        "all images"
        if len(view.points) == view.n
        else f"{count(len(view.points))} of {plural(view.n, 'image')}"
    )
    return Chart(
        inline(_plot.style_map(view.points, view.groups), "style", f"Style map of {drawn}: {words}."),
        f"{drawn[:1].upper()}{drawn[1:]} drawn, each at its style's first two principal components "
        f"({view.explained:.0%} of the variance): close means alike.",
        ("group", "images drawn"),
        tuple((g, count(n)) for g, n in counts.items()),
    )


def _ints(value: Any) -> dict[str, int]:
    if not isinstance(value, Mapping):
        return {}
    return {
        str(k): int(n) for k, n in value.items() if isinstance(n, (int, float)) and not isinstance(n, bool)
    }


def _counted(counts: Mapping[str, int]) -> tuple[tuple[str, ...], ...]:
    total = sum(counts.values())
    return tuple((printable(k, 60), count(n), share(n, total)) for k, n in counts.items())
