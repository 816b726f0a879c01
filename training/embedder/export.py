"""Write the embedder that ships.

    python training/embedder/export.py RUN/student.pt -o embedder.onnx [--style style.npz]

Input ``rgb``: ``(n, side, side, 3)`` uint8. Outputs ``style`` (256) and ``copy`` (128), unit length, and
``trunk`` (1536). Prints the size, the agreement with the float32 module, and how far answers differ
between batch sizes.
"""

from __future__ import annotations

import argparse
import sys
import warnings
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

sys.path.insert(0, str(Path(__file__).parents[1]))
from common.onnx_int8 import shrink
from embedder.student import SIDE, STYLE, TRUNK, Student


class Shipped(nn.Module):
    """The student as others see it: bytes in, unit vectors out."""

    def __init__(self, student: Student, style: Path | None) -> None:
        super().__init__()
        self.student = student
        if style is not None:
            with np.load(style) as data:
                head = nn.Linear(TRUNK, STYLE)
                head.weight.data = torch.from_numpy(data["weight"])
                head.bias.data = torch.from_numpy(data["bias"])
            student.style = head

    def forward(self, rgb):
        trunk, _, style, copy = self.student(rgb.permute(0, 3, 1, 2).float())
        return F.normalize(style, dim=1), F.normalize(copy, dim=1), trunk


def main() -> None:
    import onnx
    import onnxruntime as ort

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("weights", type=Path)
    parser.add_argument("-o", "--out", type=Path, required=True)
    parser.add_argument(
        "--style", type=Path, help="the map of style_map.py, instead of the trained style head"
    )
    args = parser.parse_args()
    student = Student()
    student.load_state_dict(torch.load(args.weights, weights_only=True)["model"])
    shipped = Shipped(student, args.style).eval()
    example = torch.zeros(2, SIDE, SIDE, 3, dtype=torch.uint8)
    raw = args.out.with_suffix(".float.onnx")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            shipped,
            (example,),
            str(raw),
            input_names=["rgb"],
            output_names=["style", "copy", "trunk"],
            dynamic_axes={
                "rgb": {0: "n", 1: "side", 2: "side2"},
                "style": {0: "n"},
                "copy": {0: "n"},
                "trunk": {0: "n"},
            },
            opset_version=17,
            dynamo=False,
        )
    model = shrink(onnx.load(str(raw)))
    model.producer_name, model.producer_version = "genepool training/embedder", ""
    onnx.checker.check_model(model)
    args.out.write_bytes(model.SerializeToString())
    raw.unlink()
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(str(args.out), options, providers=["CPUExecutionProvider"])
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (6, 22, 22, 3), dtype=np.uint8)
    pictures = np.kron(coarse, np.ones((1, 8, 8, 1), np.uint8))
    together = session.run(None, {"rgb": pictures})
    alone = [
        np.concatenate(v) for v in zip(*(session.run(None, {"rgb": p[None]}) for p in pictures), strict=True)
    ]
    with torch.no_grad():
        exact = [v.numpy() for v in shipped(torch.from_numpy(pictures))]
    print(f"{args.out}: {args.out.stat().st_size / 2**20:.2f} MiB")
    for name, a, b, c in zip(("style", "copy", "trunk"), together, alone, exact, strict=True):
        cosine = (a * c).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(c, axis=1)
        apart = np.abs(a - b).max()
        print(f"{name}: batch 6 against 1 {apart:.1e}, cosine with float32 weights {cosine.min():.5f}")


if __name__ == "__main__":
    main()
