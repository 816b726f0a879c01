"""Near-duplicates among 256-bit perceptual hashes, by banding."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from genepool.errors import MeasureError

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["cluster_weights", "components", "near_duplicates", "redundant_share"]

BITS = 256
BANDS = 16
RADIUS = 24
_BRUTE = 4096  # up to here every pair is compared
_CROWD = 4096  # larger buckets are split by a second band
_CHUNK = 500_000  # pairs compared at once


def near_duplicates(phash: Any, radius: int = RADIUS) -> NDArray[np.int64]:
    """Which images are near-copies of which.

    Two images are linked when their hashes differ in at most ``radius`` bits; clusters are the connected
    components. Up to 4096 different hashes all pairs are compared. Beyond, only pairs that agree in one of 16
    bands of 16 bits are: that finds every pair up to 15 bits apart (pigeonhole) and, for bits that flip
    independently, 97 % of those 24 bits apart; links through a third copy close most of the rest.

    Args:
        phash: ``(n, 32)`` uint8, or n byte strings of 32 bytes.
        radius: Largest number of differing bits, 0 to 64.

    Returns:
        ``(n,)`` int64 labels 0, 1, …, numbered by first appearance.

    Raises:
        MeasureError: Not 256-bit hashes, or a radius out of range.
    """
    hashes = _words(phash)
    if not 0 <= radius <= 64:
        raise MeasureError(f"near-duplicates: expected a radius of 0 to 64 bits, found {radius}")
    if not len(hashes):
        return np.zeros(0, np.int64)
    kinds, inverse = _kinds(hashes)
    first, second = _links(kinds, radius) if radius else (np.zeros(0, np.int64),) * 2
    return _numbered(_components(len(kinds), first, second)[inverse])


def components(n: int, first: NDArray[np.int64], second: NDArray[np.int64]) -> NDArray[np.int64]:
    """Labels 0, 1, … of the connected components of n things, numbered by first appearance."""
    return _numbered(_components(n, first, second))


def _numbered(labels: NDArray[np.int64]) -> NDArray[np.int64]:
    _, start, numbered = np.unique(labels, return_index=True, return_inverse=True)
    rank = np.empty(len(start), np.int64)
    rank[np.argsort(start, kind="stable")] = np.arange(len(start))
    return rank[numbered.reshape(-1)]


def cluster_weights(labels: NDArray[np.int64]) -> NDArray[np.float64]:
    """1 / cluster size for each image, so that each cluster counts as one image."""
    _, inverse, sizes = np.unique(labels, return_inverse=True, return_counts=True)
    weights: NDArray[np.float64] = 1.0 / sizes[inverse.reshape(-1)]
    return weights


def redundant_share(labels: NDArray[np.int64]) -> float:
    """Share of images that could go without losing a cluster: 1 − clusters / images.

    Raises:
        MeasureError: No images.
    """
    if not len(labels):
        raise MeasureError("near-duplicates: expected at least one image, found none")
    return 1.0 - len(np.unique(labels)) / len(labels)


def _words(phash: Any) -> NDArray[np.uint64]:
    if isinstance(phash, np.ndarray) and phash.dtype == np.uint8:
        table = phash
    else:
        rows = [bytes(h) for h in phash]
        wrong = [i for i, h in enumerate(rows) if len(h) != BITS // 8]
        if wrong:
            raise MeasureError(
                f"near-duplicates: expected hashes of 32 bytes, row {wrong[0]} has {len(rows[wrong[0]])}"
            )
        table = np.frombuffer(b"".join(rows), np.uint8).reshape(-1, BITS // 8)
    if table.ndim != 2 or table.shape[1] != BITS // 8:
        raise MeasureError(f"near-duplicates: expected shape (n, 32), found {table.shape}")
    return np.ascontiguousarray(table).view(np.uint64)


def _kinds(hashes: NDArray[np.uint64]) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """The different rows, and which of them each row is; sorting words is faster than `np.unique` by rows."""
    order = np.lexsort(hashes.T[::-1])
    ordered = hashes[order]
    fresh = np.concatenate(([True], (ordered[1:] != ordered[:-1]).any(axis=1)))
    inverse = np.empty(len(hashes), np.int64)
    inverse[order] = np.cumsum(fresh) - 1
    return ordered[fresh], inverse


def _links(kinds: NDArray[np.uint64], radius: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pairs of rows at most ``radius`` bits apart."""
    found: list[NDArray[np.int64]] = []
    if len(kinds) <= _BRUTE:
        _compare(kinds, np.arange(len(kinds)), np.array([0]), np.array([len(kinds)]), radius, found)
    else:
        bands = kinds.view(np.uint16)
        for band in range(BANDS):
            _band(kinds, bands, band, radius, found)
    if not found:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    pairs = np.concatenate(found, axis=1)
    return pairs[0], pairs[1]


