"""Trend tests against scipy, and the alarm with its lead."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from genepool.degradation import mann_kendall
from genepool.degradation._trend import alarm_of, trend_of
from genepool.errors import MeasureError
from genepool.records import Estimate


def _estimates(values, error=1.0):
    return [Estimate(v, v - 1.959964 * error, v + 1.959964 * error, 100, "") for v in values]


@pytest.mark.parametrize("values", [[1, 2, 3, 4], [4, 1, 3, 2], [5, 4, 3, 2, 1], [2, 7, 1, 8, 3, 6]])
def test_mann_kendall_is_scipys_exact_kendall_test(values):
    tau, p = mann_kendall(values)
    known = stats.kendalltau(range(len(values)), values, method="exact")
    assert tau == pytest.approx(known.statistic)
    assert p == pytest.approx(known.pvalue)


def test_long_sequences_use_the_normal_limit_and_ties_count_half():
    rng = np.random.default_rng(0)
    values = np.arange(30) * 0.05 + rng.standard_normal(30)
    tau, p = mann_kendall(values)
    known = stats.kendalltau(range(30), values, method="asymptotic")
    assert tau == pytest.approx(known.statistic)
    assert p == pytest.approx(known.pvalue, rel=0.15)
    assert mann_kendall([1, 1, 1]) == (0.0, 1.0)
    assert mann_kendall([3.0] * 12) == (0.0, 1.0)
    with pytest.raises(MeasureError, match="at least two"):
        mann_kendall([1.0])


def test_the_slope_is_weighted_least_squares():
    values = [10.0, 8.5, 6.0, 5.5]
    found = trend_of("diversity", _estimates(values, 0.5), 0.05)
    assert found.slope == pytest.approx(np.polyfit([1, 2, 3, 4], values, 1)[0])
    error = 0.5 / np.sqrt(5)
    assert found.upper - found.slope == pytest.approx(1.959964 * error, rel=1e-4)
    assert found.p == pytest.approx(2 * stats.norm.sf(abs(found.slope) / error), rel=1e-3)


def test_no_trend_is_rarely_called_one():
    rng = np.random.default_rng(1)
    ps = [trend_of("x", _estimates(5 + rng.standard_normal(4)), 0.05).p for _ in range(400)]
    assert np.mean(np.array(ps) < 0.05) == pytest.approx(0.05, abs=0.035)


def _alarm(series, rising, retention, **changes):
    options = {"keep": 0.9, "floor": 0.6, "alpha": 0.05, "forecast": None, **changes}
    return alarm_of(series, rising, retention=retention, **options)


def test_the_alarm_comes_before_the_floor_and_says_by_how_much():
    series = {"tail": _estimates([100, 70, 40, 20], 3), "diversity": _estimates([100, 97, 95, 60], 3)}
    found = _alarm(series, {"tail": False, "diversity": False}, [1.0, 0.85, 0.7, 0.5])
    assert found.generation == 2
    assert found.measures == ("tail",)
    assert found.crossing == 4
    assert not found.forecast
    assert found.lead == 2


def test_an_interval_that_reaches_what_is_tolerated_is_no_alarm():
    series = {"tail": _estimates([100, 85], 5)}
    assert _alarm(series, {"tail": False}, [1.0, 0.95]).generation is None
    rising = {"frechet": _estimates([1.0, 3.0], 0.2)}
    assert _alarm(rising, {"frechet": True}, [1.0, 0.95]).generation == 2


def test_where_the_floor_is_not_reached_the_forecast_speaks():
    series = {"tail": _estimates([100, 60], 3)}
    found = _alarm(series, {"tail": False}, [1.0, 0.8], forecast=5)
    assert (found.crossing, found.forecast, found.lead) == (5, True, 3)
    # Crossed before anything was certain: a negative lead, not a hidden one.
    late = _alarm({"tail": _estimates([100, 95, 50], 3)}, {"tail": False}, [1.0, 0.5, 0.4])
    assert late.lead == -1


def test_false_alarms_stay_below_the_level():
    rng = np.random.default_rng(2)
    fired = 0
    for _ in range(300):
        series = {k: _estimates(100 + 5 * rng.standard_normal(4), 5) for k in "abcdef"}
        fired += _alarm(series, dict.fromkeys("abcdef", False), [1.0] * 4, keep=0.999).generation is not None
    # Three later generations share one level, and keep = 0.999 tolerates next to nothing: at most 3 × 2.5 %.
    assert fired / 300 < 0.12
