"""Images found again by their looks: nearest neighbours among 256-bit perceptual hashes.

Multi-index hashing (Norouzi, Punjani, Fleet, *Fast Search in Hamming Space with Multi-Index Hashing*, CVPR
2012): 16 bands of 16 bits; two hashes at most 31 bits apart agree in some band up to one bit, so looking at
each band's value and its 16 neighbours finds every one of them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

__all__ = ["RADIUS", "LookIndex", "tells"]

RADIUS: Final = 31
"""Largest distance, of 256 bits, at which two images look the same (docs/concepts/provenance.md)."""
_BANDS, _VALUES = 16, 1 << 16
_PROBES = np.array([0, *(1 << bit for bit in range(16))], np.uint16)
_FEWEST_BITS = 64
_CHUNK = 2_000_000
_FILES = ("words", "order", "offsets")


def tells(hashes: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Which ``(n, 32)`` hashes say something: flat or nearly flat pictures set few bits and resemble all."""
    bits: NDArray[np.int64] = np.bitwise_count(_words(hashes)).sum(axis=1, dtype=np.int64)
    return bits >= _FEWEST_BITS


def _words(hashes: NDArray[np.uint8]) -> NDArray[np.uint64]:
    return np.ascontiguousarray(hashes).view(np.uint64).reshape(-1, 4)


class LookIndex:
    """Hashes of known images, to be searched.

    Args:
        hashes: ``(n, 32)`` uint8.
    """

    def __init__(self, hashes: NDArray[np.uint8]) -> None:
        self.words = _words(hashes)
        bands = self.words.view(np.uint16).reshape(-1, _BANDS)
        self.order = np.empty((_BANDS, len(bands)), np.int32)
        self.offsets = np.empty((_BANDS, _VALUES + 1), np.int32)
        for band in range(_BANDS):
            values = bands[:, band]
            self.order[band] = np.argsort(values, kind="stable")
            counts = np.bincount(values, minlength=_VALUES)
            self.offsets[band] = np.concatenate([[0], np.cumsum(counts)])

    def __len__(self) -> int:
        return len(self.words)

    def save(self, folder: Path) -> None:
        """Write the index as NumPy files, to be mapped by `load`. Raises OSError."""
        for name in _FILES:
            np.save(folder / f"look-{name}.npy", getattr(self, name))

    @classmethod
    def load(cls, folder: Path) -> LookIndex:
        """Map a saved index; nothing is read before it is searched. Raises OSError, ValueError."""
        found = cls.__new__(cls)
        for name in _FILES:
            setattr(found, name, np.load(folder / f"look-{name}.npy", mmap_mode="r", allow_pickle=False))
        return found

    def nearest(
        self, wanted: NDArray[np.uint8], radius: int = RADIUS
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """The nearest known hashes, within a radius of at most 31 bits.

        Args:
            wanted: ``(m, 32)`` uint8; hashes that say nothing find nothing.
            radius: Largest number of differing bits.

        Returns:
            ``(position in wanted, position in the index, distance)`` of every nearest pair, equals included,
            ordered by the first.
        """
        asked = np.flatnonzero(tells(wanted))
        found: list[NDArray[np.int64]] = []
        if len(self) and len(asked):
            words = _words(wanted)[asked]
            bands = words.view(np.uint16).reshape(-1, _BANDS)
            for band in range(_BANDS):
                self._search(band, bands[:, band], words, radius, found)
        if not found:
            empty = np.zeros(0, np.int64)
            return empty, empty, empty
        pairs = np.unique(np.concatenate(found, axis=1), axis=1)
        best = np.full(len(asked), radius + 1, np.int64)
        np.minimum.at(best, pairs[0], pairs[2])
        image, known, distance = pairs[:, pairs[2] == best[pairs[0]]]
        return asked[image], known, distance

    def _search(
        self,
        band: int,
        values: NDArray[np.uint16],
        words: NDArray[np.uint64],
        radius: int,
        found: list[NDArray[np.int64]],
    ) -> None:
        probes = values[:, None] ^ _PROBES
        start = self.offsets[band][probes].astype(np.int64)
        count = self.offsets[band][probes.astype(np.int64) + 1] - start
        ends = np.cumsum(count.sum(axis=1))
        at = 0
        while at < len(values):
            limit = (ends[at - 1] if at else 0) + _CHUNK
            upto = max(at + 1, int(np.searchsorted(ends, limit, "right")))
            counts = count[at:upto].reshape(-1)
            total = int(counts.sum())
            within = np.arange(total) - np.repeat(np.cumsum(counts) - counts, counts)
            known = self.order[band][np.repeat(start[at:upto].reshape(-1), counts) + within].astype(np.int64)
            image = np.repeat(np.arange(at, upto), count[at:upto].sum(axis=1))
            distance = np.bitwise_count(self.words[known] ^ words[image]).sum(axis=1, dtype=np.int64)
            near = distance <= radius
            if near.any():
                found.append(np.stack([image[near], known[near], distance[near]]))
            at = upto
