"""The forecaster against the article's table, closed forms and a simulated biased sampler."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genepool.degradation import ARTICLE, Forecaster, backtest, score
from genepool.degradation._fit import path
from genepool.errors import MeasureError
from genepool.lineage import required_human_ratio, steady_retention
from genepool.records import Estimate

SHARES = [claim.human for claim in ARTICLE]


def test_the_articles_retention_column_is_one_number():
    made = Forecaster.fit([c.retention for c in ARTICLE], SHARES)
    assert made.b2.value == pytest.approx(0.393, abs=0.001)
    predicted = [float(v) for v in made.predict(SHARES[1:], start=100)]
    assert predicted == pytest.approx([69.6, 41.9, 20.6], abs=0.1)
    gaps = np.array(predicted) - [c.retention for c in ARTICLE[1:]]
    assert math.sqrt((gaps**2).mean()) == pytest.approx(2.5, abs=0.05)
    assert made.residual == pytest.approx(2.46, abs=0.05)
    # "The 70 % of the article is what this model demands for 80 % retention."
    assert made.required_human_ratio(0.8).value == pytest.approx(0.708, abs=0.001)


@pytest.mark.parametrize(
    ("column", "b2", "rmse"), [("diversity", 0.587, 0.018), ("preference", 0.647, 0.040)]
)
def test_the_articles_other_columns_each_have_their_own(column, b2, rmse):
    values = [getattr(c, column) for c in ARTICLE]
    made = Forecaster.fit(values, SHARES)
    assert made.b2.value == pytest.approx(b2, abs=0.001)
    assert made.residual / values[0] == pytest.approx(rmse, abs=0.001)


@pytest.mark.parametrize(
    ("b2", "target", "needed"), [(0.4, 0.8, 0.706), (0.64, 0.8, 0.59), (0.81, 0.8, 0.43), (0.4, 0.9, 0.84)]
)
def test_the_required_human_ratio_is_the_studys(b2, target, needed):
    assert required_human_ratio(b2, target) == pytest.approx(needed, abs=0.005)
    values = [1.0, *path([0.5, 0.2], b2)]
    made = Forecaster.fit(values, [1, 0.5, 0.2], errors=[0.001] * 3)
    found = made.required_human_ratio(target)
    assert found.value == pytest.approx(required_human_ratio(made.b2.value, target), abs=1e-9)
    assert found.lower <= needed + 0.01
    assert found.upper >= needed - 0.01


@given(
    b2=st.floats(0.05, 1.2),
    shares=st.lists(st.floats(0.0, 0.95), min_size=2, max_size=6),
    scale=st.floats(0.1, 100),
)
@settings(max_examples=40)
def test_sequences_that_follow_the_equation_are_recovered(b2, shares, scale):
    human = [1.0, *shares]
    values = [scale, *(scale * path(shares, b2))]
    made = Forecaster.fit(values, human)
    assert made.b2.value == pytest.approx(b2, abs=0.002)
    assert made.scale == pytest.approx(scale)


@given(b2=st.floats(0.05, 0.95), h=st.floats(0.05, 0.95))
@settings(max_examples=40)
def test_the_recursion_ends_at_its_fixed_point(b2, h):
    assert path([h] * 800, b2)[-1] == pytest.approx(steady_retention(h, b2), abs=1e-9)


def _simulated(b: float, shares: list[float], n: int, rng: np.random.Generator) -> list[float]:
    """A sampler that narrows: each set is fresh N(0, 1) and N(mean, b²·variance) of the set before."""
    values = []
    data = rng.standard_normal(n)
    for h in shares:
        fresh = round(h * n)
        made = data.mean() + b * data.std(ddof=1) * rng.standard_normal(n - fresh)
        data = np.concatenate((rng.standard_normal(fresh), made))
        values.append(float(data.var(ddof=1)))
    return values


@pytest.mark.parametrize(
    ("b", "h", "v"), [(0.9, 0.3, 0.6928), (0.9, 0.5, 0.8403), (0.8, 0.5, 0.7353), (0.8, 0.7, 0.8663)]
)
def test_a_biased_gaussian_sampler_ends_where_the_study_says(b, h, v):
    rng = np.random.default_rng(3)
    ends = [_simulated(b, [h] * 40, 4000, rng)[-1] for _ in range(12)]
    error = np.std(ends, ddof=1) / math.sqrt(len(ends))
    assert np.mean(ends) == pytest.approx(v, abs=4 * error)


def test_intervals_of_b2_cover_the_samplers_own():
    rng = np.random.default_rng(5)
    b, shares, n, hits, runs = 0.8, [1.0, 0.5, 0.2, 0.05], 2000, 0, 60
    for _ in range(runs):
        values = _simulated(b, shares, n, rng)
        made = Forecaster.fit(values, shares, errors=[v * math.sqrt(2 / n) for v in values])
        hits += made.b2.lower <= b * b <= made.b2.upper
    # 95 % nominal: under that, fewer than 51 of 60 have a probability below 0.001.
    assert hits >= 51


def test_prediction_intervals_cover_the_next_generation():
    rng = np.random.default_rng(6)
    shares, n, hits, runs = [1.0, 0.5, 0.3, 0.3], 1500, 0, 60
    for _ in range(runs):
        values = _simulated(0.75, shares, n, rng)
        made = Forecaster.fit(values[:3], shares[:3], errors=[v * math.sqrt(2 / n) for v in values[:3]])
        (found,) = made.predict(shares[3:])
        hits += found.lower <= values[3] <= found.upper
    assert hits >= 51


def test_several_runs_share_one_b2_but_not_their_level():
    shares = [1.0, 0.5, 0.2]
    runs = [[s, *(s * path(shares[1:], 0.6))] for s in (10.0, 12.0)]
    made = Forecaster.fit(runs, [shares, shares])
    assert made.b2.value == pytest.approx(0.6, abs=0.001)
    assert made.last == 1.0


def test_two_generations_do_with_errors_and_say_what_is_missing():
    known = Forecaster.fit([100, 70], [1, 0.5], errors=[3, 3])
    assert known.b2.value == pytest.approx(0.4, abs=0.002)
    assert 0.2 < known.b2.lower < 0.4 < known.b2.upper < 0.6
    assert "Two generations" in known.note
    blind = Forecaster.fit([100, 70], [1, 0.5])
    assert blind.b2.lower < 0.05
    assert blind.b2.upper > 1.4
    assert "whole range" in blind.note


def test_errors_come_from_estimates():
    def estimate(value: float) -> Estimate:
        return Estimate(value, value - 1.96, value + 1.96, 100, "", 0.05)

    one = Forecaster.fit([estimate(v) for v in (100, 70, 40)], [1, 0.5, 0.2])
    two = Forecaster.fit([100, 70, 40], [1, 0.5, 0.2], errors=[1.0] * 3)
    assert one.b2.value == pytest.approx(two.b2.value, abs=1e-3)
    assert one.b2.upper == pytest.approx(two.b2.upper, abs=1e-2)


def test_crossing_says_when_and_how_surely():
    made = Forecaster.fit([100, 73, 42, 18], SHARES)
    never = made.crossing([0.9] * 6, 0.6, start=100)
    assert never.generation is None
    assert never.chance < 0.01
    soon = made.crossing([0.3] * 6, 0.6, start=100)
    assert soon.generation == 1
    assert soon.earliest == 1
    assert soon.chance > 0.99


def test_a_saved_forecaster_predicts_the_same():
    made = Forecaster.fit([100, 73, 42, 18], SHARES, measure="retention_first")
    back = Forecaster.from_json(json.loads(json.dumps(made.to_json())))
    assert back.to_json() == made.to_json()
    (a,), (b,) = made.predict([0.7]), back.predict([0.7])
    assert a.value == pytest.approx(b.value)
    assert a.lower == pytest.approx(b.lower, abs=0.02 * a.value)
    with pytest.raises(MeasureError, match="saved forecaster"):
        Forecaster.from_json({"b2": 3})


@pytest.mark.parametrize(
    ("values", "human", "words"),
    [
        ([1.0], [1.0], "at least two generations"),
        ([1.0, 0.8], [1.0], "at least two generations"),
        ([1.0, 0.9], [1.0, 1.0], "trained on synthetic"),
        ([1.0, -0.5], [1.0, 0.5], "positive finite"),
        ([1.0, math.nan], [1.0, 0.5], "positive finite"),
        ([1.0, 0.5], [1.0, 1.5], r"\[0, 1\]"),
    ],
)
def test_what_cannot_be_fitted_is_refused_with_the_reason(values, human, words):
    with pytest.raises(MeasureError, match=words):
        Forecaster.fit(values, human)


def test_held_out_generations_beside_carrying_the_last_value_forward():
    rng = np.random.default_rng(8)
    shares = [1.0, 0.5, 0.2, 0.05]
    runs = [[1.0, *(path(shares[1:], 0.5) + 0.02 * rng.standard_normal(3))] for _ in range(8)]
    found = backtest(runs, [shares] * 8)
    assert found.predictions == 8 * 3  # fitted to two: two ahead; to three: one
    assert found.sequences == 8
    assert found.rmse < found.carried
    assert found.gain.lower > 0
    assert found.gain.value == pytest.approx(found.carried.value - found.rmse.value)
    # By hand, of one run: fit the first three, predict the fourth.
    made = Forecaster.fit(runs[0][:3], shares[:3])
    (ahead,) = made.predict([0.05], start=runs[0][2])
    alone = score(made, [runs[0]], [shares], known=3)
    assert alone.rmse.value == pytest.approx(abs(ahead.value - runs[0][3]))
    assert alone.carried.value == pytest.approx(abs(runs[0][2] - runs[0][3]))
    assert math.isnan(alone.rmse.lower)
    with pytest.raises(MeasureError, match="hold out"):
        backtest([[1.0, 0.5]], [[1.0, 0.5]])


def test_where_nothing_changes_the_last_value_is_as_good():
    rng = np.random.default_rng(9)
    shares = [1.0, 0.9, 0.9, 0.9]
    runs = [list(1.0 + 0.02 * rng.standard_normal(4)) for _ in range(6)]
    found = backtest(runs, [shares] * 6)
    assert found.gain.lower < 0.02
