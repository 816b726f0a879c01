"""Coverage, density and Fréchet distance against plain loops and scipy's matrix square root."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import linalg
from scipy.spatial.distance import cdist

from genepool.degradation._neighbours import NEAREST, compare, frechet


def test_frechet_distance_is_the_one_with_the_matrix_square_root():
    rng = np.random.default_rng(0)
    a = rng.standard_normal((200, 6)) @ rng.standard_normal((6, 6))
    b = rng.standard_normal((150, 6)) + 0.5
    one, two = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    gap = a.mean(axis=0) - b.mean(axis=0)
    expected = gap @ gap + np.trace(one + two - 2 * np.real(linalg.sqrtm(one @ two)))
    assert frechet(a, b) == pytest.approx(expected, rel=1e-6)
    assert frechet(a, a) == pytest.approx(0, abs=1e-9)


def test_coverage_and_density_are_the_papers():
    rng = np.random.default_rng(1)
    real, fake = rng.standard_normal((90, 4)), 1.2 * rng.standard_normal((60, 4)) + 0.3
    radii = np.sort(cdist(real, real), axis=1)[:, NEAREST]
    inside = cdist(real, fake) < radii[:, None]
    found = compare(real, fake, 60, 0.05)
    assert found.coverage.value == pytest.approx(inside.any(axis=1).mean())
    assert found.density.value == pytest.approx(inside.sum() / (NEAREST * 60))
    assert found.frechet.value == pytest.approx(frechet(real, fake))


def test_larger_sets_are_measured_in_blocks_of_the_same_size():
    rng = np.random.default_rng(2)
    real, fake = rng.standard_normal((90, 4)), rng.standard_normal((120, 4))
    whole = compare(real, fake, 40, 0.05)
    parts = [compare(real, fake[i : i + 40], 40, 0.05) for i in (0, 40, 80)]
    for name in ("coverage", "density", "frechet"):
        assert getattr(whole, name).value == pytest.approx(np.mean([getattr(p, name).value for p in parts]))


def test_intervals_hold_the_mean_of_many_repetitions():
    rng = np.random.default_rng(3)
    found = [
        compare(rng.standard_normal((120, 3)), rng.standard_normal((80, 3)), 80, 0.05) for _ in range(60)
    ]
    for name, least in (("coverage", 51), ("density", 51), ("frechet", 48)):
        values = [getattr(one, name) for one in found]
        mean = np.mean([v.value for v in values])
        assert sum(v.lower <= mean <= v.upper for v in values) >= least, name
