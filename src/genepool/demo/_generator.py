"""A small picture generator that is really trained: layout by PCA and a Gaussian mixture, detail by example.

Two stages. *Layout*: every training picture is averaged down to 16 × 16; principal components of these and a
Gaussian mixture with diagonal covariance over the components' scores (EM) are the density that new layouts
are drawn from, at a temperature below one, as image generators are commonly run. *Detail*: three octaves,
each doubling the size; an overlapping patch of the enlarged picture is looked up among the patches of the
training pictures whose layouts are nearest, and the mean of the two best examples' high-frequency residuals
is added (Freeman, Jones and Pasztor, "Example-Based Super-Resolution", IEEE CG&A 22(2), 2002).

Both stages lose something: the low temperature drops rare layouts, the mean of examples drops detail. That is
why a model trained on such a model's pictures gives poorer ones, and the third in a row visibly so (Shumailov
et al., "AI models collapse when trained on recursively generated data", Nature 631, 2024).
"""

from __future__ import annotations

import contextlib
import typing
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genepool.errors import MeasureError, MissingExtra

__all__ = ["SIDE", "PictureGenerator"]

SIDE = 128
_BASE = 16
_PATCH = 8
_STEP = 4
# Added to every variance of the mixture: a Gaussian that holds one picture must not become that picture.
_RIDGE = 0.05
_Floats = NDArray[np.float32]


