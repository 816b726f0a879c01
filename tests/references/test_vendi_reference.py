"""Our Vendi score against the ``vendi-score`` package (Friedman & Dieng), value by value."""

from __future__ import annotations

import math

import numpy as np
import pytest

from genepool.diversity import VendiState, vendi_score

vendi = pytest.importorskip("vendi_score.vendi")

# The package looks a deprecated namespace of SciPy up on every call.
pytestmark = pytest.mark.filterwarnings("ignore:Please import `csr_matrix`:DeprecationWarning")

CASES = [(50, 8), (300, 20), (64, 200), (400, 64)]


@pytest.mark.parametrize(("n", "d"), CASES)
@pytest.mark.parametrize("q", [0.5, 1, 1.5, 2, 4, math.inf])
def test_every_order_is_the_packages(n, d, q):
    rng = np.random.default_rng(n + d)
    x = (rng.normal(size=(n, d)) * np.linspace(0.2, 2, d)).astype(np.float32)
    unit = x.astype(float) / np.linalg.norm(x.astype(float), axis=1, keepdims=True)
    theirs = float(vendi.score_K(unit @ unit.T, q="inf" if math.isinf(q) else q))
    tolerance = 1e-6 if q >= 1 or n <= d else 1e-4  # below 1 the package counts rounding as kinds
    assert vendi_score(x, q=q).plug_in == pytest.approx(theirs, rel=tolerance)


@pytest.mark.parametrize(("n", "d"), CASES)
def test_the_dual_form_too(n, d):
    x = np.random.default_rng(n).normal(size=(n, d)) + 0.5
    assert vendi_score(x).plug_in == pytest.approx(float(vendi.score_dual(x, q=2)), rel=1e-6)
    assert vendi_score(x, q=1).plug_in == pytest.approx(float(vendi.score_dual(x, q=1)), rel=1e-6)


def test_weights_are_the_packages_probabilities():
    rng = np.random.default_rng(9)
    x = rng.normal(size=(80, 12))
    p = rng.random(80)
    p /= p.sum()
    unit = x / np.linalg.norm(x, axis=1, keepdims=True)
    for q in (1, 2):
        theirs = float(vendi.score_K(unit @ unit.T, q=q, p=p))
        assert vendi_score(x, q=q, weights=p).plug_in == pytest.approx(theirs, rel=1e-6)


def test_the_unbiased_purity_is_the_mean_over_pairs():
    x = np.random.default_rng(10).normal(size=(90, 7)) + 0.3
    unit = x / np.linalg.norm(x, axis=1, keepdims=True)
    squares = (unit @ unit.T) ** 2
    state = VendiState(7)
    state.update(x)
    pairs = (squares.sum() - 90) / (90 * 89)
    assert state.purity() == pytest.approx(pairs, rel=1e-9)
    assert vendi_score(x) == pytest.approx(1 / pairs, rel=1e-9)
