"""The share holds in every batch of every pool; the order is the seed's; resumed equals uninterrupted."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from genepool.errors import CertificateError, PolicyError, UsageError
from genepool.integrations import HumanShareSampler, lay_out, least_human

SHARES = (0.7, 0.7, 0.75, 0.9, 1.0, 0.5, 0.333)


def pool(rng: np.random.Generator):
    n = int(rng.integers(4, 160))
    human = rng.random(n) < rng.uniform(0.2, 1.0)
    human[0] = True
    weights = None if rng.random() < 0.5 else rng.choice([0.25, 1 / 3, 0.5, 1.0], n)
    return human, weights


def test_no_batch_of_ten_thousand_pools_falls_below_the_share():
    rng = np.random.default_rng(0)
    accepted = batches = 0
    while accepted < 10_000:
        human, weights = pool(rng)
        share, size = SHARES[rng.integers(len(SHARES))], int(rng.integers(1, 33))
        world, seed = int(rng.integers(1, 5)), int(rng.integers(1 << 30))
        rank, last = int(rng.integers(world)), bool(rng.random() < 0.5)
        try:
            sampler = HumanShareSampler(
                human,
                size,
                share=share,
                weights=weights,
                seed=seed,
                rank=rank,
                world_size=world,
                drop_last=last,
            )
        except PolicyError:
            continue  # not one batch can be filled
        accepted += 1
        seen, people, total = [], 0, 0
        for batch in sampler:
            found = int(human[batch].sum())
            assert found >= Fraction(repr(share)) * len(batch)
            people, total = people + found, total + len(batch)
            seen += batch
            batches += 1
        assert people >= Fraction(repr(share)) * total
        assert len(seen) == len(set(seen))
        assert sampler.epoch == 1
        assert total == sum(sampler.layout.sizes[rank::world])
    assert batches > 30_000


def test_ranks_share_an_epoch_without_overlap():
    human = np.arange(200) < 150
    ranks = [HumanShareSampler(human, 8, seed=3, rank=r, world_size=3) for r in range(3)]
    orders = [list(r) for r in ranks]
    assert len({len(order) for order in orders}) == 1
    seen = [i for order in orders for batch in order for i in batch]
    assert len(seen) == len(set(seen))
    # 8 · 0.7 rounds up to 6 human: at most 50 machine images beside 150 human ones, all of them fit.
    assert len(seen) >= 200 - 8


def test_a_pool_with_enough_people_is_seen_whole_every_epoch():
    human = np.arange(100) < 80
    sampler = HumanShareSampler(human, 10, seed=1)
    for epoch in range(3):
        assert sampler.epoch == epoch
        assert sorted(i for batch in sampler for i in batch) == list(range(100))


def test_where_machines_prevail_they_take_turns():
    human = np.arange(200) < 70
    sampler = HumanShareSampler(human, 10, seed=1)
    counts = np.zeros(200, int)
    for _ in range(200):
        for batch in sampler:
            counts[batch] += 1
    assert (counts[:70] == 200).all()
    # 30 of 130 an epoch: 46 times in 200, binomial spread.
    assert abs(counts[70:].mean() - 200 * 30 / 130) < 0.5
    assert counts[70:].min() > 20


def test_weights_are_kept_on_average_and_zero_means_never():
    human = np.ones(60, bool)
    weights = np.repeat([1.0, 0.5, 0.0], 20)
    sampler = HumanShareSampler(human, 6, weights=weights, seed=1)
    counts = np.zeros(60, int)
    for _ in range(400):
        for batch in sampler:
            counts[batch] += 1
    assert (counts[40:] == 0).all()
    assert counts[:20].mean() == pytest.approx(400, abs=1)
    assert counts[20:40].mean() == pytest.approx(200, rel=0.05)


def test_the_order_is_the_seeds():
    human = np.arange(90) < 70
    orders = [list(HumanShareSampler(human, 7, seed=s)) for s in (1, 1, 2)]
    assert orders[0] == orders[1] != orders[2]
    sampler = HumanShareSampler(human, 7, seed=1)
    assert list(sampler) != list(sampler)  # another epoch, another order


def test_resumed_order_equals_uninterrupted_order():
    rng = np.random.default_rng(5)
    for _ in range(200):
        human, weights = pool(rng)
        options = {"weights": weights, "seed": int(rng.integers(1 << 20)), "world_size": 2, "share": 0.7}
        try:
            whole = [HumanShareSampler(human, 4, rank=r, **options) for r in range(2)]
        except PolicyError:
            continue
        expected = [[batch for _ in range(3) for batch in s] for s in whole]
        cut = int(rng.integers(len(expected[0]) + 1))
        first = HumanShareSampler(human, 4, rank=0, **options)
        done = []
        while len(done) < cut:
            for batch in first:
                done.append(batch)
                if len(done) == cut:
                    break
        state = first.state_dict()
        for rank in range(2):  # one rank's state is every rank's
            resumed = HumanShareSampler(human, 4, rank=rank, **options)
            resumed.load_state_dict(state)
            rest = []
            while len(rest) < len(expected[0]) - cut:
                rest += list(resumed)
            assert rest[: len(expected[0]) - cut] == expected[rank][cut:]


def test_a_state_of_another_pool_is_refused():
    state = HumanShareSampler(np.ones(20, bool), 5, seed=1).state_dict()
    for other in (
        HumanShareSampler(np.ones(21, bool), 5, seed=1),
        HumanShareSampler(np.ones(20, bool), 5, seed=2),
        HumanShareSampler(np.ones(20, bool), 4, seed=1),
        HumanShareSampler(np.ones(20, bool), 5, seed=1, rank=0, world_size=2),
    ):
        with pytest.raises(CertificateError, match="found another"):
            other.load_state_dict(state)
    with pytest.raises(UsageError, match="expected genepool"):
        HumanShareSampler(np.ones(20, bool), 5).load_state_dict({})


def test_empty_human_pool():
    with pytest.raises(PolicyError, match="found none among 12"):
        HumanShareSampler(np.zeros(12, bool), 4)
    with pytest.raises(PolicyError, match="found none among 2"):
        HumanShareSampler(np.array([True, False]), 4, weights=[0.0, 1.0])
    assert len(list(HumanShareSampler(np.zeros(12, bool), 4, share=0.0))) == 3


@pytest.mark.parametrize(
    "options",
    [
        {"batch_size": 0},
        {"share": 1.1},
        {"rank": 2, "world_size": 2},
        {"seed": -1},
        {"weights": [1.0]},
        {"weights": [float("nan")] * 9},
        {"weights": [-1.0] * 9},
    ],
)
def test_bad_numbers(options):
    with pytest.raises(UsageError):
        HumanShareSampler(np.ones(9, bool), **{"batch_size": 3, **options})


def test_too_few_for_one_batch():
    with pytest.raises(PolicyError, match="one batch of 8 on each of 4 ranks"):
        HumanShareSampler(np.ones(3, bool), 8, rank=0, world_size=4)


@pytest.mark.parametrize(
    ("size", "share", "least"), [(10, 0.7, 7), (1, 0.7, 1), (10, 0.9, 9), (8, 0.7, 6), (5, 0, 0)]
)
def test_least_human(size, share, least):
    assert least_human(size, share) == least


def test_layouts_use_as_much_as_they_can():
    for human, machine, size, world in ((70, 30, 10, 1), (100, 0, 10, 1), (7, 300, 10, 1), (99, 40, 8, 3)):
        layout = lay_out(human, machine, size, 0.7, world)
        people = layout.n - int(layout.machine.sum())
        assert people <= human
        assert layout.machine.sum() <= machine
        assert human - people < size + world  # what is left of the people fills no further batch
