"""`DenseVAE`: a fully connected variational autoencoder for small pictures of any one size."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from genepool.errors import MeasureError
from genepool.lab.generators._common import finite, one_thread, pick_device, pixels, require_torch, scaled

__all__ = ["DenseVAE"]


class DenseVAE:
    """Kingma & Welling, "Auto-Encoding Variational Bayes" (ICLR 2014), with Gaussian pixels.

    New pictures are drawn from the standard normal prior, or from a Gaussian fitted to the latents of the
    training pictures afterwards (Ghosh et al., ICLR 2020).

    Args:
        latent: Dimensions of the latent space.
        width: Units of the hidden layers.
        steps: Optimizer steps.
        batch: Pictures in one.
        beta: Weight of the divergence from the prior.
        noise: Variance of a pixel around the decoder's mean, in units of [−1, 1]².
        fitted: Draw from the fitted Gaussian instead of the prior.
        temperature: Factor on the standard deviation when drawing, in (0, 1].
        rate: Peak learning rate.
        seed: Of weights, noise and order.
        device: ``auto``, ``cpu`` or ``cuda``.
    """

    def __init__(
        self,
        *,
        latent: int = 16,
        width: int = 256,
        steps: int = 1500,
        batch: int = 128,
        beta: float = 1.0,
        noise: float = 0.05,
        fitted: bool = True,
        temperature: float = 1.0,
        rate: float = 2e-3,
        seed: int = 0,
        device: str = "auto",
    ) -> None:
        if min(latent, width, steps, batch) < 1 or beta < 0 or noise <= 0 or not 0 < temperature <= 1:
            raise MeasureError(
                "generator: expected positive sizes and noise, beta ≥ 0 and a temperature in (0, 1]"
            )
        self.latent, self.width, self.steps, self.batch = latent, width, steps, batch
        self.beta, self.noise, self.fitted, self.temperature = beta, noise, fitted, temperature
        self.rate, self.seed, self.device = rate, seed, device
        self._shape: tuple[int, ...] = ()
        self._decoder: Any = None
        self._mean: Any = None
        self._root: Any = None

    def fit(self, pictures: NDArray[np.uint8], labels: NDArray[np.int64] | None = None) -> DenseVAE:
        """Learn from pictures; labels are ignored.

        Raises:
            Diverged: The loss is no number.
            MeasureError: Too few pictures.
        """
        torch = require_torch()
        with one_thread(torch):
            return self._fit(torch, pictures)

    def _fit(self, torch: Any, pictures: NDArray[np.uint8]) -> DenseVAE:
        place = pick_device(torch, self.device)
        self._shape = pictures.shape[1:]
        rows = torch.from_numpy(scaled(pictures)).to(place)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            encoder, self._decoder = self._networks(torch, rows.shape[1], place)
        noise = torch.Generator(place).manual_seed(self.seed + 1)
        order = np.random.default_rng(self.seed)
        weights = [*encoder.parameters(), *self._decoder.parameters()]
        optimizer = torch.optim.Adam(weights, self.rate)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, self.rate, total_steps=max(2, self.steps))
        for step in range(self.steps):
            chosen = order.choice(len(rows), min(self.batch, len(rows)), replace=False)
            seen = rows[torch.from_numpy(chosen).to(place)]
            mean, spread = encoder(seen).chunk(2, dim=1)
            # Unclamped, the log-variance overflows on the first steps of an unlucky start.
            spread = spread.clamp(-8.0, 4.0)
            drawn = mean + torch.randn(mean.shape, generator=noise, device=place) * torch.exp(0.5 * spread)
            error = ((self._decoder(drawn) - seen) ** 2).sum(dim=1) * (0.5 / self.noise)
            apart = 0.5 * (mean**2 + spread.exp() - spread - 1).sum(dim=1)
            loss = (error + self.beta * apart).mean()
            finite(float(loss.detach()), step + 1)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(weights, 1.0)
            optimizer.step()
            schedule.step()
        self._settle(torch, encoder, rows, noise)
        return self

    def _networks(self, torch: Any, inputs: int, place: str) -> tuple[Any, Any]:
        nn, h = torch.nn, self.width
        encoder = nn.Sequential(
            nn.Linear(inputs, h), nn.SiLU(), nn.Linear(h, h), nn.SiLU(), nn.Linear(h, 2 * self.latent)
        )
        decoder = nn.Sequential(
            nn.Linear(self.latent, h), nn.SiLU(), nn.Linear(h, h), nn.SiLU(), nn.Linear(h, inputs), nn.Tanh()
        )
        return encoder.to(place), decoder.to(place)

    def _settle(self, torch: Any, encoder: Any, rows: Any, noise: Any) -> None:
        self._mean = torch.zeros(self.latent, device=rows.device)
        self._root = torch.eye(self.latent, device=rows.device)
        if not self.fitted:
            return
        with torch.no_grad():
            mean, spread = encoder(rows).chunk(2, dim=1)
            spread = spread.clamp(-8.0, 4.0)
            # The aggregate posterior: its means and its own spread, which the means alone would understate.
            drawn = mean + torch.randn(mean.shape, generator=noise, device=rows.device) * (0.5 * spread).exp()
            self._mean = drawn.mean(dim=0)
            gap = drawn - self._mean
            covariance = gap.T @ gap / max(1, len(rows) - 1)
            covariance += 1e-4 * torch.eye(self.latent, device=rows.device)
            self._root = torch.linalg.cholesky(covariance)

    def draw(self, n: int, seed: int = 0) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        """Draw ``n`` pictures.

        Raises:
            MeasureError: It has not been trained.
            Diverged: What it drew is no number.
        """
        if self._decoder is None:
            raise MeasureError("generator: expected a trained one, found one that has seen no picture")
        torch = require_torch()
        with one_thread(torch), torch.no_grad():
            place = self._mean.device
            noise = torch.randn(
                (n, self.latent), generator=torch.Generator(place).manual_seed(seed), device=place
            )
            flat = self._decoder(self._mean + self.temperature * noise @ self._root.T).cpu().numpy()
        return pixels(flat, self._shape), np.full(n, -1)
