"""The strategies as matplotlib figures, without pyplot."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from genepool.degradation import styled
from genepool.economics._model import COSTS, LOSSES
from genepool.economics._report import WORDS, money, short

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from genepool.economics._report import CostReport

__all__ = ["plots"]

INK, MUTED, RULE = "#1d1c1a", "#66635d", "#dedad3"
LINES = ("#1b7447", "#2b5a86", "#b0271f", "#8f9fb0", "#66635d", "#7ea9cf")
KINDS = {
    "acquire": "#1f4e79",
    "verify": "#3f79ad",
    "detect": "#7ea9cf",
    "review": "#b5bcc4",
    "train": "#8f9fb0",
    "retrain": "#d9652b",
    "debt": "#b0271f",
    "lost_share": "#c9a227",
    "brand": "#66635d",
}
_BARS = 12


def plots(report: CostReport) -> dict[str, Figure]:
    """Name → figure: ``retention``, ``value``, ``costs``, ``tornado``."""
    return {
        "retention": _retention(report),
        "value": _value(report),
        "costs": _costs(report),
        "tornado": _tornado(report),
    }


def _axes(width: float, height: float) -> tuple[Figure, Axes]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.add_subplot()
    axes.set_axisbelow(True)
    return figure, axes


def _months(axes: Axes, report: CostReport) -> None:
    horizon = int(report.assumptions.numbers["general.horizon"].value)
    step = max(1, -(-horizon // 12 // 3) * 3) if horizon > 12 else 1
    axes.set_xlim(0, horizon)
    axes.set_xticks(range(0, horizon + 1, step))
    axes.set_xlabel("month")
    axes.grid(axis="y", color=RULE, linewidth=0.7)


@styled
def _retention(report: CostReport) -> Figure:
    """Retention of the model in service, with the floor."""
    figure, axes = _axes(7.2, 4.0)
    for one, colour in zip(report.outcomes, _cycle(report), strict=True):
        months = range(len(one.retention))
        axes.step(months, one.retention, where="post", color=colour, linewidth=1.8, label=one.strategy.title)
        low, high = one.retention_band
        axes.fill_between(months, low, high, step="post", color=colour, alpha=0.12, linewidth=0)
    floor = report.assumptions.numbers["policy.floor"].value
    axes.axhline(floor, color=INK, linewidth=1, linestyle=(0, (4, 3)))
    axes.text(0.15, floor + 0.015, f"floor {floor:g}", fontsize=10)
    axes.set_title("retention of the model in service, 1 = human-trained; bands: Monte Carlo interval")
    axes.set_ylim(0, 1.08)
    _months(axes, report)
    figure.legend(loc="outside lower center", ncols=2)
    return figure


@styled
def _value(report: CostReport) -> Figure:
    """Discounted cash flow added up, as a difference to the second strategy of the comparison."""
    figure, axes = _axes(7.2, 4.0)
    base = next(one for one in report.outcomes if one.strategy.name == report.compared[1])
    for one, colour in zip(report.outcomes, _cycle(report), strict=True):
        gap = [(a - b) / 1e3 for a, b in zip(one.cumulative, base.cumulative, strict=True)]
        axes.plot(range(len(gap)), gap, color=colour, linewidth=1.8, label=one.strategy.title)
    axes.set_title(f"discounted cash flow so far, compared with {base.strategy.title}, thousand USD")
    _months(axes, report)
    figure.legend(loc="outside lower center", ncols=2)
    return figure


@styled
def _costs(report: CostReport) -> Figure:
    """What is spent and what is lost, by kind."""
    figure, axes = _axes(8.2, 0.9 + 0.62 * len(report.outcomes))
    names = [n for n in (*COSTS, *LOSSES) if any(one.totals[n] for one in report.outcomes)]
    left = [0.0] * len(report.outcomes)
    for name in names:
        values = [one.totals[name] / 1e3 for one in report.outcomes]
        axes.barh(range(len(values)), values, left=left, height=0.6, color=KINDS[name], label=WORDS[name])
        left = [a + b for a, b in zip(left, values, strict=True)]
    for row, total in enumerate(left):
        axes.text(total + max(left) * 0.01, row, money(total * 1e3), va="center", fontsize=10)
    axes.set_yticks(range(len(left)), [one.strategy.title for one in report.outcomes], color=INK)
    axes.set_ylim(len(left) - 0.5, -0.5)
    axes.set_xlim(0, max(left) * 1.12)
    axes.set_title("costs and revenue lost over the horizon, thousand USD")
    figure.legend(loc="outside lower center", ncols=5, fontsize=10)
    return figure


@styled
def _tornado(report: CostReport) -> Figure:
    """Difference of present values with each number at both ends of its range."""
    bars = report.swings[:_BARS]
    figure, axes = _axes(8.2, 1.1 + 0.4 * max(1, len(bars)))
    base = report.difference[0] / 1e3
    for row, one in enumerate(bars):
        for end, colour in ((one.at_low, "#7ea9cf"), (one.at_high, "#1f4e79")):
            axes.barh(row, end / 1e3 - base, left=base, height=0.62, color=colour)
        for value, text in ((one.at_low, short(one.low)), (one.at_high, short(one.high))):
            left = value <= min(one.at_low, one.at_high)
            axes.annotate(
                text,
                (value / 1e3, row),
                xytext=(-3 if left else 3, 0),
                textcoords="offset points",
                ha="right" if left else "left",
                va="center",
                fontsize=9,
                color=MUTED,
            )
    axes.axvline(base, color=INK, linewidth=1)
    axes.axvline(0, color=MUTED, linewidth=0.8, linestyle=(0, (1, 2)))
    axes.set_yticks(range(len(bars)), [one.name for one in bars], color=INK)
    axes.set_ylim(len(bars) - 0.4, -0.6)
    axes.margins(x=0.12)
    a, b = (report.title(name) for name in report.compared)
    axes.set_title(f"present value of {a} less that of {b}, thousand USD\nlight: low end, dark: high end")
    return figure


def _cycle(report: CostReport) -> list[Any]:
    return [LINES[i % len(LINES)] for i in range(len(report.outcomes))]