class PictureGenerator:
    """Learns pictures and draws new ones.

    Attributes:
        components: Principal components kept.
        mixture: Gaussians in the mixture.
        temperature: Factor on the variance of each Gaussian when drawing, in (0, 1].
        neighbours: Training pictures whose patches serve as examples for one new picture.
    """

    def __init__(
        self, *, components: int = 48, mixture: int = 36, temperature: float = 0.6, neighbours: int = 2
    ) -> None:
        self.components = components
        self.mixture = mixture
        self.temperature = temperature
        self.neighbours = neighbours

    def fit(self, pictures: NDArray[np.uint8], seed: int) -> PictureGenerator:
        """Train on pictures.

        Args:
            pictures: ``(n, 128, 128, 3)`` uint8 RGB, n ≥ 8.
            seed: For the mixture's first guess.

        Raises:
            MeasureError: The pictures have another shape or are too few.
            MissingExtra: scikit-learn is not installed.
        """
        if pictures.ndim != 4 or pictures.shape[1:] != (SIDE, SIDE, 3) or len(pictures) < 8:
            raise MeasureError(
                f"training pictures: expected at least 8 of {SIDE} × {SIDE} × 3, found {pictures.shape}"
            )
        with _one_thread():
            self._fit(pictures, seed)
        return self

    def _fit(self, pictures: NDArray[np.uint8], seed: int) -> None:
        from sklearn.mixture import GaussianMixture

        self._levels = _pyramid(pictures.astype(np.float32) / np.float32(255))
        layouts = self._levels[0].reshape(len(pictures), -1)
        self._mean = layouts.mean(axis=0)
        _, _, rows = np.linalg.svd(layouts - self._mean, full_matrices=False)
        rank = min(self.components, len(pictures) // 2)
        # The sign of a singular vector is arbitrary; fixing it keeps one seed's pictures the same everywhere.
        signs = np.sign(rows[np.arange(rank), np.abs(rows[:rank]).argmax(axis=1)])
        self._axes = (rows[:rank] * signs[:, None]).astype(np.float32)
        self._scores = (layouts - self._mean) @ self._axes.T
        model = GaussianMixture(
            min(self.mixture, len(pictures) // 4),
            covariance_type="diag",
            reg_covar=_RIDGE,
            max_iter=200,
            tol=1e-2,
            random_state=seed,
        ).fit(self._scores.astype(np.float64))
        self._weights, self._means, self._spread = model.weights_, model.means_, np.sqrt(model.covariances_)
        self._examples: dict[tuple[int, int], tuple[_Floats, _Floats]] = {}

    def draw(self, count: int, seed: int) -> NDArray[np.uint8]:
        """New pictures.

        Args:
            count: How many.
            seed: The same seed draws the same pictures.

        Returns:
            ``(count, 128, 128, 3)`` uint8 RGB.
        """
        with _one_thread():
            return self._draw(count, seed)

    def _draw(self, count: int, seed: int) -> NDArray[np.uint8]:
        rng = np.random.default_rng(seed)
        which = rng.choice(len(self._weights), size=count, p=self._weights / self._weights.sum())
        noise = rng.standard_normal((count, self._means.shape[1]))
        scores = (self._means[which] + np.sqrt(self.temperature) * self._spread[which] * noise).astype(
            np.float32
        )
        layouts = np.clip(scores @ self._axes + self._mean, 0, 1).reshape(count, _BASE, _BASE, 3)
        out = np.empty((count, SIDE, SIDE, 3), np.uint8)
        for i in range(count):
            distance = ((self._scores - scores[i]) ** 2).sum(axis=1)
            near = np.argsort(distance, kind="stable")[: self.neighbours]
            picture = layouts[i]
            for level in range(1, len(self._levels)):
                picture = self._refine(picture, near, level)
            out[i] = np.rint(picture * 255)
        return out

    def _refine(self, picture: _Floats, near: NDArray[Any], level: int) -> _Floats:
        """Twice the size, with the high frequencies of the two best examples."""
        smooth = _enlarge(picture[None])[0]
        keys, values = zip(*(self._dictionary(int(i), level) for i in near), strict=True)
        key, value = np.concatenate(keys), np.concatenate(values)
        query = _keys(smooth[None])
        distance = (key**2).sum(axis=1)[None, :] - 2 * (query @ key.T)
        rows = np.arange(len(distance))
        best = distance.argmin(axis=1)
        distance[rows, best] = np.inf
        detail = (value[best] + value[distance.argmin(axis=1)]) / 2
        refined: _Floats = np.clip(smooth + _overlap_add(detail, smooth.shape[0]), 0, 1).astype(np.float32)
        return refined

    def _dictionary(self, index: int, level: int) -> tuple[_Floats, _Floats]:
        """Keys and residual patches of one training picture at one octave."""
        if (index, level) not in self._examples:
            smooth = _enlarge(self._levels[level - 1][index][None])
            residual = self._levels[level][index][None] - smooth
            self._examples[index, level] = (
                _keys(smooth[0][None]),
                _patches(residual[0]).reshape(-1, _PATCH**2 * 3),
            )
        return self._examples[index, level]


def _one_thread() -> contextlib.AbstractContextManager[Any]:
    """The matrices are small: threads cost more than they bring, and sums must not depend on their number."""
    try:
        # Comes with scikit-learn.
        import threadpoolctl
    except ImportError:
        raise MissingExtra(needs="scikit-learn", extra="demo") from None
    return typing.cast("contextlib.AbstractContextManager[Any]", threadpoolctl.threadpool_limits(1))


def _pyramid(pictures: _Floats) -> list[_Floats]:
    """The pictures at 16, 32, 64 and 128 pixels, area-averaged."""
    levels = [pictures]
    while levels[0].shape[1] > _BASE:
        n, h, w, c = levels[0].shape
        levels.insert(0, levels[0].reshape(n, h // 2, 2, w // 2, 2, c).mean(axis=(2, 4)))
    return levels


def _enlarge(pictures: _Floats) -> _Floats:
    """Twice the size, linear interpolation at half-pixel centres: ``(n, s, s, 3) -> (n, 2s, 2s, 3)``."""
    for axis in (1, 2):
        size = pictures.shape[axis]
        before = np.take(pictures, np.maximum(np.arange(size) - 1, 0), axis=axis)
        after = np.take(pictures, np.minimum(np.arange(size) + 1, size - 1), axis=axis)
        pair = np.stack([0.75 * pictures + 0.25 * before, 0.75 * pictures + 0.25 * after], axis=axis + 1)
        shape = list(pictures.shape)
        shape[axis] *= 2
        pictures = pair.reshape(shape)
    return pictures


def _patches(picture: _Floats) -> _Floats:
    """Overlapping patches, ``(k, 8, 8, 3)``, row by row."""
    windows = np.lib.stride_tricks.sliding_window_view(picture, (_PATCH, _PATCH), axis=(0, 1))
    return windows[::_STEP, ::_STEP].transpose(0, 1, 3, 4, 2).reshape(-1, _PATCH, _PATCH, 3)


def _keys(picture: _Floats) -> _Floats:
    """What a patch is looked up by: its luminance averaged to 4 × 4, and its mean colour."""
    patches = _patches(picture[0])
    colour = patches.mean(axis=(1, 2))
    half = _PATCH // 2
    grey = patches.mean(axis=3).reshape(-1, half, 2, half, 2).mean(axis=(2, 4)).reshape(-1, half * half)
    return np.concatenate([grey, 2 * colour], axis=1).astype(np.float32)


def _overlap_add(patches: _Floats, side: int) -> _Floats:
    """Patches back into a picture, weighted by a raised cosine so that seams do not show."""
    wave = (0.5 - 0.5 * np.cos(2 * np.pi * (np.arange(_PATCH) + 0.5) / _PATCH)).astype(np.float32) + 0.02
    weight = np.outer(wave, wave)[..., None]
    across = (side - _PATCH) // _STEP + 1
    grid = patches.reshape(across, across, _PATCH, _PATCH, 3)
    total = np.zeros((side, side, 3), np.float32)
    mass = np.zeros((side, side, 1), np.float32)
    # The step is half a patch: every second patch tiles the plane, so four sums take the place of a loop.
    for dy in (0, 1):
        for dx in (0, 1):
            blocks = grid[dy::2, dx::2] * weight
            rows, columns = blocks.shape[:2]
            tiles = blocks.transpose(0, 2, 1, 3, 4).reshape(rows * _PATCH, columns * _PATCH, 3)
            window = np.s_[dy * _STEP : dy * _STEP + len(tiles), dx * _STEP : dx * _STEP + tiles.shape[1]]
            total[window] += tiles
            mass[window] += np.tile(weight, (rows, columns, 1))
    return total / mass
