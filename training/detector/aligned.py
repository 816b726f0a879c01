"""Aligned fakes: a human picture through an autoencoder of a published generator and back.

Content stays, the decoder's fingerprint comes: what separates the pair cannot be the topic. The
autoencoder is TAEF2, the tiny autoencoder of FLUX.2 (MIT, Ollin Boer Bohan); the module is written from
the shapes of its weights.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

WIDTH = 64


class _Block(nn.Module):
    def __init__(self, pooled: bool) -> None:
        super().__init__()
        self.conv = nn.Sequential(
            nn.Conv2d(WIDTH, WIDTH, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(WIDTH, WIDTH, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(WIDTH, WIDTH, 3, padding=1),
        )
        if pooled:
            self.pool = nn.Sequential(
                nn.Conv2d(WIDTH, 4 * WIDTH, 1, bias=False),
                nn.GroupNorm(4, 4 * WIDTH),
                nn.ReLU(),
                nn.Conv2d(4 * WIDTH, WIDTH, 1, bias=False),
            )

    def forward(self, x: Any) -> Any:
        if hasattr(self, "pool"):
            x = x + self.pool(x)
        return torch.relu(self.conv(x) + x)


class _Soft(nn.Module):
    def forward(self, x: Any) -> Any:
        return torch.tanh(x / 3) * 3


def _down() -> nn.Conv2d:
    return nn.Conv2d(WIDTH, WIDTH, 3, stride=2, padding=1, bias=False)


def _up() -> list[nn.Module]:
    return [nn.Upsample(scale_factor=2), nn.Conv2d(WIDTH, WIDTH, 3, padding=1, bias=False)]


class Autoencoder(nn.Module):
    """Pictures ``(n, 3, h, w)`` in [0, 1], sides multiples of 8 → the same, as the generator draws them."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        plain, pooled = (lambda: _Block(False)), (lambda: _Block(True))
        self.encoder = nn.Sequential(
            nn.Conv2d(3, WIDTH, 3, padding=1),
            plain(),
            *(_down(), plain(), plain(), plain()),
            *(_down(), plain(), plain(), plain()),
            *(_down(), pooled(), pooled(), pooled()),
            nn.Conv2d(WIDTH, 32, 3, padding=1),
        )
        self.decoder = nn.Sequential(
            *(_Soft(), nn.Conv2d(32, WIDTH, 3, padding=1), nn.ReLU()),
            *(pooled(), pooled(), pooled(), *_up()),
            *(plain(), plain(), plain(), *_up()),
            *(plain(), plain(), plain(), *_up()),
            *(plain(), nn.Conv2d(WIDTH, 3, 3, padding=1)),
        )
        for name, part in (("encoder", self.encoder), ("decoder", self.decoder)):
            part.load_state_dict(torch.load(folder / f"taef2_{name}.pth", weights_only=True))
        self.eval()

    @torch.no_grad()
    def forward(self, x: Any) -> Any:
        return self.decoder(self.encoder(x)).clamp(0, 1)


def fake(model: Autoencoder, pixels: NDArray[np.uint8], device: str = "cpu") -> NDArray[np.uint8]:
    """The aligned fake of one picture, cut to multiples of 8."""
    height, width = (v // 8 * 8 for v in pixels.shape[:2])
    x = torch.from_numpy(pixels[:height, :width].copy()).to(device).permute(2, 0, 1)[None].float() / 255
    out = model(x)[0].permute(1, 2, 0) * 255
    return out.round().clamp(0, 255).to(torch.uint8).cpu().numpy()
