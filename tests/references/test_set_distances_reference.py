"""Density, coverage, Fréchet and kernel distance against ``prdc`` and ``torch-fidelity``, value by value."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from genepool.diversity import frechet_distance, kernel_distance, neighbourhood

ANSWERS = json.loads((Path(__file__).parent / "fixtures" / "set_distances.json").read_text())


def sets(seed, n, m, d, shift, scale):
    rng = np.random.default_rng(seed)
    mix = rng.normal(size=(d, d)) / np.sqrt(d) + np.eye(d)
    return rng.normal(size=(n, d)) @ mix, scale * (rng.normal(size=(m, d)) @ mix) + shift


@pytest.mark.parametrize("name", sorted(ANSWERS))
def test_the_values_are_the_packages(name):
    answer = ANSWERS[name]
    real, made = sets(*answer["case"])
    found = neighbourhood(made, real)
    for key in ("precision", "recall", "density", "coverage"):
        assert float(getattr(found, key)) == pytest.approx(answer[key], abs=1e-6), key
    assert float(frechet_distance(made, real)) == pytest.approx(answer["frechet"], rel=1e-6, abs=1e-6)
    assert float(kernel_distance(made, real)) == pytest.approx(answer["kernel"], rel=1e-6, abs=1e-6)
