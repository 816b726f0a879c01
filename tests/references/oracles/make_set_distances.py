"""Distances between sets as prdc and torch-fidelity compute them, written as a JSON fixture.

Runs in an environment of its own, which genepool never imports::

    make oracles

The sets are drawn here with fixed seeds (the test draws the same); the fixture holds the answers only:
precision, recall, density and coverage of ``prdc.compute_prdc``, torch-fidelity's Fréchet distance of two
statistics, and its kernel distance with one subset of all rows.
"""

import contextlib
import io
import json
import sys
from pathlib import Path
from unittest import mock

import numpy as np
import torch
from prdc import compute_prdc

# torch-fidelity imports torchvision for its feature extractors; its formulas do without.
for name in ("", ".transforms", ".transforms.functional", ".datasets", ".models"):
    sys.modules.setdefault("torchvision" + name, mock.MagicMock(__path__=[]))
from torch_fidelity.metric_fid import fid_statistics_to_metric  # noqa: E402
from torch_fidelity.metric_kid import kid_features_to_metric  # noqa: E402

OUT = Path(__file__).parents[1] / "fixtures" / "set_distances.json"
# Name: seed, rows of the reference, rows of the set, width, shift, scale.
CASES = {
    "alike": (1, 300, 300, 16, 0.0, 1.0),
    "shifted": (2, 240, 240, 32, 0.4, 1.0),
    "shrunk": (3, 200, 200, 8, 0.0, 0.5),
    "wide": (4, 400, 400, 64, 0.1, 1.3),
}


def sets(seed: int, n: int, m: int, d: int, shift: float, scale: float) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    mix = rng.normal(size=(d, d)) / np.sqrt(d) + np.eye(d)
    return rng.normal(size=(n, d)) @ mix, scale * (rng.normal(size=(m, d)) @ mix) + shift


def main() -> None:
    answers = {}
    for name, case in CASES.items():
        real, made = sets(*case)
        with contextlib.redirect_stdout(io.StringIO()):
            found = {k: float(v) for k, v in compute_prdc(real, made, nearest_k=5).items()}
        one, two = ({"mu": x.mean(axis=0), "sigma": np.cov(x, rowvar=False)} for x in (made, real))
        found["frechet"] = float(fid_statistics_to_metric(one, two, False)["frechet_inception_distance"])
        kernel = kid_features_to_metric(
            torch.from_numpy(made),
            torch.from_numpy(real),
            kid_subsets=1,
            kid_subset_size=len(real),
            verbose=False,
        )
        found["kernel"] = float(kernel["kernel_inception_distance_mean"])
        answers[name] = {"case": case, **found}
    OUT.write_text(json.dumps(answers, indent=1) + "\n")


if __name__ == "__main__":
    main()
