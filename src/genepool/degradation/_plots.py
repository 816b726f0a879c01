"""The report as matplotlib figures, without pyplot: no window, no global state, nothing that varies."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ParamSpec

import numpy as np

from genepool.degradation._artefacts import frequencies
from genepool.degradation._fit import path
from genepool.degradation._report import ARTICLE, MEASURES

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from genepool.degradation._report import DegradationReport
    from genepool.records import Estimate

__all__ = ["ACCENT", "FAIL", "INK", "MUTED", "RULE", "plots", "save", "styled"]

# The page's own colours: its style sheet replaces them in light and dark.
INK, MUTED, RULE, ACCENT, FAIL, PASS = "#1d1c1a", "#66635d", "#dedad3", "#2b5a86", "#b0271f", "#1b7447"
SHADES = ("#1f4e79", "#3f79ad", "#7ea9cf", "#b0271f", "#8f9fb0", "#66635d")
P = ParamSpec("P")


def styled(draw: Callable[P, Figure]) -> Callable[P, Figure]:
    """Draw with the house's style, whatever style the caller has set."""

    @functools.wraps(draw)
    def drawn(*args: P.args, **kwargs: P.kwargs) -> Figure:
        import matplotlib as mpl

        look: Any = {
            "font.size": 11,
            "text.color": INK,
            "axes.labelcolor": MUTED,
            "axes.edgecolor": RULE,
            "axes.titlesize": 11,
            "axes.titlelocation": "left",
            "axes.titlecolor": INK,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "xtick.color": MUTED,
            "ytick.color": MUTED,
            "xtick.major.size": 0,
            "ytick.major.size": 0,
            "text.parse_math": False,
            "legend.frameon": False,
            "legend.fontsize": 10,
        }
        with mpl.rc_context(look):
            return draw(*args, **kwargs)

    return drawn


def plots(report: DegradationReport) -> dict[str, Figure]:
    """Name → figure: ``generations`` beside the article's table, ``mechanisms``, ``spectrum``, ``forecast``.

    Those for which nothing was measured are left out.
    """
    found = {"generations": _generations(report), "mechanisms": _mechanisms(report)}
    if report.generations[0].spectrum and report.baseline is not None and report.baseline.spectrum:
        found["spectrum"] = _spectrum(report)
    if report.forecast:
        found["forecast"] = _forecast(report)
    return found


def save(figures: dict[str, Figure], folder: Any, prefix: str = "") -> list[str]:
    """Write figures as SVG of equal bytes for equal numbers; returns the files' names.

    Raises:
        WorkspaceError: The folder cannot be written.
    """
    from pathlib import Path

    import matplotlib as mpl

    from genepool.errors import WorkspaceError

    place = Path(folder)
    names = []
    try:
        place.mkdir(parents=True, exist_ok=True)
        for name, figure in figures.items():
            with mpl.rc_context({"svg.hashsalt": f"genepool-{name}", "svg.fonttype": "none"}):
                target = place / f"{prefix}{name}.svg"
                figure.savefig(target, format="svg", facecolor="white", metadata={"Date": None})
            names.append(str(target))
    except OSError as error:
        raise WorkspaceError(f"{place}: plots cannot be written: {error.strerror or error}") from None
    return names


