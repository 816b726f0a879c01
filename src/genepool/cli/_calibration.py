"""A calibration as text and as a picture."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from genepool.detection import CAP, Calibration
from genepool.errors import CannotFinish

__all__ = ["draw", "lines"]


def lines(found: Calibration) -> list[str]:
    """What was measured, for a terminal: the promise, the curve, the errors per source."""
    told = found.measured
    sure = 1 - told["alpha"]
    auc, coverage = told["auc"], told["coverage"]
    out = [
        f"{found.n} controls: {auc['n_ai']} AI and {auc['n_human']} human scored, "
        f"{told['abstained']} abstained",
        f"  AUC          {_interval(auc)}",
        f"  ECE          {_interval(told['ece'])}, groups left out {_interval(told['ece_held_out'])}",
        f"  coverage     {_interval(coverage)}  AI {told['coverage_ai']['value']:.3f}, "
        f"human {told['coverage_human']['value']:.3f}",
        f"  temperature  {found.temperature:.4g} ({told['rule']} of {len(told['temperatures'])} groups), "
        f"bias {found.bias:+.3f}",
        f"  verdict ai   from p(AI) {_p(found.ai_above):.3f}, log likelihood ratio "
        f"{min(CAP, found.llr_ai):+.2f}",
        f"  verdict human to p(AI) {_p(found.human_below):.3f}, log likelihood ratio "
        f"{max(-CAP, found.llr_human):+.2f}",
        "",
        f"Promise: at {sure:.0%} confidence at least {found.accuracy:.0%} of its decisions are right, "
        "in each group",
        f"  {'tested group':<36} {'n':>5} {'decided':>8} {'wrong':>6}  accuracy (lower bound)",
    ]
    out += [
        f"  {_short(row['group'], 30):<30} {row['label']:<5} {row['n']:>5} {row['decided']:>8} "
        f"{row['wrong']:>6}  {row['accuracy']:.3f} ({row['accuracy_lower']:.3f})"
        for row in told["tested"]["groups"]
    ]
    out += ["", f"  {'risk–coverage':<14} {'risk':>6}  interval"]
    out += [
        f"  {row['coverage']:>13.0%}  {row['risk']:>6.3f}  [{row['lower']:.3f}, {row['upper']:.3f}]"
        for row in told["risk_coverage"][1::2]
    ]
    out += ["", f"  {'source':<36} {'n':>5} {'decided':>8} {'wrong':>6}  error"]
    for row in told["sources"]:
        low, high = row["error_interval"]
        error = "–" if row["error"] is None else f"{row['error']:.3f} [{low:.3f}, {high:.3f}]"
        out.append(
            f"  {_short(row['source'], 30):<30} {row['label']:<5} {row['n']:>5} {row['decided']:>8} "
            f"{row['wrong']:>6}  {error}"
        )
    return out


def _interval(value: Mapping[str, Any]) -> str:
    return f"{value['value']:.3f} [{value['lower']:.3f}, {value['upper']:.3f}]"


def _p(logit: float) -> float:
    import math

    return 1 / (1 + math.exp(-max(-50.0, min(50.0, logit))))


def _short(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"


def draw(found: Calibration, path: str) -> None:
    """ROC and risk–coverage curve as an SVG file.

    Raises:
        CannotFinish: It cannot be written.
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure

    told = found.measured
    ink, blue, red = "#1d1c1a", "#2b5a86", "#b0271f"
    with mpl.rc_context({"svg.hashsalt": "genepool", "axes.spines.top": False, "axes.spines.right": False}):
        figure = Figure(figsize=(9, 4), layout="constrained")
        roc, risk = figure.subplots(1, 2)
        auc = told["auc"]
        roc.plot([0, 1], [0, 1], color="#dedad3", lw=1)
        roc.plot(*zip(*told["roc"], strict=True), color=blue, lw=2)
        roc.set(xlabel="human images called AI", ylabel="AI images called AI", xlim=(0, 1), ylim=(0, 1.01))
        roc.set_title(f"AUC {_interval(auc)}", color=ink, fontsize=11)
        rows = told["risk_coverage"]
        x = [row["coverage"] for row in rows]
        risk.fill_between(
            x, [r["lower"] for r in rows], [r["upper"] for r in rows], color=blue, alpha=0.18, lw=0
        )
        risk.plot(x, [row["risk"] for row in rows], color=blue, lw=2)
        risk.axhline(1 - found.accuracy, color=red, lw=1, ls="--")
        risk.axvline(told["coverage"]["value"], color=ink, lw=1, ls=":")
        risk.set(xlabel="share of images decided, surest first", ylabel="share of decisions that are wrong")
        risk.set(xlim=(0, 1), ylim=(0, None))
        title = f"decides {told['coverage']['value']:.0%}; promised error {1 - found.accuracy:.0%} (dashed)"
        risk.set_title(title, color=ink, fontsize=11)
        try:
            Path(path).parent.mkdir(parents=True, exist_ok=True)
            figure.savefig(path, format="svg", metadata={"Date": None})
        except OSError as error:
            raise CannotFinish(f"{path}: cannot be written: {error.strerror or error}") from error
