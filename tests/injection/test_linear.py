"""The linear step under several demands, against HiGHS on the same programme."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import optimize

from genepool.injection._linear import cheapest


def asked(seed, n=60):
    rng = np.random.default_rng(seed)
    cost = rng.normal(size=n)
    human = rng.random(n) < 0.6
    quality = 5 + rng.normal(size=n) + 1.5 * cost  # what is cheap is bad: both demands bind
    return cost, np.stack((0.7 - human, 4.8 - quality)), int(rng.integers(5, 30))


def reference(cost, demands, count):
    return optimize.linprog(
        cost,
        A_ub=demands,
        b_ub=np.zeros(len(demands)),
        A_eq=np.ones((1, len(cost))),
        b_eq=[1],
        bounds=(0, 1 / count),
    )


@pytest.mark.parametrize("seed", range(12))
def test_two_demands_are_met_at_the_least_cost(seed):
    cost, demands, count = asked(seed)
    weights, chosen = cheapest(cost, count, demands)
    answer = reference(cost, demands, count)
    assert answer.status == 0
    assert weights @ cost == pytest.approx(answer.fun, abs=1e-6)
    assert weights.sum() == pytest.approx(1.0)
    assert weights.max() <= 1 / count + 1e-9
    assert (demands @ weights <= 1e-7).all()
    assert len(set(chosen.tolist())) == count
    assert (demands[:, chosen].sum(axis=1) <= 1e-6).all()
    # The whole set costs no less than the mixture, and about as much.
    assert answer.fun - 1e-6 <= cost[chosen].mean() <= answer.fun + 0.2


def test_the_demands_do_bind_in_these_programmes():
    together = 0
    for seed in range(12):
        cost, demands, count = asked(seed)
        free = np.argsort(cost)[:count]
        together += (demands[:, free].sum(axis=1) > 0).all()
    assert together >= 3


def test_a_demand_that_nothing_meets_leaves_the_first_one_whole():
    cost, demands, count = asked(3)
    demands[1] = 1.0
    weights, chosen = cheapest(cost, count, demands)
    assert weights.sum() == pytest.approx(1.0)
    assert demands[0, chosen].sum() <= 1e-6
    assert demands[0] @ weights <= 1e-7
