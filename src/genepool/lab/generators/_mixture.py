"""`GaussianMixture`: the textbook generator, for the null result and for exact likelihoods."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genepool.errors import MeasureError, MissingExtra
from genepool.lab.generators._common import Diverged, Principal, pixels, scaled

__all__ = ["GaussianMixture"]


class GaussianMixture:
    """A mixture of full-covariance Gaussians on principal components, fitted by EM (scikit-learn).

    Args:
        components: Gaussians in the mixture.
        latent: Principal components kept.
        floor: Added to the diagonal of each covariance.
        temperature: Factor on each Gaussian's standard deviation when drawing, in (0, 1].
        logit: Work on the logits of the pixels (Dinh, Sohl-Dickstein & Bengio, ICLR 2017, section 4.1)
            instead of their levels. A Gaussian on levels draws some beyond black and white; cutting those off
            shrinks the spread a little in every generation, which no amount of data mends.
        seed: Of the start.
        device: Ignored: it runs on the processor.
    """

    def __init__(
        self,
        *,
        components: int = 10,
        latent: int = 12,
        floor: float = 1e-4,
        temperature: float = 1.0,
        logit: bool = False,
        seed: int = 0,
        device: str = "auto",
    ) -> None:
        if components < 1 or latent < 1 or floor < 0 or not 0 < temperature <= 1:
            raise MeasureError("generator: expected positive sizes, floor ≥ 0 and a temperature in (0, 1]")
        self.components, self.latent, self.floor = components, latent, floor
        self.temperature, self.logit, self.seed = temperature, logit, seed
        self._shape: tuple[int, ...] = ()
        self._space: Principal | None = None
        self._model: Any = None

    def fit(self, pictures: NDArray[np.uint8], labels: NDArray[np.int64] | None = None) -> GaussianMixture:
        """Learn from pictures; labels are ignored.

        Raises:
            MissingExtra: scikit-learn is not installed.
            MeasureError: Fewer pictures than components.
            Diverged: EM lost a component.
        """
        self._shape = pictures.shape[1:]
        rows = _logits(pictures) if self.logit else scaled(pictures)
        self._space = Principal(rows, self.latent)
        self._model = fit_mixture(self._space.encode(rows), self.components, self.floor, self.seed)
        return self

    def draw(self, n: int, seed: int = 0) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        """Draw ``n`` pictures.

        Raises:
            MeasureError: It has not been trained.
        """
        if self._model is None or self._space is None:
            raise MeasureError("generator: expected a trained one, found one that has seen no picture")
        latents = draw_mixture(self._model, n, seed, self.temperature)
        rows = self._space.decode(latents)
        return pixels(_levels(rows) if self.logit else rows, self._shape), np.full(n, -1)


def _logits(pictures: NDArray[np.uint8]) -> NDArray[np.float64]:
    """``(n, …)`` levels as ``(n, d)`` logits; black and white lie half a level inside the ends."""
    share = ((scaled(pictures).astype(np.float64) + 1) * 127.5 + 0.5) / 256
    return np.log(share) - np.log1p(-share)


def _levels(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """The way back, to [−1, 1] (half a level beyond at most)."""
    from scipy.special import expit

    found: NDArray[np.float64] = (expit(rows) * 256 - 0.5) / 127.5 - 1
    return found


def fit_mixture(
    rows: NDArray[np.float64], components: int, floor: float, seed: int, start: Any = None
) -> Any:
    """scikit-learn's mixture fitted to ``(n, d)``, from another mixture or k-means, at most 200 rounds.

    Raises:
        MissingExtra: scikit-learn is not installed.
        MeasureError: Fewer rows than components.
        Diverged: EM lost a component.
    """
    try:
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.mixture import GaussianMixture as Mixture
        from threadpoolctl import threadpool_limits  # comes with scikit-learn
    except ImportError:
        raise MissingExtra(needs="scikit-learn", extra="lab") from None
    if len(rows) < components:
        raise MeasureError(f"generator: expected at least {components} pictures, found {len(rows)}")
    begin = (
        {}
        if start is None
        else {
            "weights_init": start.weights_,
            "means_init": start.means_,
            "precisions_init": start.precisions_,
            # With a start given, scikit-learn's own is thrown away: the cheapest will do.
            "init_params": "random_from_data",
        }
    )
    model = Mixture(components, reg_covar=floor, max_iter=200, random_state=seed, **begin)
    with warnings.catch_warnings():
        # A mixture that stops at 200 rounds is still a mixture; the tolerance is far below what is measured.
        warnings.simplefilter("ignore", ConvergenceWarning)
        try:
            # Matrices this small lose more to waiting threads than they gain, on a busy machine very much.
            with threadpool_limits(1):
                return model.fit(rows)
        except ValueError as error:
            raise Diverged(f"generator: the mixture cannot be fitted: {error}") from None


def draw_mixture(model: Any, n: int, seed: int, temperature: float = 1.0) -> NDArray[np.float64]:
    """``(n, d)`` rows drawn from a fitted mixture."""
    rng = np.random.default_rng(seed)
    chosen = rng.choice(len(model.weights_), n, p=model.weights_ / model.weights_.sum())
    roots = np.linalg.cholesky(model.covariances_)
    noise = rng.standard_normal((n, model.means_.shape[1]))
    drawn: NDArray[np.float64] = model.means_[chosen] + temperature * np.einsum(
        "nij,nj->ni", roots[chosen], noise
    )
    return drawn
