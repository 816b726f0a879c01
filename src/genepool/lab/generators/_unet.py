"""The convolutional U-Net that says what to expect at every pixel."""

from __future__ import annotations

import itertools
from typing import Any

__all__ = ["build"]

_WAVES = 16


def build(torch: Any, *, channels: int, width: int, levels: int, fold: int, classes: int) -> Any:
    """A U-Net ``(pictures (b, c, s, s), time (b,), label (b,)) -> (b, c, s, s)``.

    Residual blocks with scale and shift from time and label (Dhariwal & Nichol, NeurIPS 2021), halved
    resolution and one and a half times the channels at each level, self-attention at the lowest one. The last
    convolution starts at nothing.

    Args:
        torch: The module.
        channels: Of the pictures.
        width: Channels of the first level, a multiple of 8.
        levels: Resolutions, 1 to 4.
        fold: Side of the pixel blocks that are folded into channels at the door (1: none).
        classes: Labels; one more stands for "any" (guidance).
    """
    nn, functional = torch.nn, torch.nn.functional
    inner = 4 * width
    Block, Attention = _parts(torch, inner)  # noqa: N806  # they are classes

    class UNet(nn.Module):  # type: ignore[misc, name-defined, unused-ignore]
        def __init__(self) -> None:
            super().__init__()
            sizes = [8 * round(width * 1.5**level / 8) for level in range(levels)]
            folded = channels * fold * fold
            self.label = nn.Embedding(classes + 1, inner)
            self.time = nn.Sequential(nn.Linear(2 * _WAVES, inner), nn.SiLU(), nn.Linear(inner, inner))
            self.door = nn.Conv2d(folded, sizes[0], 3, 1, 1)
            self.down = nn.ModuleList([Block(size, size) for size in sizes])
            self.shrink = nn.ModuleList([nn.Conv2d(a, b, 3, 2, 1) for a, b in itertools.pairwise(sizes)])
            self.middle, self.look = Block(sizes[-1], sizes[-1]), Attention(sizes[-1])
            self.up = nn.ModuleList([Block(2 * size, size) for size in sizes])
            self.grow = nn.ModuleList([nn.Conv2d(b, a, 3, 1, 1) for a, b in itertools.pairwise(sizes)])
            self.out = nn.Sequential(
                nn.GroupNorm(8, sizes[0]), nn.SiLU(), nn.Conv2d(sizes[0], folded, 3, 1, 1)
            )
            nn.init.zeros_(self.out[2].weight)
            nn.init.zeros_(self.out[2].bias)

        def forward(self, x: Any, time: Any, label: Any) -> Any:
            # Time comes as a logarithm between about −1 and 1: from a third of a turn to some ten turns.
            rate = torch.exp(torch.linspace(-1, 3, _WAVES, device=x.device))
            wave = time[:, None] * rate * torch.pi
            told = self.time(torch.cat([wave.sin(), wave.cos()], dim=1)) + self.label(label)
            told = functional.silu(told)
            x = self.door(functional.pixel_unshuffle(x, fold) if fold > 1 else x)
            kept = []
            for level, block in enumerate(self.down):
                x = block(x, told)
                kept.append(x)
                if level < len(self.shrink):
                    x = self.shrink[level](x)
            x = self.look(self.middle(x, told))
            for level in reversed(range(len(self.up))):
                x = self.up[level](torch.cat([x, kept[level]], dim=1), told)
                if level:
                    x = self.grow[level - 1](functional.interpolate(x, scale_factor=2, mode="nearest"))
            x = self.out(x)
            return functional.pixel_shuffle(x, fold) if fold > 1 else x

    return UNet()


def _parts(torch: Any, inner: int) -> tuple[Any, Any]:
    """The residual block and the attention; ``inner``: width of what is told about time and label."""
    nn, functional = torch.nn, torch.nn.functional

    class Block(nn.Module):  # type: ignore[misc, name-defined, unused-ignore]
        def __init__(self, ins: int, outs: int) -> None:
            super().__init__()
            self.first = nn.Sequential(nn.GroupNorm(8, ins), nn.SiLU(), nn.Conv2d(ins, outs, 3, 1, 1))
            self.norm = nn.GroupNorm(8, outs)
            self.second = nn.Conv2d(outs, outs, 3, 1, 1)
            self.told = nn.Linear(inner, 2 * outs)
            self.skip = nn.Conv2d(ins, outs, 1) if ins != outs else nn.Identity()
            nn.init.zeros_(self.second.weight)
            nn.init.zeros_(self.second.bias)

        def forward(self, x: Any, told: Any) -> Any:
            scale, shift = self.told(told)[:, :, None, None].chunk(2, dim=1)
            y = functional.silu(self.norm(self.first(x)) * (1 + scale) + shift)
            return self.skip(x) + self.second(y)

    class Attention(nn.Module):  # type: ignore[misc, name-defined, unused-ignore]
        def __init__(self, size: int) -> None:
            super().__init__()
            self.norm = nn.GroupNorm(8, size)
            self.ask = nn.Conv2d(size, 3 * size, 1)
            self.out = nn.Conv2d(size, size, 1)
            nn.init.zeros_(self.out.weight)
            nn.init.zeros_(self.out.bias)

        def forward(self, x: Any) -> Any:
            b, c, h, w = x.shape
            parts = self.ask(self.norm(x)).reshape(b, 3, c, h * w).transpose(2, 3).unbind(1)
            mixed = functional.scaled_dot_product_attention(*parts)
            return x + self.out(mixed.transpose(1, 2).reshape(b, c, h, w))

    return Block, Attention
