"""Generators by name, as presets and the command line call them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from genepool.errors import MeasureError, UsageError
from genepool.lab.generators._common import Generator, pick_device, require_torch
from genepool.lab.generators._dense import DenseVAE
from genepool.lab.generators._flow import LatentFlow
from genepool.lab.generators._mixture import GaussianMixture
from genepool.lab.generators._pixels import PixelFlow
from genepool.lab.generators._vae import PictureVAE

__all__ = ["KINDS", "check_device", "make_generator"]


class _Picture:
    """`PictureVAE` behind the face that the others share."""

    def __init__(self, *, steps: int = 1500, batch: int = 64, device: str = "auto", **options: Any) -> None:
        self._model, self._steps, self._batch = PictureVAE(**options), steps, batch

    def fit(self, pictures: NDArray[np.uint8], labels: NDArray[np.int64] | None = None) -> _Picture:
        side = PictureVAE.SIDE
        if pictures.shape[1:] != (side, side, 3):
            raise MeasureError(
                f"generator: expected pictures of {(side, side, 3)}, found {pictures.shape[1:]}"
            )
        rows = np.ascontiguousarray(pictures.transpose(0, 3, 1, 2).astype(np.float32) / 127.5 - 1)
        order = np.random.default_rng(self._model.seed)

        def epoch() -> Any:
            turn = order.permutation(len(rows))
            return (rows[turn[at : at + self._batch]] for at in range(0, len(rows), self._batch))

        self._model.fit(epoch, self._steps)
        return self

    def draw(self, n: int, seed: int = 0) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        return self._model.sample(n, seed), np.full(n, -1)


KINDS: dict[str, Any] = {
    "dense-vae": DenseVAE,
    "vae": _Picture,
    "latent-flow": LatentFlow,
    "mixture": GaussianMixture,
    "pixel-flow": PixelFlow,
}
"""Name in a preset → class."""


def make_generator(kind: str, seed: int, device: str = "auto", **options: Any) -> Generator:
    """A fresh generator.

    Raises:
        UsageError: No such kind, or an option it does not know.
        MeasureError: An option out of its range.
    """
    if kind not in KINDS:
        raise UsageError(f"generator: expected {', '.join(KINDS)}, found {kind!r}")
    try:
        made: Generator = KINDS[kind](seed=seed, device=device, **options)
    except TypeError as error:
        raise UsageError(f"generator {kind}: {error}") from None
    return made


def check_device(wanted: str) -> str:
    """The device that ``auto``, ``cpu`` or ``cuda`` stands for here.

    Raises:
        MissingExtra: torch is not installed.
        UsageError: No GPU where one was asked for.
    """
    return pick_device(require_torch(), wanted)
