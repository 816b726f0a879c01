"""The Vendi score's own behaviour; its values are compared with the package in tests/references."""

from __future__ import annotations

import math
import pickle

import numpy as np
import pytest

from genepool.diversity import VendiState, vendi_score
from genepool.errors import MeasureError


def test_known_answers():
    eye = np.eye(8)
    assert vendi_score(np.repeat(eye, 50, axis=0)).plug_in == pytest.approx(8.0)
    same = vendi_score(np.repeat(eye[:1], 50, axis=0))
    assert float(same) == same.lower == same.upper == same.plug_in == pytest.approx(1.0)
    # Without comparing a row with itself, 400 rows in 8 kinds of 50 are alike in 49 of 399 pairs.
    assert vendi_score(np.repeat(eye, 50, axis=0)) == pytest.approx(399 / 49)


def test_the_unbiased_score_does_not_grow_with_n_and_the_ordinary_one_does():
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(100, 64))

    def draw(n):
        return centres[rng.integers(0, 100, n)] + 0.5 * rng.normal(size=(n, 64))

    small, large = [vendi_score(draw(60)) for _ in range(30)], vendi_score(draw(6000))
    assert np.mean([float(s) for s in small]) == pytest.approx(float(large), rel=0.1)
    assert np.mean([s.plug_in for s in small]) < 0.8 * large.plug_in


def test_the_interval_at_order_two_covers():
    rng = np.random.default_rng(1)
    centres = rng.normal(size=(30, 16))
    population = centres[rng.choice(30, 20_000, p=np.arange(30, 0, -1) / 465)] + 0.4 * rng.normal(
        size=(20_000, 16)
    )
    truth = float(vendi_score(population))
    hits = [
        e.lower <= truth <= e.upper
        for e in (vendi_score(population[rng.integers(0, 20_000, 200)]) for _ in range(400))
    ]
    assert 0.92 <= np.mean(hits) <= 0.98


def test_other_orders_have_an_interval_too_and_agree_with_the_spread_of_samples():
    rng = np.random.default_rng(2)
    population = rng.normal(size=(4000, 8)) * np.arange(1, 9)
    scores = [vendi_score(population[rng.integers(0, 4000, 400)], q=1.0) for _ in range(30)]
    spread = np.std([math.log(s) for s in scores], ddof=1)
    believed = np.mean([math.log(s.upper / s.lower) / (2 * 1.96) for s in scores])
    assert believed == pytest.approx(spread, rel=0.5)
    for q in (0.5, 1, 3, math.inf):
        e = vendi_score(population, q=q)
        assert e.lower < e < e.upper
        assert float(e) == e.plug_in
        assert e.q == q


def test_it_is_deterministic_and_survives_pickling():
    x = np.random.default_rng(3).normal(size=(100, 5))
    one, two = vendi_score(x, q=1), pickle.loads(pickle.dumps(vendi_score(x, q=1)))
    assert (one, one.lower, one.plug_in, one.q) == (two, two.lower, two.plug_in, two.q)


def test_weights_are_multiplicities():
    rng = np.random.default_rng(4)
    x = rng.normal(size=(40, 6))
    times = rng.integers(1, 4, 40)
    assert vendi_score(x, weights=times).plug_in == pytest.approx(
        vendi_score(np.repeat(x, times, axis=0)).plug_in
    )


@pytest.mark.parametrize(
    ("x", "options", "message"),
    [
        (np.ones((1, 3)), {}, "two rows"),
        (np.zeros((0, 3)), {}, "two rows"),
        (np.array([[1.0, np.nan], [1.0, 0.0]]), {}, "NaN, infinity or only zeros, first row 0"),
        (np.array([[1.0, 0.0], [0.0, 0.0]]), {}, "only zeros, first row 1"),
        (np.eye(3), {"q": -1}, "q ≥ 0"),
        (np.eye(3), {"q": math.nan}, "q ≥ 0"),
        (np.eye(3), {"weights": [1, 1]}, "beside"),
        (np.ones((1, 3)), {"q": 1}, "two rows"),
    ],
)
def test_bad_input_is_refused(x, options, message):
    with pytest.raises(MeasureError, match=message):
        vendi_score(x, **options)


def test_states_of_other_widths_do_not_mix():
    with pytest.raises(MeasureError, match="widths 3 and 4"):
        VendiState(3).merge(VendiState(4))


def test_order_two_in_single_precision_reads_what_double_precision_does():
    rng = np.random.default_rng(8)
    x = (rng.normal(size=(40, 96)))[rng.integers(0, 40, 5000)] + 0.6 * rng.normal(size=(5000, 96))
    weights = rng.integers(1, 4, 5000)
    exact = VendiState(96)
    exact.update(x, weights)
    fast = vendi_score(x.astype(np.float32), weights=weights)
    assert fast.plug_in == pytest.approx(exact.plug_in(2.0), rel=1e-7)
    assert 1.0 / float(fast) == pytest.approx(exact.purity(), rel=1e-7)
    # Copies are one kind, and never less.
    same = vendi_score(np.repeat(x[:1], 5000, axis=0))
    assert same.plug_in >= 1.0
    assert float(same) == pytest.approx(1.0, abs=1e-6)


def test_lengths_beyond_single_precision_are_no_trouble():
    x = np.random.default_rng(9).normal(size=(1000, 16))
    for length in (1e-30, 1e30):
        scaled = vendi_score(x * length)
        assert (float(scaled), scaled.upper) == pytest.approx(
            (float(vendi_score(x)), vendi_score(x).upper), rel=1e-6
        )
    x[7] = np.nan
    with pytest.raises(MeasureError, match="1 of 1000 rows hold NaN"):
        vendi_score(x)