def _band(
    kinds: NDArray[np.uint64],
    bands: NDArray[np.uint16],
    band: int,
    radius: int,
    found: list[NDArray[np.int64]],
) -> None:
    order = np.argsort(bands[:, band], kind="stable")
    key = bands[order, band]
    starts, sizes = _runs(key)
    keep = (sizes > 1) & (sizes <= _CROWD)
    _compare(kinds, order, starts[keep], sizes[keep], radius, found)
    for start, size in zip(starts[sizes > _CROWD], sizes[sizes > _CROWD], strict=True):
        # So many equal bits say little (blank borders, plain skies): they must agree in one more band too.
        rows = order[start : start + size]
        for other in range(BANDS):
            if other != band:
                inner = rows[np.argsort(bands[rows, other], kind="stable")]
                begins, lengths = _runs(bands[inner, other])
                crowded = (lengths > 1) & (lengths <= _CROWD)
                _compare(kinds, inner, begins[crowded], lengths[crowded], radius, found)
                for at, count in zip(begins[lengths > _CROWD], lengths[lengths > _CROWD], strict=True):
                    _neighbours(kinds, inner[at : at + count], radius, found)


def _runs(key: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    starts = np.flatnonzero(np.concatenate(([True], key[1:] != key[:-1])))
    return starts, np.diff(np.append(starts, len(key)))


def _compare(
    kinds: NDArray[np.uint64],
    order: NDArray[np.int64],
    starts: NDArray[np.int64],
    sizes: NDArray[np.int64],
    radius: int,
    found: list[NDArray[np.int64]],
) -> None:
    """All pairs inside each run ``order[start : start + size]``, at most about half a million at once."""
    # Row j of a run is compared with the rows after it: one stretch per row, all stretches laid end to end.
    left = np.repeat(starts, sizes) + _ramp(sizes)
    behind = np.repeat(sizes, sizes) - _ramp(sizes) - 1
    left, behind = left[behind > 0], behind[behind > 0]
    ends = np.cumsum(behind)
    # One word of each row, in the order of the runs: it refuses nearly all pairs and stays in the cache.
    word = np.ascontiguousarray(kinds[order, 0]) if len(left) else np.zeros(0, np.uint64)
    at = 0
    while at < len(left):
        upto = max(at + 1, int(np.searchsorted(ends, (ends[at - 1] if at else 0) + _CHUNK)))
        counts = behind[at:upto]
        a = np.repeat(left[at:upto], counts)
        b = a + 1 + _ramp(counts)
        close = np.bitwise_count(word[a] ^ word[b]) <= radius
        _near(kinds, order[a[close]], order[b[close]], radius, found)
        at = upto


def _ramp(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """0, 1, … count − 1 for each count, end to end."""
    total = int(counts.sum())
    return np.arange(total) - np.repeat(np.cumsum(counts) - counts, counts)


def _near(
    kinds: NDArray[np.uint64],
    a: NDArray[np.int64],
    b: NDArray[np.int64],
    radius: int,
    found: list[NDArray[np.int64]],
) -> None:
    apart = np.zeros(len(a), np.int16)
    for word in range(BITS // 64):
        apart = apart + np.bitwise_count(kinds[a, word] ^ kinds[b, word])
        close = apart <= radius
        a, b, apart = a[close], b[close], apart[close]
    if len(a):
        found.append(np.stack((a, b)))


def _neighbours(
    kinds: NDArray[np.uint64], rows: NDArray[np.int64], radius: int, found: list[NDArray[np.int64]]
) -> None:
    """Where two bands are crowded: compare each row with the next 64 in lexical order of the whole hash."""
    rows = rows[np.lexsort(kinds[rows].T[::-1])]
    for step in range(1, 65):
        _near(kinds, rows[:-step], rows[step:], radius, found)


def _components(n: int, first: NDArray[np.int64], second: NDArray[np.int64]) -> NDArray[np.int64]:
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    graph = coo_array((np.ones(len(first), np.int8), (first, second)), shape=(n, n))
    labels: NDArray[np.int64] = connected_components(graph, directed=False)[1].astype(np.int64)
    return labels
