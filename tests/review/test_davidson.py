"""The most likely strengths: as evalica finds them, and where its iteration runs away."""

from __future__ import annotations

import numpy as np
import pytest

from genepool.review._davidson import LEAST_TIE, information, most_likely


def drawn(rng, strengths, votes, tie):
    """Votes of the model, then a tenth of a win and of a loss of each item against an average one."""
    n = len(strengths)
    a, b = np.array([rng.choice(n, 2, replace=False) for _ in range(votes)]).T
    half = np.exp((strengths[a] - strengths[b]) / 2)
    chances = np.stack([half, 1 / half, np.full(votes, 2 * tie)], axis=1)
    chances /= chances.sum(axis=1, keepdims=True)
    won = np.array([(1, -1, 0)[rng.choice(3, p=row)] for row in chances])
    items, ones = np.arange(n), np.ones(n, np.int64)
    return (
        np.concatenate([a, items, items]),
        np.concatenate([b, np.full(2 * n, n)]),
        np.concatenate([won, ones, -ones]),
        np.concatenate([np.ones(votes), np.full(2 * n, 0.1)]),
    )


def slope(theta, tie, a, b, won, weights):
    """Derivatives of the logarithm of the likelihood, by differences."""

    def value(x):
        half = (x[a] - x[b]) / 2
        total = np.log(np.exp(half) + np.exp(-half) + 2 * np.exp(x[-1]))
        return (weights * (np.where(won == 0, np.log(2) + x[-1], won * half) - total)).sum()

    at, found = np.append(theta, np.log(tie)), []
    for i in range(len(at)):
        step = np.zeros(len(at))
        step[i] = 1e-5
        found.append((value(at + step) - value(at - step)) / 2e-5)
    return np.array(found)


@pytest.mark.parametrize("tie", [0.0, 0.05, 0.3, 2.0])
def test_as_evalica_finds_them(tie):
    evalica = pytest.importorskip("evalica")
    a, b, won, weights = drawn(np.random.default_rng(3), np.linspace(-2, 2, 20), 400, tie)
    theta, found = most_likely(a, b, won, weights, 20)
    words = {1: evalica.Winner.X, -1: evalica.Winner.Y, 0: evalica.Winner.Draw}
    theirs = evalica.newman(
        a.tolist(),
        b.tolist(),
        [words[int(w)] for w in won],
        weights=weights.tolist(),
        tolerance=1e-9,
        limit=5000,
    )
    scores = np.log([float(theirs.scores[i]) for i in range(21)])
    assert theta == pytest.approx(scores - scores[20], abs=1e-4)
    assert found == pytest.approx(max(theirs.v, LEAST_TIE), rel=1e-4)


def test_the_slope_vanishes_where_fixed_points_run_away():
    """A resample of three of six raters: after 2,000 rounds evalica's strengths were 10^104 apart."""
    rng = np.random.default_rng(5)
    for _ in range(40):
        n = 26
        level = rng.permutation(n)
        a, b, won, weights = drawn(rng, np.zeros(n), 260, 0.0)
        clear = np.where(level[a[:260]] > level[b[:260]], 1, -1)
        won[:260] = np.where(rng.random(260) > 0.05, clear, -clear)
        weights[:260] = np.array([2.0, 3.0, 0.0, 0.0, 0.0, 1.0])[rng.integers(6, size=260)]
        theta, tie = most_likely(a, b, won, weights, n)
        assert tie == LEAST_TIE
        assert np.abs(theta).max() < 40
        assert np.abs(slope(theta, tie, a, b, won, weights)[:n]).max() < 1e-5
        told = information(theta, tie, a, b, weights, n)
        told[-1, -1] += 0.01
        assert np.isfinite(np.linalg.inv(told)).all()


def test_only_ties_and_one_vote():
    a, b, won, weights = drawn(np.random.default_rng(1), np.zeros(5), 50, 1.0)
    won[:50] = 0
    theta, tie = most_likely(a, b, won, weights, 5)
    assert tie > 1
    assert np.abs(slope(theta, tie, a, b, won, weights)).max() < 1e-5
    theta, tie = most_likely(*drawn(np.random.default_rng(2), np.zeros(2), 1, 0.0), 2)
    assert tie == LEAST_TIE
    assert theta[0] == pytest.approx(-theta[1])
