"""Where pictures are compared: features that each party fits to human pictures of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from genepool.errors import MeasureError, UsageError

if TYPE_CHECKING:
    from genepool.diversity import Panel

__all__ = ["Space"]

_WAVES = 256
_BANDWIDTH = 0.35  # of the median distance between two human pictures, as in `genepool.degradation`
_CALIBRATED = 0.89  # what the index of the human pictures themselves is set to read
_KEPT = 0.95  # of the variance
_WIDEST = 64


class Space:
    """Principal components of human pictures, or of their style.

    Args:
        human: Human pictures ``(n, side, side, channels)`` uint8; at least 60.
        kind: ``pixels``, or ``style`` for the package's classical style descriptor.

    Attributes:
        human: Their features ``(n, d)``: as many components as hold 95 % of the variance, at most 64.
    """

    def __init__(self, human: NDArray[np.uint8], kind: str = "pixels") -> None:
        if len(human) < 60:
            raise MeasureError(
                f"lab: expected at least 60 human pictures to compare with, found {len(human)}"
            )
        if kind not in ("pixels", "style"):
            raise UsageError(f"lab: features: expected pixels or style, found {kind!r}")
        self._kind = kind
        raw = _raw(human, kind)
        self._mean = raw.mean(axis=0)
        values, vectors = _principal(raw - self._mean)
        held = np.cumsum(values) / max(values.sum(), 1e-12)
        width = min(_WIDEST, max(2, int(np.searchsorted(held, _KEPT)) + 1), max(2, len(raw) // 4))
        # One scale for all components: a unit is a typical spread, distances stay those between pictures.
        self._axes = vectors[:, :width] / np.sqrt(max(values[:width].mean(), 1e-12))
        self._axes = self._axes * np.sign(self._axes[np.abs(self._axes).argmax(axis=0), np.arange(width)])
        self.human = self.features(human)

    def features(self, pictures: NDArray[np.uint8]) -> NDArray[np.float64]:
        """``(n, d)`` features.

        Raises:
            MeasureError: Pictures of another size than those it was made of.
        """
        raw = _raw(pictures, self._kind)
        if raw.shape[1] != len(self._mean):
            raise MeasureError(
                f"lab: expected pictures of one size in a run, found {pictures.shape[1:]} beside others",
                hint="every sample is compared with the same human pictures",
            )
        found: NDArray[np.float64] = (raw - self._mean) @ self._axes
        return found

    def panel(self, seed: int) -> Panel:
        """The human pictures as a panel: support, kernel and scale of a diversity index of this space."""
        from scipy.spatial.distance import pdist, squareform

        from genepool.diversity import Panel, style_diversity

        human, width = self.human, self.human.shape[1]
        gaps = squareform(pdist(human))
        np.fill_diagonal(gaps, np.inf)
        reach = max(float(np.quantile(gaps.min(axis=1), 0.95)), 1e-9)
        facts: dict[str, Any] = {
            "name": "lab filter",
            "embedder": "lab@1",
            "mean": np.zeros(width),
            "projection": np.eye(width),
            "prototypes": human,
            "shares": np.full(len(human), 1 / len(human)),
            "radii": np.full(len(human), reach),
            "reach": reach,
            "frequencies": np.random.default_rng([seed, 3]).standard_normal((_WAVES, width)),
            "bandwidth": max(_BANDWIDTH * float(np.median(gaps[np.isfinite(gaps)])), 1e-9),
        }
        styles = style_diversity(human, Panel(reference=1e6, **facts)).styles
        return Panel(reference=float(np.clip(styles, 1.5, 1e9)) ** (1 / _CALIBRATED), **facts)


def _principal(centred: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Variances, largest first, and directions ``(d, k)``, found from the smaller of the two squares."""
    n, width = centred.shape
    if width <= n:
        values, vectors = np.linalg.eigh(np.cov(centred, rowvar=False))
        return np.maximum(values[::-1], 0), vectors[:, ::-1]
    values, left = np.linalg.eigh(centred @ centred.T / (n - 1))
    # Centring takes one direction away; what is left of it is rounding.
    values, left = np.maximum(values[:0:-1], 0), left[:, :0:-1]
    vectors = centred.T @ left / np.sqrt(np.maximum(values * (n - 1), 1e-12))
    return values, vectors


def _raw(pictures: NDArray[np.uint8], kind: str) -> NDArray[np.float64]:
    if pictures.ndim != 4 or not len(pictures):
        raise MeasureError(f"lab: expected pictures (n, side, side, channels), found {pictures.shape}")
    if kind == "pixels":
        return pictures.reshape(len(pictures), -1).astype(np.float64) / 255
    from genepool.degradation import Picture
    from genepool.embedding import ClassicalEmbedder

    embedder = ClassicalEmbedder()
    colour = np.repeat(pictures, 3, axis=3) if pictures.shape[3] == 1 else pictures
    return np.asarray([embedder.embed(Picture(one)) for one in colour], np.float64)
