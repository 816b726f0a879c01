"""Invisible watermarks that generators put into pixels: Stable Diffusion 1, SDXL and FLUX.

All three use the ``dwtDct`` method of the package *invisible-watermark* (MIT): in the U plane of YUV, of the
Haar low-pass image, every 4 × 4 block carries one bit in its largest coefficient, modulo 36; the payload
repeats from block to block. This is a reader of its own, because the package asks for torch and OpenCV to do
it; its bits are those of the package (tests/evidence/test_watermark.py).

A mark survives nothing but a lossless copy: any rescale or crop, and most JPEG files, destroy it. Absence
therefore says nothing. Anybody can write one, so that it is worth what an unsigned statement of a generator
is worth.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from genepool.evidence._weights import GENERATOR, witness
from genepool.records import Evidence

__all__ = ["PAYLOADS", "Mark", "Payload", "agreement", "find_marks", "read_bits", "testify"]

Bits = NDArray[np.bool_]
_STEP = 36.0
_LEAST = 256 * 256


@dataclass(frozen=True, slots=True)
class Payload:
    """A generator's message.

    ``least`` is the share of bits that must agree, over all and over ones and zeros averaged alike. Were the
    bits of an unmarked picture fair coins, it would be reached by chance once in more than a million
    pictures.
    """

    model: str
    bits: Bits
    least: float


def _bits(number: str) -> Bits:
    return np.array([digit == "1" for digit in number])


PAYLOADS: tuple[Payload, ...] = (
    # CompVis/stable-diffusion scripts/txt2img.py: the ASCII text, most significant bit first.
    Payload("Stable Diffusion 1", np.unpackbits(np.frombuffer(b"StableDiffusionV1", np.uint8)) == 1, 0.73),
    # huggingface/diffusers pipelines/stable_diffusion_xl/watermark.py
    Payload("SDXL", _bits("101100111110110010010000011110111011000110011110"), 0.875),
    # black-forest-labs/flux src/flux/util.py: Python's bin() drops the two leading zeros.
    Payload("FLUX", _bits("1010101111111010000111100111001111010100101110"), 0.89),
)


@dataclass(frozen=True, slots=True)
class Mark:
    """A payload that was found: ``agreement`` of its bits in [0, 1], written in ``order`` (RGB or BGR)."""

    model: str
    agreement: float
    order: str


def find_marks(pixels: NDArray[np.uint8], payloads: Iterable[Payload] = PAYLOADS) -> list[Mark]:
    """Payloads in an image, best first; empty below 256 × 256 pixels' area.

    Args:
        pixels: ``(height, width, 3)`` uint8 RGB, native scale.
        payloads: What is looked for.
    """
    if pixels.shape[0] * pixels.shape[1] < _LEAST:
        return []
    found = []
    for order in ("BGR", "RGB"):
        votes = _votes(pixels if order == "BGR" else pixels[..., ::-1])
        for payload in payloads:
            share = agreement(_majority(votes, len(payload.bits)), payload.bits)
            if share >= payload.least:
                found.append(Mark(payload.model, share, order))
    return sorted(found, key=lambda mark: -mark.agreement)


def agreement(bits: Bits, payload: Bits) -> float:
    """Share of agreeing bits, the lesser of the plain one and of the mean over ones and zeros.

    A picture of little colour reads as one bit everywhere, which agrees with the more frequent bit of any
    payload; the mean over ones and zeros is one half for it.
    """
    same = bits == payload
    return float(min(same.mean(), (same[payload].mean() + same[~payload].mean()) / 2))


def read_bits(pixels: NDArray[np.uint8], n: int) -> Bits:
    """The ``n`` bits that an RGB image carries or seems to carry, as the package reads them from BGR."""
    return _majority(_votes(pixels), n)


def testify(pixels: NDArray[np.uint8]) -> list[Evidence]:
    """Marks as evidence: for AI where a payload is found, otherwise nothing."""
    return [
        witness(
            "watermark",
            "ai",
            GENERATOR,
            model=mark.model,
            origin="synthetic",
            reference=f"dwtDct, {mark.order}",
            detail=f"carries the invisible watermark of {mark.model} ({mark.agreement:.0%} of its bits)",
        )
        for mark in find_marks(pixels)[:1]
    ]


def _votes(pixels: NDArray[np.uint8]) -> Bits:
    """One vote per block, row by row."""
    height, width = (n // 4 * 4 for n in pixels.shape[:2])
    low = _low_pass(_u_plane(pixels[:height, :width]))
    rows, columns = low.shape[0] // 4, low.shape[1] // 4
    blocks = low[: rows * 4, : columns * 4].reshape(rows, 4, columns, 4).transpose(0, 2, 1, 3).reshape(-1, 16)
    largest = np.abs(blocks[:, 1:]).max(1)
    return np.asarray(largest % _STEP > 0.5 * _STEP)


def _majority(votes: Bits, n: int) -> Bits:
    index = np.arange(len(votes)) % n
    ones = np.bincount(index, votes, minlength=n)
    return np.asarray(ones / np.maximum(1, np.bincount(index, minlength=n)) * 255 > 127)


def _u_plane(pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
    """U of OpenCV's 8-bit YUV, in its fixed-point arithmetic (14 bits)."""
    red, green, blue = (pixels[..., i].astype(np.int32) for i in range(3))
    luma = (4899 * red + 9617 * green + 1868 * blue + 8192) >> 14
    return np.asarray(np.clip(((blue - luma) * 8061 + (128 << 14) + 8192) >> 14, 0, 255), np.float64)


def _low_pass(plane: NDArray[np.float64]) -> NDArray[np.float64]:
    """Haar approximation, rounded as PyWavelets rounds it: halves decide which way a vote falls."""
    root = 0.7071067811865476
    rows = root * plane[0::2] + root * plane[1::2]
    return np.asarray(root * rows[:, 0::2] + root * rows[:, 1::2])
