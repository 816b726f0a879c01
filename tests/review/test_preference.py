"""Preference: scores from votes, intervals that cover, people only, a frozen ladder, a measured proxy."""

from __future__ import annotations

import hashlib
import random

import numpy as np
import pytest

from genepool.errors import IntegrityError, MeasureError, UsageError
from genepool.review import (
    PairQueue,
    fit_votes,
    learn_proxy,
    load_ladder,
    preference_scores,
)
from genepool.review._preference import _share
from genepool.store import ReviewRecord, Vote, Workspace
from support.scans import encoded, picture


def name(i: int) -> str:
    return hashlib.sha256(str(i).encode()).hexdigest()


def simulated(rng, theta, votes, nu=0.3, reviewer="Ann"):
    found = []
    for _ in range(votes):
        i, j = rng.choice(len(theta), 2, replace=False)
        half = np.exp((theta[i] - theta[j]) / 2)
        chances = np.array([half, 1 / half, 2 * nu])
        outcome = ["a", "b", "tie"][rng.choice(3, p=chances / chances.sum())]
        found.append(Vote(name(i), name(j), outcome, reviewer, 0.0))
    return found


def test_intervals_cover_and_strengths_match_an_independent_fit():
    rng = np.random.default_rng(0)
    hits = total = 0
    for _ in range(25):
        theta = rng.normal(0, 1, 24)
        votes = simulated(rng, theta, 500)
        report = preference_scores(votes, {name(i): f"r{i}" for i in range(8)})
        for i in range(8, 24):
            true = 10 * _share(theta[i] - theta[:8], 0.3)[0].mean()
            score = report.scores[name(i)]
            assert 0 <= score.lower <= score.value <= score.upper <= 10
            hits += score.lower <= true <= score.upper
            total += 1
    assert 0.91 <= hits / total <= 0.99
    # The gradient of the penalised likelihood vanishes at the fit: computed here from its definition.
    fit = fit_votes(votes)
    place = {digest: i for i, digest in enumerate(fit.items)}
    tie, theta = np.exp(fit.log_tie), fit.theta
    gradient = np.zeros(len(theta))

    def pull(d, outcome):
        half = np.exp(d / 2)
        win, loss, _ = np.array([half, 1 / half, 2 * tie]) / (half + 1 / half + 2 * tie)
        return {"a": 0.5, "b": -0.5, "tie": 0.0}[outcome] - (win - loss) / 2

    for vote in votes:
        a, b = place[vote.a], place[vote.b]
        step = pull(theta[a] - theta[b], vote.outcome)
        gradient[a] += step
        gradient[b] -= step
    gradient += [0.1 * (pull(t, "a") + pull(t, "b")) for t in theta]
    assert np.abs(gradient).max() < 1e-6


def test_votes_of_programs_and_of_the_careless_never_enter():
    rungs = {name(0): "r0", name(1): "r1"}
    votes = simulated(np.random.default_rng(1), np.zeros(6), 60, reviewer="test:bot")
    report = preference_scores(votes, rungs, command="genepool review /x")
    assert (report.votes, report.tests, report.scores, report.mean) == (0, 60, {}, None)
    assert report.needs == "needs people: genepool review /x, page Compare"
    people = [Vote(v.a, v.b, v.outcome, "Ann", 0.0) for v in votes]
    assert preference_scores(people, rungs, quarantined={"Ann": "random"}).quarantined == 60
    assert preference_scores(people, rungs).mean is not None
    always_left = [Vote(v.a, v.b, "a", "Ann", 0.0) for v in votes]
    assert preference_scores(always_left, rungs).position.found
    assert not preference_scores(people, rungs).position.found
    with pytest.raises(UsageError, match="ladder"):
        preference_scores(people, {})


