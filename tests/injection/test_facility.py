"""Facility location: the guarantee, and apricot's answer to the same question."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from genepool.errors import MissingExtra
from genepool.injection import _facility
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


def test_large_problems_go_to_apricot_which_chooses_the_same(monkeypatch):
    s = alike(120, 2, kinds=15)
    own = representatives(s, 20)
    monkeypatch.setattr(_facility, "_NAIVE", 0)
    theirs = representatives(s, 20)
    assert own.tolist() == theirs.tolist()


def test_without_apricot_the_message_says_what_to_install(monkeypatch):
    monkeypatch.setattr(_facility, "_NAIVE", 0)
    monkeypatch.setitem(__import__("sys").modules, "apricot", None)
    with pytest.raises(MissingExtra, match="apricot-select") as raised:
        representatives(alike(5), 2)
    assert "genepool[inject]" in raised.value.hint
