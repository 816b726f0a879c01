"""What it will take: planning figures against the simulations, and the sentence that the gate prints."""

import numpy as np
import pytest

from genepool.prevalence import Auditor, Plan, Population, Reviewer, labels_needed, plan

N = 4000


def medians(h, recall, runs=60, looks=500):
    rng = np.random.default_rng(8)
    y = np.tile(np.arange(N) < h * N, (runs, 1))
    scores = np.full(y.shape, 0.5)
    if recall:
        scores = np.where(rng.random(y.shape) < recall, y, ~y) * 0.8 + 0.1
    order = rng.permuted(np.tile(np.arange(N), (runs, 1)), axis=1)[:, :looks]
    truth, shown = np.take_along_axis(y, order, 1), np.take_along_axis(scores, order, 1)
    game, done = Auditor(scores, Population(N), 0.7, 0.05, starts=[0]), np.full(runs, np.inf)
    for t in range(looks):
        game.see(shown[:, t], truth[:, t], ~truth[:, t])
        lower, upper = game.bounds()
        done[((lower >= 0.7) | (upper < 0.7)) & np.isinf(done)] = t + 1
    return float(np.median(done)), float(game.games[0].saved().mean())


@pytest.mark.parametrize(("h", "recall"), [(0.9, None), (0.8, None), (0.8, 0.9), (0.5, 0.9), (0.55, None)])
def test_the_plan_is_near_what_it_takes(h, recall):
    median, power = medians(h, recall)
    planned = labels_needed(h, Population(N), 0.7, 0.05, power=power)
    assert 0.6 * median - 5 <= planned <= 1.6 * median + 5


def test_what_is_verified_makes_the_rest_shorter_or_settles_it():
    assert labels_needed(0.5, Population(1000, 700, 0), 0.7, 0.05) == 0
    assert labels_needed(0.5, Population(1000, 0, 400), 0.7, 0.05) == 0
    assert labels_needed(0.9, Population(1000, 400, 50), 0.7, 0.05) < labels_needed(
        0.9, Population(1000), 0.7, 0.05
    )
    assert labels_needed(0.701, Population(50), 0.7, 0.05) == 50  # a census, at most


def test_reviewers_cost_labels_and_more_controls_pay_them_back():
    def needs(n, right):
        return labels_needed(0.85, Population(N), 0.7, 0.05, reviewers=(Reviewer.of(right, n, right, n),))

    assert labels_needed(0.85, Population(N), 0.7, 0.05) < needs(1000, 950) < needs(100, 95)
    hidden = labels_needed(0.72, Population(N), 0.7, 0.05, reviewers=(Reviewer.of(95, 100, 95, 100),))
    assert hidden is None


def test_capital_won_so_far_shortens_the_way():
    fresh = labels_needed(0.8, Population(N), 0.7, 0.05)
    assert labels_needed(0.8, Population(N), 0.7, 0.05, done=2.0) < fresh / 2
    assert labels_needed(0.8, Population(N), 0.7, 0.05, done=99.0) <= 3


def test_the_sentence():
    found = plan(Population(1000), 0.7, 0.05, controls=200, seconds=4.0)
    assert found.sentence().startswith("about ")
    assert "labels after 200 controls" in found.sentence()
    assert [round(share, 2) for share, _ in found.labels] == [0.9, 0.8]
    one = Plan(((0.8, 12),), 5.0)
    assert one.sentence() == "about 12 labels (1 minute) if 80% of them are human"
    assert "no number of answers is enough if 72%" in Plan(((0.72, None),)).sentence()
