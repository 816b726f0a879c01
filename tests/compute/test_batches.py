"""How many pictures at once: the clock may choose, a number may not change."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genepool.compute import SIZES, Batched, Tuning, chosen, tuned

PICTURES = np.random.default_rng(1).integers(0, 256, (64, 4, 4, 3), dtype=np.uint8)


def means(batch):
    """A model whose answers do not depend on the batch."""
    return [batch.reshape(len(batch), -1).mean(1), batch.astype(np.float32)[:, 0]]


class Timed:
    """A model that tells the time itself: what a call costs, and what a picture in company of ``n``."""

    def __init__(self, call: float, power: float) -> None:
        self.call, self.power, self.now = call, power, 0.0

    def __call__(self, batch):
        self.now += self.call + len(batch) ** self.power / 1000
        return means(batch)

    def clock(self) -> float:
        return self.now


def leaning(batch):
    """A model whose kernels differ by shape: last bits depend on the size of the batch."""
    return [means(batch)[0] * (1 + 1e-7 * (len(batch) > 1))]


def test_large_batches_are_taken_where_a_call_costs_most():
    model = Timed(0.01, 1.0)
    found = tuned(model, PICTURES, (1, 8, 64), model.clock)
    assert found.size == 64
    assert found.equal == (1, 8, 64)
    assert not found.filled
    assert found.rates[8] == pytest.approx(8 / 0.018)


def test_single_pictures_where_company_costs():
    model = Timed(0.0, 1.3)
    assert tuned(model, PICTURES, (1, 2, 4), model.clock).size == 1


def test_a_larger_batch_must_be_worth_its_memory():
    model = Timed(0.00002, 1.0)
    assert tuned(model, PICTURES, (1, 2, 4), model.clock).size == 1


def test_a_size_that_changes_bits_is_not_chosen_by_the_clock():
    found = tuned(leaning, PICTURES, (1, 8, 32))
    assert (found.size, found.filled, found.equal) == (32, True, (1,))
    assert tuned(leaning, PICTURES, (1, 2, 4)) == Tuning(
        1, False, found.rates or {1: pytest.approx(0, abs=1e9)}, (1,)
    )


def test_filled_batches_make_a_picture_independent_of_its_neighbours():
    run = Batched(leaning, Tuning(32, filled=True))
    whole = run(PICTURES)[0]
    for n in (1, 5, 32, 33):
        assert np.array_equal(run(PICTURES[:n])[0], whole[:n])


@given(st.integers(1, 40), st.integers(1, 20), st.booleans())
def test_batches_give_every_row_once_and_in_order(n, size, filled):
    calls = []

    def watched(batch):
        calls.append(len(batch))
        return means(batch)

    found = Batched(watched, Tuning(size, filled))(PICTURES[:n])
    for got, wanted in zip(found, means(PICTURES[:n]), strict=True):
        assert np.array_equal(got, wanted)
    assert max(calls) <= size
    assert not filled or set(calls) == {size}


def test_nothing_is_measured_on_a_processor():
    def never(batch):
        raise AssertionError("a model was run")

    def no_pictures(n):
        raise AssertionError("pictures were made")

    assert chosen(never, "cpu", 0, no_pictures) == Tuning(1)
    assert chosen(never, "cpu", 6, no_pictures) == Tuning(6)
    assert chosen(never, "cuda", 6, no_pictures) == Tuning(6, filled=True)
    assert chosen(leaning, "cuda", 0, lambda n: PICTURES[:1].repeat(n, 0)).size in SIZES["cuda"]
