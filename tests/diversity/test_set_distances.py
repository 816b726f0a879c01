"""Fréchet and kernel distance, density and coverage: their intervals, their states, what they refuse."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genepool.diversity import MomentState, frechet_distance, kernel_distance, neighbourhood
from genepool.errors import MeasureError


def sample(n, seed, d=6, shift=0.0):
    return np.random.default_rng(seed).normal(size=(n, d)) * np.arange(1, d + 1) + shift


@pytest.mark.parametrize(
    ("measure", "truth"),
    [
        (lambda x, y: frechet_distance(x, y), 6 * 0.7**2),
        # E k(x,x') + E k(y,y') − 2 E k(x,y), from two large samples.
        (lambda x, y: kernel_distance(x, y), None),
    ],
)
def test_nineteen_of_twenty_intervals_hold_the_truth(measure, truth):
    if truth is None:
        truth = float(measure(sample(4000, 1, shift=0.7), sample(4000, 2)))
    found = [measure(sample(400, 10 + i, shift=0.7), sample(400, 500 + i)) for i in range(120)]
    bias = np.mean([getattr(e, "floor", 0.0) for e in found])
    hits = np.mean([e.lower - bias <= truth <= e.upper - bias for e in found])
    assert 0.89 <= hits <= 0.99


def test_the_floor_is_what_two_samples_of_one_kind_read():
    found = [frechet_distance(sample(150, i), sample(300, 1000 + i)) for i in range(60)]
    assert np.mean([float(e) for e in found]) == pytest.approx(np.mean([e.floor for e in found]), rel=0.1)


def test_kernel_distance_of_like_sets_is_nothing_on_average():
    found = [kernel_distance(sample(100, i), sample(80, 1000 + i)) for i in range(60)]
    assert abs(np.mean([float(e) for e in found])) < 2 * np.std([float(e) for e in found]) / np.sqrt(60)
    assert sum(e.lower <= 0 <= e.upper for e in found) >= 54


@settings(max_examples=25)
@given(cuts=st.lists(st.integers(0, 90), max_size=6), seed=st.integers(0, 9))
def test_moments_of_parts_add_up_whatever_the_parts(cuts, seed):
    x, y = sample(90, seed), sample(64, 77)
    whole = MomentState(6)
    whole.update(x)
    merged = MomentState(6)
    for part in np.split(x, sorted(cuts)):
        state = MomentState(6)
        state.update(part)
        merged.merge(state)
    assert merged.n == whole.n == 90
    assert np.allclose(merged.mean(), x.mean(axis=0), rtol=1e-9)
    assert np.allclose(merged.covariance(), np.cov(x, rowvar=False), rtol=1e-9)
    a, b = frechet_distance(whole, y), frechet_distance(merged, y)
    assert float(a) == pytest.approx(float(b), rel=1e-9)
    assert float(a) == pytest.approx(float(frechet_distance(x, y)), rel=1e-12)


def test_neighbourhoods_by_hand():
    reference = np.array([[0.0], [1.0], [2.0], [3.0], [10.0], [11.0]])
    found = neighbourhood(np.array([[0.4], [1.5], [2.5], [20.0]]), reference, k=1)
    # Radii of the reference are 1; of the images 1.1, 1, 1, 17.5.
    assert float(found.precision) == 3 / 4
    assert float(found.coverage) == 4 / 6
    assert float(found.density) == 6 / 4
    assert float(found.recall) == 1.0


def test_noise_raises_recall_and_coverage_sees_the_loss():
    reference = sample(400, 1)
    noisy = sample(400, 2) + np.random.default_rng(3).normal(size=(400, 6)) * 8
    fresh, lost = neighbourhood(sample(400, 4), reference), neighbourhood(noisy, reference)
    assert lost.coverage.upper < fresh.coverage.lower
    assert lost.density.upper < fresh.density.lower
    assert float(lost.recall) > float(fresh.recall) - 0.02


def test_intervals_of_coverage_and_density_are_as_wide_as_samples_differ():
    found = [neighbourhood(sample(150, i, d=3), sample(150, 900 + i, d=3)) for i in range(80)]
    for name in ("coverage", "density", "precision"):
        values = [getattr(f, name) for f in found]
        spread = np.std([float(v) for v in values], ddof=1)
        believed = np.mean([(v.upper - v.lower) for v in values]) / (2 * 1.96)
        assert 0.6 * spread < believed < 2.5 * spread, name


def test_ties_and_copies_are_exact():
    x = np.repeat(np.arange(40.0)[:, None], 3, axis=1)
    found = neighbourhood(x, x, k=2)
    assert float(found.coverage) == 1.0
    twice = neighbourhood(np.repeat(x, 2, axis=0), x, k=2)
    assert float(twice.coverage) == 1.0
    assert float(twice.density) == pytest.approx(float(found.density))


def test_it_survives_pickling():
    e = frechet_distance(sample(64, 1), sample(64, 2))
    assert (lambda o: (o.value, o.floor))(pickle.loads(pickle.dumps(e))) == (e.value, e.floor)
    assert e.to_json()["floor"] == e.floor


@pytest.mark.parametrize("measure", [frechet_distance, kernel_distance, neighbourhood])
def test_bad_input_is_refused(measure):
    good = sample(64, 1)
    with pytest.raises(MeasureError, match="at least"):
        measure(good[:5], good)
    with pytest.raises(MeasureError, match="widths 5 and 6"):
        measure(good[:, :5], good)
    with pytest.raises(MeasureError, match="NaN or infinity"):
        measure(np.where(np.arange(64)[:, None] == 9, np.nan, good), good)
    with pytest.raises(MeasureError, match="read twice"):
        measure(iter([good]), good)
