"""What each arm puts into a training set."""

from __future__ import annotations

import numpy as np
import pytest

from genepool.errors import MeasureError
from genepool.lab import ARMS, Pictures
from genepool.lab._arms import Round, schedule_share
from genepool.lab._choose import Chooser, spread_out
from genepool.lab._data import load, split

pytest.importorskip("sklearn")
BUDGET = 200


@pytest.fixture(scope="module")
def parts():
    return split(load("digits", side=8, grey=True), {"root": BUDGET, "reserve": 190, "filter": 150}, 1)


@pytest.fixture(scope="module")
def chooser(parts):
    return Chooser(parts.filter.pixels, "pixels", 1)


def made(parts, generation, share_noise=0.0):
    """What a model would draw: the root again, marked by its group, with some noise pictures among it."""
    rng = np.random.default_rng(generation)
    pixels = np.concatenate([parts.root.pixels] * 3)
    noise = rng.random(len(pixels)) < share_noise
    pixels[noise] = rng.integers(0, 256, pixels[noise].shape)
    return Pictures(pixels, np.full(len(pixels), -1), np.where(noise, -2, -generation * 10))


def asked(parts, chooser, generation, noise=0.0, seed=0):
    pools = {g: made(parts, g, noise) for g in range(1, generation)}
    rng = np.random.default_rng(seed)
    return Round(generation, BUDGET, parts.root, parts.reserve, pools, chooser, rng)


@pytest.mark.parametrize("generation", [2, 3, 4])
@pytest.mark.parametrize("arm", [a for a in ARMS if a != "accumulate"])
def test_every_arm_fills_the_budget(arm, generation, parts, chooser):
    ready = ARMS[arm](asked(parts, chooser, generation, 0.2))
    assert len(ready.human) == len(ready.pictures) == len(ready.generation) == BUDGET
    assert ((ready.generation == 0) == ready.human).all()
    assert ready.generation.max() <= generation - 1


def test_shares(parts, chooser):
    def share(arm, generation):
        return 1 - ARMS[arm](asked(parts, chooser, generation)).share

    assert [schedule_share(g) for g in (1, 2, 3, 4, 5)] == [0, 0.5, 0.8, 0.95, 0.95]
    assert [share("schedule", g) for g in (2, 3, 4)] == [0.5, 0.8, 0.95]
    assert [share("cap", g) for g in (2, 3, 4)] == [0.5, 0.8, 0.95]
    assert share("replace", 3) == 1
    assert (share("mix50", 4), share("mix80", 4), share("mix95", 4)) == (0.5, 0.8, 0.95)
    assert share("random", 4) == share("ratio", 4) == share("gate", 4) == pytest.approx(0.3)
    assert share("fresh", 3) == pytest.approx(0.7)
    accumulated = ARMS["accumulate"](asked(parts, chooser, 4))
    assert np.bincount(accumulated.generation).tolist() == [BUDGET] * 4


def test_caps_and_fresh_work(parts, chooser):
    assert ARMS["cap"](asked(parts, chooser, 4)).generation.max() == 2
    gated = ARMS["gate"](asked(parts, chooser, 4))
    assert gated.generation.max() == 2
    assert gated.notes["gate"]["status"] == "pass"
    second, third = (ARMS["fresh"](asked(parts, chooser, g)) for g in (2, 3))
    assert second.fresh == third.fresh == 60
    human = [set(map(bytes, r.pictures.pixels[r.human])) for r in (second, third)]
    assert not human[0] & human[1]
    known = set(map(bytes, parts.root.pixels))
    assert not (human[0] | human[1]) & known
    with pytest.raises(MeasureError, match="fresh human pictures"):
        ARMS["fresh"](asked(parts, chooser, 5))


def test_filters_keep_noise_out(parts, chooser):
    def noisy(arm):
        return (ARMS[arm](asked(parts, chooser, 3, 0.3)).pictures.groups == -2).mean()

    assert noisy("schedule") > 0.15
    assert noisy("support") < 0.02
    assert noisy("gate") < 0.02
    # Off support counts as one style: an injection of the rarest does not fall for noise.
    assert noisy("injection") < noisy("schedule")


def test_greedy_entropy_against_brute_force():
    rng = np.random.default_rng(5)
    points = rng.normal(size=(40, 3))
    chosen = spread_out(points, 12, np.random.default_rng(9))
    kept = [int(np.random.default_rng(9).integers(40))]
    while len(kept) < 12:
        far = [
            min(np.linalg.norm(points[i] - points[j]) for j in kept) if i not in kept else -1
            for i in range(40)
        ]
        kept.append(int(np.argmax(far)))
    assert chosen.tolist() == kept
    assert sorted(spread_out(points, 99, rng)) == list(range(40))


def test_nobody_shares_a_source(parts):
    drawn = [set(p.groups) for p in (parts.root, parts.reserve, parts.filter, parts.judge)]
    assert all(not a & b for i, a in enumerate(drawn) for b in drawn[i + 1 :])
    pixels = np.zeros((60, 8, 8, 1), np.uint8)
    crops = Pictures(pixels, np.full(60, -1), np.repeat(np.arange(10), 6))
    with pytest.raises(MeasureError, match="expected at least 140 pictures"):
        split(crops, {"root": 20}, 1)
    many = Pictures(np.zeros((600, 8, 8, 1), np.uint8), np.full(600, -1), np.repeat(np.arange(100), 6))
    dealt = split(many, {"root": 200, "reserve": 50, "filter": 100}, 3)
    groups = [set(p.groups) for p in (dealt.root, dealt.reserve, dealt.filter, dealt.judge)]
    assert all(not a & b for i, a in enumerate(groups) for b in groups[i + 1 :])
    assert (len(dealt.root), len(dealt.reserve)) == (200, 50)
