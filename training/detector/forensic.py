"""The forensic expert: a small fully convolutional network over native-scale pixels.

Its stem works at half resolution: each 2 × 2 neighbourhood gives its mean colour and the differences of
its four pixels from each other (what up-sampling decoders leave there), then depthwise-separable blocks.
From 128 pixels on.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

WIDTHS = (48, 96, 160, 224)


class _Separable(nn.Module):
    def __init__(self, inside: int, outside: int, stride: int) -> None:
        super().__init__()
        self.deep = nn.Conv2d(inside, inside, 3, stride, 1, groups=inside, bias=False)
        self.norm_deep = nn.BatchNorm2d(inside)
        self.point = nn.Conv2d(inside, outside, 1, bias=False)
        self.norm_point = nn.BatchNorm2d(outside)
        self.beside = inside == outside and stride == 1

    def forward(self, x: Any) -> Any:
        y = F.relu(self.norm_deep(self.deep(x)))
        y = self.norm_point(self.point(y))
        return F.relu(y + x if self.beside else y)


class Forensic(nn.Module):
    """RGB in [0, 255], ``(n, 3, h, w)`` with even sides from 128 → logit of AI, ``(n,)``."""

    def __init__(self) -> None:
        super().__init__()
        first, second, third, fourth = WIDTHS
        self.stem = nn.Sequential(
            nn.Conv2d(24, first, 3, padding=1, bias=False), nn.BatchNorm2d(first), nn.ReLU()
        )
        self.body = nn.Sequential(
            _Separable(first, second, 2),
            _Separable(second, second, 1),
            _Separable(second, third, 2),
            _Separable(third, third, 1),
            _Separable(third, third, 1),
            _Separable(third, fourth, 2),
            _Separable(fourth, fourth, 1),
        )
        self.drop = nn.Dropout(0.3)
        self.head = nn.Linear(2 * fourth, 1)

    def residuals(self, x: Any) -> Any:
        """``(n, 24, h/2, w/2)``: mean colour, pixel differences, second differences of the planes."""
        x = (x - 128.0) / 64.0
        a, b = x[:, :, 0::2, 0::2], x[:, :, 0::2, 1::2]
        c, d = x[:, :, 1::2, 0::2], x[:, :, 1::2, 1::2]
        mean = (a + b + c + d) * 0.25
        fine = torch.cat((a - b, a - c, a - d, b - c), 1)
        across = F.pad(b[..., :-1], (1, 0, 0, 0), "replicate") + b - 2 * a
        along = F.pad(c[..., :-1, :], (0, 0, 1, 0), "replicate") + c - 2 * a
        blurred = F.avg_pool2d(mean, 3, 1, 1, count_include_pad=False)
        # Small differences carry the trace: they are spread out, large edges pressed together.
        fine = torch.tanh(torch.cat((fine, across, along), 1) * 3.0)
        return torch.cat((mean, fine, torch.tanh((mean - blurred) * 3.0)), 1)

    def features(self, x: Any) -> Any:
        """Mean and spread of the last map, ``(n, 448)``."""
        y = self.body(self.stem(self.residuals(x)))
        mean = y.mean((2, 3))
        spread = (y - mean[:, :, None, None]).square().mean((2, 3)).add(1e-5).sqrt()
        return torch.cat((mean, spread), 1)

    def forward(self, x: Any) -> Any:
        return self.head(self.drop(self.features(x)))[:, 0]
