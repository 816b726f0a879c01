"""The certified share of every slice: the same answers, alpha divided among the slices."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from genepool.prevalence._ratio import human_ratio

if TYPE_CHECKING:
    import pyarrow as pa

    from genepool.prevalence._certify import Certificate, ReviewedSet
    from genepool.prevalence._sample import Sample

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
    found: list[tuple[str, str, NDArray[np.int64], Sample]] = []
    for column in columns:
        if column in origins.column_names:
            labels = origins.column(column)
            found += [(column, *part) for part in _parts(reviewed.sample, labels, mask, max(1, minimum))]
    each = alpha / max(1, len(found))
    slices = [
        CertifiedSlice(column, name, _certified(reviewed, rows, sample, floor, each))
        for column, name, rows, sample in found
    ]
    return sorted(slices, key=lambda s: (s.certificate.ratio.upper, s.column, s.name))


def _parts(
    sample: Sample, labels: pa.ChunkedArray, mask: NDArray[np.bool_], minimum: int
) -> Iterator[tuple[str, NDArray[np.int64], Sample]]:
    """Name, rows and answers of each slice that is large enough; answers name rows of the slice.

    All slices together hold each row once: a mask for each would grow with slices times images.
    """
    names, group = _groups(labels)
    group = np.where(mask, group, -1)
    order = np.argsort(group, kind="stable")
    first = np.searchsorted(group[order], np.arange(len(names) + 1))
    looks, judged = defaultdict(list), defaultdict(list)
    for look in sample.looks:
        looks[int(group[look.row])].append(look)
    for row in sample.judged:
        judged[int(group[row])].append(row)
    for k in sorted(range(len(names)), key=names.__getitem__):
        rows = order[first[k] : first[k + 1]]
        if not names[k] or len(rows) < minimum:
            continue
        places = np.searchsorted(rows, [look.row for look in looks[k]]).tolist()
        own = tuple(replace(look, row=at) for look, at in zip(looks[k], places, strict=True))
        before = frozenset(np.searchsorted(rows, judged[k]).tolist())
        yield names[k], rows, replace(sample, looks=own, judged=before)


def _groups(labels: pa.ChunkedArray) -> tuple[list[str], NDArray[np.int64]]:
    """The different labels, "" for none, and which one each row has."""
    import pyarrow as pa

    encoded = labels.cast(pa.string()).combine_chunks().dictionary_encode()
    group = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
    return encoded.dictionary.to_pylist(), group


def _certified(
    reviewed: ReviewedSet, rows: NDArray[np.int64], sample: Sample, floor: float, alpha: float
) -> Certificate:
    from genepool.prevalence._certify import Certificate

    human, ai = reviewed.human[rows], reviewed.ai[rows]
    if reviewed.sample.looks:
        part = replace(reviewed, sample=sample, human=human, ai=ai, scores=reviewed.scores[rows])
        return part.certify(floor=floor, alpha=alpha)
    # Nobody has answered: a count, without a plan for each of what may be thousands of slices.
    return Certificate(human_ratio(human, ai, alpha=alpha), note=reviewed.sample.note)
