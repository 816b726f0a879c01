"""Pictures that a program really computes: Julia sets. No model was trained, no person drew them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["julia"]


def julia(side: int, seed: int) -> tuple[NDArray[np.uint8], dict[str, Any]]:
    """A Julia set of z² + c, coloured by the smooth escape time.

    c lies just outside the main cardioid of the Mandelbrot set, c = e^{it}/2 − e^{2it}/4, where the sets are
    richest.

    Args:
        side: Pixels.
        seed: Chooses c, the view and the colours.

    Returns:
        ``(side, side, 3)`` uint8 RGB, and the parameters.
    """
    rng = np.random.default_rng(seed)
    turn = float(rng.uniform(0, 2 * np.pi))
    c = complex(1.04 * (np.exp(1j * turn) / 2 - np.exp(2j * turn) / 4))
    half = float(rng.uniform(0.6, 1.5))
    axis = np.linspace(-half, half, side)
    z = axis[None, :] + 1j * axis[:, None]
    escape = np.full(z.shape, 96.0)
    alive = np.ones(z.shape, bool)
    for step in range(96):
        z[alive] = z[alive] ** 2 + c
        out = alive & (np.abs(z) > 8)
        # Fractional escape time: without it the colours would come in bands.
        escape[out] = step + 1 - np.log2(np.log(np.abs(z[out])) / np.log(8))
        alive &= ~out
    phase, pace = rng.uniform(0, 1, 3), float(rng.uniform(0.6, 1.6))
    shade = np.sqrt(np.maximum(escape, 0) / 96)
    colour = 0.5 + 0.5 * np.cos(2 * np.pi * (pace * shade[..., None] + phase))
    colour[alive] = 0.04
    return np.rint(colour * 255).astype(np.uint8), {
        "c": [round(c.real, 6), round(c.imag, 6)],
        "half_width": half,
    }
