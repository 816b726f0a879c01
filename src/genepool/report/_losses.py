"""What was kept beside the set about its model: what each generation lost, and what it costs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from genepool.errors import MeasureError
from genepool.report._charts import Chart
from genepool.report._svg import inline
from genepool.report._text import printable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from genepool.store import Catalogue

__all__ = ["Losses", "costs", "degradation"]

_CAPTIONS = {
    "generations": "Retention, diversity and preference beside what the article claims of them.",
    "mechanisms": "The three mechanisms, and how far each generation is from human work.",
    "spectrum": "Power of native crops over that of human work, by frequency.",
    "forecast": "The fitted forecast: the last mix kept up, and 70 % human from now on.",
    "retention": "Retention of the model in service under each strategy.",
    "value": "Discounted cash flow so far.",
    "costs": "What is spent and what revenue is lost.",
    "tornado": "What the comparison is most sensitive to.",
}


class Losses(NamedTuple):
    """A section: charts, sentences, and a table with its head."""

    charts: tuple[Chart, ...]
    sentences: tuple[str, ...]
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def degradation(catalogue: Catalogue | None) -> Losses | None:
    """Of ``genepool degradation … --workspace``; None where nothing was kept."""
    data = _kept(catalogue, "degradation.json")
    if data is None:
        return None
    from genepool.degradation import DegradationReport, plots

    try:
        found = DegradationReport.from_json(data)
    except MeasureError:
        return None  # of another version
    return _section(plots(found), "degradation", found.sentences(), found.rows())


def costs(catalogue: Catalogue | None) -> Losses | None:
    """Of ``genepool cost --workspace``; None where nothing was kept."""
    data = _kept(catalogue, "cost.json")
    if data is None:
        return None
    from genepool.economics import CostReport, plots

    try:
        found = CostReport.from_json(data)
    except MeasureError:
        return None
    return _section(plots(found), "cost", found.sentences(), found.rows())


def _kept(catalogue: Catalogue | None, name: str) -> Any:
    from genepool.errors import WorkspaceError

    workspace = getattr(catalogue, "workspace", None)
    if workspace is None:  # a catalogue in memory keeps nothing beside itself
        return None
    try:
        return workspace.read_json(name)
    except WorkspaceError:  # damaged: the page is about the decision
        return None


def _section(
    figures: Mapping[str, Any], prefix: str, sentences: list[str], rows: list[tuple[str, ...]]
) -> Losses:
    charts = tuple(
        Chart(inline(figure, f"{prefix}-{name}", _CAPTIONS[name]), _CAPTIONS[name])
        for name, figure in figures.items()
    )
    head, *body = ([printable(cell, 80) for cell in row] for row in rows)
    marked = (f"– {text.strip()}" if text.startswith("  ") else text for text in sentences)
    texts = tuple(printable(text, 600) for text in marked)
    return Losses(charts, texts, tuple(head), tuple(tuple(row) for row in body))
