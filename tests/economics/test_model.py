"""The monthly model: money adds up, retention is the forecaster's, the floor is crossed when it is."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genepool.degradation import Forecaster
from genepool.degradation._fit import path
from genepool.economics import Assumptions, Strategy, run, values_of
from genepool.economics._model import COSTS, LOSSES

GIVEN = Assumptions.default()


def _course(human, b2=0.4, scraped=False, gated=False, **changes):
    given_ = GIVEN.with_values(**changes) if changes else GIVEN
    strategy = Strategy("x", "x", human, gated, scraped)
    return run(strategy, values_of(given_), np.array([b2]))


@given(human=st.floats(0, 1), b2=st.floats(0.05, 1.0), gated=st.booleans())
@settings(max_examples=40)
def test_money_adds_up(human, b2, gated):
    course = _course(human, b2, gated=gated)
    spent = sum(course.flows[name] for name in COSTS)
    assert course.cash == pytest.approx(course.flows["revenue"] - spent)
    full = GIVEN.numbers["market.revenue"].value
    lost = sum(course.flows[name] for name in LOSSES)
    assert course.flows["revenue"] + lost == pytest.approx(np.full_like(lost, full))
    assert all((flow >= 0).all() for name, flow in course.flows.items() if name != "revenue")
    if not gated:
        # Only a repair is checked; who never needs one checks nothing.
        assert course.repairs[0] or course.flows["verify"].sum() == 0


def test_retention_is_the_forecasters():
    course = _course(0.7, 0.393)
    months = range(3, 19, 3)
    assert course.retention[list(months), 0] == pytest.approx(path([0.7] * 6, 0.393))
    made = Forecaster.fit([100, 73, 42, 18], [1, 0.5, 0.2, 0.05])
    ahead = [v.value / 100 for v in made.predict([0.7] * 6, start=100)]
    assert _course(0.7, made.b2.value).retention[list(months), 0] == pytest.approx(ahead)
    assert np.isinf(course.crossed[0])
    assert course.flows["debt"].sum() == 0


def test_the_floor_is_crossed_at_the_training_that_crosses_it():
    # v: 1, .5 + .5·.4 = .7, .5 + .5·.4·.7 = .64, .628, …: never below .6, at once below .71.
    assert np.isinf(_course(0.5, 0.4).crossed[0])
    assert _course(0.5, 0.4, policy__floor=0.65, policy__target=0.9).crossed[0] == 6
    assert _course(0.5, 0.4, policy__floor=0.71, policy__target=0.9).crossed[0] == 3


def test_a_repair_costs_what_it_says_and_brings_the_model_back():
    course = _course(0.2, 0.4, training__remedy=2)
    x = {name: one.value for name, one in GIVEN.numbers.items()}
    assert course.crossed[0] == 3
    target = x["policy.target"]
    needed = target * 0.6 / (1 - target * 0.4)
    images = (needed - 0.2) * x["data.images"]
    debt = x["debt.images"] * (x["debt.purge"] + x["debt.reaudit"]) + x["debt.models"] * x["debt.retrain"]
    assert course.flows["debt"][3, 0] == pytest.approx(debt + x["debt.certificates"] * x["debt.certificate"])
    assert course.flows["retrain"][3, 0] == pytest.approx(images * x["data.human_image"] + x["training.run"])
    assert course.retention[4, 0] == pytest.approx(0.2 + 0.8 * 0.4)
    assert course.retention[5, 0] == pytest.approx(target)
    assert course.flows["brand"][3, 0] > 0
    assert course.flows["brand"][5, 0] == 0
    assert course.flows["train"][6, 0] > 0


def test_a_scrape_gets_worse_with_the_web():
    course = _course(0.0, 0.4, scraped=True)
    x = {name: one.value for name, one in GIVEN.numbers.items()}
    assert course.human[3, 0] == pytest.approx(1 - x["web.synthetic"] - 3 * x["web.growth"])
    late = _course(0.0, 0.4, scraped=True, web__growth=1.0)
    assert late.human[18, 0] == pytest.approx(0.05)


@pytest.mark.parametrize(
    "name", ["data.human_image", "training.run", "market.loss", "debt.purge", "market.brand"]
)
def test_what_costs_more_is_worth_less(name):
    grid = np.linspace(0.5, 2.0, 6) * GIVEN.numbers[name].value
    values = values_of(GIVEN, 6)
    values[name] = grid
    course = run(Strategy("x", "x", 0.3, True, False), values, np.full(6, 0.5))
    assert (np.diff(course.cash.sum(axis=0)) < 0).all()


def test_many_draws_are_each_alone():
    values = values_of(GIVEN, 3)
    values["data.renewed"] = np.array([0.1, 0.2, 0.4])
    b2 = np.array([0.3, 0.5, 0.9])
    together = run(Strategy("x", "x", 0.3, True, False), values, b2)
    for i in range(3):
        alone = run(
            Strategy("x", "x", 0.3, True, False), {k: v[i : i + 1] for k, v in values.items()}, b2[i : i + 1]
        )
        assert together.cash[:, i] == pytest.approx(alone.cash[:, 0])
        assert together.crossed[i] == alone.crossed[0]
