"""The human share of a set, from what was verified image by image: exact counts, no model, no sampling.

Every image is verified human, verified machine-made, or unknown, and an unknown image may be either
(partial identification: C. F. Manski, *Partial Identification of Probability Distributions*, Springer 2003).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genepool.errors import MeasureError
from genepool.records import RatioEstimate

__all__ = ["SliceRatio", "human_ratio", "slice_ratios"]

METHOD = (
    "finite set counted exactly: lower = verified human / n, upper = 1 − verified machine-made / n; each "
    "image of unknown origin may be either (Manski 2003); point = the middle, which assumes nothing about it"
)
ASSUMPTIONS = (
    "the keys and certificate authorities of the trust policy tell the truth",
    "a mark of machine origin that nobody trusted contradicts is true",
)


@dataclass(frozen=True, slots=True)
class SliceRatio:
    """The human share of one slice, and how it was corrected for the number of slices.

    Attributes:
        label: The slice's name.
        ratio: Its share.
        note: How many slices were judged together, and what that did to alpha.
    """

    label: str
    ratio: RatioEstimate
    note: str


def _mask(values: Any, name: str) -> NDArray[np.bool_]:
    mask = np.asarray(values)
    if mask.ndim != 1 or mask.dtype != np.bool_:
        raise MeasureError(
            f"human ratio: expected `{name}` as a 1-D boolean array, found {mask.dtype} of shape {mask.shape}"
        )
    return mask


def human_ratio(human: NDArray[np.bool_], ai: NDArray[np.bool_], *, alpha: float = 0.05) -> RatioEstimate:
    """The guaranteed share of human-made images, from verified strata only.

    The bounds hold with certainty given the assumptions: nothing was sampled, so ``alpha`` is only carried
    along for whoever audits the unknown rest.

    Args:
        human: ``(n,)``, True where the image is verified human.
        ai: ``(n,)``, True where it is verified machine-made; never both.
        alpha: 1 − confidence, in (0, 1).

    Returns:
        As a float the lower bound; ``n_audited`` counts the verified images. An empty set gives [0, 1].

    Raises:
        MeasureError: Arrays of different length or type, an image that is both, or an impossible alpha.
    """
    human, ai = _mask(human, "human"), _mask(ai, "ai")
    if len(human) != len(ai):
        raise MeasureError(f"human ratio: expected arrays of equal length, found {len(human)} and {len(ai)}")
    if not 0.0 < alpha < 1.0:
        raise MeasureError(f"human ratio: expected alpha between 0 and 1, found {alpha}")
    if both := int((human & ai).sum()):
        raise MeasureError(
            f"human ratio: {both} images are verified human and verified machine-made at once",
            hint="contradictions must be disputed, which counts as neither",
        )
    n, k, m = len(human), int(human.sum()), int(ai.sum())
    lower, upper = (k / n, (n - m) / n) if n else (0.0, 1.0)
    return RatioEstimate(
        lower,
        point=(lower + upper) / 2,
        upper=upper,
        alpha=alpha,
        n=n,
        n_audited=k + m,
        method=METHOD,
        assumptions=ASSUMPTIONS,
    )


def slice_ratios(
    labels: Sequence[str | None] | NDArray[Any],
    human: NDArray[np.bool_],
    ai: NDArray[np.bool_],
    *,
    alpha: float = 0.05,
    minimum: int = 30,
) -> list[SliceRatio]:
    """The human share of every slice that is large enough, worst upper bound first.

    Exact counts hold for all slices at once. What is left over for an audit of one slice is alpha divided by
    the number of slices (Bonferroni), and that is the ``alpha`` its ratio carries.

    Args:
        labels: ``(n,)`` slice names; None or empty belongs to no slice.
        human: ``(n,)``, as in `human_ratio`.
        ai: ``(n,)``, as in `human_ratio`.
        alpha: Error probability over all slices together.
        minimum: Smallest slice that is judged.

    Raises:
        MeasureError: As `human_ratio`, or labels of another length.
    """
    human, ai = _mask(human, "human"), _mask(ai, "ai")
    if len(labels) != len(human):
        raise MeasureError(f"slices: expected {len(human)} labels, found {len(labels)}")
    names, inverse, sizes = np.unique(
        # Objects: in an array of text every image would take as much as the longest label.
        np.array(["" if label is None else str(label) for label in labels], dtype=object),
        return_inverse=True,
        return_counts=True,
    )
    chosen = [k for k, name in enumerate(names) if name and sizes[k] >= max(1, minimum)]
    order = np.argsort(inverse, kind="stable")
    ends = np.cumsum(sizes)
    found = []
    for k in chosen:
        rows = order[ends[k] - sizes[k] : ends[k]]
        ratio = human_ratio(human[rows], ai[rows], alpha=alpha / len(chosen))
        note = (
            f"one of {len(chosen)} slices of at least {minimum} images: exact counts need no correction, "
            f"an audit of this slice alone would use alpha = {alpha / len(chosen):.4g} (Bonferroni)"
        )
        found.append(SliceRatio(str(names[k]), ratio, note))
    return sorted(found, key=lambda s: (s.ratio.upper, s.ratio.lower, s.label))