def test_the_packaged_ladder_is_frozen(tmp_path):
    ladder = load_ladder()
    assert len(ladder.rungs) == 12
    psnr = {(r.scene, r.step): r.psnr for r in ladder.rungs}
    for scene in ("cat", "cup", "rocket"):
        assert psnr[scene, 0] is None
        assert psnr[scene, 1] > psnr[scene, 2] > psnr[scene, 3]
    space = Workspace(tmp_path / "ws").create()
    assert load_ladder(None, space).digest == load_ladder(None, space).digest
    own = tmp_path / "own"
    own.mkdir()
    for i in range(3):
        (own / f"{i}.jpg").write_bytes(encoded(picture(i)))
    with pytest.raises(IntegrityError, match="ladder"):
        load_ladder(own, space)
    assert len(load_ladder(own, Workspace(tmp_path / "other").create()).rungs) == 3
    with pytest.raises(UsageError, match="two pictures"):
        load_ladder(tmp_path / "nothing")


def test_active_pairs_spread_votes_and_sides_are_fair(tmp_path):
    rng = np.random.default_rng(4)
    rungs = {name(i): f"r{i}" for i in range(8)}
    theta = {name(i): t for i, t in enumerate([*np.linspace(-2, 2, 8), *rng.normal(0, 1, 12)])}
    images = [name(i) for i in range(8, 20)]
    with ReviewRecord(tmp_path / "r.sqlite", keep=True) as record:
        pairs = PairQueue(record, images, rungs)
        assert isinstance(pairs._dice, random.SystemRandom)  # nobody can foresee the sides
        pairs._dice = random.Random(4)  # but here they are the same in every run
        left = 0
        for _ in range(150):
            (pair,) = pairs.next("test:a")
            d = theta[pair.a] - theta[pair.b]
            outcome = "a" if rng.random() < 1 / (1 + np.exp(-d)) else "b"
            left += pair.a in images
            pairs.vote(pair.token, outcome, "test:a")
        with pytest.raises(UsageError, match="somebody else"):
            pairs.vote(pairs.next("test:a")[0].token, "a", "test:b")
        votes = record.votes()
    assert len(votes) == 150
    assert len({frozenset((v.a, v.b)) for v in votes}) == 150  # nobody is asked the same pair twice
    counts = [sum(digest in (v.a, v.b) for v in votes) for digest in images]
    assert min(counts) >= 6
    assert sum((v.a in rungs) != (v.b in rungs) for v in votes) >= 60
    report = preference_scores(votes, rungs, tests=True)
    true = [10 * _share(theta[d] - np.linspace(-2, 2, 8), 1e-9)[0].mean() for d in images]
    found = [report.scores[d].value for d in images]
    assert np.corrcoef(true, found)[0, 1] > 0.6
    assert 45 <= left <= 140  # the set's image stands on the left about as often as chance has it


def test_a_proxy_is_measured_and_refused_when_it_is_a_coin():
    rng = np.random.default_rng(5)
    features = {name(i): rng.normal(0, 1, 6) for i in range(80)}
    weights = np.array([2.0, -1.0, 0, 0, 0, 0])
    votes = []
    for _ in range(600):
        i, j = rng.choice(80, 2, replace=False)
        d = float((features[name(i)] - features[name(j)]) @ weights)
        outcome = "a" if rng.random() < 1 / (1 + np.exp(-d)) else "b"
        votes.append(Vote(name(i), name(j), outcome, "Ann", 0.0))
    proxy = learn_proxy(votes, features)
    assert proxy.label == "proxy"
    assert proxy.agreement.lower > 0.65
    table = np.array(list(features.values()))
    assert np.corrcoef(proxy.rank(table), table @ weights)[0, 1] > 0.9
    noise = [Vote(v.a, v.b, rng.choice(["a", "b"]), "Ann", 0.0) for v in votes]
    with pytest.raises(MeasureError, match="no better than a coin"):
        learn_proxy(noise, features)
    with pytest.raises(MeasureError, match="at least 30 votes"):
        learn_proxy([Vote(v.a, v.b, v.outcome, "test:bot", 0.0) for v in votes], features)
