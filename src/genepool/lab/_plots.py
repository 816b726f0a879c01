"""Plots of a run as SVG, and grids of what the models drew as PNG. Equal results give equal bytes."""

from __future__ import annotations

import functools
import io
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from genepool.degradation import styled
from genepool.lab._tables import ARTICLE

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from genepool.lab._files import Folder

__all__ = ["figures", "grids", "plots"]

INK, MUTED, RULE, HUMAN = "#1d1c1a", "#66635d", "#dedad3", "#1b7447"
_COLOURS = ("#2b5a86", "#b0271f", "#c9a227", "#7a5195", "#d9652b", "#3f9a9a")
_MARKS = "osD^vP"
_LINES = len(_COLOURS)
"""Arms that are drawn as lines; of more, only the last generation is shown, a row each."""
_PANELS = (
    ("retention_first", "unique feature retention, % of generation 1"),
    ("diversity", "style diversity index"),
    ("variance", "variance, share of human work's"),
)
_COLUMNS = 12


def plots(result: Mapping[str, Any]) -> dict[str, bytes]:
    """File name → SVG."""
    return {f"{name}.svg": _svg(draw()) for name, draw in figures(result).items()}


def figures(result: Mapping[str, Any]) -> dict[str, Callable[[], Figure]]:
    """Name of each study and exchange → what draws it as a matplotlib figure.

    Args:
        result: As `genepool.lab.run` returns it, and ``result.json`` holds it.
    """
    found: dict[str, Callable[[], Figure]] = {}
    for study in result.get("studies", ()):
        found[study["name"]] = functools.partial(_study, study)
    for exchange in result.get("exchanges", ()):
        found[exchange["name"]] = functools.partial(_exchange, exchange)
    return found


def _svg(figure: Figure) -> bytes:
    import matplotlib as mpl

    memory = io.BytesIO()
    # Fixed ids and no date: the file changes when the numbers do.
    with mpl.rc_context({"svg.hashsalt": "genepool", "svg.fonttype": "path"}):
        figure.savefig(memory, format="svg", metadata={"Date": None}, bbox_inches="tight", facecolor="white")
    return memory.getvalue()


