"""Further charts: a detector's scores and calibration, the index over time, galleries, pedigrees."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from genepool.report._plot import GROUPS, axes_of, styled
from genepool.report._svg import PALETTE
from genepool.report._text import count, day, printable

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

__all__ = ["curve", "gallery", "over_time", "pedigree", "reliability", "scores"]


@styled
def scores(
    edges: NDArray[np.float64],
    counts: Mapping[str, NDArray[np.int64]],
    thresholds: tuple[float, float] | None = None,
) -> Figure:
    """Histograms of a detector's scores, one row for each group of images, on one axis.

    Args:
        edges: ``(k + 1,)`` ends of the bins, log odds of AI.
        counts: Group → ``(k,)`` images; an empty group is named and left blank.
        thresholds: Decided human at or below the first, AI at or above the second; None: nothing is decided.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 0.75 + 1.05 * len(counts)), layout="constrained")
    rows: Any = figure.subplots(len(counts), 1, sharex=True, squeeze=False)
    wide = edges[1] - edges[0]
    for axes, (name, values) in zip(rows[:, 0], counts.items(), strict=True):
        colour = next((c for group, c in GROUPS.items() if group in name), GROUPS["unknown"])
        top = max(1, int(values.max(initial=0)))
        if thresholds is not None:
            for low, high in ((edges[0], thresholds[0]), (thresholds[1], edges[-1])):
                axes.axvspan(low, high, color=PALETTE["rule"], alpha=0.45, linewidth=0)
        axes.bar(edges[:-1], values, width=wide * 0.92, align="edge", color=colour)
        axes.set_title(f"{name}  ·  {count(int(values.sum()))}", loc="left", fontsize=11, pad=3)
        axes.set_ylim(0, top * 1.08)
        axes.set_yticks([])
        axes.spines["left"].set_visible(False)
    last = rows[-1, 0]
    last.set_xlim(edges[0], edges[-1])
    last.set_xlabel("log odds of AI, after calibration" if thresholds else "raw score of the detector")
    if thresholds is not None:
        first, height = rows[0, 0], 0.97
        for x, side, word in ((edges[0], "left", "decided human"), (edges[-1], "right", "decided AI")):
            first.text(
                x + (0.12 if side == "left" else -0.12),
                height,
                word,
                transform=first.get_xaxis_transform(),
                ha=side,
                va="top",
                fontsize=10,
                color=PALETTE["muted"],
            )
    return figure


def _whisker(axes: Axes, x: float, low: float, high: float) -> None:
    axes.plot([x, x], [low, high], color=PALETTE["accent"], linewidth=5, alpha=0.35, solid_capstyle="butt")


def _square(axes: Axes, x: str, y: str) -> None:
    axes.plot([0, 1], [0, 1], color=PALETTE["muted"], linewidth=1, linestyle=(0, (2, 3)))
    axes.set_xlim(-0.02, 1.02)
    axes.set_ylim(-0.02, 1.02)
    axes.set_aspect("equal")
    axes.set_xticks([0, 0.5, 1])
    axes.set_yticks([0, 0.5, 1])
    axes.set_xlabel(x)
    axes.set_ylabel(y)


@styled
def curve(points: Sequence[tuple[float, float]]) -> Figure:
    """A ROC curve: share of AI found against share of human work taken for it."""
    figure, axes = axes_of(3.4, 3.8)
    axes.plot([x for x, _ in points], [y for _, y in points], color=PALETTE["accent"], linewidth=1.8)
    _square(axes, "human work called AI", "AI called AI")
    return figure


@styled
def reliability(points: Sequence[tuple[float, float, float, float]]) -> Figure:
    """What a probability of AI is worth: ``(mean p, observed share, lower, upper)`` for each bin."""
    figure, axes = axes_of(3.4, 3.8)
    for p, share, low, high in points:
        axes.plot(
            [p, p], [low, high], color=PALETTE["accent"], linewidth=5, alpha=0.35, solid_capstyle="butt"
        )
        axes.plot([p], [share], "o", color=PALETTE["accent"], markersize=6)
    _square(axes, "p(AI) of the detector", "share that is AI")
    return figure


