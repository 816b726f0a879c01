"""Point estimates of a share from classifiers: for triage and charts, never for a certificate.

Both rest on error rates that were measured elsewhere (Rogan and Gladen) or on the normal approximation
(PPI++): a new generator that the detector misses moves them silently. `genepool.prevalence.audit` needs
neither.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from genepool.errors import MeasureError
from genepool.records import Estimate

__all__ = ["ppi_mean", "rogan_gladen"]


def rogan_gladen(
    positive: int, n: int, hits: tuple[int, int], rejections: tuple[int, int], alpha: float = 0.05
) -> Estimate:
    """True share from an apparent one, (p + Sp − 1)/(Se + Sp − 1), with an interval that knows all errors.

    W. J. Rogan and B. Gladen, Am. J. Epidemiol. 107 (1978) 71; interval by Z. Lang and J. Reiczigel, Prev.
    Vet. Med. 113 (2014) 13, which adds pseudo-counts and covers close to nominal.

    Args:
        positive: Images that the classifier calls human.
        n: Images classified.
        hits: (right, shown) on human controls: sensitivity.
        rejections: (right, shown) on machine-made controls: specificity.
        alpha: 1 − confidence.

    Returns:
        Value and interval in [0, 1]; the method says that it is for triage.

    Raises:
        MeasureError: Impossible counts, or a classifier that is no better than chance on the controls.
    """
    from scipy.special import ndtri

    for k, m in ((positive, n), hits, rejections):
        if not 0 <= k <= m or m < 1:
            raise MeasureError(f"rogan-gladen: expected 0 ≤ k ≤ n and n ≥ 1, found {k} of {m}")
    if not 0 < alpha < 1:
        raise MeasureError(f"rogan-gladen: expected alpha between 0 and 1, found {alpha}")
    se, sp = hits[0] / hits[1], rejections[0] / rejections[1]
    if se + sp <= 1:
        raise MeasureError(
            f"rogan-gladen: expected sensitivity + specificity above 1, found {se + sp:.3f}",
            hint="this classifier is no better than chance on its controls",
        )
    value = min(1.0, max(0.0, (positive / n + sp - 1) / (se + sp - 1)))
    z = float(ndtri(1 - alpha / 2))
    total = n + z * z
    p = (positive + z * z / 2) / total
    a, b = (hits[0] + 1) / (hits[1] + 2), (rejections[0] + 1) / (rejections[1] + 2)
    j = a + b - 1
    middle = (p + b - 1) / j
    spread = p * (1 - p) / total
    spread += a * (1 - a) / (hits[1] + 2) * middle**2 + b * (1 - b) / (rejections[1] + 2) * (1 - middle) ** 2
    shift = (
        2 * z * z * (middle * a * (1 - a) / (hits[1] + 2) - (1 - middle) * b * (1 - b) / (rejections[1] + 2))
    )
    half = z * math.sqrt(spread) / j
    lower = max(0.0, min(value, middle + shift - half))
    upper = min(1.0, max(value, middle + shift + half))
    method = (
        "triage only: Rogan & Gladen 1978, interval of Lang & Reiczigel 2014; wrong where error rates moved"
    )
    return Estimate(value, lower, upper, n, method, alpha)


def ppi_mean(
    labels: NDArray[np.float64],
    predicted: NDArray[np.float64],
    unlabelled: NDArray[np.float64],
    alpha: float = 0.05,
    weight: float | None = None,
) -> Estimate:
    """Mean of labels from a few labels and many predictions: PPI++.

    A. N. Angelopoulos, J. C. Duchi and T. Zrnic, *PPI++: Efficient prediction-powered inference*, 2023:

    mean(λ·f over the unlabelled) + mean(Y − λ·f over the labelled), with the λ that minimises the variance:
    Cov(Y, f) / ((1 + n/N)·Var f).

    Args:
        labels: ``(n,)`` Y, at least 2, a random sample.
        predicted: ``(n,)`` f on the same images.
        unlabelled: ``(N,)`` f on the others, at least 2.
        alpha: 1 − confidence.
        weight: λ; None: the best one, clipped to [0, 1].

    Returns:
        Value and normal interval; the method says that it is for triage.

    Raises:
        MeasureError: Arrays that do not fit.
    """
    from scipy.special import ndtri

    y, f, g = (np.asarray(v, np.float64) for v in (labels, predicted, unlabelled))
    if y.ndim != 1 or y.shape != f.shape or g.ndim != 1 or min(len(y), len(g)) < 2:
        raise MeasureError(
            f"ppi: expected at least 2 labels, as many predictions, found {y.shape}, {f.shape}, {g.shape}"
        )
    n, m = len(y), len(g)
    if weight is None:
        spread = float(np.var(np.concatenate([f, g]), ddof=1))
        cov = float(np.mean((f - f.mean()) * (y - y.mean())))
        weight = min(1.0, max(0.0, cov / ((1 + n / m) * spread))) if spread > 0 else 0.0
    value = float(np.mean(weight * g) + np.mean(y - weight * f))
    error = math.sqrt(float(np.var(weight * g)) / m + float(np.var(y - weight * f)) / n)
    half = float(ndtri(1 - alpha / 2)) * error
    method = f"triage only: PPI++ (Angelopoulos, Duchi & Zrnic 2023), weight {weight:.3f}, normal interval"
    return Estimate(value, value - half, value + half, n + m, method, alpha)
