"""The certified share of every slice: the same answers, alpha divided among the slices."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from genepool.prevalence._ratio import human_ratio

if TYPE_CHECKING:
    import pyarrow as pa

    from genepool.prevalence._certify import Certificate, ReviewedSet

__all__ = ["CertifiedSlice", "certified_slices"]


@dataclass(frozen=True, slots=True)
class CertifiedSlice:
    """One slice.

    Attributes:
        column: What it is a slice by.
        name: Its value.
        certificate: Its certified share; its alpha is the whole's, divided by the number of slices.
    """

    column: str
    name: str
    certificate: Certificate


def certified_slices(
    reviewed: ReviewedSet,
    origins: pa.Table,
    columns: Sequence[str] = ("style", "source"),
    *,
    keep: NDArray[np.bool_] | None = None,
    floor: float = 0.70,
    alpha: float = 0.05,
    minimum: int = 30,
) -> list[CertifiedSlice]:
    """Certify each slice that is large enough; all together err with probability at most alpha.

    The images of one slice come, within the drawn order, in a uniformly random order of their own, so each
    slice is audited by the answers that fall into it. Each gets alpha divided by the number of slices (C. E.
    Bonferroni 1936): any set of claims read off the list, the worst one included, is then false with
    probability at most alpha. How many slices there are is known before anybody answers: it depends on their
    sizes alone.

    Args:
        reviewed: The set's arrays and answers.
        origins: As settled, in the same order.
        columns: Columns of ``origins`` whose values make slices; missing ones are passed over.
        keep: Which images the shares are about; None: all.
        floor: Share to be proven.
        alpha: Error probability over all slices together.
        minimum: Smallest slice that is judged.

    Returns:
        The slice with the lowest upper end first.
    """
    mask = np.ones(len(reviewed.human), np.bool_) if keep is None else keep
    found: list[tuple[str, str, NDArray[np.bool_]]] = []
    for column in columns:
        if column not in origins.column_names:
            continue
        labels = np.asarray(["" if v is None else str(v) for v in origins.column(column).to_pylist()])
        names, inverse = np.unique(labels, return_inverse=True)
        sizes = np.bincount(inverse[mask], minlength=len(names))
        for k, name in enumerate(names):
            if name and sizes[k] >= max(1, minimum):
                found.append((column, str(name), mask & (inverse == k)))
    each = alpha / max(1, len(found))
    slices = [
        CertifiedSlice(column, name, _certified(reviewed, rows, floor, each)) for column, name, rows in found
    ]
    return sorted(slices, key=lambda s: (s.certificate.ratio.upper, s.column, s.name))


def _certified(reviewed: ReviewedSet, rows: NDArray[np.bool_], floor: float, alpha: float) -> Certificate:
    from genepool.prevalence._certify import Certificate

    if reviewed.sample.looks:
        return reviewed.certify(keep=rows, floor=floor, alpha=alpha)
    # Nobody has answered: a count, without a plan for each of what may be thousands of slices.
    exact = human_ratio(reviewed.human[rows], reviewed.ai[rows], alpha=alpha)
    return Certificate(exact, note=reviewed.sample.note)
