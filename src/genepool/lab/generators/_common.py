"""What the generators share: torch when it is there, its threads, its device, and the error of a lost run."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from genepool.errors import MeasureError, MissingExtra, UsageError

__all__ = [
    "Diverged",
    "Generator",
    "Principal",
    "finite",
    "one_thread",
    "pick_device",
    "pixels",
    "require_torch",
    "scaled",
    "where",
]


class Diverged(MeasureError):
    """Training left the numbers: the loss or a sample is NaN or infinite."""


class Generator(Protocol):
    """A model that learns pictures and draws new ones."""

    def fit(self, pictures: NDArray[np.uint8], labels: NDArray[np.int64] | None = None) -> Any:
        """Learn from ``(n, side, side, channels)`` uint8 and, where conditional, ``(n,)`` labels."""

    def draw(self, n: int, seed: int = 0) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        """Pictures ``(n, side, side, channels)`` and their labels (−1: none); same seed, same pictures."""


def require_torch() -> Any:
    """The torch module.

    Raises:
        MissingExtra: It is not installed.
    """
    try:
        import torch
    except ImportError:
        raise MissingExtra(needs="torch", extra="lab") from None
    return torch


@contextlib.contextmanager
def one_thread(torch: Any) -> Iterator[None]:
    """Layers this small lose more to waiting threads than they gain; one thread makes runs repeatable."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def pick_device(torch: Any, wanted: str = "auto") -> str:
    """``cuda`` where a GPU is present and wanted, else ``cpu``.

    Raises:
        UsageError: A GPU was asked for and there is none, or another word.
    """
    if wanted not in ("auto", "cpu", "cuda"):
        raise UsageError(f"device: expected auto, cpu or cuda, found {wanted!r}")
    present = bool(torch.cuda.is_available())
    if wanted == "cuda" and not present:
        raise UsageError("device: cuda was asked for, found no GPU that torch can use", hint="--device cpu")
    return "cuda" if present and wanted != "cpu" else "cpu"


def where(wanted: str = "auto") -> str:
    """What trains and with which torch, in words; "processor" where torch is not installed."""
    try:
        torch = require_torch()
    except MissingExtra:
        return "processor"
    named = torch.cuda.get_device_name(0) if pick_device(torch, wanted) == "cuda" else "processor"
    return f"{named}, torch {torch.__version__}"


def finite(loss: float, step: int) -> float:
    """The loss, if it is a number.

    Raises:
        Diverged: It is not.
    """
    if not np.isfinite(loss):
        raise Diverged(f"generator: the loss is {loss} at step {step}")
    return loss


def scaled(pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Pictures as ``(n, side · side · channels)`` float32 in [−1, 1].

    Raises:
        MeasureError: Fewer than 2, or not of one shape.
    """
    if pictures.ndim != 4 or len(pictures) < 2:
        raise MeasureError(
            f"generator: expected at least 2 pictures of shape (side, side, channels), found {pictures.shape}"
        )
    return pictures.reshape(len(pictures), -1).astype(np.float32) / np.float32(127.5) - np.float32(1)


def pixels(flat: NDArray[Any], shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """The way back: rows in [−1, 1] to uint8 pictures.

    Raises:
        Diverged: A value that is no number.
    """
    if not np.isfinite(flat).all():
        raise Diverged("generator: drew pictures that hold NaN or infinity")
    levels = np.clip(np.rint((flat + 1.0) * 127.5), 0, 255).astype(np.uint8)
    return levels.reshape(len(flat), *shape)


class Principal:
    """Principal components of pictures: the latent space of the flow and of the mixture.

    Args:
        rows: ``(n, d)``.
        width: Components kept, at most n − 1 and d.

    Attributes:
        mean: ``(d,)``.
        axes: ``(width, d)``, orthonormal, strongest first.
        scale: ``(width,)`` standard deviations along them.
    """

    def __init__(self, rows: NDArray[Any], width: int) -> None:
        array = np.asarray(rows, np.float64)
        self.mean = array.mean(axis=0)
        spread = (array - self.mean).T @ (array - self.mean) / max(1, len(array) - 1)
        values, vectors = np.linalg.eigh(spread)
        kept = np.argsort(values)[::-1][: max(1, min(width, len(array) - 1, array.shape[1]))]
        self.axes = vectors[:, kept].T
        # eigh leaves the sign open; a fixed one makes equal data give equal latents on every build of LAPACK.
        self.axes *= np.sign(self.axes[np.arange(len(kept)), np.abs(self.axes).argmax(axis=1)])[:, None]
        self.scale = np.sqrt(np.maximum(values[kept], 1e-12))

    def encode(self, rows: NDArray[Any]) -> NDArray[np.float64]:
        """``(n, d) -> (n, width)``, each component with unit variance over the rows it was made from."""
        coded: NDArray[np.float64] = (np.asarray(rows, np.float64) - self.mean) @ self.axes.T / self.scale
        return coded

    def decode(self, latents: NDArray[Any]) -> NDArray[np.float64]:
        """``(n, width) -> (n, d)``."""
        rows: NDArray[np.float64] = (np.asarray(latents, np.float64) * self.scale) @ self.axes + self.mean
        return rows
