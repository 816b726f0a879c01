"""What was kept beside the set about its model: what each generation lost, and what it costs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from genepool.errors import MeasureError
from genepool.report._charts import Chart
from genepool.report._kept import kept
from genepool.report._svg import inline
from genepool.report._text import interval, number, printable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from genepool.degradation import DegradationReport
    from genepool.economics import CostReport
    from genepool.store import Catalogue

__all__ = ["Losses", "costs", "degradation"]

Table = tuple[tuple[str, ...], list[tuple[str, ...]]]
_SPOKEN = 600
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
_ARTICLE = (
    "",
    "human share: article / here",
    "retention: article",
    "here",
    "diversity: article",
    "here",
    "preference: article",
    "here",
)


class Losses(NamedTuple):
    """A section: charts, sentences (and whether one belongs to the one before), a table with its title."""

    charts: tuple[Chart, ...]
    sentences: tuple[tuple[str, bool], ...]
    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def degradation(catalogue: Catalogue | None) -> Losses | None:
    """Of ``genepool degradation … --workspace``; None where nothing was kept."""
    data = kept(catalogue, "degradation.json")
    if data is None:
        return None
    from genepool.degradation import DegradationReport, plots

    try:
        found = DegradationReport.from_json(data)
    except MeasureError:
        return None  # of another version
    tables = _generations(found)
    charts = _charts(plots(found), "degradation", tables)
    return _section(charts, found.sentences(), "Beside the article's table", *tables["generations"])


def costs(catalogue: Catalogue | None) -> Losses | None:
    """Of ``genepool cost --workspace``; None where nothing was kept."""
    data = kept(catalogue, "cost.json")
    if data is None:
        return None
    from genepool.economics import CostReport, plots

    try:
        found = CostReport.from_json(data)
    except MeasureError:
        return None
    charts = _charts(plots(found), "cost", _strategies(found))
    head, *rows = found.rows()
    return _section(charts, found.sentences(), "Strategies", head, rows)


# ------------------------------------------------------------------------- the table behind each chart


def _generations(found: DegradationReport) -> dict[str, Table]:
    head, *rows = found.rows()
    tables: dict[str, Table] = {
        "generations": (_ARTICLE, found.article_rows()[2:]),
        "mechanisms": (head, rows),
    }
    base = found.baseline
    if base is not None and base.spectrum:
        from genepool.degradation import frequencies

        known = [one for one in found.generations if len(one.spectrum) == len(base.spectrum)]
        lines = [
            (f"{f:.3f}", *(f"{10 * (one.spectrum[i] - base.spectrum[i]):+.1f}" for one in known))
            for i, f in enumerate(frequencies()[: len(base.spectrum)].tolist())
        ]
        tables["spectrum"] = (("cycles per pixel: dB", *(one.name for one in known)), lines)
    if found.forecast:
        tables["forecast"] = (("", "human share", "generations ahead: 1", "2", "3", "4"), _ahead(found))
    return tables


def _ahead(found: DegradationReport) -> list[tuple[str, ...]]:
    from genepool.degradation import MEASURES

    last = found.generations[-1].human or 0.0
    rows = []
    for name, one in found.forecast.items():
        title = MEASURES[name].title if name in MEASURES else name
        for human in (last, 0.7):
            ahead = one.predict([human] * 4)
            cells = (f"{number(v.value)} {interval(v.lower, v.upper)}" for v in ahead)
            rows.append((title, f"{human:.0%}", *cells))
    return rows


def _strategies(found: CostReport) -> dict[str, Table]:
    names = tuple(one.strategy.title for one in found.outcomes)
    months = range(len(found.outcomes[0].retention)) if found.outcomes else range(0)
    retention = [(str(m), *(f"{one.retention[m]:.2f}" for one in found.outcomes)) for m in months]
    base = next(one for one in found.outcomes if one.strategy.name == found.compared[1])
    value = [
        (str(m), *(f"{(one.cumulative[m] - base.cumulative[m]) / 1e3:,.0f}" for one in found.outcomes))
        for m in range(len(base.cumulative))
    ]
    head, *spent = found.costs()
    swings: list[tuple[str, ...]] = [
        (one.name, f"{one.low:g} to {one.high:g}", f"{one.at_low / 1e3:,.0f}", f"{one.at_high / 1e3:,.0f}")
        for one in found.swings
    ]
    return {
        "retention": (("month", *names), retention),
        "value": (("month: thousand USD", *names), value),
        "costs": (head, spent),
        "tornado": (("assumption", "range", "thousand USD at the low end", "at the high end"), swings),
    }


def _charts(figures: Mapping[str, Any], prefix: str, tables: Mapping[str, Table]) -> tuple[Chart, ...]:
    found = []
    for name, figure in figures.items():
        head, rows = tables[name]
        alt = _spoken(_CAPTIONS[name], head, rows)
        cells = tuple(tuple(printable(cell, 80) for cell in row) for row in rows)
        heads = tuple(printable(cell, 80) for cell in head)
        found.append(Chart(inline(figure, f"{prefix}-{name}", alt), _CAPTIONS[name], heads, cells))
    return tuple(found)


def _spoken(caption: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """The chart in words: what it shows, and its first and last row."""
    some = [*rows[:1], *rows[1:][-1:]]
    said = (
        f"{row[0]}: " + ", ".join(f"{h} {c}" for h, c in zip(head[1:], row[1:], strict=False)) for row in some
    )
    return printable(f"{caption} {'; '.join(said)}.", _SPOKEN)


def _section(
    charts: tuple[Chart, ...],
    sentences: list[str],
    title: str,
    head: tuple[str, ...],
    rows: list[tuple[str, ...]],
) -> Losses:
    texts = tuple((printable(text.strip(), 600), text.startswith("  ")) for text in sentences)
    body = tuple(tuple(printable(cell, 80) for cell in row) for row in rows)
    return Losses(charts, texts, title, tuple(printable(cell, 80) for cell in head), body)
