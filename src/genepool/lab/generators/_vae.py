"""`PictureVAE`: a convolutional variational autoencoder for pictures of 32 pixels.

Kingma & Welling, "Auto-Encoding Variational Bayes" (ICLR 2014), with a full-covariance Gaussian fitted to the
latents of the training pictures afterwards, from which new ones are drawn: ex-post density estimation of
Ghosh et al., "From Variational to Deterministic Autoencoders" (ICLR 2020).
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genepool.errors import MeasureError, SourceError
from genepool.lab.generators._common import finite, one_thread, require_torch

__all__ = ["PictureVAE"]

_FORMAT = "genepool.vae/1"


class PictureVAE:
    """Learns pictures of 32 × 32 and draws new ones.

    Args:
        latent: Dimensions of the latent space.
        width: Channels of the first convolution, a multiple of 8; the others have two and four times as many.
        beta: Weight of the divergence from the prior against the squared error (Higgins et al. 2017).
        temperature: Factor on the standard deviation when drawing, in (0, 1].
        seed: Of weights, noise and the order of pictures.

    Attributes:
        losses: Training loss of every step.

    Raises:
        MissingExtra: torch is not installed.
        MeasureError: A number outside its range.
    """

    SIDE = 32

    def __init__(
        self,
        *,
        latent: int = 48,
        width: int = 16,
        beta: float = 0.5,
        temperature: float = 1.0,
        seed: int = 0,
    ) -> None:
        if latent < 1 or width < 8 or width % 8 or beta < 0 or not 0 < temperature <= 1:
            raise MeasureError(
                f"generator: expected latent ≥ 1, width a multiple of 8, beta ≥ 0 and a temperature in "
                f"(0, 1], found {latent}, {width}, {beta}, {temperature}"
            )
        torch = require_torch()
        self.latent, self.width, self.beta, self.temperature = latent, width, beta, temperature
        self.seed = seed
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self._encoder, self._decoder = _networks(torch, latent, width)
        self._noise = torch.Generator().manual_seed(seed)
        self._mean: Any = None
        self._root: Any = None
        self.losses: list[float] = []

    # ------------------------------------------------------------------------------ training

    def fit(
        self,
        batches: Callable[[], Iterator[Any]],
        steps: int = 1500,
        *,
        rate: float = 2e-3,
        on_step: Callable[[int], bool | None] | None = None,
    ) -> PictureVAE:
        """Train.

        Args:
            batches: Called for every epoch; gives batches: mappings with ``pixel_values``, or tensors, of
                shape ``(b, 3, 32, 32)`` in [−1, 1].
            steps: Optimizer steps (Adam, one-cycle learning rate).
            rate: Peak learning rate.
            on_step: Called after every step with its number from 1; True stops the training.

        Raises:
            MeasureError: Pictures of another shape, none at all, or a loss that is no number.
        """
        torch = require_torch()
        with one_thread(torch):
            return self._fit(torch, batches, steps, rate, on_step)

    def _fit(
        self,
        torch: Any,
        batches: Callable[[], Iterator[Any]],
        steps: int,
        rate: float,
        on_step: Callable[[int], bool | None] | None,
    ) -> PictureVAE:
        parameters = [*self._encoder.parameters(), *self._decoder.parameters()]
        optimizer = torch.optim.Adam(parameters, rate)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=max(2, steps))
        latents: list[Any] = []
        self._train(True)
        done = 0
        while done < steps:
            before = done
            for batch in batches():
                pictures = _pictures(torch, batch)
                loss, mean = self._loss(torch, pictures)
                optimizer.zero_grad(set_to_none=True)
                loss.backward()
                torch.nn.utils.clip_grad_norm_(parameters, 1.0)
                optimizer.step()
                with contextlib.suppress(StopIteration):
                    schedule.step()
                self.losses.append(float(loss.detach()))
                latents = [*latents[-63:], mean.detach()]
                done += 1
                finite(self.losses[-1], done)
                if (on_step is not None and self._looked(on_step, done, latents)) or done >= steps:
                    self._settle(latents)
                    return self
            if done == before:
                raise MeasureError("generator: expected at least one batch in an epoch, found none")
        return self

    def _looked(self, on_step: Callable[[int], bool | None], step: int, latents: list[Any]) -> bool:
        self._settle(latents)
        stop = bool(on_step(step))
        self._train(True)
        return stop

    def _loss(self, torch: Any, pictures: Any) -> tuple[Any, Any]:
        mean, spread = self._encoder(pictures).chunk(2, dim=1)
        # Unclamped, the log-variance overflows on the first steps of an unlucky start.
        spread = spread.clamp(-8.0, 4.0)
        noise = torch.randn(mean.shape, generator=self._noise)
        made = self._decoder(mean + noise * torch.exp(0.5 * spread))
        error = ((made - pictures) ** 2).sum(dim=(1, 2, 3)) * 0.5
        divergence = 0.5 * (mean**2 + spread.exp() - spread - 1).sum(dim=1)
        # 0.05: a pixel's noise in [−1, 1]² units, so that the error weighs like a Gaussian likelihood.
        return (error / 0.05 + self.beta * divergence).mean() / pictures[0].numel(), mean

    def _settle(self, latents: list[Any]) -> None:
        """Fit the Gaussian that new latents are drawn from to those of the last batches."""
        torch = require_torch()
        seen = torch.cat(latents)
        self._mean = seen.mean(dim=0)
        gap = seen - self._mean
        spread = gap.T @ gap / max(1, len(seen) - 1) + 1e-3 * torch.eye(self.latent)
        self._root = torch.linalg.cholesky(spread)
        self._train(False)

    def _train(self, on: bool) -> None:
        self._encoder.train(on)
        self._decoder.train(on)

    # ------------------------------------------------------------------------------- drawing

    def sample(self, n: int, seed: int = 0) -> NDArray[np.uint8]:
        """Draw pictures.

        Args:
            n: How many.
            seed: Same seed, same pictures.

        Returns:
            ``(n, 32, 32, 3)`` uint8 RGB.

        Raises:
            MeasureError: It has not been trained.
        """
        torch = require_torch()
        if self._mean is None or self._root is None:
            raise MeasureError("generator: expected a trained one, found one that has seen no picture")
        noise = torch.randn((n, self.latent), generator=torch.Generator().manual_seed(seed))
        with torch.no_grad():
            drawn = (self._mean + self.temperature * noise @ self._root.T).split(256)
            found = [
                ((self._decoder(part) + 1) * 127.5).round().clamp(0, 255).to(torch.uint8) for part in drawn
            ]
        pictures: NDArray[np.uint8] = torch.cat(found).permute(0, 2, 3, 1).contiguous().numpy()
        return pictures

    # --------------------------------------------------------------------------------- files

    def save(self, path: str | Path) -> None:
        """Write the weights as ``.npz`` with one JSON text; no pickles."""
        if self._mean is None or self._root is None:
            raise MeasureError(
                "generator: expected a trained one to save, found one that has seen no picture"
            )
        shape = {name: getattr(self, name) for name in ("latent", "width", "beta", "temperature", "seed")}
        text = json.dumps({"format": _FORMAT, **shape}, sort_keys=True).encode()
        arrays = {f"e.{k}": v.numpy() for k, v in self._encoder.state_dict().items()}
        arrays |= {f"d.{k}": v.numpy() for k, v in self._decoder.state_dict().items()}
        arrays |= {"mean": self._mean.numpy(), "root": self._root.numpy()}
        with Path(path).open("wb") as file:
            np.savez(file, meta=np.frombuffer(text, np.uint8), **arrays)

    @classmethod
    def load(cls, path: str | Path) -> PictureVAE:
        """Read what `save` wrote.

        Raises:
            SourceError: No such file, or not one of these.
        """
        torch = require_torch()
        try:
            with np.load(path, allow_pickle=False) as file:
                arrays = {name: file[name] for name in file.files}
            meta = json.loads(arrays.pop("meta").tobytes())
            if meta.pop("format") != _FORMAT:
                raise ValueError("another format")
            self = cls(**meta)
            tensors = {name: torch.from_numpy(array) for name, array in arrays.items()}
            self._mean, self._root = tensors.pop("mean"), tensors.pop("root")
            for prefix, network in (("e.", self._encoder), ("d.", self._decoder)):
                own = {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
                network.load_state_dict(own)
        except (OSError, KeyError, ValueError, TypeError, RuntimeError) as error:
            raise SourceError(f"{path}: expected a saved generator, found {error}") from None
        self._train(False)
        return self


def _networks(torch: Any, latent: int, width: int) -> tuple[Any, Any]:
    """Encoder 32 → 16 → 8 → 4 → 2·latent; decoder back, by nearest-neighbour enlargement and convolution."""
    nn = torch.nn
    a, b, c = width, 2 * width, 4 * width

    def down(ins: int, outs: int) -> list[Any]:
        return [nn.Conv2d(ins, outs, 4, 2, 1), nn.GroupNorm(4, outs), nn.SiLU()]

    def up(ins: int, outs: int) -> list[Any]:
        grow = nn.Upsample(scale_factor=2, mode="nearest")
        return [grow, nn.Conv2d(ins, outs, 3, 1, 1), nn.GroupNorm(4, outs), nn.SiLU()]

    encoder = nn.Sequential(
        *down(3, a), *down(a, b), *down(b, c), nn.Flatten(), nn.Linear(16 * c, 2 * latent)
    )
    decoder = nn.Sequential(
        nn.Linear(latent, 16 * c),
        nn.Unflatten(1, (c, 4, 4)),
        *up(c, b),
        *up(b, a),
        *up(a, a // 2),
        nn.Conv2d(a // 2, 3, 3, 1, 1),
        nn.Tanh(),
    )
    return encoder, decoder


def _pictures(torch: Any, batch: Any) -> Any:
    values = batch["pixel_values"] if isinstance(batch, dict) else batch
    pictures = torch.as_tensor(values, dtype=torch.float32)
    side = PictureVAE.SIDE
    if pictures.ndim != 4 or tuple(pictures.shape[1:]) != (3, side, side):
        raise MeasureError(
            f"training pictures: expected (b, 3, {side}, {side}), found {tuple(pictures.shape)}",
            hint=f"GatedDataset(PATH, size={side})",
        )
    return pictures
