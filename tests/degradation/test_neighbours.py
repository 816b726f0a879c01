"""Coverage and density in blocks, and the Fréchet distance without its bias."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import linalg
from scipy.spatial.distance import cdist

from genepool.degradation._neighbours import closeness, distance
from genepool.errors import MeasureError

NEAREST = 5


def test_coverage_and_density_are_the_papers():
    rng = np.random.default_rng(1)
    real, fake = rng.standard_normal((90, 4)), 1.2 * rng.standard_normal((60, 4)) + 0.3
    radii = np.sort(cdist(real, real), axis=1)[:, NEAREST]
    inside = cdist(real, fake) < radii[:, None]
    coverage, density = closeness(real, fake, 60, 0.05)
    assert coverage.value == pytest.approx(inside.any(axis=1).mean())
    assert density.value == pytest.approx(inside.sum() / (NEAREST * 60))


def test_larger_sets_are_measured_in_blocks_of_the_same_size():
    rng = np.random.default_rng(2)
    real, fake = rng.standard_normal((90, 4)), rng.standard_normal((120, 4))
    whole = closeness(real, fake, 40, 0.05)
    parts = [closeness(real, fake[i : i + 40], 40, 0.05) for i in (0, 40, 80)]
    for which in (0, 1):
        assert whole[which].value == pytest.approx(np.mean([p[which].value for p in parts]))
    assert whole[0].upper - whole[0].lower < parts[0][0].upper - parts[0][0].lower
    assert whole[0].n == 120


def test_intervals_hold_the_mean_of_many_repetitions():
    rng = np.random.default_rng(3)
    found = [
        closeness(rng.standard_normal((120, 3)), rng.standard_normal((80, 3)), 40, 0.05) for _ in range(60)
    ]
    for which in (0, 1):
        values = [one[which] for one in found]
        mean = np.mean([v.value for v in values])
        # 95 % nominal: under that, fewer than 51 of 60 have a probability below 0.001.
        assert sum(v.lower <= mean <= v.upper for v in values) >= 51


def test_the_frechet_distance_is_the_one_with_the_matrix_square_root_less_its_bias():
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((400, 5)) @ rng.standard_normal((5, 5)), rng.standard_normal((300, 5)) + 0.5
    one, two = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    gap = a.mean(axis=0) - b.mean(axis=0)
    plain = gap @ gap + np.trace(one + two - 2 * np.real(linalg.sqrtm(one @ two)))
    found = distance(a, b, 0.05)
    assert 0 < plain - found.value < 0.1 * plain
    # Samples of one and the same distribution are no distance apart in the mean, however small they are.
    same = [
        distance(rng.standard_normal((150, 5)), rng.standard_normal((60, 5)), 0.05).value for _ in range(60)
    ]
    assert np.mean(same) < 0.08
    with pytest.raises(MeasureError, match="at least 32"):
        distance(a, b[:20], 0.05)
