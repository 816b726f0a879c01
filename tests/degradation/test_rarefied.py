"""Retention at a matched size is the exact mean over all draws of that size."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import hypergeom

from genepool.degradation._rarefied import Kept, _mean_kept, ratio


def test_it_is_the_mean_over_all_draws():
    total, size = 60, 25
    shares = np.array([0.5, 0.3, 0.13, 0.07])
    counts = np.array([[0, 1, 7, 30], [2, 5, 20, 60], [0, 3, 9, 10], [1, 2, 4, 6]])
    found = _mean_kept(counts, total, size, size * shares)
    x = np.arange(size + 1)
    for k, row in enumerate(counts):
        for j, count in enumerate(row):
            expected = (hypergeom.pmf(x, total, count, size) * np.minimum(1, x / (size * shares[k]))).sum()
            assert found[k, j] == pytest.approx(expected, abs=1e-9)


def test_at_full_size_nothing_is_left_to_chance():
    shares = np.array([0.4, 0.35, 0.25])
    counts = np.array([30, 5, 10, 5])
    kept = Kept(counts, shares, 50)
    assert kept.value == pytest.approx(np.minimum(1, counts[:3] / 50 / shares))


def test_a_smaller_sample_of_the_same_source_keeps_as_much():
    rng = np.random.default_rng(4)
    shares = rng.dirichlet(np.ones(40))
    truth = np.append(shares, 0.0)
    ratios = []
    for _ in range(40):
        small, large = rng.multinomial(100, truth), rng.multinomial(800, truth)
        ratios.append(ratio(Kept(large, shares, 100), Kept(small, shares, 100), slice(None), 800, "", 0.05))
    assert np.mean([float(r) for r in ratios]) == pytest.approx(100, abs=1.5)
    # 95 % nominal: under that, fewer than 34 of 40 have a probability of 0.003.
    assert sum(r.lower <= 100 <= r.upper for r in ratios) >= 34


def test_the_error_is_not_too_small_nor_much_too_large():
    rng = np.random.default_rng(5)
    shares = rng.dirichlet(np.ones(30))
    found = [Kept(rng.multinomial(150, np.append(shares, 0.0)), shares, 60).mean() for _ in range(150)]
    values, errors = np.array(found).T
    # The standard deviation over 150 repetitions is itself known to 6 %.
    assert 0.9 < np.sqrt((errors**2).mean()) / values.std(ddof=1) < 1.5


def test_nothing_seen_is_not_nothing_there():
    shares = np.array([0.5, 0.5])
    none, all_there = Kept(np.array([0, 0, 40]), shares, 40), Kept(np.array([20, 20, 0]), shares, 40)
    found = ratio(none, all_there, slice(None), 40, "", 0.05)
    assert found.value == found.lower == 0
    assert 0 < found.upper < 20
    assert ratio(all_there, none, slice(None), 40, "", 0.05) is None
