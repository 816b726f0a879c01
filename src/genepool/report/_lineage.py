"""The pedigree of a set in the report: the picture, its words, and the same numbers as a table."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from genepool.report._charts import Chart
from genepool.report._svg import PALETTE
from genepool.report._text import count, number, plural, printable

if TYPE_CHECKING:
    from genepool.records import Decision

__all__ = ["captions", "findings", "pedigree"]

ROWS = 80


def pedigree(decision: Decision) -> Chart | None:
    """The set's ancestry; None where nothing of it is registered."""
    data = decision.extra.get("lineage")
    if not isinstance(data, Mapping) or not isinstance(data.get("nodes"), (list, tuple)) or not data["nodes"]:
        return None
    from markupsafe import Markup

    from genepool.lineage import draw

    try:
        text = draw(data)
        rows = tuple(_row(node) for node in reversed(data["nodes"][-ROWS:]))
        b2, omitted = float(data["b2"]), int(data["omitted"])
    except (KeyError, TypeError, ValueError, AttributeError):
        return None  # a decision of another version
    wide = re.search(r'viewBox="0 0 ([\d.]+) ', text)
    width = float(wide.group(1)) if wide else 400.0
    # Fixed size for a file of its own, the page's width here; words stay readable on a narrow screen.
    style = f'class="chart" style="max-width:{width:.0f}px;min-width:{min(width, 760) * 0.84:.0f}px"'
    text = re.sub(r' width="[\d.]+" height="[\d.]+"', f" {style}", text, count=1)
    for name in ("muted", "accent"):
        text = text.replace(PALETTE[name], f"var(--{name})")
    more = f" {plural(omitted, 'ancestor')} further back not shown." if omitted else ""
    return Chart(
        # Built by genepool.lineage, which escapes every name.
        Markup(re.sub(r">\s+<", "><", text).strip()),  # noqa: S704
        "Who made the images, and what the models that made some of them were trained on. Rounded: people; "
        "boxes: models, coloured by inbreeding F; square: sets. Dashed: part of the ancestry is unknown. "
        f"Retention assumes that a model keeps b² = {b2:g} of the variance.{more}",
        ("cohort", "kind", "generation", "inbreeding F", "retention", "human roots"),
        rows,
    )


def _row(node: Mapping[str, Any]) -> tuple[str, ...]:
    lo, hi = node["generation"]
    f = node["inbreeding"]
    return (
        printable(node["name"], 60),
        {"founders": "people"}.get(node["kind"], printable(node["kind"], 20)),
        f"{lo} or later" if hi is None else str(lo) if lo == hi else f"{lo} to {hi}",
        "not known" if f is None else number(float(f["value"])),
        "not known" if node["retention"] is None else number(float(node["retention"])),
        "not known" if node["human_share"] is None else number(float(node["human_share"])),
    )


def findings(decision: Decision) -> list[str]:
    """What is wrong in the records of models."""
    data = decision.extra.get("lineage")
    found = data.get("findings") if isinstance(data, Mapping) else None
    return [printable(text, 300) for text in found[:40]] if isinstance(found, (list, tuple)) else []


def captions(decision: Decision) -> list[tuple[str, str]]:
    """Captions by who wrote them."""
    data = decision.extra.get("captions")
    if not isinstance(data, Mapping) or not data.get("captions"):
        return []
    rows = [
        (label, count(int(data.get(key) or 0)))
        for key, label in (
            ("captions", "images with a caption"),
            ("human", "written by people"),
            ("machine", "written by machines"),
            ("unstated", "nobody says"),
        )
    ]
    share = data.get("machine_share")
    if isinstance(share, Mapping):
        low, high = float(share.get("lower") or 0.0), float(share.get("upper") or 0.0)
        rows.append(("machine-written share", f"{low:.1%}" if low == high else f"{low:.1%} to {high:.1%}"))
    return rows
