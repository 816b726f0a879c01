"""The style vector: the deep head's answers, whitened, in 256 numbers.

    python training/embedder/style_map.py RUN/student.pt OUT.npz --views T [--views T2] --embedder
    embedder.onnx

Measured on artists that training never named (`measure.py`), a whitened linear map of the trunk keeps
artists apart better than the head that was trained to: that one learnt its 150 artists by heart. The map
is fitted on the views that show a picture as it came; ``T`` are folders of `common.teacher`, their trunk
features are computed once and kept.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parents[1]))
from detector.stack import trunks
from embedder.student import STYLE


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("weights", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--views", type=Path, action="append", required=True)
    parser.add_argument("--embedder", type=Path, required=True)
    args = parser.parse_args()
    rows = []
    for folder in args.views:
        _, trunk, _ = trunks(folder, args.embedder)
        views = [np.load(p)["view"] for p in sorted(folder.glob("teacher-*.npz"))]
        rows.append(trunk[np.concatenate(views) == 0].astype(np.float64))
    trunk = np.concatenate(rows)
    model = torch.load(args.weights, weights_only=True)["model"]
    head, bias = model["deep.weight"].double().numpy(), model["deep.bias"].double().numpy()
    deep = trunk @ head.T + bias
    centre = deep.mean(0)
    _, size, axes = np.linalg.svd(deep - centre, full_matrices=False)
    scale = np.sqrt(len(deep)) / size[:STYLE]
    weight = (axes[:STYLE] * scale[:, None]) @ head
    np.savez(
        args.out,
        weight=weight.astype(np.float32),
        bias=((axes[:STYLE] * scale[:, None]) @ (bias - centre)).astype(np.float32),
    )
    print(f"{len(trunk)} pictures, {STYLE} directions, {args.out}")


if __name__ == "__main__":
    main()
