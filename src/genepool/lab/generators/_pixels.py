"""`PixelFlow`: flow matching on the pixels themselves, by a U-Net, with labels and guidance."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genepool.errors import MeasureError
from genepool.lab.generators import _unet
from genepool.lab.generators._common import finite, one_thread, pick_device, pixels, require_torch, scaled

__all__ = ["PixelFlow"]


class PixelFlow:
    """Flow matching (Lipman et al., ICLR 2023) with classifier-free guidance (Ho & Salimans 2022).

    The path is the straight one, x = (1 − t) noise + t picture. The network says what
    picture to expect (as Li & He 2025 argue), trained at Karras et al.'s noise levels (NeurIPS 2022);
    the velocity follows, (expected − x) / (1 − t), and the last step lands on that picture, without left-over
    grain. With guidance, what is expected under the label is pushed away from what is expected under none:
    e + guidance · (e(label) − e).
    Guidance above 1 is the biased sampling that real image models use, and that the collapse of chained
    diffusion models has been traced to (Yoon et al. 2024). A moving average of the weights is what draws.

    Args:
        side: Of the pictures: 32 or 64, or any multiple of ``fold · 2 ** (levels − 1)``.
        channels: 1 or 3.
        classes: Labels (artists, styles); 0: unconditional, guidance has no effect.
        width: Channels of the first level, a multiple of 8.
        levels: Resolutions of the U-Net.
        fold: Side of the pixel blocks folded into channels: 2 is four times as fast as 1.
        steps: Optimizer steps.
        batch: Pictures in one.
        drop: Share of the training pictures whose label is hidden.
        guidance: Strength; 1 = none.
        solve: Euler steps from noise to picture.
        flip: Mirror half of the training pictures.
        rate: Peak learning rate.
        seed: Of weights, noise and order.
        device: ``auto``, ``cpu`` or ``cuda``.
    """

    def __init__(
        self,
        *,
        side: int = 32,
        channels: int = 3,
        classes: int = 0,
        width: int = 32,
        levels: int = 2,
        fold: int = 2,
        steps: int = 1000,
        batch: int = 64,
        drop: float = 0.15,
        guidance: float = 1.5,
        solve: int = 16,
        flip: bool = True,
        rate: float = 1e-3,
        seed: int = 0,
        device: str = "auto",
    ) -> None:
        if side % (fold * 2 ** (levels - 1)) or width % 8 or min(width, steps, batch, solve, fold) < 1:
            raise MeasureError(
                f"generator: expected a side that is a multiple of {fold * 2 ** (levels - 1)}, a width "
                f"that is a multiple of 8 and positive steps, found {side}, {width}, {steps}"
            )
        if not (0 <= drop < 1 and guidance >= 0 and channels in (1, 3) and classes >= 0 and 1 <= levels <= 4):
            raise MeasureError(
                "generator: expected 0 ≤ drop < 1, guidance ≥ 0, 1 or 3 channels, 1 to 4 levels"
            )
        self.side, self.channels, self.classes, self.width = side, channels, classes, width
        self.levels, self.fold, self.steps, self.batch = levels, fold, steps, batch
        self.drop, self.guidance, self.solve, self.flip = drop, guidance, solve, flip
        self.rate, self.seed, self.device = rate, seed, device
        self._network: Any = None
        self._shares: NDArray[np.float64] = np.ones(1)
        self._place = "cpu"

    def fit(self, pictures: NDArray[np.uint8], labels: NDArray[np.int64] | None = None) -> PixelFlow:
        """Learn from pictures ``(n, side, side, channels)`` and labels in [0, classes); −1: none.

        Raises:
            Diverged: The loss is no number.
            MeasureError: Pictures of another shape, labels out of range.
        """
        if pictures.shape[1:] != (self.side, self.side, self.channels):
            raise MeasureError(
                f"generator: expected pictures of {(self.side, self.side, self.channels)}, "
                f"found {pictures.shape[1:]}"
            )
        told = np.full(len(pictures), -1) if labels is None else np.asarray(labels, np.int64)
        if told.shape != (len(pictures),) or told.max(initial=-1) >= max(1, self.classes) or told.min() < -1:
            raise MeasureError(f"generator: expected one label below {self.classes} for each picture")
        torch = require_torch()
        with one_thread(torch):
            return self._fit(torch, pictures, told if self.classes else np.full(len(told), -1))

    def _fit(self, torch: Any, pictures: NDArray[np.uint8], labels: NDArray[np.int64]) -> PixelFlow:
        place = self._place = pick_device(torch, self.device)
        counts = np.bincount(labels[labels >= 0], minlength=max(1, self.classes)).astype(float)
        self._shares = counts / counts.sum() if counts.sum() else np.full(len(counts), 1 / len(counts))
        rows = scaled(pictures).reshape(pictures.shape).transpose(0, 3, 1, 2)
        data = torch.from_numpy(np.ascontiguousarray(rows)).to(place)
        label = torch.from_numpy(np.where(labels < 0, self.classes, labels)).to(place)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            network, self._network = (self._build(torch) for _ in range(2))
        network.to(place, memory_format=torch.channels_last)
        self._network.load_state_dict(network.state_dict())
        self._network.to(place, memory_format=torch.channels_last).eval()
        fast = place == "cuda"
        optimizer = torch.optim.AdamW(network.parameters(), self.rate, weight_decay=1e-4, fused=fast)
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer, self.rate, total_steps=max(2, self.steps), pct_start=0.1
        )
        noise = torch.Generator(place).manual_seed(self.seed + 1)
        order = np.random.default_rng(self.seed)
        for step in range(self.steps):
            chosen = torch.from_numpy(order.integers(0, len(data), self.batch)).to(place)
            loss = self._loss(torch, network, data[chosen], label[chosen], noise)
            # Reading a number makes the processor wait for the GPU: there only now and then.
            if not fast or step % _LOOK == _LOOK - 1 or step == self.steps - 1:
                finite(float(loss.detach()), step + 1)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            self._follow(torch, network, step)
        return self

    def _build(self, torch: Any) -> Any:
        shape = {"channels": self.channels, "width": self.width, "levels": self.levels, "fold": self.fold}
        return _unet.build(torch, classes=self.classes, **shape)

    def _loss(self, torch: Any, network: Any, ends: Any, label: Any, noise: Any) -> Any:
        shape = {"generator": noise, "device": ends.device}
        if self.flip:
            turned = torch.rand(len(ends), **shape) < 0.5
            ends = torch.where(turned[:, None, None, None], ends.flip(3), ends)
        hidden = torch.rand(len(ends), **shape) < self.drop
        label = torch.where(hidden, torch.full_like(label, self.classes), label)
        # How noisy: Karras et al.'s choice, ln of (1 − t) / t normal around −1.2.
        ratio = torch.exp(1.2 * torch.randn(len(ends), **shape) - 1.2)
        noisy = ends + ratio[:, None, None, None] * torch.randn(ends.shape, **shape)
        noisy = noisy.contiguous(memory_format=torch.channels_last)
        found = self._expected(network, noisy, ratio, label)
        # Weighed by how well it can be known: nearly clean pictures count for more, though not without end.
        known = _SPREAD**2 * ratio**2 / (ratio**2 + _SPREAD**2) + 0.04
        return (((found - ends) ** 2).mean(dim=(1, 2, 3)) / known).mean()

    def _expected(self, network: Any, noisy: Any, ratio: Any, label: Any) -> Any:
        """The picture expected behind ``picture + ratio · noise`` (the path's point over t)."""
        whole = (ratio**2 + _SPREAD**2).sqrt()[:, None, None, None]
        torch = require_torch()
        # On a GPU the convolutions run in bfloat16; what comes out is summed up in single precision again.
        with torch.autocast("cuda", torch.bfloat16, enabled=noisy.is_cuda):
            found = network(noisy / whole, ratio.log() / 4, label)
        return found.float()

    def _follow(self, torch: Any, network: Any, step: int) -> None:
        """The moving average: over about a tenth of the steps taken so far, at most the last 500."""
        kept = min(0.998, 1 - 10 / (step + 11))
        with torch.no_grad():
            torch._foreach_lerp_([*self._network.parameters()], [*network.parameters()], 1 - kept)

    def draw(self, n: int, seed: int = 0) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        """Draw ``n`` pictures with labels as frequent as in training.

        Raises:
            MeasureError: It has not been trained.
            Diverged: What it drew is no number.
        """
        if self._network is None:
            raise MeasureError("generator: expected a trained one, found one that has seen no picture")
        torch = require_torch()
        chosen = np.random.default_rng(seed).choice(len(self._shares), n, p=self._shares).astype(np.int64)
        labels = chosen if self.classes else np.full(n, -1)
        told = np.where(labels < 0, self.classes, labels)
        noise = torch.Generator(self._place).manual_seed(seed)
        found = []
        with one_thread(torch), torch.no_grad():
            size = 1024 if self._place == "cuda" else 128
            for at in range(0, n, size):
                part = torch.from_numpy(told[at : at + size]).to(self._place)
                found.append(self._solve(torch, part, noise).cpu().numpy())
        flat = np.concatenate(found).transpose(0, 2, 3, 1).reshape(n, -1)
        return pixels(flat, (self.side, self.side, self.channels)), labels

    def _solve(self, torch: Any, label: Any, noise: Any) -> Any:
        shape = (len(label), self.channels, self.side, self.side)
        guided = self.classes > 0 and self.guidance != 1
        told = torch.cat([label, torch.full_like(label, self.classes)]) if guided else label
        # Times dense at the end, where detail is made; the ratio is (1 − t) / t.
        step = np.linspace(0, 1, self.solve)
        ratios = [*((_FIRST ** (1 / 7) + step * (_LAST ** (1 / 7) - _FIRST ** (1 / 7))) ** 7), 0.0]
        point = ratios[0] * torch.randn(shape, generator=noise, device=self._place)
        for now, then in itertools.pairwise(ratios):
            both = torch.cat([point, point]) if guided else point
            ratio = torch.full((len(told),), float(now), device=self._place)
            expected = self._expected(self._network, both, ratio, told)
            if guided:
                mine, any_label = expected.chunk(2)
                expected = any_label + self.guidance * (mine - any_label)
            point = expected + float(then / now) * (point - expected)
        return point


# Standard deviation that pictures in [−1, 1] are taken to have, and the noise ratios between which is solved.
_SPREAD, _FIRST, _LAST = 0.5, 60.0, 0.03
_LOOK = 64  # steps between two looks at the loss on a GPU
