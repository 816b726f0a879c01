"""Plots of a run as SVG, and grids of what the models drew as PNG. Equal results give equal bytes."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from genepool.lab._tables import ARTICLE

if TYPE_CHECKING:
    from genepool.lab._files import Folder

__all__ = ["grids", "plots"]

_COLOURS = (
    *("#1f77b4", "#d62728", "#2ca02c", "#9467bd", "#ff7f0e", "#17becf", "#e377c2", "#8c564b"),
    *("#bcbd22", "#393b79", "#637939", "#843c39", "#7b4173", "#3182bd", "#31a354"),
)
_MARKS = "osD^vP*X<>hd8pH"
_PANELS = (
    ("retention_first", "unique feature retention,\n% of generation 1"),
    ("diversity", "style diversity index"),
    ("variance", "variance,\nshare of human work's"),
)
_COLUMNS = 12
_LINES = 6  # more than so many arms are unreadable as lines


def plots(result: dict[str, Any]) -> dict[str, bytes]:
    """File name → SVG."""
    found = {}
    for study in result["studies"]:
        crowded = len(study["summary"]["arms"]) > _LINES
        found[f"{study['name']}.svg"] = (_ranking if crowded else _study)(study)
    for exchange in result["exchanges"]:
        found[f"{exchange['name']}.svg"] = _exchange(exchange)
    return found


def _svg(figure: Any) -> bytes:
    import matplotlib as mpl

    memory = io.BytesIO()
    # Fixed ids and no date: the file changes when the numbers do.
    with mpl.rc_context({"svg.hashsalt": "genepool", "svg.fonttype": "path"}):
        figure.savefig(memory, format="svg", metadata={"Date": None}, bbox_inches="tight")
    return memory.getvalue()


def _figure(columns: int) -> tuple[Any, Any]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.3 * columns, 4.2), facecolor="white", layout="constrained")
    return figure, figure.subplots(1, columns, squeeze=False)[0]


def _study(study: dict[str, Any]) -> bytes:
    figure, axes = _figure(len(_PANELS))
    arms = study["summary"]["arms"]
    count = len(next(iter(arms.values())))
    wide = 0.5 / max(1, len(arms))
    for axis, (name, label) in zip(axes, _PANELS, strict=True):
        for k, (arm, rows) in enumerate(arms.items()):
            known = [(g, row[name]) for g, row in enumerate(rows, 1) if row[name]["mean"] is not None]
            if not known:
                continue
            at = np.array([g for g, _ in known]) + (k - (len(arms) - 1) / 2) * wide
            mean = np.array([v["mean"] for _, v in known])
            low = np.array([v["mean"] if v["lower"] is None else v["lower"] for _, v in known])
            high = np.array([v["mean"] if v["upper"] is None else v["upper"] for _, v in known])
            axis.errorbar(
                at, mean, [mean - low, high - mean], color=_COLOURS[k % len(_COLOURS)], label=arm,
                marker=_MARKS[k % len(_MARKS)], markersize=4.5, linewidth=1.3, elinewidth=0.9, capsize=2,
            )  # fmt: skip
        if name != "variance":
            claim = [row[1 if name == "retention_first" else 2] for row in ARTICLE[:count]]
            axis.plot(range(1, len(claim) + 1), claim, "--", color="#777777", label="the article's table")
        human = study["summary"]["human_work"].get(name)
        if human and human["mean"] is not None:
            axis.axhline(
                human["mean"], color="#333333", linewidth=0.8, linestyle=":", label="people's own work"
            )
        axis.set_xlabel("generation")
        axis.set_ylabel(label)
        axis.set_xticks(range(1, count + 1))
        axis.set_ylim(bottom=0)
        axis.spines[["top", "right"]].set_visible(False)
    handles: dict[str, Any] = {}
    for axis in axes:
        for handle, label in zip(*axis.get_legend_handles_labels(), strict=True):
            handles.setdefault(label, handle)
    figure.legend(handles.values(), handles.keys(), loc="outside right upper", frameon=False, fontsize=9)
    seeds = len(study["summary"]["seeds"])
    figure.suptitle(f"{study['name']}: means and 95 % intervals over {seeds} seeds", fontsize=11)
    return _svg(figure)


def _ranking(study: dict[str, Any]) -> bytes:
    """Every arm's last generation, the most diverse on top; generation 1 and people's work as lines."""
    from matplotlib.figure import Figure

    arms = study["summary"]["arms"]
    order = sorted(arms, key=lambda arm: arms[arm][-1]["diversity"]["mean"] or 0.0)
    figure = Figure(figsize=(12.5, 1.4 + 0.3 * len(order)), facecolor="white", layout="constrained")
    axes = figure.subplots(1, len(_PANELS), sharey=True)
    for axis, (name, label) in zip(axes, _PANELS, strict=True):
        for at, arm in enumerate(order):
            value = arms[arm][-1][name]
            if value["mean"] is None:
                continue
            sides = [
                [value["mean"] - (value["mean"] if value["lower"] is None else value["lower"])],
                [(value["mean"] if value["upper"] is None else value["upper"]) - value["mean"]],
            ]
            axis.errorbar(
                [value["mean"]], [at], xerr=sides, color=_COLOURS[1 if arm == "gate" else 0],
                marker="o", markersize=4.5, elinewidth=1.2, capsize=2,
            )  # fmt: skip
        lines = ((arms[order[0]][0].get(name), "--"), (study["summary"]["human_work"].get(name), ":"))
        for line, dash in lines:
            if line and line["mean"] is not None:
                axis.axvline(line["mean"], color="#555555", linewidth=0.9, linestyle=dash)
        axis.set_xlabel(label)
        axis.set_xlim(left=0)
        axis.set_yticks(range(len(order)), order)
        axis.grid(axis="y", color="#eeeeee")
        axis.set_axisbelow(True)
        axis.spines[["top", "right"]].set_visible(False)
    generation, seeds = len(arms[order[0]]), len(study["summary"]["seeds"])
    figure.suptitle(
        f"{study['name']}: generation {generation}, means and 95 % intervals over {seeds} seeds; "
        "dashed: generation 1, dotted: people's own work",
        fontsize=11,
    )
    return _svg(figure)


def _exchange(exchange: dict[str, Any]) -> bytes:
    figure, axes = _figure(2)
    rates = exchange["summary"]["rates"]
    largest = max(r["synthetic"] for r in rates)
    human = exchange["summary"]["human"]
    sizes = sorted(int(n) for n in human)
    axes[0].errorbar(
        sizes,
        [human[str(n)]["mean"] for n in sizes],
        [
            [human[str(n)]["mean"] - (human[str(n)]["lower"] or human[str(n)]["mean"]) for n in sizes],
            [(human[str(n)]["upper"] or human[str(n)]["mean"]) - human[str(n)]["mean"] for n in sizes],
        ],
        color="#333333", marker="o", markersize=4, capsize=2,
    )  # fmt: skip
    axes[0].set_xscale("log")
    axes[0].set_xlabel("human pictures trained on")
    axes[0].set_ylabel("log-likelihood of unseen human pictures")
    for k, generation in enumerate(sorted({r["generation"] for r in rates})):
        rows = [r for r in rates if r["generation"] == generation and r["synthetic"] == largest]
        rows = [r for r in rows if r["worth"]["mean"] is not None]
        mean = np.array([r["worth"]["mean"] for r in rows])
        low = np.array([r["worth"]["lower"] or r["worth"]["mean"] for r in rows])
        high = np.array([r["worth"]["upper"] or r["worth"]["mean"] for r in rows])
        axes[1].errorbar(
            [r["root"] * (1 + 0.04 * k) for r in rows], mean, [mean - low, high - mean],
            color=_COLOURS[k], marker=_MARKS[k], markersize=4.5, capsize=2, label=f"generation {generation}",
        )  # fmt: skip
    roots = sorted({r["root"] for r in rates})
    axes[1].plot(roots, roots, "--", color="#777777", label="as many as the root")
    axes[1].set_xscale("log")
    axes[1].set_yscale("log")
    axes[1].set_xlabel("human pictures at the generator's root")
    axes[1].set_ylabel(f"worth of {largest:,} machine-made pictures,\nin human pictures")
    axes[1].legend(frameon=False, fontsize=9)
    for axis in axes:
        axis.spines[["top", "right"]].set_visible(False)
    return _svg(figure)


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
