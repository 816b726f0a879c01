"""Labelled controls in, a `Calibration` out: scale, thresholds, likelihood ratios and what was measured."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genepool.detection._calibration import Calibration
from genepool.detection._metrics import area_under_roc, balance, calibration_error, risk_coverage, roc_points
from genepool.detection._temperature import Rule, Scale, fit_scale, held_out_probabilities
from genepool.detection._thresholds import Cell, Thresholds, find_thresholds, merge_groups
from genepool.errors import MeasureError
from genepool.stats import clopper_pearson

__all__ = ["MINIMUM", "calibrate", "likelihood_ratios", "measure"]

Floats = NDArray[np.float64]
MINIMUM = 150


def calibrate(
    logit: Sequence[float] | Floats,
    label: Sequence[Any] | NDArray[Any],
    group: Sequence[str] | NDArray[np.str_],
    *,
    detector: str,
    accuracy: float = 0.94,
    alpha: float = 0.05,
    minimum: int = MINIMUM,
    temperature: Rule = "worst",
    source: Sequence[str] | NDArray[np.str_] | None = None,
    seed: int = 0,
) -> Calibration:
    """Calibrate a detector on labelled controls that it was not trained on.

    One row is one image, never one view or crop of it: views of one image are not independent.

    Args:
        logit: Raw logits of AI, shape (n,); NaN where the detector abstained by itself.
        label: 1, True or ``"ai"`` for AI; 0, False or ``"human"``. Shape (n,).
        group: Generator family of an AI image, kind of a human one. Groups below ``minimum`` are merged
            within their class, the smallest first.
        detector: SHA-256 of the model, hex.
        accuracy: Share of its decisions that must be right in every group, in (0.5, 1).
        alpha: Probability, over the drawing of the controls, that the promise fails.
        minimum: Smallest group that is tested by itself.
        temperature: ``worst`` keeps the least sure group's; ``pooled`` fits all groups together.
        source: Finer names for the table of errors; None: as ``group``.
        seed: Of the draw that divides the controls into those that order the thresholds and those that test
            them.

    Returns:
        The calibration with all that was measured (`Calibration.measured`).

    Raises:
        MeasureError: Wrong shapes, one class only, or no thresholds keep the promise; the hint says how many
            controls it takes.
    """
    x, ai, names, sources = _arrays(logit, label, group, source)
    if not 0.5 < accuracy < 1 or not 0 < alpha < 0.5:
        raise MeasureError(
            f"calibration: expected accuracy in (0.5, 1) and alpha in (0, 0.5), found {accuracy}, {alpha}"
        )
    merged = merge_groups(names, ai, minimum)
    thresholds = find_thresholds(x, ai, merged, accuracy=accuracy, alpha=alpha, seed=seed)
    seen = np.isfinite(x)
    scale = fit_scale(x[seen], ai[seen], merged[seen], temperature)
    llr_ai, llr_human = likelihood_ratios(thresholds.cells, alpha)
    above, below = (float(v) for v in scale(np.array([thresholds.ai_above, thresholds.human_below])))
    return Calibration(
        detector=detector,
        temperature=scale.temperature,
        bias=scale.bias,
        ai_above=above,
        human_below=below,
        llr_ai=llr_ai,
        llr_human=llr_human,
        accuracy=accuracy,
        n=len(x),
        groups={str(name): int(n) for name, n in zip(*np.unique(merged, return_counts=True), strict=True)},
        measured={
            "alpha": alpha,
            "minimum": minimum,
            "seed": seed,
            "rule": temperature,
            "temperatures": {name: round(t, 6) for name, t in scale.groups.items()},
            "tested": _tested(thresholds, alpha),
            **measure(x, ai, merged, sources, scale, thresholds, temperature, alpha),
        },
    )


def _arrays(
    logit: Any, label: Any, group: Any, source: Any
) -> tuple[Floats, NDArray[np.bool_], NDArray[np.str_], NDArray[np.str_]]:
    x = np.asarray(logit, np.float64)
    words = np.asarray(label)
    ai = np.asarray(words == "ai" if words.dtype.kind in "US" else words.astype(np.int64) == 1)
    names = np.asarray([str(name) for name in group], dtype=np.str_)
    sources = names if source is None else np.asarray([str(name) for name in source], dtype=np.str_)
    if x.ndim != 1 or not x.shape == ai.shape == names.shape == sources.shape:
        raise MeasureError(
            f"calibration: expected one logit, label and group per control, found shapes "
            f"{x.shape}, {ai.shape}, {names.shape}, {sources.shape}"
        )
    x = np.where(np.abs(x) < 1e30, x, np.nan)
    seen = np.isfinite(x)
    if not (seen & ai).any() or not (seen & ~ai).any():
        raise MeasureError(
            f"calibration: expected scored controls of both classes, found {int((seen & ai).sum())} AI and "
            f"{int((seen & ~ai).sum())} human",
            hint="images that the detector abstains from (too small, flat) cannot calibrate it",
        )
    both = np.intersect1d(names[ai], names[~ai])
    if len(both):
        side = np.where(ai, "ai: ", "human: ")
        names = np.where(np.isin(names, both), np.char.add(side, names), names)
    return x, ai, names, sources


def likelihood_ratios(cells: Sequence[Cell], alpha: float) -> tuple[float, float]:
    """Natural-log likelihood ratios for AI of the verdicts "ai" (≥ 0) and "human" (≤ 0): worst-group bounds.

    P(verdict | AI) and P(verdict | human) are bounded by Clopper-Pearson intervals that hold together at 1 −
    alpha (Bonferroni over groups and verdicts); the least favourable group of each class counts. Images that
    were abstained from stand in the denominators.
    """
    each = alpha / (2 * len(cells))  # of two verdicts, each group has one bound that matters per verdict
    bounds: dict[tuple[bool, str], list[tuple[float, float]]] = {
        (side, verdict): [] for side in (True, False) for verdict in ("ai", "human")
    }
    for cell in cells:
        for verdict, k in (("ai", cell.called_ai), ("human", cell.called_human)):
            bounds[cell.ai, verdict].append(clopper_pearson(k, cell.n, 2 * each))

    def ratio(verdict: str, right: bool) -> float:
        least = min(lower for lower, _ in bounds[right, verdict])
        most = max(upper for _, upper in bounds[not right, verdict])
        return math.log(least / most) if least > most else 0.0

    return ratio("ai", True), -ratio("human", False)


def _tested(thresholds: Thresholds, alpha: float) -> dict[str, Any]:
    """The groups that were tested, on the controls that had no part in choosing the thresholds."""
    rows = []
    for cell in thresholds.cells:
        covered = clopper_pearson(cell.decided, cell.n, alpha)
        rows.append(
            {
                "group": cell.name,
                "label": "ai" if cell.ai else "human",
                "n": cell.n,
                "decided": cell.decided,
                "wrong": cell.wrong,
                "coverage": cell.decided / cell.n,
                "coverage_interval": list(covered),
                "accuracy": 1 - cell.wrong / cell.decided,
                "accuracy_lower": 1 - cell.upper,
            }
        )
    return {"n": sum(cell.n for cell in thresholds.cells), "steps": thresholds.steps, "groups": rows}


def measure(
    logit: Floats,
    ai: NDArray[np.bool_],
    group: NDArray[np.str_],
    source: NDArray[np.str_],
    scale: Scale,
    thresholds: Thresholds,
    rule: Rule,
    alpha: float,
) -> dict[str, Any]:
    """ROC, calibration error, risk–coverage curve and errors per source, of all controls."""
    seen = np.isfinite(logit)
    x, y, g = logit[seen], ai[seen], group[seen]
    value = scale(x)
    p = 1 / (1 + np.exp(-np.clip(value, -50, 50)))
    weights = balance(y, g)
    held_out = held_out_probabilities(x, y, g, rule)
    verdict = np.where(logit >= thresholds.ai_above, 1, np.where(logit <= thresholds.human_below, -1, 0))
    return {
        "abstained": int((~seen).sum()),
        "coverage": _share(int((verdict != 0).sum()), len(logit), alpha),
        "coverage_ai": _share(int((verdict[ai] != 0).sum()), int(ai.sum()), alpha),
        "coverage_human": _share(int((verdict[~ai] != 0).sum()), int((~ai).sum()), alpha),
        "auc": area_under_roc(x, y, alpha).to_json(),
        "roc": [list(point) for point in roc_points(x, y)],
        "ece": _error(p, y, weights, alpha),
        "ece_held_out": _error(held_out, y, weights, alpha),
        "risk_coverage": risk_coverage(value, y, len(logit), alpha=alpha),
        "sources": _sources(verdict, ai, group, source, alpha),
    }


def _share(k: int, n: int, alpha: float) -> dict[str, Any]:
    lower, upper = clopper_pearson(k, n, alpha)
    return {"value": k / n if n else 0.0, "lower": lower, "upper": upper, "n": n}


def _error(
    p: Floats, ai: NDArray[np.bool_], weights: Floats, alpha: float, draws: int = 200
) -> dict[str, Any]:
    """Balanced calibration error; its interval is the spread of resampled images, moved to the estimate.

    Resampling adds noise to every bin and so raises the error: the percentiles themselves would lie too high.
    """
    rng = np.random.default_rng(0)
    resampled = []
    for _ in range(draws):
        pick = rng.integers(0, len(p), len(p))
        resampled.append(calibration_error(p[pick], ai[pick], weights[pick]))
    value = calibration_error(p, ai, weights)
    low, middle, high = (float(q) for q in np.quantile(resampled, [alpha / 2, 0.5, 1 - alpha / 2]))
    return {
        "value": value,
        "lower": max(0.0, value - (middle - low)),
        "upper": min(1.0, value + (high - middle)),
        "n": len(p),
    }


def _sources(
    verdict: NDArray[np.int64],
    ai: NDArray[np.bool_],
    group: NDArray[np.str_],
    source: NDArray[np.str_],
    alpha: float,
) -> list[dict[str, Any]]:
    rows = []
    for is_ai in (True, False):
        for name in np.unique(source[ai == is_ai]):
            mine = (source == name) & (ai == is_ai)
            decided = int((verdict[mine] != 0).sum())
            wrong = int((verdict[mine] == (-1 if is_ai else 1)).sum())
            lower, upper = clopper_pearson(wrong, decided, alpha)
            rows.append(
                {
                    "source": str(name),
                    "label": "ai" if is_ai else "human",
                    "group": str(group[mine][0]),
                    "n": int(mine.sum()),
                    "decided": decided,
                    "wrong": wrong,
                    "error": wrong / decided if decided else None,
                    "error_interval": [lower, upper],
                }
            )
    return rows
