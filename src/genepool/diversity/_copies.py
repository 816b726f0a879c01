"""Copies of every kind: equal bytes, equal pixels, equal looks, equal in the eyes of an embedder."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from genepool.diversity._duplicates import RADIUS, components, near_duplicates, sorted_rows
from genepool.errors import MeasureError, MissingExtra

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from genepool.diversity._partitioned import Partitioned

__all__ = ["COSINE", "KINDS", "Copies", "find_copies"]

COSINE = 0.99
"""Cosine of two copy vectors from which on they are taken for copies."""
KINDS = ("bytes", "pixels", "looks", "embedding")
"""How a copy was found, surest first."""
_EVERY_PAIR = 20_000  # up to here every pair of vectors is compared
_BLOCK = 1024
_LISTS, _PROBED = 4, 16  # of the inverted file: lists per root of n, lists looked into

_WHY = ("verified human", "most pixels", "largest file", "first by name")


@dataclass(frozen=True, slots=True, eq=False)
class Copies:
    """Clusters of copies, which image of each to keep, and why.

    Attributes:
        labels: ``(n,)`` cluster of each image, numbered by first appearance.
        keep: ``(n,)`` index of the image to keep of its cluster; its own where it is the one.
        kinds: ``(n,)`` index into `KINDS` of the surest tie between an image and its cluster; −1: has no
            copy.
        why: ``(n,)`` why the kept image of the cluster was chosen; empty where there was no choice.
    """

    labels: NDArray[np.int64]
    keep: NDArray[np.int64]
    kinds: NDArray[np.int8]
    why: tuple[str, ...]

    @property
    def redundant(self) -> NDArray[np.int64]:
        """Images that could go: copies of a kept one."""
        return np.flatnonzero(self.keep != np.arange(len(self.keep)))

    @property
    def weights(self) -> NDArray[np.float64]:
        """1 / cluster size, so that a cluster counts as one image."""
        weights: NDArray[np.float64] = 1.0 / np.bincount(self.labels)[self.labels]
        return weights

    def found_by(self, i: int) -> str:
        """The surest way in which image ``i`` was found to be a copy; empty where it has none."""
        return KINDS[self.kinds[i]] if self.kinds[i] >= 0 else ""

    def counts(self) -> dict[str, int]:
        """Redundant images by the surest way in which they were found."""
        found = self.kinds[self.redundant]
        return {kind: int((found == i).sum()) for i, kind in enumerate(KINDS)}


def find_copies(
    phash: Any,
    *,
    sha256: Any = None,
    pixel: Any = None,
    vectors: Any = None,
    human: Any = None,
    area: Any = None,
    size: Any = None,
    radius: int = RADIUS,
    cosine: float = COSINE,
    by: Partitioned | None = None,
) -> Copies:
    """Clusters of copies among n images: whatever any of the four looks finds is linked.

    Of a cluster that image is kept which is verified human, else the one with the most pixels, else the
    largest file, else the first.

    Args:
        phash: Perceptual hashes, as for `near_duplicates`.
        sha256: n digests of the files, as ``(n, 32)`` uint8 or byte strings; None: not compared.
        pixel: likewise n digests of the decoded pixels; None: not compared.
        vectors: ``(n, d)`` copy vectors of an embedder, rows of zeros where there is none; None: not
            compared. Up to 20,000 every pair is compared, beyond that by an inverted file (Jégou et al.
            2011; faiss), which can miss some.
        human: ``(n,)`` bool, verified human.
        area: ``(n,)`` pixels.
        size: ``(n,)`` bytes.
        radius: Largest number of differing bits of copies.
        cosine: Smallest cosine of copies.
        by: Compares hashes and digests partition by partition on disk; None: in memory. Equal results.

    Raises:
        MeasureError: Lengths that differ, NaN, not hashes, a cosine out of (0, 1].
        MissingExtra: More than 20,000 vectors without faiss (``genepool[dedup]``).
    """
    looks = near_duplicates(phash, radius) if by is None else by.near_duplicates(phash, radius)
    n = len(looks)
    if not 0.0 < cosine <= 1.0:
        raise MeasureError(f"copies: expected a cosine above 0 and up to 1, found {cosine}")
    ties = [_same(sha256, n, "sha256", by), _same(pixel, n, "pixel", by), _same(looks, n, "phash")]
    ties.append(np.zeros((2, 0), np.int64) if vectors is None else _alike(np.asarray(vectors), n, cosine))
    labels = components(n, *np.concatenate(ties, axis=1))
    kinds = np.full(n, -1, np.int8)
    for kind in reversed(range(len(KINDS))):
        kinds[ties[kind].reshape(-1)] = kind
    order = [np.zeros(n, np.int64), _rank(human, n, "human"), _rank(area, n, "area"), _rank(size, n, "size")]
    keep, why = _kept(labels, order)
    return Copies(labels, keep, kinds, why)


def _same(values: Any, n: int, name: str, by: Partitioned | None = None) -> NDArray[np.int64]:
    """Pairs that tie every image to the first one of equal value."""
    if values is None:
        return np.zeros((2, 0), np.int64)
    if len(values) != n:
        raise MeasureError(f"copies: {n} perceptual hashes beside {len(values)} values of {name}")
    if by is not None:
        return by.same(values)
    if isinstance(values, np.ndarray) and values.dtype == np.uint8 and values.shape == (n, 32):
        order, fresh = sorted_rows(np.ascontiguousarray(values).view(np.uint64))
        start = np.empty(n, np.int64)
        start[order] = order[fresh][np.cumsum(fresh) - 1]
    else:
        array = values if isinstance(values, np.ndarray) else np.array([bytes(v) for v in values], object)
        _, first, inverse = np.unique(array, return_index=True, return_inverse=True)
        start = first[inverse.reshape(-1)]
    later = np.flatnonzero(start != np.arange(n))
    return np.stack((start[later], later)).astype(np.int64)


def _rank(values: Any, n: int, name: str) -> NDArray[np.int64]:
    if values is None:
        return np.zeros(n, np.int64)
    array = np.asarray(values)
    if array.shape != (n,):
        raise MeasureError(f"copies: {n} perceptual hashes beside {array.shape} values of {name}")
    return array.astype(np.int64)


def _kept(
    labels: NDArray[np.int64], ranks: list[NDArray[np.int64]]
) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    n = len(labels)
    _, human, area, size = ranks
    order = np.lexsort((np.arange(n), -size, -area, -human, labels))
    ordered = labels[order]
    head = (
        np.flatnonzero(np.concatenate(([True], ordered[1:] != ordered[:-1]))) if n else np.zeros(0, np.int64)
    )
    keep = np.empty(n, np.int64)
    best = order[head]
    sizes = np.diff(np.append(head, n))
    keep[order] = np.repeat(best, sizes)
    why = [""] * n
    for start, count in zip(head[sizes > 1].tolist(), sizes[sizes > 1].tolist(), strict=True):
        first, second = order[start], order[start + 1]
        decided = next(
            (w for w, r in zip(_WHY, (human, area, size), strict=False) if r[first] > r[second]), _WHY[3]
        )
        for i in order[start : start + count].tolist():
            why[i] = decided
    return keep, tuple(why)


def _alike(vectors: NDArray[Any], n: int, cosine: float) -> NDArray[np.int64]:
    """Pairs of rows whose cosine is at least the given one."""
    if vectors.ndim != 2 or len(vectors) != n:
        raise MeasureError(f"copies: {n} perceptual hashes beside vectors of shape {vectors.shape}")
    x = np.array(vectors, np.float32)
    length = np.sqrt(np.einsum("nd,nd->n", x, x, dtype=np.float64))
    if not np.isfinite(length).all():
        raise MeasureError(
            f"copies: {int((~np.isfinite(length)).sum())} of {n} copy vectors hold NaN or infinity",
            hint="scan again: genepool scan PATH --rescan",
        )
    some = np.flatnonzero(length > 0)
    x = x[some] / length[some, None].astype(np.float32)
    pairs = _pairs(x, cosine) if len(x) <= _EVERY_PAIR else _indexed(x, cosine)
    return some[pairs]


def _pairs(x: NDArray[np.float32], cosine: float) -> NDArray[np.int64]:
    found = [np.zeros((2, 0), np.int64)]
    for at in range(0, len(x), _BLOCK):
        close = x[at : at + _BLOCK] @ x[at:].T >= cosine
        i, j = np.nonzero(np.triu(close, 1))
        found.append(np.stack((i + at, j + at)))
    return np.concatenate(found, axis=1)


def _indexed(x: NDArray[np.float32], cosine: float) -> NDArray[np.int64]:
    try:
        import faiss
    except ImportError:
        raise MissingExtra(needs="faiss", extra="dedup") from None
    lists = max(1, int(_LISTS * len(x) ** 0.5))
    index = faiss.IndexIVFFlat(faiss.IndexFlatIP(x.shape[1]), x.shape[1], lists, faiss.METRIC_INNER_PRODUCT)
    index.cp.max_points_per_centroid, index.cp.min_points_per_centroid = 64, 1
    index.train(x)
    index.add(x)
    index.nprobe = _PROBED
    found = [np.zeros((2, 0), np.int64)]
    for at in range(0, len(x), 8 * _BLOCK):
        part = x[at : at + 8 * _BLOCK]
        limits, _, near = index.range_search(part, cosine)
        i = np.repeat(np.arange(at, at + len(part)), np.diff(limits.astype(np.int64)))
        later = near > i
        found.append(np.stack((i[later], near[later])))
    return np.concatenate(found, axis=1).astype(np.int64)
