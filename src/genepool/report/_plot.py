"""The charts, as matplotlib figures without pyplot: no global state, no window, no display."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, ParamSpec

from genepool.records import Measure
from genepool.report._svg import PALETTE
from genepool.report._text import count, interval, number, printable, share

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

__all__ = [
    "GROUPS",
    "TIERS",
    "axes_of",
    "bars",
    "generations",
    "intervals",
    "stack",
    "style_map",
    "styled",
    "tier_counts",
    "whole_numbers",
]

TIERS = ("proven", "attested", "declared", "recovered", "inferred", "unknown")
GROUPS = {"human": "#3a86c8", "AI": "#d9652b", "unknown": "#8c8c8c"}
"""Colours of the style map: middle tones that stand out on white and on black; shapes differ as well."""
MARKERS = {"human": "o", "AI": "^", "unknown": "s"}
WIDTH = 6.4
P = ParamSpec("P")


def styled(draw: Callable[P, Figure]) -> Callable[P, Figure]:
    """Draw with the page's look, whatever style the caller has set."""

    @functools.wraps(draw)
    def drawn(*args: P.args, **kwargs: P.kwargs) -> Figure:
        import matplotlib as mpl

        ink, muted = PALETTE["ink"], PALETTE["muted"]
        with mpl.rc_context(
            {
                "font.size": 12,
                "text.color": ink,
                "axes.labelcolor": muted,
                "axes.edgecolor": PALETTE["rule"],
                "axes.spines.top": False,
                "axes.spines.right": False,
                "xtick.color": muted,
                "ytick.color": ink,
                "xtick.major.size": 0,
                "ytick.major.size": 0,
                "hatch.linewidth": 1.2,
                "text.parse_math": False,  # a `$` in a slice's name is a dollar
            }
        ):
            return draw(*args, **kwargs)

    return drawn


def axes_of(height: float, width: float = WIDTH) -> tuple[Figure, Axes]:
    """A figure with one pair of axes; inches."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.add_subplot()


@styled
def stack(counts: Mapping[str, int]) -> Figure:
    """How origins are known, as one bar without words: the legend beside it carries them."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 0.4))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    total = max(1, sum(counts.values()))
    left = 0.0
    for tier, n in counts.items():
        if n:
            axes.barh(
                0, n / total, left=left, height=1, color=PALETTE.get(f"tier-{tier}", PALETTE["tier-unknown"])
            )
            left += n / total
    axes.set_xlim(0, 1)
    axes.set_ylim(-0.5, 0.5)
    return figure


@styled
def bars(counts: Mapping[str, int], colours: Mapping[str, str] | None = None) -> Figure:
    """Counts as horizontal bars, each with its number and share."""
    names = [printable(name, 24) for name in counts]
    figure, axes = axes_of(0.35 + 0.36 * max(1, len(counts)))
    values = list(counts.values())
    total, longest = sum(values), max([1, *values])
    fill = [(colours or {}).get(name, PALETTE["accent"]) for name in counts]
    axes.barh(range(len(values)), values, height=0.62, color=fill)
    for row, n in enumerate(values):
        axes.text(n + longest * 0.02, row, f"{count(n)}  ·  {share(n, total)}", va="center", fontsize=12)
    axes.set_yticks(range(len(values)), names)
    axes.set_ylim(max(1, len(values)) - 0.5, -0.5)
    axes.set_xlim(0, longest * 1.42)
    axes.set_xticks([])
    axes.spines["bottom"].set_visible(False)
    return figure


