"""The certificate's numbers against independent implementations, and against counting every case."""

import itertools
import json
import math
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from scipy import stats as reference

from genepool.prevalence import Rates, Reviewer, ceiling, panel_rates
from genepool.stats import BettingGame, acceptance_plan, ppi_mean, rogan_gladen

FIXTURES = Path(__file__).parent / "fixtures"


def rows(name):
    return json.loads((FIXTURES / name).read_text("utf-8"))["rows"]


@pytest.mark.parametrize("row", rows("betting_capital.json"), ids=lambda r: f"{r['n']}-{r['null']}")
def test_capital_is_that_of_confseq(row):
    game = BettingGame(np.full(row["n"], 0.5), np.array([row["null"] * row["n"]]))
    for answer, capital in zip(row["answers"], row["capital"], strict=True):
        game.see(0.5, bool(answer))
        if np.isfinite(game.log_capital[0, 0]):
            assert math.exp(game.log_capital[0, 0]) == pytest.approx(capital, rel=1e-9)


@pytest.mark.parametrize("row", rows("ppi_mean.json"))
def test_ppi_is_that_of_ppi_python(row):
    found = ppi_mean(row["labels"], row["predicted"], row["unlabelled"], alpha=0.1, weight=row["weight"])
    assert [found.value, found.lower, found.upper] == pytest.approx(
        [row["point"], row["lower"], row["upper"]], abs=1e-12
    )
    assert found.method.startswith("triage only")


def test_the_game_with_scores_is_that_of_a_plain_program_in_exact_arithmetic():
    # Written differently: fractions, lists, the definition of the martingale; told only what was learnt.
    scores, answers = [0.9, 0.1, 0.9, 0.5, 0.1, 0.9], [1, 0, 0, 1, 1, 1]
    game = BettingGame(np.array(scores), np.array([2.0]))
    left, ones, capital = [Fraction(s) for s in scores], 0, Fraction(1)
    for f, y in zip(scores, answers, strict=True):
        slope, mean, variance = (Fraction(float(v[0])) for v in game.learnt())
        mean_score, mu = sum(left) / len(left), Fraction(2 - ones, len(left))
        if mu < 0:
            break
        x = y - slope * (Fraction(f) - mean_score)
        worst = min(-slope * (Fraction(s) - mean_score) for s in (0.1, 0.9))
        edge = mean - mu
        bet = min(max(edge / (variance + edge**2), Fraction(0)), Fraction(3, 4) / (mu - worst))
        capital *= 1 + bet * (x - mu)
        left.remove(Fraction(f))
        ones += y
        game.see(f, bool(y))
        if ones <= 2:
            assert math.exp(game.log_capital[0, 0]) == pytest.approx(float(capital), rel=1e-9)
    assert game.log_capital[0, 0] == math.inf  # three ones refute "at most two" for certain


def test_plans_are_those_of_the_exact_tables():
    binomial = [[acceptance_plan(f, c) for c in (0, 1, 2, 5, 10)] for f in (0.7, 0.9, 0.95, 0.99)]
    assert binomial == [
        [9, 14, 19, 33, 53],
        [29, 46, 61, 103, 167],
        [59, 93, 124, 208, 336],
        [299, 473, 628, 1049, 1693],
    ]
    for population, floor, misses in [(20, 0.7, 0), (60, 0.7, 10), (300, 0.9, 2), (1000, 0.95, 5)]:
        n = acceptance_plan(floor, misses, population=population)
        bad = population - (math.ceil(floor * population - 1e-9) - 1)
        assert reference.hypergeom.cdf(misses, population, bad, n) <= 0.05
        assert reference.hypergeom.cdf(misses, population, bad, n - 1) > 0.05


def test_the_ceiling_holds_for_the_exact_distribution_of_answers():
    # Exact: convolution of two binomials, against the probability that Chernoff's bound allows.
    units, hit, slip = 120, 0.97, 0.08
    for humans in (0, 30, 84, 120):
        top = float(ceiling(np.array([float(humans)]), units, Rates(((hit, slip),), 0.01))[0])
        called = np.convolve(
            reference.binom.pmf(np.arange(humans + 1), humans, hit),
            reference.binom.pmf(np.arange(units - humans + 1), units - humans, slip),
        )
        assert called[np.arange(len(called)) > top + 1e-9].sum() <= 0.01
        # And it is not absurdly wide: within 1.5 times the exact quantile's distance from the mean.
        mean = humans * hit + (units - humans) * slip
        exact = int(np.searchsorted(np.cumsum(called), 0.99))
        assert top - mean <= 1.5 * (exact - mean) + 2


@pytest.mark.parametrize(("h", "c"), [(0.95, 0.05), (0.97, 0.25), (0.9, 0.01), (1.0, 0.0)])
def test_the_staircase_of_corners_covers_the_true_rates_as_often_as_promised(h, c):
    # Exact over all outcomes of the controls: the probability that no corner is above both true rates.
    n, alpha = 100, 0.5  # a large alpha, so that the probability of missing is not zero in practice
    missed, promised = 0.0, None
    for right in range(60, n + 1):
        p = reference.binom.pmf(right, n, h)
        if p < 1e-9:
            continue
        for wrong in range(61):
            q = reference.binom.pmf(wrong, n, c)
            if q < 1e-9:
                continue
            rates = panel_rates([Reviewer(n, right, 0, n, n - wrong, wrong)], alpha)[0]
            if not any(h <= hit + 1e-12 and c <= slip + 1e-12 for hit, slip in rates.corners):
                missed += p * q
    promised = 0.12 * alpha
    assert missed <= promised + 1e-6


def test_rogan_gladen_interval_covers_in_simulation():
    rng, covered, runs = np.random.default_rng(0), 0, 1500
    for _ in range(runs):
        apparent = rng.binomial(500, 0.7 * 0.93 + 0.3 * 0.1)
        found = rogan_gladen(
            int(apparent), 500, (int(rng.binomial(150, 0.93)), 150), (int(rng.binomial(150, 0.9)), 150)
        )
        covered += found.lower <= 0.7 <= found.upper
    assert covered / runs >= 0.93
    assert rogan_gladen(676, 1000, (940, 1000), (940, 1000)).value == pytest.approx(0.70)


def test_triage_is_fooled_where_the_audit_is_not():
    # A new generator: AI recall falls from .94 to .44. Sixty percent human reads as more than seventy.
    apparent = round(1000 * (0.6 * 0.94 + 0.4 * 0.56))
    assert rogan_gladen(apparent, 1000, (940, 1000), (940, 1000)).lower > 0.70


def test_a_panel_is_never_wrong_more_often_than_its_bound_however_errors_hang_together():
    # Three reviewers' errors in the worst joint distribution that their rates allow, by linear programming.
    from scipy.optimize import linprog

    people = [Reviewer(200, 190, 10, 200, 200 - k, k) for k in (5, 20, 40)]
    bound = panel_rates(people, 0.05, together=True)[0].corners[0]
    single = [panel_rates([p], 0.05 / 3, together=True)[0].corners[0][1] for p in people]
    patterns = list(itertools.product((0, 1), repeat=3))
    found = linprog(
        [-float(sum(p) >= 2) for p in patterns],
        A_eq=[[1.0] * 8, *([float(p[i]) for p in patterns] for i in range(3))],
        b_eq=[1.0, *single],
    )
    assert -found.fun <= bound[1] + 1e-9
    assert bound[1] <= sum(single) / 2 + 1e-9 or bound[1] == pytest.approx(max(single))
    assert bound[0] == 1.0
