"""Net present values against numpy-financial and two published worked examples."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from genepool.economics import monthly_rate, npv

KNOWN = json.loads((Path(__file__).parent / "fixtures" / "npv.json").read_text())


@pytest.mark.parametrize("row", KNOWN["rows"], ids=lambda row: f"{row['rate']}x{len(row['flows'])}")
def test_it_is_numpy_financials(row):
    assert npv(row["rate"], np.array(row["flows"])) == pytest.approx(row["npv"], rel=1e-12)


def test_many_rates_and_flows_at_once_are_each_alone():
    rng = np.random.default_rng(0)
    flows, rates = rng.normal(size=(7, 4)), np.array([0.0, 0.01, 0.1, 0.5])
    expected = [npv(rate, flows[:, i]) for i, rate in enumerate(rates)]
    assert npv(rates, flows) == pytest.approx(np.array(expected))
    assert npv(0.1, flows) == pytest.approx(np.array([npv(0.1, flows[:, i]) for i in range(4)]))


def test_the_worked_example_of_numpy_financials_manual():
    # "npv(0.08, [-40_000, 5_000, 8_000, 12_000, 30_000])" gives 3065.22 there.
    assert npv(0.08, np.array([-40_000.0, 5_000, 8_000, 12_000, 30_000])) == pytest.approx(3065.22, abs=0.01)


def test_a_yearly_rate_compounds_to_itself():
    assert (1 + monthly_rate(0.1)) ** 12 == pytest.approx(1.1)
    # A year of equal payments at the end of each month: an annuity.
    rate = monthly_rate(0.1)
    flows = np.array([0.0, *[100.0] * 12])
    assert npv(rate, flows) == pytest.approx(100 * (1 - (1 + rate) ** -12) / rate)