@styled
def generations(counts: Mapping[str, int], maximum: int | None = None) -> Figure:
    """Images by generation; those above the maximum are hatched and in the colour of failure."""
    figure, axes = axes_of(2.7)
    names = sorted((k for k in counts if k.isdigit()), key=int) + [k for k in counts if not k.isdigit()]
    values = [counts[name] for name in names]
    highest = max([1, *values])
    for x, (name, n) in enumerate(zip(names, values, strict=True)):
        above = maximum is not None and name.isdigit() and int(name) > maximum
        colour = (
            PALETTE["fail"] if above else PALETTE["accent"] if name.isdigit() else PALETTE["tier-unknown"]
        )
        axes.bar(
            x,
            n,
            width=0.66,
            color="none" if above else colour,
            edgecolor=colour,
            hatch="///" if above else None,
        )
        axes.text(x, n + highest * 0.03, count(n), ha="center", va="bottom", fontsize=12)
    within = [
        i for i, name in enumerate(names) if name.isdigit() and maximum is not None and int(name) <= maximum
    ]
    if maximum is not None and within and any(name.isdigit() and int(name) > maximum for name in names):
        edge = within[-1] + 0.5
        axes.axvline(edge, color=PALETTE["ink"], linewidth=1.2, linestyle=(0, (4, 3)))
        axes.text(edge + 0.07, highest * 1.19, f"maximum {maximum}", fontsize=11, va="top")
    axes.set_xticks(range(len(names)), [printable(name, 14) for name in names])
    axes.tick_params(axis="x", colors=PALETTE["ink"])
    axes.set_xlabel("machine generations from a person")
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.set_ylim(0, highest * 1.22)
    axes.set_xlim(-0.6, max(len(names), 5) - 0.4)  # two columns are no wider than seven
    return figure


@styled
def style_map(points: NDArray[np.float32], groups: Sequence[str]) -> Figure:
    """Style vectors on their first two principal components, rasterised: its size does not depend on n."""
    import numpy as np

    figure, axes = axes_of(4.6)
    of = np.asarray(groups)
    radius = float(np.clip(900 / math.sqrt(max(1, len(points))), 4, 40))
    # The largest group first, so that rarer ones lie on top.
    for name in sorted(GROUPS, key=lambda g: -int((of == g).sum())):
        some = points[of == name]
        if len(some):
            axes.scatter(
                some[:, 0],
                some[:, 1],
                s=radius,
                c=GROUPS[name],
                marker=MARKERS[name],
                alpha=0.65,
                linewidths=0,
                rasterized=True,
                label=f"{name} ({count(len(some))})",
            )
    axes.set_xticks([])
    axes.set_yticks([])
    axes.set_xlabel("first principal component")
    axes.set_ylabel("second principal component")
    axes.legend(
        loc="upper left", bbox_to_anchor=(0, 1.12), ncols=3, frameon=False, fontsize=11, handletextpad=0.2
    )
    figure.set_dpi(144)
    return figure


def whole_numbers(measure: Measure) -> bool:
    """Whether a measure counts things (generations, verdicts) rather than being a share."""
    known = [x for x in (measure.value, measure.lower, measure.upper, measure.bound) if x is not None]
    counts = all(math.isfinite(x) and x == int(x) for x in known)
    return counts and (
        measure.name.startswith(("generation", "review", "human_check")) or max(known, default=0) > 1
    )


@styled
def intervals(measures: Sequence[Measure]) -> Figure:
    """Shares in [0, 1] with their intervals, each beside its floor or ceiling."""
    figure, axes = axes_of(0.8 + 0.55 * max(1, len(measures)))
    for row, m in enumerate(measures):
        colour = {True: PALETTE["pass"], False: PALETTE["fail"], None: PALETTE["muted"]}[m.ok]
        low = m.lower if m.lower is not None else m.value
        high = m.upper if m.upper is not None else 1.0
        if low is not None:
            axes.plot([low, high], [row, row], color=colour, linewidth=6, solid_capstyle="butt", alpha=0.45)
        if m.value is not None:
            axes.plot([m.value], [row], "o", color=colour, markersize=8)
        if m.bound is not None:
            axes.plot([m.bound, m.bound], [row - 0.32, row + 0.32], color=PALETTE["ink"], linewidth=1.6)
        ends = "" if m.lower == m.value == m.upper else interval(m.lower, m.upper, bound=m.bound)
        label = f"{number(m.value, bound=m.bound)} {ends}"
        axes.text(1.02, row, label, va="center", fontsize=11)
    axes.set_yticks(range(len(measures)), [printable(m.title, 32) for m in measures])
    axes.set_ylim(len(measures) - 0.4, -0.6)
    axes.set_xlim(0, 1)
    axes.set_xticks([0, 0.25, 0.5, 0.75, 1])
    return figure


def tier_counts(origins: pa.Table) -> dict[str, int]:
    """Images by tier, strongest first, every tier named."""
    import pyarrow.compute as pc

    found = {row["values"]: row["counts"] for row in pc.value_counts(origins["tier"]).to_pylist()}
    return {tier: int(found.pop(tier, 0)) for tier in TIERS} | {
        str(k): int(v) for k, v in sorted(found.items())
    }
