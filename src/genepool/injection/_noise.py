"""Controlled noise and augmentation while a model is trained. Never written, never counted as diversity."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import numpy as np

from genepool.errors import UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["TrainingNoise"]


class TrainingNoise:
    """A transform for a training loop: mirror, crop, light and colour, then Gaussian noise.

    It makes a model sturdier; it adds no style. It works on pictures in memory on their way into the network
    and writes nothing, so the index never sees what it makes (and its support rule would not count noise if
    it did).

    Takes numpy arrays ``(h, w, 3)`` (uint8, or float in [0, 1]) and torch tensors ``(3, h, w)`` or ``(n, 3,
    h, w)`` (likewise); returns the same kind, shape and type. Give it as ``transform`` to
    `genepool.GatedDataset`.

    Args:
        noise: ``(least, most)`` standard deviation of the noise, in units of the full range.
        mirror: Chance of a left-right flip.
        crop: Least side of the crop, as a share; it is enlarged again to the size that came in.
        light: Largest change of brightness and contrast, as a share.
        colour: Largest change of saturation, as a share.
        seed: Draws are a function of the seed, the worker and a counter; with ``key`` of the seed and the key
            alone.

    Raises:
        UsageError: A share outside [0, 1], or least above most.
    """

    def __init__(
        self,
        noise: tuple[float, float] = (0.0, 0.04),
        *,
        mirror: float = 0.5,
        crop: float = 0.85,
        light: float = 0.1,
        colour: float = 0.1,
        seed: int = 0,
    ) -> None:
        shares = {"mirror": mirror, "crop": crop, "light": light, "colour": colour}
        for name, value in shares.items():
            if not 0.0 <= value <= 1.0:
                raise UsageError(f"{name}: expected a number in [0, 1], found {value}")
        if not 0.0 <= noise[0] <= noise[1] <= 1.0 or crop == 0.0:
            raise UsageError(
                f"expected 0 ≤ least ≤ most ≤ 1 for noise and crop above 0, found {noise}, {crop}"
            )
        self.noise, self.mirror, self.crop = noise, mirror, crop
        self.light, self.colour, self.seed = light, colour, seed
        self._count = 0

    def __call__(self, picture: Any, *, key: int | None = None) -> Any:
        """The picture, changed.

        Raises:
            UsageError: No picture of a kind that it takes.
        """
        rng = self._rng(key)
        torch = sys.modules.get("torch")
        if torch is not None and isinstance(picture, torch.Tensor):
            return self._tensor(picture, rng, torch)
        if not isinstance(picture, np.ndarray) or picture.ndim != 3 or picture.shape[-1] != 3:
            raise UsageError(
                f"noise: expected an array (h, w, 3) or a tensor (3, h, w), found {type(picture).__name__} "
                f"{getattr(picture, 'shape', '')}"
            )
        return self._array(picture, rng)

    def _rng(self, key: int | None) -> np.random.Generator:
        if key is not None:
            return np.random.default_rng((self.seed, 1, key))
        torch = sys.modules.get("torch")
        info = torch.utils.data.get_worker_info() if torch is not None and hasattr(torch, "utils") else None
        self._count += 1
        # A worker's seed is new in every epoch; without workers the counter goes on.
        worker = (info.id, info.seed % 2**63) if info is not None else (0, 0)
        return np.random.default_rng((self.seed, 0, *worker, self._count))

    def _tensor(self, tensor: Any, rng: np.random.Generator, torch: Any) -> Any:
        if tensor.ndim == 4:
            return torch.stack([self._tensor(one, rng, torch) for one in tensor])
        if tensor.ndim != 3 or tensor.shape[0] != 3:
            raise UsageError(
                f"noise: expected a tensor (3, h, w) or (n, 3, h, w), found {tuple(tensor.shape)}"
            )
        flat = tensor.detach().cpu().numpy().transpose(1, 2, 0)
        made = np.ascontiguousarray(self._array(flat, rng).transpose(2, 0, 1))
        return torch.from_numpy(made).to(device=tensor.device, dtype=tensor.dtype)

    def _array(self, picture: NDArray[Any], rng: np.random.Generator) -> NDArray[Any]:
        whole = picture.dtype == np.uint8
        x = picture.astype(np.float32) / (255.0 if whole else 1.0)
        height, width = x.shape[:2]
        if rng.random() < self.mirror:
            x = x[:, ::-1]
        side = rng.uniform(self.crop, 1.0)
        tall, wide = max(1, round(height * side)), max(1, round(width * side))
        top, left = int(rng.integers(0, height - tall + 1)), int(rng.integers(0, width - wide + 1))
        x = _enlarged(x[top : top + tall, left : left + wide], height, width)
        x = (
            (x - 0.5) * (1 + rng.uniform(-self.light, self.light))
            + 0.5
            + rng.uniform(-self.light, self.light) / 2
        )
        grey = x @ np.array([0.299, 0.587, 0.114], np.float32)
        x = grey[..., None] + (x - grey[..., None]) * (1 + rng.uniform(-self.colour, self.colour))
        x = x + rng.normal(0.0, 1.0, x.shape) * rng.uniform(*self.noise)
        x = np.clip(x, 0.0, 1.0)
        return np.asarray(np.rint(x * 255), np.uint8) if whole else x.astype(picture.dtype)


def _enlarged(x: NDArray[np.float32], height: int, width: int) -> NDArray[np.float32]:
    """Bilinear, pixel centres aligned."""
    rows = (np.arange(height) + 0.5) * x.shape[0] / height - 0.5
    columns = (np.arange(width) + 0.5) * x.shape[1] / width - 0.5

    def between(at: NDArray[np.float64], size: int) -> tuple[Any, Any, Any]:
        at = np.clip(at, 0, size - 1)
        low = np.floor(at).astype(int)
        return low, np.minimum(low + 1, size - 1), (at - low).astype(np.float32)

    r0, r1, fr = between(rows, x.shape[0])
    c0, c1, fc = between(columns, x.shape[1])
    mixed = x[r0] * (1 - fr)[:, None, None] + x[r1] * fr[:, None, None]
    return np.asarray(mixed[:, c0] * (1 - fc)[None, :, None] + mixed[:, c1] * fc[None, :, None])
