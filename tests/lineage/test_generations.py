"""Generation arithmetic for images, one by one and a million at a time."""

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genepool.errors import MeasureError
from genepool.lineage import UNBOUNDED, image_generation, settle_generations


@pytest.mark.parametrize(
    ("model", "parents", "expected"),
    [
        ((1, 1), [], (1, 1)),
        ((1, None), [], (1, None)),
        ((1, 1), [(0, 0)], (1, 1)),
        ((1, 1), [(2, 2)], (3, 3)),
        ((1, 1), [(2, 4), (0, 0)], (3, 5)),
        ((1, 1), [(1, None)], (2, None)),
        ((4, None), [(1, 1)], (4, None)),
        ((0, 0), [], (1, 1)),
    ],
)
def test_one_image(model, parents, expected):
    assert image_generation(model, parents) == expected


@pytest.mark.parametrize("bad", [(-1, 2), (3, 2)])
def test_an_interval_that_is_none_is_refused(bad):
    with pytest.raises(MeasureError):
        image_generation(bad)
    with pytest.raises(MeasureError):
        image_generation((1, 1), [bad])


@settings(max_examples=80, deadline=None)
@given(st.integers(1, 25), st.data())
def test_arrays_agree_with_one_by_one(n, data):
    interval = st.tuples(st.integers(1, 3), st.one_of(st.none(), st.integers(0, 3)))
    models = [
        (lo, None if more is None else lo + more)
        for lo, more in data.draw(st.lists(interval, min_size=n, max_size=n))
    ]
    edges = [
        (child, parent)
        for child in range(1, n)
        for parent in data.draw(st.sets(st.integers(0, child - 1), max_size=3))
    ]
    expected = []
    for i in range(n):
        expected.append(image_generation(models[i], [expected[p] for c, p in edges if c == i]))
    shuffle = np.array(data.draw(st.permutations(range(n))))
    lo, hi = np.zeros(n, np.int32), np.zeros(n, np.int32)
    lo[shuffle] = [m[0] for m in models]
    hi[shuffle] = [UNBOUNDED if m[1] is None else m[1] for m in models]
    child, parent = (shuffle[[e[k] for e in edges]] if edges else np.zeros(0, int) for k in (0, 1))
    found_lo, found_hi, looped = settle_generations(lo, hi, child, parent)
    assert not looped.any()
    assert found_lo[shuffle].tolist() == [e[0] for e in expected]
    assert found_hi[shuffle].tolist() == [UNBOUNDED if e[1] is None else e[1] for e in expected]


def test_edits_add_nothing():
    lo, hi, _ = settle_generations(
        np.array([2, 0, 1]), np.array([2, 0, 1]), np.array([1, 2]), np.array([0, 0]), np.array([1, 0, 1])
    )
    assert lo.tolist() == hi.tolist() == [2, 2, 3]


def test_loops_are_found_and_cannot_be_bounded():
    lo, hi, looped = settle_generations(
        np.ones(5, int), np.ones(5, int), np.array([0, 1, 2, 4]), np.array([1, 0, 1, 3])
    )
    assert looped.tolist() == [True, True, True, False, False]
    assert hi.tolist() == [UNBOUNDED] * 3 + [1, 2]
    assert lo.tolist()[3:] == [1, 2]


def test_wrong_arrays_are_refused():
    one = np.ones(2, int)
    with pytest.raises(MeasureError):
        settle_generations(one, np.ones(3, int), np.zeros(0, int), np.zeros(0, int))
    with pytest.raises(MeasureError):
        settle_generations(one, one, np.array([2]), np.array([0]))
    with pytest.raises(MeasureError):
        settle_generations(one, one, np.array([1]), np.array([-1]))


def test_a_million_images_in_seconds():
    n = 1_000_000
    rng = np.random.default_rng(0)
    child = np.arange(n // 2, n)
    parent = rng.integers(0, n // 2, len(child))
    start = time.process_time()
    lo, _, _ = settle_generations(np.ones(n, int), np.ones(n, int), child, parent)
    assert time.process_time() - start < 5.0
    assert (lo[n // 2 :] == 2).all()
