"""The betting game under arbitrary scores, answers and candidates; triage estimates refuse nonsense."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genepool.errors import MeasureError
from genepool.stats import BettingGame, acceptance_plan, ppi_mean, rogan_gladen

UNITS = st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=40)


@settings(max_examples=150, deadline=None)
@given(
    UNITS, st.floats(-1, 41).map(lambda x: round(x, 6))
)  # not on the edge of the 1e-9 allowed for rounding
def test_capital_is_never_negative_and_never_lost_to_nan(units, candidate):
    scores = np.array([s for s, _ in units])
    game = BettingGame(scores, np.array([candidate, 0.0, float(len(units))]))
    ones = 0
    for score, one in units:
        before = game.best.copy()
        game.see(score, one)
        ones += one
        assert not np.isnan(game.log_capital).any()
        assert (game.log_capital > -np.inf).all()
        assert (game.best >= before).all()
        # Refuted for certain exactly where more ones were seen than the candidate allows for.
        certain = game.candidates[0] - ones < -1e-9
        assert (np.isinf(game.log_capital[0]) == certain).all()
    assert game.left == 0
    assert game.best[0, 2] < np.inf


@settings(max_examples=40, deadline=None)
@given(UNITS, st.integers(1, 4))
def test_many_games_at_once_are_each_played_alone(units, runs):
    scores, ones = (np.array(x) for x in zip(*units, strict=True))
    orders = np.stack([np.random.default_rng(i).permutation(len(units)) for i in range(runs)])
    candidates = np.array([0.3, 0.7]) * len(units)
    together = BettingGame(np.tile(scores, (runs, 1)), candidates)
    for t in range(len(units)):
        together.see(scores[orders[:, t]], ones[orders[:, t]])
    for run, order in enumerate(orders):
        alone = BettingGame(scores, candidates)
        for i in order:
            alone.see(float(scores[i]), bool(ones[i]))
        assert np.allclose(together.log_capital[run], alone.log_capital[0])


@pytest.mark.parametrize(
    "call",
    [
        lambda: rogan_gladen(5, 4, (9, 10), (9, 10)),
        lambda: rogan_gladen(5, 10, (0, 0), (9, 10)),
        lambda: rogan_gladen(5, 10, (5, 10), (5, 10)),
        lambda: rogan_gladen(5, 10, (9, 10), (9, 10), alpha=1.0),
        lambda: ppi_mean([1.0], [1.0], [1.0, 0.0]),
        lambda: ppi_mean([1.0, 0.0], [1.0], [1.0, 0.0]),
        lambda: acceptance_plan(1.0),
        lambda: acceptance_plan(0.7, -1),
        lambda: acceptance_plan(0.9, 5, population=20),
    ],
)
def test_nonsense_is_refused(call):
    with pytest.raises(MeasureError):
        call()


def test_estimates_for_triage_say_so():
    assert "triage only" in rogan_gladen(70, 100, (90, 100), (90, 100)).method
    same = ppi_mean(np.array([1.0, 0.0, 1.0, 1.0]), np.full(4, 0.5), np.full(30, 0.5))
    assert same.value == pytest.approx(0.75)
    assert "weight 0.000" in same.method
