"""Plans over pools: what is retrieved, what is thinned, and when nothing may be done."""

from __future__ import annotations

import math

import numpy as np

from genepool.injection._plan import decide
from genepool.injection._planner import Planner


def planned(pool, floor=0.60, human_ratio=0.70):
    class Named:
        uri = "pool"

    return decide(Planner(pool, floor, human_ratio), Named(), None)[0]


def zipf(n, kinds, seed=0, power=1.6):
    share = 1.0 / np.arange(1, kinds + 1) ** power
    return np.random.default_rng(seed).choice(kinds, n, p=share / share.sum())


def test_a_set_that_clears_the_floor_is_left_alone(make_pool):
    plan = planned(make_pool(np.arange(300)))
    assert not plan.accepted
    assert plan.method == "none"
    assert plan.dropped == ()
    assert "nothing to do" in plan.reasons[0]


def test_a_dull_set_is_thinned_until_it_clears_the_floor(make_pool):
    styles = zipf(1500, 120)
    pool = make_pool(styles)
    plan = planned(pool)
    assert plan.before < 0.60
    assert plan.accepted
    assert plan.method == "reweight"
    assert plan.after.lower >= 0.60
    assert plan.gap >= 0
    assert not plan.added
    assert len(plan.kept) + len(plan.dropped) == 1500
    # The common style pays, the rare ones stay whole.
    kept = np.array([int(u) for u in plan.kept])
    counts, before = np.bincount(styles[kept], minlength=120), np.bincount(styles, minlength=120)
    assert counts[0] < 0.6 * before[0]
    assert counts[30:].sum() > 0.8 * before[30:].sum()


def test_it_keeps_as_much_as_the_floor_allows(make_pool):
    pool = make_pool(zipf(1500, 120))
    low, high = planned(pool, floor=0.55), planned(pool, floor=0.65)
    assert low.accepted
    assert high.accepted
    assert len(low.kept) > len(high.kept)


def test_the_human_quota_holds(make_pool):
    # Human work in few styles, machine work in many: thinning would love to drop the humans.
    rng = np.random.default_rng(3)
    human = np.arange(1000) < 720
    styles = np.where(human, zipf(1000, 25, seed=4), 100 + rng.integers(0, 150, 1000))
    plan = planned(make_pool(styles, human=human, ai=~human), floor=0.80)
    assert plan.human[0] >= 0.70
    if plan.accepted:
        assert plan.human[1] >= 0.70
        assert plan.after.lower > plan.before.lower
    free = planned(make_pool(styles, human=human, ai=~human), floor=0.80, human_ratio=0.0)
    assert free.human[1] < 0.70
    # The quota has its price: without it more images can stay.
    assert free.after.lower >= 0.80
    assert len(free.kept) > len(plan.kept)


def test_below_the_ratio_the_share_among_known_origins_must_not_fall(make_pool):
    human = np.arange(900) % 3 == 0  # a third human, a third machine, a third unknown
    ai = np.arange(900) % 3 == 1
    styles = np.where(human, zipf(900, 40), 60 + zipf(900, 150, seed=1, power=0.7))
    plan = planned(make_pool(styles, human=human, ai=ai), floor=0.85)
    kept = np.array([int(u) for u in plan.kept])
    assert plan.accepted
    assert human[kept].sum() >= 0.5 * (human | ai)[kept].sum()


def test_off_support_images_are_never_kept_by_thinning_nor_brought_in(make_pool):
    styles = np.concatenate((zipf(600, 100), np.full(60, -1), np.full(200, -1), 200 + np.arange(100)))
    reserve = np.arange(len(styles)) >= 660
    pool = make_pool(styles, reserve=reserve)
    plan = planned(pool, floor=0.95)
    added = np.array([int(u) for u in plan.added])
    assert plan.accepted
    assert "retrieve" in plan.method
    assert (styles[added] >= 0).all()
    if "reweight" in plan.method:
        assert all(styles[int(u)] >= 0 for u in plan.kept)


def test_a_reserve_is_used_before_anything_is_dropped(make_pool):
    styles = np.concatenate((zipf(400, 40), 100 + np.arange(300)))
    reserve = np.arange(700) >= 400
    plan = planned(make_pool(styles, reserve=reserve))
    assert plan.method == "retrieve"
    assert plan.accepted
    assert plan.dropped == ()
    assert 0 < len(plan.added) < 300
    assert plan.after.lower >= 0.60
    # Rare styles come in, not more of the same.
    assert all(int(u) >= 400 for u in plan.added)


def test_what_the_reserve_repeats_is_not_brought_in(make_pool):
    styles = np.concatenate((zipf(300, 20), 50 + np.arange(40), 50 + np.arange(40)))
    reserve = np.arange(380) >= 300
    cluster = np.concatenate((np.arange(300), 300 + np.arange(40), 300 + np.arange(40)))
    plan = planned(make_pool(styles, reserve=reserve, cluster=cluster), floor=0.95)
    added = [int(u) for u in plan.added]
    assert len({cluster[i] for i in added}) == len(added)


def test_machine_work_comes_in_only_as_far_as_the_quota_allows(make_pool):
    styles = np.concatenate((zipf(400, 30), 100 + np.arange(300)))
    own = np.arange(700) < 400
    human = own & (np.arange(700) % 4 != 0)  # 75 % human
    ai = ~own | (own & ~human)
    plan = planned(make_pool(styles, human=human, ai=ai, reserve=~own), floor=0.9)
    share = plan.human[1]
    assert plan.human[0] == 0.75
    assert share >= 0.70
    assert plan.accepted


def test_near_copies_go_first(make_pool):
    styles = np.concatenate((np.repeat(zipf(60, 60, power=0.5), 10), np.arange(200, 240)))
    cluster = np.concatenate((np.repeat(np.arange(60), 10), 60 + np.arange(40)))
    pool = make_pool(styles, cluster=cluster, spread=0.01)
    plan = planned(pool, floor=0.99)
    kept = [int(u) for u in plan.kept]
    if plan.accepted:
        assert len({cluster[i] for i in kept}) == len(kept)


def test_it_says_why_it_cannot(make_pool):
    plan = planned(make_pool(np.zeros(200, int), spread=0.05))
    assert plan.after.lower < 0.60
    text = " ".join(plan.reasons)
    assert "out of reach" in text
    assert "reserve" in text
    alone = planned(make_pool([0, 0, -1, -1, -1]))
    assert not alone.accepted
    assert math.isnan(alone.gap)
    assert "too few different images" in " ".join(alone.reasons)


def test_a_size_that_the_quota_cannot_fill_is_never_chosen(make_pool):
    # Few people, all in one style; much machine work in many: only small sets keep the share.
    human = np.arange(400) < 60
    reserve = np.arange(400) >= 80
    styles = np.where(human, np.arange(400) % 12, 100 + np.arange(400))
    plan = planned(make_pool(styles, human=human, ai=~human, reserve=reserve), floor=0.95)
    assert plan.human[0] == 0.75
    assert plan.human[1] >= 0.70
    assert plan.accepted == (plan.after.lower > plan.before.lower)
    assert plan.accepted
