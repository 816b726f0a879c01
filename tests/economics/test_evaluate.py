"""Sensitivity, break-even and Monte Carlo by what must hold of them."""

from __future__ import annotations

import csv
import io
import json
import math

import numpy as np
import pytest

from genepool.degradation import Forecaster
from genepool.economics import Assumptions, count_debt, evaluate, plots
from genepool.economics._report import _percents
from genepool.errors import UsageError
from genepool.provenance import open_trail, trace_cohort, trace_model
from support.ledgers import small_log


@pytest.fixture(scope="module")
def report():
    return evaluate(draws=400)


def _fixed(given: Assumptions) -> Assumptions:
    return given.with_values(**{name.replace(".", "__"): one.value for name, one in given.numbers.items()})


def test_each_bar_is_the_difference_with_that_number_changed(report):
    middle = report.difference[0]
    for swing in report.swings[:4]:
        for end, value in ((swing.low, swing.at_low), (swing.high, swing.at_high)):
            if swing.name == "forecast.b2":
                continue
            changed = Assumptions.default().with_values(**{swing.name.replace(".", "__"): end})
            again = evaluate(changed, draws=100)
            assert again.difference[0] == pytest.approx(value, abs=1)
        assert (
            swing.low < Assumptions.default().numbers.get(swing.name, swing).high
            or swing.name == "forecast.b2"
        )
    widths = [abs(s.at_high - s.at_low) for s in report.swings]
    assert widths == sorted(widths, reverse=True)
    assert min(report.swings[0].at_low, report.swings[0].at_high) < middle


def test_at_the_break_even_value_both_are_worth_the_same():
    mild = Forecaster.fit([100, 88, 80], [1, 0.4, 0.3])
    found = evaluate(forecaster=mild, draws=100)
    known = [one for one in found.break_even if one.name != "month" and one.value is not None]
    assert known
    for one in known:
        changed = Assumptions.default().with_values(**{one.name.replace(".", "__"): one.value})
        assert evaluate(changed, mild, draws=100).difference[0] == pytest.approx(0, abs=5)


def test_the_month_of_break_even_is_where_the_curves_part_for_good(report):
    a, b = (next(o for o in report.outcomes if o.strategy.name == name) for name in report.compared)
    gap = np.array(a.cumulative) - np.array(b.cumulative)
    month = next(one for one in report.break_even if one.name == "month").value
    assert (gap[int(month) :] >= 0).all()
    assert month == 0 or gap[int(month) - 1] < 0
    assert gap[-1] == pytest.approx(report.difference[0])


def test_without_uncertainty_every_draw_is_the_same():
    sure = Forecaster.from_json(
        {**Forecaster.fit([1, 0.7], [1, 0.5], errors=[1e-3, 1e-3]).to_json(), "draws": [0.4], "error": 0.0}
    )
    found = evaluate(_fixed(Assumptions.default()), sure, draws=100)
    for one in found.outcomes:
        assert one.npv_interval[0] == pytest.approx(one.npv_interval[1])
        assert one.npv_interval[0] == pytest.approx(one.npv, rel=1e-3)
        assert one.chance_crossed in (0.0, 1.0)
    assert not any(s.name != "forecast.b2" for s in found.swings)


def test_the_same_seed_gives_the_same_numbers_and_more_draws_the_same_interval(report):
    assert evaluate(draws=400).to_json() == report.to_json()
    more = evaluate(draws=4000, seed=1)
    for a, b in zip(report.outcomes, more.outcomes, strict=True):
        assert a.npv == b.npv
        assert a.npv_median == pytest.approx(b.npv_median, rel=0.15)
    column = [row[3] for row in more.rows()[1:]]
    assert sum(int(text.removesuffix("%")) for text in column) == 100, column
    assert _percents([0.335, 0.335, 0.33]) == [34, 33, 33]
    assert _percents([0.005, 0.005, 0.99]) == [1, 0, 99]
    # Exactly one strategy is best in each draw.
    assert sum(o.chance_best for o in more.outcomes) == pytest.approx(1)


def test_retention_comes_from_the_forecaster(report):
    strong = evaluate(forecaster=Forecaster.fit([100, 99, 98.5], [1, 0.5, 0.2]), draws=100)
    assert all(o.crossed is None for o in strong.outcomes if not o.strategy.scraped)
    heavy = next(o for o in report.outcomes if o.strategy.name == "synthetic_heavy")
    assert heavy.crossed == 3
    assert heavy.chance_crossed == 1.0
    assert report.from_article
    assert not strong.from_article
    assert any("a claim" in line for line in report.sentences())


def test_json_csv_and_plots_tell_the_same(report):
    data = json.loads(json.dumps(report.to_json()))
    assert data["schema"] == "genepool.cost/1"
    assert set(data["assumptions"]["numbers"]["data.human_image"]) == {
        "value",
        "low",
        "high",
        "unit",
        "source",
        "about",
    }
    rows = list(csv.DictReader(io.StringIO(report.csv())))
    assert len(rows) == 4 * 19
    last = next(r for r in rows if r["strategy"] == "hybrid" and r["month"] == "18")
    hybrid = next(s for s in data["strategies"] if s["strategy"]["name"] == "hybrid")
    assert float(last["cumulative_discounted"]) == pytest.approx(hybrid["npv"], abs=0.01)
    assert float(last["retention"]) == pytest.approx(hybrid["retention"][-1], abs=1e-6)
    assert {"retention", "value", "costs", "tornado"} == set(plots(report))


def test_debt_is_counted_from_the_log(tmp_path, own_home):
    space = small_log(tmp_path)
    from genepool.config import Config

    trail = open_trail(space, Config())
    debt = count_debt(trail, trace_model(trail, "m"))
    assert (debt.models, debt.cohorts, debt.images) == (1, 1, 4)
    upstream = count_debt(trail, trace_cohort(trail, "a"))
    # The cohort itself (5), the model and its outputs (4), and the checked set of 7 that holds cohort a.
    assert upstream.models == 1
    assert upstream.sets == 1
    assert upstream.images == 5 + 4 + 7
    found = evaluate(draws=100, debt=debt)
    assert found.assumptions.numbers["debt.images"].value == 4
    assert found.debt["models"] == 1
    assert any("counted from the log" in line for line in found.sentences())


def test_bad_arguments_are_refused():
    with pytest.raises(UsageError, match="at least 100 draws"):
        evaluate(draws=5)
    with pytest.raises(UsageError, match="expected a strategy, found 'nope'"):
        evaluate(draws=100, compare=("hybrid", "nope"))
    assert math.isfinite(evaluate(draws=100, compare=("human_only", "hybrid")).difference[0])
