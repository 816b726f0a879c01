"""The convex programme: exact linear step, monotone descent, a gap that certifies."""

from __future__ import annotations

import numpy as np
import pytest

from genepool.injection._convex import Pictures, minimise
from genepool.injection._linear import cheapest


def pictures(pool):
    return Pictures(pool.panel, pool.whitened, pool.on)


def test_the_linear_step_is_the_optimum_of_the_linear_programme():
    optimize = pytest.importorskip("scipy.optimize")
    rng = np.random.default_rng(0)
    for trial in range(30):
        n, count = 40, int(rng.integers(2, 30))
        cost = rng.normal(size=n)
        human = rng.random(n) < rng.uniform(0.2, 0.9)
        claim = rng.uniform(0.3, 0.8) - human
        answer = optimize.linprog(
            cost, A_ub=claim[None], b_ub=[0], A_eq=np.ones((1, n)), b_eq=[1], bounds=(0, 1 / count)
        )
        weights, chosen = cheapest(cost, count, claim)
        assert weights.sum() == pytest.approx(1.0)
        assert weights.min() >= 0
        assert weights.max() <= 1 / count + 1e-12
        assert len(set(chosen)) == count
        if answer.status == 0:
            assert weights @ claim <= 1e-6, trial
            assert weights @ cost == pytest.approx(answer.fun, abs=1e-5)
            assert claim[chosen].sum() <= 1e-6 or human.sum() * 1.0 < count
        else:
            # No weighting keeps the quota: the answer takes as many humans as there are.
            assert human[chosen].sum() == min(count, human.sum())


def test_purity_of_pictures_is_that_of_their_pairs(make_pool):
    pool = make_pool([0, 0, 1, 2, -1, -1])
    rows = pictures(pool)._make(slice(None)).astype(float)
    w = np.array([0.1, 0.2, 0.3, 0.1, 0.2, 0.1])
    m = pictures(pool).moment(w)
    assert (m**2).sum() == pytest.approx(w @ (rows @ rows.T) ** 2 @ w, rel=1e-5)
    assert ((rows @ rows.T) ** 2)[4, 5] == pytest.approx(1.0)
    assert pictures(pool).commonness(m) == pytest.approx((rows @ rows.T) ** 2 @ w, rel=1e-4)


def test_every_step_lowers_the_purity_and_the_gap_bounds_what_is_left(make_pool):
    rng = np.random.default_rng(1)
    share = 1.0 / np.arange(1, 31)
    pool = make_pool(rng.choice(30, 400, p=share / share.sum()))
    p = pictures(pool)
    claim = np.zeros(400)
    start = np.full(400, 1 / 400)
    purities = []
    for steps in (1, 2, 4, 8, 16, 60):
        o = minimise(p, 100, claim, start=start, steps=steps, tolerance=0.0)
        purities.append(o.purity)
        assert o.weights.sum() == pytest.approx(1.0)
        assert o.weights.max() <= 1 / 100 + 1e-9
    assert purities == sorted(purities, reverse=True)
    best = purities[-1]
    early = minimise(p, 100, claim, start=start, steps=3, tolerance=0.0)
    assert early.purity - early.gap <= best * (1 + 1e-4)
    final = minimise(p, 100, claim, tolerance=0.005, steps=400)
    assert final.gap <= 0.005 * final.purity
    assert final.purity >= best * 0.98


def test_the_answer_is_the_same_as_a_general_solver_finds(make_pool):
    optimize = pytest.importorskip("scipy.optimize")
    pool = make_pool(np.repeat(np.arange(6), [10, 6, 4, 2, 1, 1]))
    rows = pictures(pool)._make(slice(None)).astype(float)
    alike = (rows @ rows.T) ** 2
    n = len(alike)
    theirs = optimize.minimize(
        lambda w: w @ alike @ w,
        np.full(n, 1 / n),
        jac=lambda w: 2 * alike @ w,
        bounds=[(0, 1 / 8)] * n,
        constraints={"type": "eq", "fun": lambda w: w.sum() - 1, "jac": lambda w: np.ones(n)},
        method="SLSQP",
        options={"maxiter": 500, "ftol": 1e-12},
    )
    ours = minimise(pictures(pool), 8, np.zeros(n), tolerance=1e-4, steps=2000)
    assert ours.purity == pytest.approx(theirs.fun, rel=2e-3)
    assert ours.purity - ours.gap <= theirs.fun * (1 + 1e-6)


def test_features_that_do_not_fit_in_memory_are_computed_again(make_pool, monkeypatch):
    from genepool.injection import _convex

    pool = make_pool(np.arange(50) % 7)
    held = minimise(pictures(pool), 20, np.zeros(50))
    monkeypatch.setattr(_convex, "_HELD", 10)
    monkeypatch.setattr(_convex, "_CHUNK", 16)
    again = minimise(pictures(pool), 20, np.zeros(50))
    assert pictures(pool)._rows is None
    assert again.purity == pytest.approx(held.purity, rel=1e-4)
