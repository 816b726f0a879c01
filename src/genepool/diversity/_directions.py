"""Which directions of an embedding are style, and which one tells noise from pictures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["artefact_axis", "style_directions"]

NAMED = 4
"""Pictures that an artist needs to say what varies within one hand."""
ARTISTS = 20
"""Such artists that are needed; with fewer the plain whitening stays."""
_RIDGE = 0.1


def style_directions(
    x: NDArray[np.float64],
    weights: NDArray[np.float64],
    groups: Sequence[tuple[str, str]],
    before: int,
    count: int,
    hands: float,
) -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
    """Mean, ``(d_raw, count)`` directions of style, and the shrinkage of the covariance.

    The covariance is shrunk towards a multiple of the identity as Ledoit & Wolf (2004) derive, with the
    weighted sample in the place of the plain one, and whitened in its ``before`` strongest directions.
    Where at least 20 artists have four pictures each, the directions in which one hand varies least are
    chosen there and scaled to unit variance within a hand (Fisher's discriminants; within-class covariance
    normalisation, Hatch & Stolcke 2006); otherwise the strongest ones are kept as they are.
    """
    mean = weights @ x
    centred = x - mean
    covariance = (centred * weights[:, None]).T @ centred
    level = float(np.trace(covariance)) / len(covariance)
    far = float(((covariance - level * np.eye(len(covariance))) ** 2).sum())
    lengths = np.einsum("nd,nd->n", centred, centred)
    # Σ w² ‖x xᵀ − S‖² = Σ w² (‖x‖⁴ − 2 xᵀ S x + ‖S‖²)
    inner = np.einsum("nd,nd->n", centred @ covariance, centred)
    noise = float((weights**2 * (lengths**2 - 2 * inner + (covariance**2).sum())).sum())
    shrinkage = min(1.0, noise / max(far, 1e-300))
    values, vectors = np.linalg.eigh(covariance)
    order = np.argsort(-values)[: min(before, len(values), len(x) // 4)]
    strength = (1 - shrinkage) * values[order] + shrinkage * level
    plain = _signed(vectors[:, order]) / np.sqrt(strength)
    count = min(count, plain.shape[1])
    within = _within(centred @ plain, groups, hands) if hands > 0 else None
    if within is None:
        return mean, plain[:, :count], shrinkage
    inside, turned = np.linalg.eigh(within)
    return mean, _signed(plain @ (turned[:, :count] / np.sqrt(inside[:count]))), shrinkage


def _within(
    z: NDArray[np.float64], groups: Sequence[tuple[str, str]], share: float
) -> NDArray[np.float64] | None:
    """Shrunk mean covariance of one artist's pictures, every artist alike."""
    found: dict[tuple[str, str], list[int]] = {}
    for i, group in enumerate(groups):
        if group[1]:
            found.setdefault(group, []).append(i)
    chosen = [rows for rows in found.values() if len(rows) >= NAMED]
    if len(chosen) < ARTISTS:
        return None
    total = np.zeros((z.shape[1], z.shape[1]))
    for rows in chosen:
        gap = z[rows] - z[rows].mean(axis=0)
        total += gap.T @ gap / (len(rows) - 1)
    total /= len(chosen)
    level = float(np.trace(total)) / len(total)
    shrunk: NDArray[np.float64] = share * total + (1.0 - share) * level * np.eye(len(total))
    return shrunk


def _signed(directions: NDArray[np.float64]) -> NDArray[np.float64]:
    """An eigenvector's sign is the machine's whim: the largest entry is made positive."""
    largest = np.abs(directions).argmax(axis=0)
    signs: NDArray[np.float64] = np.sign(directions[largest, np.arange(directions.shape[1])])
    return directions * signs


def artefact_axis(
    x: NDArray[np.float64], weights: NDArray[np.float64], noise: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
    """Direction from pictures to noise, the pictures' mean, and where the noise lies on it.

    Fisher's discriminant with the pictures' covariance, a ridge of a tenth of its mean variance added;
    scaled so that pictures have unit variance along it.
    """
    mean = weights @ x
    centred = x - mean
    covariance = (centred * weights[:, None]).T @ centred
    size = len(covariance)
    ridged = covariance + _RIDGE * float(np.trace(covariance)) / size * np.eye(size)
    axis = np.linalg.solve(ridged, noise.mean(axis=0) - mean)
    axis /= np.sqrt(axis @ covariance @ axis)
    return axis, mean, float((noise.mean(axis=0) - mean) @ axis)
