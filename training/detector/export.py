"""Write the forensic expert as ONNX: ``python training/detector/export.py RUN/forensic.pt -o forensic.onnx``.

Input ``rgb``: ``(n, h, w, 3)`` uint8 with even sides from 128; output ``logit``: ``(n,)``.
"""

from __future__ import annotations

import argparse
import sys
import warnings
from pathlib import Path

import numpy as np
import torch
from torch import nn

sys.path.insert(0, str(Path(__file__).parents[1]))
from detector.forensic import Forensic


class Shipped(nn.Module):
    """The expert as others see it: bytes in, logits out."""

    def __init__(self, expert: Forensic) -> None:
        super().__init__()
        self.expert = expert

    def forward(self, rgb):
        return self.expert(rgb.permute(0, 3, 1, 2).float())


def export(weights: Path, out: Path) -> None:
    """Convert one file of weights."""
    import onnx
    import onnxruntime as ort

    expert = Forensic()
    expert.load_state_dict(torch.load(weights, weights_only=True))
    shipped = Shipped(expert).eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            shipped,
            (torch.zeros(2, 192, 192, 3, dtype=torch.uint8),),
            str(out),
            input_names=["rgb"],
            output_names=["logit"],
            dynamic_axes={"rgb": {0: "n", 1: "height", 2: "width"}, "logit": {0: "n"}},
            opset_version=17,
            dynamo=False,
        )
    model = onnx.load(str(out))
    model.producer_name, model.producer_version = "genepool training/detector", ""
    out.write_bytes(model.SerializeToString())
    session = ort.InferenceSession(str(out), providers=["CPUExecutionProvider"])
    pictures = np.random.default_rng(0).integers(0, 256, (3, 160, 160, 3), dtype=np.uint8)
    with torch.no_grad():
        exact = shipped(torch.from_numpy(pictures)).numpy()
    found = session.run(None, {"rgb": pictures})[0]
    print(f"{out}: {out.stat().st_size / 2**10:.0f} KiB, from the module {np.abs(found - exact).max():.1e}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("weights", type=Path)
    parser.add_argument("-o", "--out", type=Path, required=True)
    args = parser.parse_args()
    export(args.weights, args.out)
