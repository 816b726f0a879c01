"""Facility location: the guarantee, and apricot's answer to the same question."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from genepool.injection._facility import representatives


def alike(n, seed=0, kinds=6):
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(kinds, 8))[rng.integers(0, kinds, n)] + 0.3 * rng.normal(size=(n, 8))
    return np.exp(-((rows[:, None] - rows[None]) ** 2).sum(-1) / 8)


@pytest.mark.parametrize("seed", range(6))
def test_it_reaches_most_of_the_best_possible(seed):
    s = alike(14, seed)
    best = max(s[list(pick)].max(axis=0).sum() for pick in itertools.combinations(range(14), 3))
    found = s[representatives(s, 3)].max(axis=0).sum()
    assert (1 - 1 / np.e) * best <= found <= best + 1e-12


def test_every_kind_has_its_representative_before_any_has_two():
    rng = np.random.default_rng(1)
    kind = np.repeat(np.arange(5), [40, 20, 10, 5, 2])
    rows = np.eye(5)[kind] * 6 + 0.1 * rng.normal(size=(77, 5))
    s = np.exp(-((rows[:, None] - rows[None]) ** 2).sum(-1))
    assert set(kind[representatives(s, 5)]) == set(range(5))


def test_apricot_chooses_the_same():
    from apricot import FacilityLocationSelection

    for seed, kinds in ((2, 15), (3, 4)):
        s = alike(120, seed, kinds)
        theirs = FacilityLocationSelection(20, metric="precomputed", optimizer="lazy").fit(s)
        assert representatives(s, 20).tolist() == theirs.ranking.tolist()


def test_it_ends_when_nothing_is_left():
    assert sorted(representatives(alike(5), 9).tolist()) == [0, 1, 2, 3, 4]
    assert len(representatives(alike(5), 0)) == 0
