"""What identifies an image: its bytes, its raster, its looks. Each digest carries a version."""

from __future__ import annotations

import functools
import hashlib
import struct

import numpy as np
from numpy.typing import NDArray

PIXEL_VERSION = "gpx1"
PHASH_VERSION = "gph1"

SIDE = 64
"""Side of the square that the perceptual hash looks at."""
BITS = 16
"""Frequencies per axis: 16 × 16 = 256 bits."""
_SCALE = 4096


def pixel_digest(raster: NDArray[np.uint8]) -> bytes:
    """``gpx1``: SHA-256 over ``gpx1``, a zero byte, mode, width and height (32-bit big-endian), raster.

    Args:
        raster: ``(height, width, 3)`` RGB or ``(height, width, 4)`` RGBA, uint8, EXIF-rotated. RGBA only
            where some pixel is not opaque, so that a useless alpha channel does not change the digest.

    Returns:
        32 bytes, equal for files that hold the same raster in whatever lossless container.
    """
    height, width, channels = raster.shape
    digest = hashlib.sha256(PIXEL_VERSION.encode() + b"\0" + (b"RGB", b"RGBA")[channels - 3])
    digest.update(struct.pack(">II", width, height))
    digest.update(np.ascontiguousarray(raster).data)
    return digest.digest()


def perceptual_hash(luma: NDArray[np.uint8]) -> bytes:
    """``gph1``: 256 bits that change little when an image is resized, recompressed or lightly edited.

    The DCT-II of the 64 × 64 area-averaged luma, its 16 × 16 lowest frequencies that vary along both axes
    (indices 1 to 16, so neither the mean nor pure stripes), each compared with their median; the method of
    Zauner, *Implementation and Benchmarking of Perceptual Image Hash Functions* (2010), at PDQ's size. The
    cosines are integers, the sums stay below 2^53, so the result is the same on every machine, and a flat
    image gives zeros.

    Args:
        luma: ``(64, 64)`` uint8.

    Returns:
        32 bytes, most significant bit first, row by row from low to high vertical frequency.
    """
    cosines = _cosines()
    coefficients = (cosines @ luma.astype(np.float64) @ cosines.T).ravel()
    return np.packbits(coefficients > np.median(coefficients)).tobytes()


@functools.cache
def _cosines() -> NDArray[np.float64]:
    k = np.arange(1, BITS + 1)[:, None]
    i = np.arange(SIDE)[None, :]
    exact = np.sqrt(2 / SIDE) * np.cos(np.pi * k * (2 * i + 1) / (2 * SIDE))
    rounded: NDArray[np.float64] = np.rint(exact * _SCALE)
    return rounded
