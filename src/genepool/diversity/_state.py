"""The mergeable state behind the index: one second-moment matrix and a few sums, whatever n is."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from genepool.diversity._vendi import entropy
from genepool.errors import MeasureError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from genepool.diversity._panel import Panel

__all__ = ["SpreadState", "StyleState"]


class StyleState:
    """First pass over the features: how much alike the images are on average.

    The style kernel is a Gaussian between whitened vectors, written as random Fourier features φ, so that
    the mean squared similarity of all pairs (the order-2 *purity*: Pasarkar & Dieng 2024; RKE of Jalali et
    al. 2023) is the squared Frobenius norm of Σ φφᵀ. Images off the panel's support count as one style
    together: noise and artefacts are alike in being no pictures.

    Two states with the same panel and anchors add up: counts exactly, sums to floating-point rounding (1e-9
    relative or better), in whatever parts and order the images came.

    Args:
        panel: The reference.
        anchors: ``(a, d)`` whitened vectors of verified human images off the panel; what lies within reach of
            one of them is on support too.
    """

    def __init__(self, panel: Panel, anchors: NDArray[np.float64] | None = None) -> None:
        self.panel = panel
        self.anchors = anchors
        size = 2 * len(panel.frequencies)
        self.n = 0
        self.n_on = 0
        self.weight_on = self.weight_off = 0.0
        self.squares_on = self.squares_off = 0.0
        self.moment: NDArray[np.float64] = np.zeros((size, size))

    def update(
        self,
        vectors: NDArray[Any],
        verified: NDArray[np.bool_] | None = None,
        weights: NDArray[np.float64] | None = None,
    ) -> None:
        """Add images.

        Args:
            vectors: ``(k, d_raw)`` embedder vectors.
            verified: ``(k,)`` images that are verified human; they are on support wherever they lie.
            weights: ``(k,)`` multiplicities, 1 where None; near-duplicates share one by 1/cluster size.

        Raises:
            MeasureError: NaN, another width.
        """
        whitened = self.panel.whiten(vectors)
        weight = np.ones(len(whitened)) if weights is None else np.asarray(weights, np.float64)
        self.add(whitened, self.on_support(whitened, verified), weight)

    def add(self, whitened: NDArray[np.float64], on: NDArray[np.bool_], weight: NDArray[np.float64]) -> None:
        """Add images that are whitened already and known to be on support or not."""
        self.n += len(whitened)
        self.n_on += int(on.sum())
        self.weight_on += math.fsum(weight[on])
        self.weight_off += math.fsum(weight[~on])
        self.squares_on += math.fsum(weight[on] ** 2)
        self.squares_off += math.fsum(weight[~on] ** 2)
        waves = self.panel.features(whitened[on]) * np.sqrt(weight[on])[:, None]
        self.moment += waves.T @ waves

    def on_support(
        self, whitened: NDArray[np.float64], verified: NDArray[np.bool_] | None
    ) -> NDArray[np.bool_]:
        """Which images count with a style of their own: near the panel, near an anchor, or verified."""
        on = self.panel.supported(whitened)
        if verified is not None:
            on |= np.asarray(verified, bool)
        if self.anchors is not None and len(self.anchors) and not on.all():
            rest = np.flatnonzero(~on)
            far, anchors = self.panel.style(whitened[rest]), self.panel.style(self.anchors)
            for at in range(0, len(far), 1024):
                part = far[at : at + 1024]
                gap = (
                    np.einsum("nd,nd->n", part, part)[:, None]
                    + np.einsum("ad,ad->a", anchors, anchors)
                    - 2.0 * part @ anchors.T
                )
                on[rest[at : at + 1024]] = gap.min(axis=1) <= self.panel.reach**2
        return on

    def merge(self, other: StyleState) -> StyleState:
        """Add another state to this one and return it.

        Raises:
            MeasureError: The other was made with another panel or other anchors.
        """
        mine, theirs = self.anchors, other.anchors
        same = mine is theirs or (mine is not None and theirs is not None and np.array_equal(mine, theirs))
        if self.panel.digest != other.panel.digest or not same:
            raise MeasureError("index: states of different panels or anchors cannot be merged")
        for name in ("n", "n_on", "weight_on", "weight_off", "squares_on", "squares_off"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.moment += other.moment
        return self

    @property
    def weight(self) -> float:
        """Sum of the weights."""
        return self.weight_on + self.weight_off

    def purity(self) -> float:
        """Mean squared similarity of two different images: unbiased, no image is compared with itself.

        Raises:
            MeasureError: Fewer than two images, or all the weight on one.
        """
        pairs = self.weight**2 - self.squares_on - self.squares_off
        if self.n < 2 or pairs <= 1e-12 * self.weight**2:
            raise MeasureError(
                f"index: expected at least two images with weight, found {self.n}",
                hint="add images; one image has no diversity",
            )
        alike = float(np.einsum("ij,ij->", self.moment, self.moment)) - self.squares_on
        alike += self.weight_off**2 - self.squares_off
        return min(1.0, max(0.0, alike / pairs))

    def spectrum(self) -> NDArray[np.float64]:
        """Eigenvalues of the mean style operator, largest first, sum 1; off support is one of them."""
        values = np.linalg.eigvalsh(self.moment / self.weight)
        values = np.append(np.clip(values, 0.0, None), self.weight_off / self.weight)
        ordered: NDArray[np.float64] = np.sort(values)[::-1]
        return ordered

    def vendi(self, q: float, keep: int | None = None) -> float:
        """Effective number of styles of order q, with the bias that comparing images with themselves brings.

        Args:
            q: Order: 0 counts kinds, larger orders count common ones; `math.inf` only the commonest.
            keep: Only this many largest eigenvalues (truncated Vendi score, Ospanov & Farnia 2024).
        """
        values = self.spectrum()[:keep]
        return math.exp(entropy(values / values.sum(), q))


class SpreadState:
    """Second pass: how much the purity owes to single images, for its interval.

    h is each image's mean similarity to all *other* images; purity is a U-statistic of order 2, so its
    variance is 4 Σ wᵢ² (hᵢ − purity)² / W² to first order (Hoeffding 1948). The h are taken from the same
    sample, which makes this the jackknife's estimate: rather too wide than too narrow. A sample of the images
    is enough; `update` may be given any part of them, and states of parts add up.
    """

    def __init__(self, first: StyleState) -> None:
        self.first = first
        self.purity = first.purity()
        self.n = 0
        self.squares = 0.0
        self.total = 0.0

    def update(
        self,
        vectors: NDArray[Any],
        verified: NDArray[np.bool_] | None = None,
        weights: NDArray[np.float64] | None = None,
    ) -> None:
        """Add images, with the same arguments as in the first pass."""
        whitened = self.first.panel.whiten(vectors)
        weight = np.ones(len(whitened)) if weights is None else np.asarray(weights, np.float64)
        self.add(whitened, self.first.on_support(whitened, verified), weight)

    def add(self, whitened: NDArray[np.float64], on: NDArray[np.bool_], weight: NDArray[np.float64]) -> None:
        """Add images that are whitened already and known to be on support or not."""
        alike = likeness(self.first, whitened, on, weight)
        self.n += len(whitened)
        self.squares += math.fsum(weight**2)
        self.total += math.fsum(weight**2 * (alike - self.purity) ** 2)

    def merge(self, other: SpreadState) -> SpreadState:
        """Add another part of the second pass.

        Raises:
            MeasureError: It rests on another first pass.
        """
        if self.first.n != other.first.n or self.purity != other.purity:
            raise MeasureError("index: second passes over different sets cannot be merged")
        self.n += other.n
        self.squares += other.squares
        self.total += other.total
        return self

    def deviation(self) -> float:
        """Standard error of the purity."""
        if not self.squares:
            return 0.0
        squares = self.first.squares_on + self.first.squares_off
        return 2.0 * math.sqrt(self.total * squares / self.squares) / self.first.weight


def likeness(
    state: StyleState,
    whitened: NDArray[np.float64],
    on: NDArray[np.bool_],
    weight: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Mean squared similarity of each image to the *others* of a finished state, itself left out."""
    alike = np.full(len(whitened), state.weight_off)
    waves = state.panel.features(whitened[on])
    alike[on] = np.einsum("ni,ni->n", waves @ state.moment, waves)
    left = np.maximum(state.weight - weight, 1e-300)
    means: NDArray[np.float64] = np.clip((alike - weight) / left, 0.0, 1.0)
    return means