def _panels(count: int, width: float, height: float) -> tuple[Figure, list[Axes]]:
    from matplotlib.figure import Figure

    columns = min(3, count)
    rows = -(-count // columns)
    figure = Figure(figsize=(width, height * rows), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False).ravel().tolist()
    for axes in grid[count:]:
        axes.set_axis_off()
    return figure, grid[:count]


def _series(axes: Axes, values: Sequence[Estimate | None], colour: str = ACCENT) -> None:
    x = [i for i, v in enumerate(values, 1) if v is not None]
    known = [v for v in values if v is not None]
    y = [v.value for v in known]
    low = [v.value - v.lower if math.isfinite(v.lower) else 0.0 for v in known]
    high = [v.upper - v.value if math.isfinite(v.upper) else 0.0 for v in known]
    axes.errorbar(
        x,
        y,
        yerr=[low, high],
        color=colour,
        marker="o",
        markersize=5,
        linewidth=1.5,
        capsize=3,
        elinewidth=1.2,
    )


def _frame(axes: Axes, report: DegradationReport, title: str, count: int) -> None:
    axes.set_title(title)
    axes.set_xlim(0.6, count + 0.4)
    axes.set_xticks(range(1, count + 1))
    axes.set_xlabel("generation")
    axes.grid(axis="y", color=RULE, linewidth=0.7)
    axes.set_axisbelow(True)


@styled
def _generations(report: DegradationReport) -> Figure:
    """Retention, index and preference beside what the article says of them."""
    count = max(len(report.generations), len(ARTICLE))
    said = {
        "retention_first": [c.retention for c in ARTICLE],
        "diversity": [c.diversity for c in ARTICLE],
        "preference": [c.preference for c in ARTICLE],
    }
    figure, grid = _panels(3, 10, 3.2)
    for axes, (name, claims) in zip(grid, said.items(), strict=True):
        values = report.series(name)
        axes.plot(
            range(1, len(claims) + 1),
            claims,
            "s--",
            color=MUTED,
            markersize=4,
            linewidth=1,
            label="the article",
        )
        if any(v is not None for v in values):
            _series(axes, values)
            axes.plot([], [], "o-", color=ACCENT, label="measured")
        else:
            axes.text(0.97, 0.92, "needs people", transform=axes.transAxes, ha="right", color=MUTED)
        _human(axes, report, name)
        about = MEASURES[name]
        _frame(axes, report, about.title.replace(", of generation 1", "") + _unit(about.unit), count)
        top = max([*claims, *(v.upper for v in values if v is not None and math.isfinite(v.upper))])
        axes.set_ylim(0, 1.08 * top)
    _legend(figure, grid)
    return figure


def _legend(figure: Figure, grid: Sequence[Axes]) -> None:
    """One legend under all panels: inside it would lie on the lines."""
    known: dict[str, Any] = {}
    for axes in grid:
        handles, labels = axes.get_legend_handles_labels()
        known |= dict(zip(labels, handles, strict=True))
    columns = min(4, max(1, int(figure.get_figwidth() / 2)))
    figure.legend(known.values(), known.keys(), loc="outside lower center", ncols=columns)


def _unit(unit: str) -> str:
    return {"%": ", %", "/10": ", of 10", "sd": ", human sd", "×": ", ×"}.get(unit, "")


def _human(axes: Axes, report: DegradationReport, name: str) -> None:
    base = None if report.baseline is None else report.baseline.measures.get(name)
    if base is not None:
        axes.axhline(base.value, color=PASS, linewidth=1, linestyle=(0, (1, 2)), label="held-out human work")


@styled
def _mechanisms(report: DegradationReport) -> Figure:
    """The three mechanisms and the distances, each with its interval and what human work scores."""
    names = ("artefact", "amplification", "variance", "tail", "outliers", "coverage", "density", "frechet")
    known = [n for n in names if any(v is not None for v in report.series(n))]
    figure, grid = _panels(len(known), 10, 2.8)
    for axes, name in zip(grid, known, strict=True):
        _series(axes, report.series(name))
        _human(axes, report, name)
        about = MEASURES[name]
        _frame(axes, report, about.title + _unit(about.unit), len(report.generations))
        axes.set_ylim(bottom=0)
    _legend(figure, grid)
    return figure


@styled
def _spectrum(report: DegradationReport) -> Figure:
    """Radial spectra of native crops, in decibels over held-out human pictures."""
    figure, (axes,) = _panels(1, 6.4, 3.4)
    assert report.baseline is not None  # noqa: S101  # asked before
    base = np.array(report.baseline.spectrum)
    for i, one in enumerate(report.generations):
        gap = 10.0 * (np.array(one.spectrum) - base)
        axes.plot(frequencies(), gap, color=SHADES[i % len(SHADES)], linewidth=1.5, label=one.name)
    axes.axhline(0, color=PASS, linewidth=1, linestyle=(0, (1, 2)), label="held-out human work")
    axes.set_title(f"power over human work, dB (native crops of {report.crop} px)")
    axes.set_xlabel("frequency, cycles per pixel")
    axes.set_xlim(0, 0.5)
    axes.grid(axis="y", color=RULE, linewidth=0.7)
    _legend(figure, [axes])
    return figure


@styled
def _forecast(report: DegradationReport) -> Figure:
    """What was fitted, and where it goes: the last mix kept up, and 70 % human from now on."""
    figure, grid = _panels(len(report.forecast), 3.4 * max(2, len(report.forecast)), 3.2)
    shares = [one.human for one in report.generations]
    for axes, (name, made) in zip(grid, report.forecast.items(), strict=True):
        values = report.series(name)
        _series(axes, values)
        count = len(values)
        fitted = made.scale * np.concatenate(([1.0], path([h or 0.0 for h in shares[1:]], made.b2.value)))
        axes.plot(range(1, count + 1), fitted, color=MUTED, linewidth=1, linestyle="--", label="fit")
        last = shares[-1] or 0.0
        for human, colour, words in ((last, FAIL, "the last mix kept up"), (0.7, PASS, "70 % human")):
            ahead = made.predict([human] * 4)
            x = [count, *range(count + 1, count + 5)]
            start = made.scale * made.last
            axes.plot(x, [start, *(v.value for v in ahead)], color=colour, linewidth=1.5, label=words)
            axes.fill_between(
                x,
                [start, *(v.lower for v in ahead)],
                [start, *(v.upper for v in ahead)],
                color=colour,
                alpha=0.15,
                linewidth=0,
            )
        about = MEASURES[name]
        _frame(axes, report, about.title.replace(", of generation 1", "") + _unit(about.unit), count + 4)
        axes.set_ylim(bottom=0)
    _legend(figure, grid)
    return figure
