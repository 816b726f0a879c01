"""The audit's guarantee: exactly on small sets, by simulation on larger ones, however bad the detector is."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genepool.errors import MeasureError
from genepool.prevalence import Auditor, Population, Reviewer, audit, audit_share, panel_rates
from genepool.stats import BettingGame, clopper_pearson

SCORES = st.one_of(st.just(math.nan), st.floats(0, 1))
SHARES = np.arange(0, 1, 0.05)


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
    table = np.array(orders)
    game = BettingGame(np.tile(values, (len(orders), 1)), SHARES * n - known)
    for t in range(len(truth)):
        game.see(values[table[:, t]], np.array(truth, bool)[table[:, t]])
        with np.errstate(over="ignore"):
            mean = np.exp(game.log_capital).mean(axis=0)
        assert (mean[share - 1e-12 <= SHARES] <= 1 + 1e-9).all()
    # And it is worth playing: against candidates that are wrong, capital grows.
    assert mean[0] > 1


def population(rng, n, h, recall_human, recall_ai):
    y = np.zeros(n, bool)
    y[: round(h * n)] = True
    seems = np.where(y, rng.random(n) < recall_human, rng.random(n) >= recall_ai)
    return y, np.where(seems, 0.9, 0.1)


DETECTORS = {"good": (0.9, 0.9), "collapsed": (0.9, 0.3), "reversed": (0.1, 0.1), "constant": (1.0, 0.0)}


@pytest.mark.parametrize("detector", DETECTORS)
def test_false_certificates_are_rare_at_the_floor(detector):
    runs, n, looks, rng = 300, 1000, 200, np.random.default_rng(5)
    y = np.zeros((runs, n), bool)
    y[:, :700] = True
    sure, right = DETECTORS[detector]
    scores = np.where(np.where(y, rng.random(y.shape) < sure, rng.random(y.shape) >= right), 0.9, 0.1)
    order = rng.permuted(np.tile(np.arange(n), (runs, 1)), axis=1)[:, :looks]
    truth, shown = np.take_along_axis(y, order, 1), np.take_along_axis(scores, order, 1)
    game = Auditor(scores, Population(n), 0.70, 0.05, starts=[680, 690, 700, 710])
    passed, outside = np.zeros(runs, bool), np.zeros(runs, bool)
    for t in range(looks):
        game.see(shown[:, t], truth[:, t], ~truth[:, t])
        lower, upper = game.bounds()
        passed |= lower >= 0.70
        outside |= (lower > 0.70) | (upper < 0.70)
    # The exact lower limit of the observed rate at 99 % must not exceed the promise.
    assert clopper_pearson(int(passed.sum()), runs, 0.02)[0] <= 0.05
    assert clopper_pearson(int(outside.sum()), runs, 0.02)[0] <= 0.05


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
    assert found.interval == (found.lower, found.upper)
    assert (np.diff(found.trace, axis=0) * (1, -1) >= 0).all()
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


def test_the_truth_stays_inside_at_every_stopping_time_and_orders_count_it_exactly():
    # All orders of a small set: the share of orders in which the truth is ever lost is exact, no simulation.
    truth, values = np.array([1, 1, 1, 0, 1, 0, 1], bool), np.array([0.9, 0.2, 0.8, 0.1, 0.9, 0.9, 0.5])
    orders = np.array(list(itertools.permutations(range(7))))
    for alpha in (0.5, 0.3, 0.1):
        game = Auditor(np.tile(values, (len(orders), 1)), Population(9, 2), 0.6, alpha)
        lost = np.zeros(len(orders), bool)
        for t in range(7):
            human = truth[orders[:, t]]
            game.see(values[orders[:, t]], human, ~human)
            lower, upper = game.bounds()
            lost |= (lower > 7 / 9 + 1e-12) | (upper < 7 / 9 - 1e-12)
        assert lost.mean() <= alpha
        assert np.allclose(lower, 7 / 9)
        assert np.allclose(upper, 7 / 9)


@pytest.mark.parametrize("recalls", [(0.95, 0.95), (0.95, 0.75)])
@pytest.mark.parametrize("detector", ["good", "collapsed"])
def test_reviewers_who_err_do_not_make_false_certificates(recalls, detector):
    # At .60 human, .25 of the AI images called human look like .67, and .70 is passed by chance quickly
    # if one believes them.
    runs, n, looks, rng = 200, 2000, 300, np.random.default_rng(11)
    y = np.zeros((runs, n), bool)
    y[:, : round(0.69 * n)] = True
    order = rng.permuted(np.tile(np.arange(n), (runs, 1)), axis=1)[:, :looks]
    sure, right = DETECTORS[detector]
    scores = np.where(np.where(y, rng.random(y.shape) < sure, rng.random(y.shape) >= right), 0.9, 0.1)
    truth, shown = np.take_along_axis(y, order, 1), np.take_along_axis(scores, order, 1)
    says = truth ^ (rng.random(truth.shape) >= np.where(truth, *recalls))
    people = [
        Reviewer.of(*(int(x) for k in recalls for x in (rng.binomial(100, k), 100))) for _ in range(runs)
    ]
    rates = [panel_rates([p], 0.05) for p in people]
    game = Auditor(scores, Population(n), 0.70, 0.05 * audit_share(people), rates, starts=[1380, 1381])
    naive = Auditor(scores, Population(n), 0.70, 0.05, None, starts=[1380, 1381])
    passed, fooled = np.zeros(runs, bool), np.zeros(runs, bool)
    for t in range(looks):
        game.see(shown[:, t], says[:, t], ~says[:, t])
        naive.see(shown[:, t], says[:, t], ~says[:, t])
        passed |= game.bounds()[0] >= 0.70
        fooled |= naive.bounds()[0] >= 0.70
    assert clopper_pearson(int(passed.sum()), runs, 0.02)[0] <= 0.05
    if recalls[1] < 0.9:
        assert fooled.mean() > 0.1  # believing them would have certified falsely


def test_a_reviewer_inside_the_certificate_costs_labels_and_never_truth():
    rng = np.random.default_rng(4)
    y, scores = population(rng, 4000, 0.92, 0.9, 0.9)
    known = audit(scores, lambda i: bool(y[i]), rng=1)
    erring = audit(scores, lambda i: bool(y[i]), rng=1, reviewer=Reviewer.of(198, 200, 196, 200))
    assert known.status == erring.status == "pass"
    assert erring.n_labels > known.n_labels
    assert any("reviewers err" in text for text in erring.assumptions)
    assert any("answers are right" in text for text in known.assumptions)
    with pytest.raises(MeasureError, match=r"may not certify by sight.*Youden"):
        audit(scores, lambda i: True, reviewer=Reviewer.of(60, 100, 60, 100, "r"))
    with pytest.raises(MeasureError, match="needs 100 of each"):
        audit(scores, lambda i: True, reviewer=Reviewer.of(99, 99, 200, 200))


@pytest.mark.parametrize("told", [True, False])
def test_taking_out_what_was_called_ai_and_drawing_again_fools_nobody(told):
    # A reviewer who misses a quarter of the AI images judges 900 of 1,000; what was called AI is taken out,
    # and the same answers count again in the new order. What is left was selected by these very answers.
    runs, rng, recalls, lost = 40, np.random.default_rng(6), (0.95, 0.75), 0
    one = Reviewer.of(3800, 4000, 3000, 4000)
    rates, own = [panel_rates([one], 0.05)], 0.05 * audit_share([one])
    for _ in range(runs):
        truth = rng.permutation(np.arange(1000) < 600)
        says = truth ^ (rng.random(1000) >= np.where(truth, *recalls))
        first = np.arange(1000) < 900
        left = ~(first & ~says)
        truth, says, judged = truth[left], says[left], int((first & left).sum())
        n, human = len(truth), int(truth.sum())
        past = Population(n, 0, 0, judged, 900) if told else Population(n)
        game = Auditor(np.full(n, 0.5), past, 0.9, own, rates, starts=[human, human + 1])
        for i in rng.permutation(n)[:150]:
            game.see(0.5, bool(says[i]), not says[i])
        lower, upper = game.bounds()
        lost += lower[0] > human / n + 1e-12 or upper[0] < human / n - 1e-12
    if told:
        assert clopper_pearson(int(lost), runs, 0.02)[0] <= 0.05
    else:
        assert lost > runs / 2  # who is not told that answers came first is fooled
