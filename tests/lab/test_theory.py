"""The closed forms: simulated numbers within their Monte-Carlo error of independent arithmetic."""

from __future__ import annotations

import math

import pytest

from genepool.lab import theory


@pytest.fixture(scope="module")
def checks():
    return theory(seed=3)


def test_every_check_is_within_its_own_error(checks):
    for check in checks:
        assert check.holds, check.to_json()
        # Precise enough to be a check: the error is a small part of the number.
        assert check.error < 0.02 * check.exact + 1e-3, check.name


def by(checks, start):
    found = [check for check in checks if check.name.startswith(start)]
    assert found
    return found


def test_exact_values_are_the_textbook_ones(checks):
    replace = by(checks, "replace, n = 100, variance")
    assert [c.exact for c in replace] == pytest.approx([0.99, 0.96059601, 0.90438208], abs=1e-8)
    assert by(checks, "mix, h = 0.5, b = 0.8")[0].exact == pytest.approx(0.5 / (1 - 0.5 * 0.64))
    assert by(checks, "mix, h = 0.7, b = 0.9")[0].exact == pytest.approx(0.7 / (1 - 0.3 * 0.81))
    late = by(checks, "accumulate, n = 100, squared error of generation 30")[0]
    assert late.exact < math.pi**2 / 6 / 100
    assert late.exact == pytest.approx(0.0161215, abs=1e-7)


def test_another_truth_would_be_noticed(checks):
    # A loss per generation that is wrong by one part in n must fall outside four standard errors somewhere.
    replace = by(checks, "replace, n = 100, variance of generation 1")[0]
    assert abs(replace.simulated - 1.0) > 4 * replace.error
    accumulate = by(checks, "accumulate, n = 100, squared error of generation 30")[0]
    assert abs(accumulate.simulated - math.pi**2 / 600) > 4 * accumulate.error