@styled
def over_time(points: Sequence[Mapping[str, Any]], floor: float | None, title: str) -> Figure:
    """A measure check by check, with its interval and the floor; evenly spaced, dated below."""
    figure, axes = axes_of(2.7)
    x = list(range(len(points)))
    y = [float(p["value"]) for p in points]
    for i, p in enumerate(points):
        if p.get("lower") is not None and p.get("upper") is not None:
            _whisker(axes, i, float(p["lower"]), float(p["upper"]))
    axes.plot(x, y, "o-", color=PALETTE["accent"], linewidth=1.6, markersize=6)
    if floor is not None:
        axes.axhline(floor, color=PALETTE["ink"], linewidth=1.2, linestyle=(0, (4, 3)))
        axes.annotate(
            f"floor {floor:g}",
            (1, floor),
            xycoords=("axes fraction", "data"),
            xytext=(4, 0),
            textcoords="offset points",
            va="center",
            fontsize=11,
        )
    step = max(1, -(-len(points) // 5))
    axes.set_xticks(x[::step], [day(p["at"]).replace(" ", "\n") for p in points[::step]])
    axes.tick_params(axis="x", colors=PALETTE["ink"])
    axes.set_xlim(-0.6, max(len(points), 4) - 0.4)
    axes.set_ylim(0, max(1.0, *y) * 1.04)
    axes.set_ylabel(title)
    axes.grid(axis="y", color=PALETTE["rule"], linewidth=0.7)
    axes.set_axisbelow(True)
    return figure


@styled
def gallery(rows: Mapping[str, Sequence[tuple[str, bytes]]]) -> Figure:
    """Rows of pictures with a title each: title → (name, encoded image; empty: not readable)."""
    import numpy as np
    from matplotlib.figure import Figure
    from PIL import Image

    across = max([1, *(len(row) for row in rows.values())])
    figure = Figure(figsize=(1.15 * across, 1.75 * max(1, len(rows))), layout="constrained")
    strips: Any = figure.subfigures(max(1, len(rows)), 1, squeeze=False)
    for strip, (title, row) in zip(strips[:, 0], rows.items(), strict=False):
        strip.suptitle(title if row else f"{title}: none", x=0.01, ha="left", fontsize=12)
        for axes in (cells := strip.subplots(1, across, squeeze=False)[0]):
            axes.set_axis_off()
        for axes, (name, data) in zip(cells, row, strict=False):
            if data:
                axes.imshow(np.asarray(Image.open(io.BytesIO(data)).convert("RGB")))
            axes.set_title(printable(name.rsplit("/", 1)[-1], 16), fontsize=8, color=PALETTE["muted"], pad=3)
    return figure


@styled
def pedigree(described: Mapping[str, Any]) -> Figure:
    """The ancestry that `genepool.lineage.describe` gave: people rounded, models coloured by inbreeding."""
    from matplotlib.figure import Figure
    from matplotlib.patches import FancyBboxPatch, PathPatch
    from matplotlib.path import Path

    from genepool.lineage import layout

    plan = layout(described)
    figure = Figure(figsize=(plan.width / 80, plan.height / 80))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    axes.set_xlim(0, plan.width)
    axes.set_ylim(plan.height, 0)
    axes.set_aspect("equal")
    for edge in plan.edges:
        line = Path(edge.points, [Path.MOVETO, Path.CURVE4, Path.CURVE4, Path.CURVE4])
        dash = (0, (4, 3)) if edge.base else "solid"
        axes.add_patch(
            PathPatch(
                line, fill=False, edgecolor=edge.colour, linewidth=edge.width, alpha=0.7, linestyle=dash
            )
        )
        axes.text(*edge.at, edge.label, ha=edge.anchor, va="center", fontsize=8, color=PALETTE["muted"])
    for box in plan.boxes:
        style = f"round,pad=0,rounding_size={box.rounding:g}" if box.rounding > 1 else "square,pad=0"
        axes.add_patch(
            FancyBboxPatch(
                (box.x, box.y),
                box.width,
                box.height,
                boxstyle=style,
                facecolor=box.fill,
                edgecolor=PALETTE["muted"],
                linestyle=(0, (4, 3)) if box.dashed else "solid",
                linewidth=0.9,
            )
        )
        middle = box.x + box.width / 2
        axes.text(middle, box.y + 16, box.words[0], ha="center", va="center", color=box.ink,
                  fontsize=8.5, fontweight="bold")  # fmt: skip
        axes.text(middle, box.y + 32, box.words[1], ha="center", va="center", color=box.ink, fontsize=8)
    return figure
