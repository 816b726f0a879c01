"""Bounds on shares against SciPy's own implementations and published tables."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats as sps

from genepool.errors import MeasureError
from genepool.stats import (
    bonferroni,
    clopper_pearson,
    finite_bounds,
    finite_lower,
    finite_upper,
    holm,
    wilson,
)


@pytest.mark.parametrize(("k", "n"), [(0, 1), (0, 20), (1, 10), (7, 10), (10, 10), (81, 263), (500, 1000)])
@pytest.mark.parametrize("alpha", [0.01, 0.05, 0.2])
def test_intervals_agree_with_scipy(k, n, alpha):
    result = sps.binomtest(k, n)
    for ours, theirs in ((clopper_pearson, "exact"), (wilson, "wilson")):
        interval = result.proportion_ci(1 - alpha, method=theirs)
        assert ours(k, n, alpha) == pytest.approx((interval.low, interval.high), abs=1e-9)


def test_newcombe_1998_table():
    # R. G. Newcombe, Stat. Med. 17 (1998) 857, table I: 81 of 263, 15 of 148, 0 of 20, 1 of 29.
    assert clopper_pearson(81, 263) == pytest.approx((0.2527, 0.3676), abs=5e-5)
    assert wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert clopper_pearson(15, 148) == pytest.approx((0.0578, 0.1617), abs=5e-5)
    assert wilson(15, 148) == pytest.approx((0.0624, 0.1605), abs=5e-5)
    assert clopper_pearson(0, 20) == pytest.approx((0.0, 0.1684), abs=5e-5)
    assert wilson(1, 29) == pytest.approx((0.0061, 0.1718), abs=5e-5)


def test_nothing_seen_says_nothing():
    assert clopper_pearson(0, 0) == (0.0, 1.0)
    assert wilson(0, 0) == (0.0, 1.0)
    assert finite_bounds(0, 0, 40) == (0, 40)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 60), st.data())
def test_finite_bounds_are_the_exact_inversion(population, data):
    n = data.draw(st.integers(0, population))
    k = data.draw(st.integers(0, n))
    alpha = data.draw(st.sampled_from([0.01, 0.05, 0.1]))
    counts = range(k, population - n + k + 1)
    above = {m: sps.hypergeom.sf(k - 1, population, m, n) for m in counts}
    below = {m: sps.hypergeom.cdf(k, population, m, n) for m in counts}
    # A tail that equals alpha to the last bits may fall on either side of it.
    lowest = [min(m for m in counts if above[m] > alpha + e) for e in (-1e-12, 1e-12)]
    highest = [max(m for m in counts if below[m] > alpha + e) for e in (-1e-12, 1e-12)]
    assert finite_lower(k, n, population, alpha) in lowest
    assert finite_upper(k, n, population, alpha) in highest


def test_finite_coverage_is_at_least_nominal_everywhere():
    population, n, alpha = 40, 13, 0.1
    for successes in range(population + 1):
        k = np.arange(n + 1)
        chance = sps.hypergeom.pmf(k, population, successes, n)
        inside = [
            low <= successes <= high for low, high in (finite_bounds(int(j), n, population, alpha) for j in k)
        ]
        assert chance[np.array(inside)].sum() >= 1 - alpha - 1e-12


def test_finite_bounds_of_everything_are_exact_and_of_endlessness_binomial():
    assert finite_bounds(13, 50, 50) == (13, 13)
    low, high = finite_bounds(70, 100, 10**8)
    assert (low / 1e8, high / 1e8) == pytest.approx(clopper_pearson(70, 100), abs=1e-5)


def test_zero_failure_plans():
    # Nine of nine prove 70 % at 95 %, eight of eight do not (design table of zero-failure plans).
    assert clopper_pearson(9, 9, 0.10)[0] >= 0.70 > clopper_pearson(8, 8, 0.10)[0]


@settings(max_examples=80, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_never_exceeds_bonferroni_and_keeps_order(p):
    h, b = holm(p), bonferroni(p)
    assert (h <= b + 1e-15).all()
    assert (h >= np.asarray(p) - 1e-15).all()
    order = np.argsort(p, kind="stable")
    assert (np.diff(h[order]) >= 0).all()


def test_holm_worked_example():
    # Holm 1979 as in R's p.adjust(c(0.01, 0.02, 0.03, 0.04), "holm").
    assert holm([0.01, 0.02, 0.03, 0.04]) == pytest.approx([0.04, 0.06, 0.06, 0.06])
    assert bonferroni([0.01, 0.02, 0.03, 0.4]) == pytest.approx([0.04, 0.08, 0.12, 1.0])


@pytest.mark.parametrize(
    "call",
    [
        lambda: clopper_pearson(3, 2),
        lambda: wilson(-1, 2),
        lambda: clopper_pearson(1, 2, 0.0),
        lambda: finite_lower(1, 5, 4),
        lambda: holm([0.2, 1.4]),
        lambda: bonferroni([float("nan")]),
    ],
)
def test_impossible_input_is_refused(call):
    with pytest.raises(MeasureError):
        call()
