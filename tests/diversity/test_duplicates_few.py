"""Few links are joined without a library, with the same components."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genepool.diversity import _duplicates

things = st.integers(0, 39)


@settings(max_examples=80, deadline=None)
@given(st.lists(st.tuples(things, things), max_size=120))
def test_as_the_library_says(links: list[tuple[int, int]]) -> None:
    pytest.importorskip("scipy")
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    first, second = np.array(links, np.int64).reshape(-1, 2).T
    graph = coo_array((np.ones(len(first), np.int8), (first, second)), shape=(40, 40))
    expected = connected_components(graph, directed=False)[1]
    found = _duplicates.components(40, first, second)
    # The same partition: each label of one goes with one label of the other, numbered by first appearance.
    assert len(set(zip(found.tolist(), expected.tolist(), strict=True))) == len(set(expected.tolist()))
    assert found.max() + 1 == len(set(expected.tolist()))
    assert [label for i, label in enumerate(found.tolist()) if label not in found[:i]] == sorted(
        set(found.tolist())
    )


def test_a_long_chain_and_both_ways_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    n = 15_000
    first, second = np.arange(n - 1), np.arange(1, n)
    assert not _duplicates.components(n, first, second).any()
    assert not _duplicates.components(n, first[::-1], second[::-1]).any()
    random = np.random.default_rng(5)
    ends = random.integers(0, n, (2, n // 3))
    few = _duplicates.components(n, *ends)
    monkeypatch.setattr(_duplicates, "_FEW", 0)
    assert np.array_equal(few, _duplicates.components(n, *ends))