def _ends(values: Sequence[Mapping[str, Any]]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Means, and how far the interval reaches below and above them; 0 where it is not known."""
    mean = np.array([v["mean"] for v in values], np.float64)
    low = np.array([v["mean"] if v["lower"] is None else v["lower"] for v in values], np.float64)
    high = np.array([v["mean"] if v["upper"] is None else v["upper"] for v in values], np.float64)
    return mean, np.stack([mean - low, high - mean])


@styled
def _study(study: Mapping[str, Any]) -> Figure:
    from matplotlib.figure import Figure

    arms = study["summary"]["arms"]
    many = len(arms) > _LINES
    height = 1.5 + 0.27 * len(arms) if many else 3.6
    figure = Figure(figsize=(10, height), layout="constrained")
    grid = figure.subplots(1, len(_PANELS), squeeze=False, sharey=many)[0]
    for axes, (name, label) in zip(grid, _PANELS, strict=True):
        axes.set_title(label.replace(", ", ",\n"), fontsize=10)
        (_rows if many else _lines)(axes, study, name)
        axes.set_axisbelow(True)
    known: dict[str, Any] = {}
    for axes in grid:
        handles, labels = axes.get_legend_handles_labels()
        known = dict(zip(labels, handles, strict=True)) | known
    figure.legend(known.values(), known.keys(), loc="outside lower center", ncols=5, fontsize=9)
    seeds = len(study["summary"]["seeds"])
    count = len(next(iter(arms.values())))
    what = f"generation {count}" if many else "every generation"
    figure.suptitle(f"{study['name']}: {what}, means and 95 % intervals over {seeds} seeds", fontsize=11)
    return figure


def _lines(axes: Axes, study: Mapping[str, Any], name: str) -> None:
    """A line for each arm, generation by generation, a little apart."""
    arms = study["summary"]["arms"]
    count = len(next(iter(arms.values())))
    wide = 0.3 / max(1, len(arms))
    if name != "variance":
        claim = [row[1 if name == "retention_first" else 2] for row in ARTICLE[:count]]
        axes.plot(
            range(1, len(claim) + 1), claim, "--", color=MUTED, linewidth=1, label="the article's table"
        )
    for k, (arm, rows) in enumerate(arms.items()):
        known = [(g, row[name]) for g, row in enumerate(rows, 1) if row[name]["mean"] is not None]
        if known:
            at = np.array([g for g, _ in known]) + (k - (len(arms) - 1) / 2) * wide
            mean, ends = _ends([v for _, v in known])
            axes.errorbar(
                at, mean, ends, color=_COLOURS[k], label=arm, marker=_MARKS[k], markersize=4.5,
                linewidth=1.4, elinewidth=1, capsize=2,
            )  # fmt: skip
    human = study["summary"]["human_work"].get(name)
    if human and human["mean"] is not None:
        axes.axhline(
            human["mean"], color=HUMAN, linewidth=1, linestyle=(0, (1, 2)), label="people's own work"
        )
    axes.set_xlabel("generation")
    axes.set_xticks(range(1, count + 1))
    axes.set_ylim(bottom=0)
    axes.grid(axis="y", color=RULE, linewidth=0.7)


def _rows(axes: Axes, study: Mapping[str, Any], name: str) -> None:
    """A row for each arm at the last generation: more lines than six are a tangle."""
    arms = study["summary"]["arms"]
    for row, generations in enumerate(arms.values()):
        value = generations[-1][name]
        if value["mean"] is not None:
            mean, ends = _ends([value])
            axes.errorbar(
                mean, [row], xerr=ends, color=_COLOURS[0], marker="o", markersize=5, elinewidth=1.6, capsize=0
            )
    references = [(study["summary"]["human_work"].get(name), HUMAN, (0, (1, 2)), "people's own work")]
    first = next(iter(arms.values()))[0][name]
    references.append((first, MUTED, (0, (4, 3)), "generation 1"))
    for value, colour, dash, label in references:
        if value and value["mean"] is not None:
            axes.axvline(value["mean"], color=colour, linewidth=1.1, linestyle=dash, label=label)
    axes.set_yticks(range(len(arms)), list(arms))
    axes.tick_params(axis="y", colors=INK)
    axes.set_ylim(len(arms) - 0.4, -0.6)
    axes.set_xlim(left=0)
    axes.grid(axis="both", color=RULE, linewidth=0.7)


@styled
def _exchange(exchange: Mapping[str, Any]) -> Figure:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.9), layout="constrained")
    left, right = figure.subplots(1, 2)
    rates = exchange["summary"]["rates"]
    largest = max(r["synthetic"] for r in rates)
    human = exchange["summary"]["human"]
    sizes = sorted(int(n) for n in human)
    mean, ends = _ends([human[str(n)] for n in sizes])
    left.errorbar(sizes, mean, ends, color=INK, marker="o", markersize=4, capsize=2)
    left.set_xscale("log")
    left.set_xlabel("human pictures trained on")
    left.set_title("log-likelihood of unseen human pictures", fontsize=10)
    roots = sorted({r["root"] for r in rates})
    right.plot(roots, roots, "--", color=MUTED, linewidth=1, label="as many as the root")
    for k, generation in enumerate(sorted({r["generation"] for r in rates})):
        rows = [r for r in rates if r["generation"] == generation and r["synthetic"] == largest]
        rows = [r for r in rows if r["worth"]["mean"] is not None]
        mean, ends = _ends([r["worth"] for r in rows])
        right.errorbar(
            [r["root"] * (1 + 0.06 * k) for r in rows], mean, ends, color=_COLOURS[k % _LINES],
            marker=_MARKS[k % _LINES], markersize=4.5, capsize=2, label=f"generation {generation}",
        )  # fmt: skip
    right.set_xscale("log")
    right.set_yscale("log")
    right.set_xlabel("human pictures at the generator's root")
    right.set_title(f"worth of {largest:,} machine-made pictures, in human ones", fontsize=10)
    for axes in (left, right):
        axes.grid(axis="y", color=RULE, linewidth=0.7)
        axes.set_axisbelow(True)
    handles, labels = right.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4, fontsize=9)
    return figure


def grids(result: dict[str, Any], folder: Folder) -> dict[str, bytes]:
    """File name → PNG of the first seed that ran: a row for every generation, people's work above them.

    Pictures that were given stay with who gave them: then people's row is left out, since a grid travels.
    """
    found = {}
    given = {study["name"] for study in result["config"]["studies"] if study["data"] == "given"}
    for study in result["studies"]:
        for arm in study["summary"]["arms"]:
            for seed in study["summary"]["seeds"]:
                arrays = folder.read_arrays(f"{study['name']}/seed-{seed}/{arm}.grid.npz")
                if arrays and study["name"] in given:
                    arrays = {name: array for name, array in arrays.items() if name != "human"}
                if arrays:
                    found[f"grids/{study['name']}-{arm}.png"] = _grid(arrays)
                    break
    return found


def _grid(arrays: dict[str, NDArray[Any]]) -> bytes:
    from PIL import Image

    rows = []
    for name in sorted(arrays, key=lambda name: (name != "human", name)):
        pictures = arrays[name][:_COLUMNS]
        if pictures.shape[3] == 1:
            pictures = np.repeat(pictures, 3, axis=3)
        rows.append(
            np.concatenate(
                [np.pad(p, ((1, 1), (1, 1), (0, 0)), constant_values=255) for p in pictures], axis=1
            )
        )
        rows.append(np.full((2, rows[-1].shape[1], 3), 255, np.uint8))
    whole = Image.fromarray(np.concatenate(rows[:-1]))
    scale = max(1, round(800 / whole.width))
    memory = io.BytesIO()
    whole.resize((whole.width * scale, whole.height * scale), Image.Resampling.NEAREST).save(
        memory, "PNG", optimize=True
    )
    return memory.getvalue()
