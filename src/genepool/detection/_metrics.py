"""How well a score separates, how well it is calibrated, and what abstention buys: numbers with intervals.

Sources: E. R. DeLong, D. M. DeLong, D. L. Clarke-Pearson, Biometrics 44 (1988) 837 (variance of the AUC, here
by the midranks of X. Sun and W. Xu, IEEE Signal Process. Lett. 21 (2014) 1389); C. Guo et al., *On
Calibration of Modern Neural Networks*, ICML 2017 (expected calibration error); Y. Geifman and R. El-Yaniv,
NeurIPS 2017 (risk–coverage curve).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genepool.errors import MeasureError
from genepool.stats import clopper_pearson

__all__ = ["Auc", "area_under_roc", "balance", "calibration_error", "risk_coverage", "roc_points"]

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
BINS = 15


@dataclass(frozen=True, slots=True)
class Auc:
    """Area under the ROC curve, in [0, 1], with a 1 − alpha interval, over ``n_ai`` × ``n_human`` pairs."""

    value: float
    lower: float
    upper: float
    n_ai: int
    n_human: int

    def to_json(self) -> dict[str, Any]:
        """The fields, in order."""
        return {
            "value": self.value,
            "lower": self.lower,
            "upper": self.upper,
            "n_ai": self.n_ai,
            "n_human": self.n_human,
        }


def area_under_roc(score: Floats, ai: Bools, alpha: float = 0.05) -> Auc:
    """P(an AI image scores above a human one), ties counted half, with DeLong's interval on the logit scale.

    Args:
        score: Any monotone score, shape (n,), finite.
        ai: Which are AI, shape (n,).
        alpha: 1 − confidence.

    Raises:
        MeasureError: One of the classes is empty.
    """
    from scipy.special import ndtri
    from scipy.stats import rankdata

    high, low = score[ai], score[~ai]
    m, n = len(high), len(low)
    if m == 0 or n == 0:
        raise MeasureError(f"AUC: expected AI and human images, found {m} and {n}")
    ranks = rankdata(np.concatenate([high, low]))
    value = float((ranks[:m].sum() - m * (m + 1) / 2) / (m * n))
    above = (ranks[:m] - rankdata(high)) / n
    below = 1.0 - (ranks[m:] - rankdata(low)) / m
    variance = (above.var(ddof=1) / m if m > 1 else 0.25) + (below.var(ddof=1) / n if n > 1 else 0.25)
    if not 0.0 < value < 1.0 or variance == 0.0:
        # No pair is out of order: DeLong's variance is 0. The smaller class bounds what can be said.
        edge = 1.0 - (alpha / 2) ** (1.0 / min(m, n))
        return Auc(value, max(0.0, value - edge), min(1.0, value + edge), m, n)
    z = float(ndtri(1 - alpha / 2))
    centre, width = math.log(value / (1 - value)), z * math.sqrt(variance) / (value * (1 - value))
    lower, upper = (1 / (1 + math.exp(-max(-700.0, min(700.0, centre + s * width)))) for s in (-1, 1))
    return Auc(value, lower, upper, m, n)


def roc_points(score: Floats, ai: Bools, most: int = 101) -> list[tuple[float, float]]:
    """The ROC curve as (false-positive rate, true-positive rate), from (0, 0) to (1, 1).

    Args:
        score: Shape (n,), finite.
        ai: Which are AI.
        most: At most that many points, evenly thinned.
    """
    order = np.argsort(-score, kind="stable")
    ranked, hits = score[order], ai[order]
    last = np.flatnonzero(np.append(np.diff(ranked) != 0, True))
    true = np.cumsum(hits)[last] / max(1, int(ai.sum()))
    false = np.cumsum(~hits)[last] / max(1, int((~ai).sum()))
    points = [(0.0, 0.0), *zip(false.tolist(), true.tolist(), strict=True)]
    if len(points) > most:
        points = [points[i] for i in np.unique(np.linspace(0, len(points) - 1, most).round().astype(int))]
    return points


def balance(ai: Bools, group: NDArray[Any]) -> Floats:
    """Weights that sum to 1: both classes alike, in a class every group alike, in a group every image.

    Args:
        ai: Which are AI, shape (n,).
        group: Labels, shape (n,).
    """
    weights = np.zeros(len(ai))
    for side in (ai, ~ai):
        names, index, counts = np.unique(group[side], return_inverse=True, return_counts=True)
        if len(names):
            weights[side] = 0.5 / len(names) / counts[index]
    return np.asarray(weights / weights.sum()) if weights.sum() else weights


def calibration_error(p: Floats, ai: Bools, weights: Floats | None = None, bins: int = BINS) -> float:
    """Expected calibration error of p(AI) over ``bins`` bins of equal width, in [0, 1].

    Args:
        p: Probabilities of AI, shape (n,).
        ai: Which are AI.
        weights: Non-negative; None: every image alike.
        bins: Number of bins over [0, 1].

    Raises:
        MeasureError: Nothing to measure.
    """
    if len(p) == 0:
        raise MeasureError("calibration error: expected at least one image, found none")
    share = np.full(len(p), 1 / len(p)) if weights is None else weights / weights.sum()
    index = np.minimum((p * bins).astype(np.int64), bins - 1)
    gap = np.bincount(index, share * (p - ai), minlength=bins)
    return float(np.abs(gap).sum())


def risk_coverage(
    value: Floats, ai: Bools, n: int | None = None, points: int = 20, alpha: float = 0.05
) -> list[dict[str, float]]:
    """Error rate of the decided images as less and less sure ones are decided as well.

    Args:
        value: Calibrated logits, shape (k,); the sign decides, the size is the confidence.
        ai: Which are AI.
        n: All images, those that the detector abstained from included; None: k.
        points: How many coverages, evenly spaced.
        alpha: 1 − confidence of each Clopper-Pearson interval.

    Returns:
        Rows ``coverage, risk, lower, upper, decided, wrong, confidence``, by coverage.
    """
    total = len(value) if n is None else n
    order = np.argsort(-np.abs(value), kind="stable")
    wrong = np.cumsum((value[order] >= 0) != ai[order])
    rows: list[dict[str, float]] = []
    for decided in np.unique(np.linspace(0, len(value), points + 1).round().astype(int))[1:].tolist():
        bad = int(wrong[decided - 1])
        lower, upper = clopper_pearson(bad, decided, alpha)
        rows.append(
            {
                "coverage": decided / total,
                "risk": bad / decided,
                "lower": lower,
                "upper": upper,
                "decided": decided,
                "wrong": bad,
                "confidence": float(abs(value[order[decided - 1]])),
            }
        )
    return rows
