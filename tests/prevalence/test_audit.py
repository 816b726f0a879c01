"""The audit's guarantee: exactly on small sets, by simulation on larger ones, however bad the detector is."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genepool.errors import MeasureError
from genepool.prevalence import audit
from genepool.prevalence._audit import _Lower
from genepool.stats import clopper_pearson

SCORES = st.one_of(st.just(math.nan), st.floats(0, 1))
GRID = np.arange(0, 1, 0.05)


@pytest.mark.parametrize(
    ("truth", "scores", "known"),
    [
        ([1, 1, 0, 1, 0], [0.9, 0.8, 0.1, 0.7, 0.3], 0),
        ([1, 1, 0, 1, 0], [0.1, 0.2, 0.9, 0.3, 0.7], 0),  # reversed
        ([1, 0, 0, 0, 0, 1], [0.5] * 6, 0),
        ([1, 1, 1, 0, 1, 1], [0.0, 1.0, 1.0, 1.0, 0.0, 0.2], 3),
        ([0, 0, 0, 0, 1], [1.0, 1.0, 1.0, 0.0, 1.0], 2),
    ],
)
def test_no_game_against_a_true_candidate_can_be_won_on_average(truth, scores, known):
    # Every order is equally likely: the mean capital over all of them, at every moment, is at most 1
    # for every candidate at or above the truth. That is the martingale property, checked exactly.
    values = np.array(scores)
    n = len(truth) + known
    share = (sum(truth) + known) / n
    orders = list(itertools.permutations(range(len(truth))))
    capital = np.zeros((len(truth), len(GRID)))
    for order in orders:
        game = _Lower(values, known, n, GRID)
        for t, i in enumerate(order):
            game.see(values[i], bool(truth[i]))
            with np.errstate(over="ignore"):
                capital[t] += np.exp(game.log_capital)
    mean = capital / len(orders)
    assert (mean[:, share - 1e-12 <= GRID] <= 1 + 1e-9).all()
    # And it is worth playing: against candidates that are wrong, capital grows.
    assert mean[-1, 0] > 1


def population(rng, n, h, recall_human, recall_ai):
    y = np.zeros(n, bool)
    y[: round(h * n)] = True
    seems = np.where(y, rng.random(n) < recall_human, rng.random(n) >= recall_ai)
    return y, np.where(seems, 0.9, 0.1)


DETECTORS = {"good": (0.9, 0.9), "collapsed": (0.9, 0.3), "reversed": (0.1, 0.1), "constant": (1.0, 0.0)}


@pytest.mark.parametrize("detector", DETECTORS)
def test_false_certificates_are_rare_at_the_floor(detector):
    rng = np.random.default_rng(5)
    wrong, outside, runs = 0, 0, 100
    for _ in range(runs):
        y, scores = population(rng, 1000, 0.70, *DETECTORS[detector])
        found = audit(scores, lambda i, y=y: bool(y[i]), rng=rng, max_labels=150, floor=0.70)
        wrong += found.status == "pass"
        outside += bool((found.trace[:, 0] > 0.70).any())
    # The exact lower limit of the observed rate at 99 % must not exceed the promise.
    assert clopper_pearson(wrong, runs, 0.02)[0] <= 0.05
    assert clopper_pearson(outside, runs, 0.02)[0] <= 0.05


@pytest.mark.parametrize(("h", "status"), [(0.9, "pass"), (0.45, "fail")])
def test_clear_sets_are_decided_with_few_looks(h, status):
    rng = np.random.default_rng(2)
    labels = []
    for _ in range(15):
        y, scores = population(rng, 5000, h, 0.9, 0.9)
        found = audit(scores, lambda i, y=y: bool(y[i]), rng=rng)
        assert found.status == status
        assert found.lower <= h <= found.upper
        labels.append(found.n_labels)
    assert np.median(labels) <= 45


def test_a_good_detector_saves_looks_and_a_bad_one_costs_no_truth():
    rng = np.random.default_rng(3)
    labels = {}
    for name in ("good", "reversed"):
        counts = []
        for _ in range(12):
            y, scores = population(rng, 5000, 0.82, *DETECTORS[name])
            found = audit(scores, lambda i, y=y: bool(y[i]), rng=rng)
            assert found.status == "pass"
            counts.append(found.n_labels)
        labels[name] = np.median(counts)
    assert labels["good"] < 90


def test_everything_seen_is_exact():
    y = np.array([True] * 7 + [False] * 3)
    found = audit(np.full(10, 0.5), lambda i: bool(y[i]), floor=0.7, alpha=1e-6, rng=0)
    assert (found.status, found.lower) == ("pass", 0.7)
    found = audit(np.full(10, 0.5), lambda i: bool(y[i]), floor=0.71, alpha=1e-6, rng=0)
    assert found.status == "fail"
    assert found.lower <= 0.7 <= found.upper < 0.71


def test_verified_strata_are_counted_and_not_shown():
    strata = np.array([1] * 60 + [0] * 20 + [-1] * 20)
    asked = []

    def oracle(i):
        asked.append(i)
        return True

    found = audit(np.full(100, 0.5), oracle, strata=strata, floor=0.75, rng=1)
    assert found.status == "pass"
    assert min(asked) >= 80
    assert len(set(asked)) == len(asked) == found.n_labels
    settled = audit(np.full(100, 0.5), oracle, strata=np.array([1] * 90 + [-1] * 10), floor=0.75)
    assert (settled.status, settled.n_labels) == ("pass", 0)
    settled = audit(np.full(100, 0.5), oracle, strata=np.array([0] * 90 + [-1] * 10), floor=0.75)
    assert (settled.status, settled.n_labels) == ("fail", 0)
    assert settled.trace.shape == (0, 2)


def test_unsure_answers_count_against_either_claim():
    found = audit(np.full(400, 0.5), lambda i: None, floor=0.7, max_labels=200, rng=0)
    assert found.status == "undecided"
    assert (found.lower, found.upper) == (0.0, 1.0)


def test_labels_that_run_out_leave_it_undecided():
    rng = np.random.default_rng(0)
    y, scores = population(rng, 1000, 0.7, 0.9, 0.9)
    found = audit(scores, lambda i: bool(y[i]), max_labels=10, rng=0)
    assert (found.status, found.n_labels) == ("undecided", 10)
    assert audit(scores, lambda i: bool(y[i]), max_labels=0).status == "undecided"


def test_the_same_seed_gives_the_same_audit():
    rng = np.random.default_rng(0)
    y, scores = population(rng, 500, 0.8, 0.9, 0.9)
    one, two = (audit(scores, lambda i: bool(y[i]), rng=9) for _ in range(2))
    assert np.array_equal(one.trace, two.trace)
    assert one.point == two.point


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(st.booleans(), st.one_of(st.just(math.nan), st.floats(0, 1))), min_size=1, max_size=30
    ),
    st.integers(0, 99),
)
def test_bounds_are_ordered_and_tighten(items, seed):
    y = np.array([a for a, _ in items])
    scores = np.array([b for _, b in items])
    found = audit(scores, lambda i: bool(y[i]), floor=0.5, rng=seed, alpha=0.01)
    assert 0.0 <= found.lower <= found.point <= found.upper <= 1.0
    assert found.interval[0] <= found.lower
    assert found.interval[1] >= found.upper
    assert found.status != "undecided"  # all may be seen
    assert len(found.trace) == found.n_labels <= len(items)


@pytest.mark.parametrize(
    "options",
    [
        {"scores": np.zeros(0)},
        {"scores": np.array([1.2])},
        {"scores": np.array([np.inf])},
        {"scores": np.zeros((2, 2))},
        {"floor": 0.0},
        {"floor": 1.0},
        {"alpha": 0.0},
        {"max_labels": -1},
        {"strata": np.array([1])},
        {"strata": np.array([2, 0, 0])},
    ],
)
def test_impossible_input_is_refused(options):
    with pytest.raises(MeasureError, match="audit"):
        audit(options.pop("scores", np.full(3, 0.5)), lambda i: True, **options)
