"""`LatentFlow`: flow matching on the principal components of pictures."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from genepool.errors import MeasureError
from genepool.lab.generators._common import (
    Principal,
    finite,
    one_thread,
    pick_device,
    pixels,
    require_torch,
    scaled,
)

__all__ = ["LatentFlow"]


class LatentFlow:
    """Conditional flow matching along straight lines (Lipman et al., ICLR 2023; Liu et al., ICLR 2023).

    Args:
        latent: Principal components kept, refitted to every training set.
        width: Units of the hidden layers.
        steps: Optimizer steps.
        batch: Pictures in one.
        solve: Heun steps from noise to picture.
        temperature: Factor on the starting noise, in (0, 1]; below 1 the sampler is biased to the middle.
        rate: Peak learning rate.
        seed: Of weights, noise and order.
        device: ``auto``, ``cpu`` or ``cuda``.
    """

    def __init__(
        self,
        *,
        latent: int = 48,
        width: int = 256,
        steps: int = 2000,
        batch: int = 256,
        solve: int = 20,
        temperature: float = 1.0,
        rate: float = 2e-3,
        seed: int = 0,
        device: str = "auto",
    ) -> None:
        if min(latent, width, steps, batch, solve) < 1 or not 0 < temperature <= 1:
            raise MeasureError("generator: expected positive sizes and a temperature in (0, 1]")
        self.latent, self.width, self.steps, self.batch = latent, width, steps, batch
        self.solve, self.temperature, self.rate = solve, temperature, rate
        self.seed, self.device = seed, device
        self._shape: tuple[int, ...] = ()
        self._space: Principal | None = None
        self._network: Any = None
        self._place = "cpu"

    def fit(self, pictures: NDArray[np.uint8], labels: NDArray[np.int64] | None = None) -> LatentFlow:
        """Learn from pictures; labels are ignored.

        Raises:
            Diverged: The loss is no number.
            MeasureError: Too few pictures.
        """
        torch = require_torch()
        with one_thread(torch):
            return self._fit(torch, pictures)

    def _fit(self, torch: Any, pictures: NDArray[np.uint8]) -> LatentFlow:
        place = self._place = pick_device(torch, self.device)
        self._shape = pictures.shape[1:]
        rows = scaled(pictures)
        self._space = Principal(rows, self.latent)
        latents = torch.from_numpy(self._space.encode(rows).astype(np.float32)).to(place)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            self._network = self._build(torch, latents.shape[1]).to(place)
        noise = torch.Generator(place).manual_seed(self.seed + 1)
        order = np.random.default_rng(self.seed)
        # Errors along strong components show more in the picture: they weigh by their share of the variance.
        weight = torch.from_numpy((self._space.scale / self._space.scale.mean()).astype(np.float32)).to(place)
        optimizer = torch.optim.AdamW(self._network.parameters(), self.rate, weight_decay=1e-4)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, self.rate, total_steps=max(2, self.steps))
        for step in range(self.steps):
            ends = latents[torch.from_numpy(order.integers(0, len(latents), self.batch)).to(place)]
            starts = torch.randn(ends.shape, generator=noise, device=place)
            time = torch.rand((len(ends), 1), generator=noise, device=place)
            speed = self._speed(torch, (1 - time) * starts + time * ends, time)
            loss = (weight * (speed - (ends - starts)) ** 2).mean()
            finite(float(loss.detach()), step + 1)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(self._network.parameters(), 1.0)
            optimizer.step()
            schedule.step()
        return self

    def _build(self, torch: Any, inputs: int) -> Any:
        nn, h = torch.nn, self.width
        return nn.Sequential(
            nn.Linear(inputs + 2 * _WAVES, h),
            nn.SiLU(),
            nn.Linear(h, h),
            nn.SiLU(),
            nn.Linear(h, h),
            nn.SiLU(),
            nn.Linear(h, inputs),
        )

    def _speed(self, torch: Any, point: Any, time: Any) -> Any:
        wave = time * torch.pi * 2.0 ** torch.arange(_WAVES, device=point.device)
        return self._network(torch.cat([point, torch.sin(wave), torch.cos(wave)], dim=1))

    def draw(self, n: int, seed: int = 0) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        """Draw ``n`` pictures.

        Raises:
            MeasureError: It has not been trained.
            Diverged: What it drew is no number.
        """
        if self._network is None or self._space is None:
            raise MeasureError("generator: expected a trained one, found one that has seen no picture")
        torch = require_torch()
        with one_thread(torch), torch.no_grad():
            noise = torch.Generator(self._place).manual_seed(seed)
            point = self.temperature * torch.randn(
                (n, len(self._space.scale)), generator=noise, device=self._place
            )
            for k in range(self.solve):
                at = torch.full((n, 1), k / self.solve, device=self._place)
                first = self._speed(torch, point, at)
                second = self._speed(torch, point + first / self.solve, at + 1 / self.solve)
                point = point + (first + second) / (2 * self.solve)
            latents = point.cpu().numpy()
        return pixels(self._space.decode(latents), self._shape), np.full(n, -1)


_WAVES = 4
