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
WORDS = BITS // 64
RADIUS = 24
_BRUTE = 4096  # up to here every pair is compared
_CROWD = 4096  # larger buckets are split by a second band
_CHUNK = 65_536  # rows laid side by side at once: what a processor's cache holds
_FEW = 20_000  # links up to which plain Python joins them
_HITS = 500_000  # pairs whose whole hashes are compared at once


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
    hashes = words_of(phash)
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


def words_of(phash: Any) -> NDArray[np.uint64]:
    """``(n, 4)`` words of n 32-byte values, given as ``(n, 32)`` uint8 or byte strings."""
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
    """The different rows, and which of them each row is."""
    order, fresh = sorted_rows(hashes)
    inverse = np.empty(len(hashes), np.int64)
    inverse[order] = np.cumsum(fresh) - 1
    return hashes[order[fresh]], inverse


def sorted_rows(words: NDArray[np.uint64]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """An order of ``(n, 4)`` rows in which equal ones are neighbours, and where a row differs from the last.

    Equal rows keep their order. Words are sorted, not rows, and the later words only where the first tie.
    """
    order = np.argsort(words[:, 0])
    first = words[order, 0]
    tied = np.zeros(len(words), np.bool_)
    tied[1:] = first[1:] == first[:-1]
    tied[:-1] |= tied[1:]
    some = np.flatnonzero(tied)
    # Sorting all tied rows together leaves each group of ties in its place: the first word leads.
    rows = np.sort(order[some])
    order[some] = rows[np.lexsort(words[rows].T[::-1])]
    fresh = ~tied
    ordered = words[order[some]]
    fresh[some] = np.concatenate(([True], (ordered[1:] != ordered[:-1]).any(axis=1)))[: len(some)]
    return order, fresh


def _links(kinds: NDArray[np.uint64], radius: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pairs of rows at most ``radius`` bits apart."""
    found: list[NDArray[np.int64]] = []
    if every_pair(len(kinds)):
        _compare(kinds, np.arange(len(kinds)), np.array([0]), np.array([len(kinds)]), radius, found, 0)
    else:
        bands = kinds.view(np.uint16)
        for band in range(BANDS):
            _band(kinds, bands, band, radius, found)
    if not found:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    pairs = np.concatenate(found, axis=1)
    return pairs[0], pairs[1]


def every_pair(n: int) -> bool:
    """Whether so few different hashes are compared each with each."""
    return n <= _BRUTE


def band_links(
    kinds: NDArray[np.uint64], band: int, radius: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pairs of different rows at most ``radius`` bits apart that agree in one band.

    What is found in a band does not change when rows that share its value with nobody are left out, or all
    rows of some values are: so a band can be cut into pieces.
    """
    found: list[NDArray[np.int64]] = []
    _band(kinds, kinds.view(np.uint16), band, radius, found)
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
    _compare(kinds, order, starts[keep], sizes[keep], radius, found, _other_word(band))
    for start, size in zip(starts[sizes > _CROWD], sizes[sizes > _CROWD], strict=True):
        # So many equal bits say little (blank borders, plain skies): they must agree in one more band too.
        rows = order[start : start + size]
        for other in range(BANDS):
            if other != band:
                inner = rows[np.argsort(bands[rows, other], kind="stable")]
                begins, lengths = _runs(bands[inner, other])
                crowded = (lengths > 1) & (lengths <= _CROWD)
                word = _other_word(band, other)
                _compare(kinds, inner, begins[crowded], lengths[crowded], radius, found, word)
                for at, count in zip(begins[lengths > _CROWD], lengths[lengths > _CROWD], strict=True):
                    _neighbours(kinds, inner[at : at + count], radius, found)


def _runs(key: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    starts = np.flatnonzero(np.concatenate(([True], key[1:] != key[:-1])))
    return starts, np.diff(np.append(starts, len(key)))


def _other_word(*bands: int) -> int:
    """A word that holds none of these bands: its bits are not known to agree, so it tells most rows apart."""
    taken = {band // (BANDS // WORDS) for band in bands}
    return next(word for word in range(WORDS) if word not in taken)


def _compare(
    kinds: NDArray[np.uint64],
    order: NDArray[np.int64],
    starts: NDArray[np.int64],
    sizes: NDArray[np.int64],
    radius: int,
    found: list[NDArray[np.int64]],
    word: int,
) -> None:
    """All pairs inside each run ``order[start : start + size]``; one word refuses most of them."""
    # The largest first, so that the runs that still have pairs at a distance stand in front.
    falling = np.argsort(-sizes, kind="stable")
    starts, sizes = starts[falling], sizes[falling]
    ends, at = np.cumsum(sizes), 0
    while at < len(sizes):
        upto = max(at + 1, int(np.searchsorted(ends, (ends[at - 1] if at else 0) + _CHUNK, side="right")))
        here, ramp = sizes[at:upto], _ramp(sizes[at:upto])
        rows = order[np.repeat(starts[at:upto], here) + ramp]
        _side_by_side(kinds, rows, here, np.repeat(here, here) - ramp - 1, radius, found, word)
        at = upto


def _side_by_side(
    kinds: NDArray[np.uint64],
    rows: NDArray[np.int64],
    sizes: NDArray[np.int64],
    behind: NDArray[np.int64],
    radius: int,
    found: list[NDArray[np.int64]],
    word: int,
) -> None:
    """Runs laid end to end, the largest first: every row with the one 1, 2, … places behind it in its run.

    That reads memory in its order; picking the pairs one by one would take several times as long.
    """
    bits, ends, behind = kinds[rows, word], np.cumsum(sizes), behind.astype(np.int16)
    left: list[NDArray[np.int64]] = []
    right: list[NDArray[np.int64]] = []
    waiting = 0
    for step in range(1, int(sizes[0])):
        upto = int(ends[np.searchsorted(-sizes, -step) - 1])
        close = np.bitwise_count(bits[: upto - step] ^ bits[step:upto]) <= radius
        close &= behind[: upto - step] >= step
        first = np.flatnonzero(close)
        left.append(rows[first])
        right.append(rows[first + step])
        waiting += len(first)
        if waiting > _HITS or step == int(sizes[0]) - 1:
            _near(kinds, np.concatenate(left), np.concatenate(right), radius, found)
            left, right, waiting = [], [], 0


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
    for word in range(WORDS):
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
    if len(first) <= _FEW:
        return _joined(n, first, second)
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    graph = coo_array((np.ones(len(first), np.int8), (first, second)), shape=(n, n))
    labels: NDArray[np.int64] = connected_components(graph, directed=False)[1].astype(np.int64)
    return labels


def _joined(n: int, first: NDArray[np.int64], second: NDArray[np.int64]) -> NDArray[np.int64]:
    """The same for few links, which cost less than loading the library: all get the least one's label."""
    above: dict[int, int] = {}

    def least(thing: int) -> int:
        top = thing
        while top in above:
            top = above[top]
        while thing != top:
            above[thing], thing = top, above[thing]
        return top

    for a, b in zip(map(least, first.tolist()), map(least, second.tolist()), strict=True):
        if a != b:
            above[max(a, b)] = min(a, b)
    labels = np.arange(n, dtype=np.int64)
    linked = list(above)
    labels[linked] = list(map(least, linked))
    return labels
