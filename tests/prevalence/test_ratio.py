"""The guaranteed share is a count, the unknown stays unknown."""

import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genepool.errors import MeasureError, UsageError
from genepool.prevalence import SyntheticContentDetector, human_ratio, slice_ratios

KINDS = st.lists(st.sampled_from("hau"), min_size=1, max_size=80)


def masks(kinds):
    letters = np.array(list(kinds))
    return letters == "h", letters == "a"


def test_seven_human_two_machine_one_unknown():
    ratio = human_ratio(*masks("hhhhhhhaau"), alpha=0.05)
    assert float(ratio) == ratio.lower == 0.7
    assert ratio.upper == 0.8
    assert ratio.point == pytest.approx(0.75)
    assert (ratio.n, ratio.n_audited) == (10, 9)
    assert not ratio < 0.70
    assert ratio.assumptions
    assert pickle.loads(pickle.dumps(ratio)).upper == 0.8


def test_nothing_verified_is_everything_possible():
    ratio = human_ratio(np.zeros(4, bool), np.zeros(4, bool), alpha=0.05)
    assert (ratio.lower, ratio.point, ratio.upper) == (0.0, 0.5, 1.0)
    empty = human_ratio(np.zeros(0, bool), np.zeros(0, bool), alpha=0.05)
    assert (empty.lower, empty.upper, empty.n) == (0.0, 1.0, 0)


@settings(max_examples=100, deadline=None)
@given(KINDS, st.data())
def test_bounds_contain_every_completion(kinds, data):
    ratio = human_ratio(*masks(kinds), alpha=0.05)
    truth = [k if k != "u" else data.draw(st.sampled_from("ha")) for k in kinds]
    assert ratio.lower - 1e-12 <= truth.count("h") / len(truth) <= ratio.upper + 1e-12
    # Tight: both ends are reached by some completion.
    assert ratio.lower == kinds.count("h") / len(kinds)
    assert ratio.upper == (len(kinds) - kinds.count("a")) / len(kinds)


@pytest.mark.parametrize(
    ("human", "ai", "alpha"),
    [
        (np.array([True]), np.array([True]), 0.05),
        (np.array([True]), np.array([False, True]), 0.05),
        (np.array([1.0]), np.array([False]), 0.05),
        (np.array([[True]]), np.array([[False]]), 0.05),
        (np.array([True]), np.array([False]), 0.0),
    ],
)
def test_contradictions_and_wrong_arrays_are_refused(human, ai, alpha):
    with pytest.raises(MeasureError, match="human ratio"):
        human_ratio(human, ai, alpha=alpha)


def test_slices_share_alpha_and_small_ones_are_left_out():
    labels = ["a"] * 4 + ["b"] * 4 + ["c"] + [None, ""]
    human, ai = masks("hhhhhauu" + "h" + "hh")
    found = slice_ratios(labels, human, ai, alpha=0.05, minimum=4)
    assert [s.label for s in found] == ["b", "a"]
    assert (found[0].ratio.lower, found[0].ratio.upper) == (0.25, 0.75)
    assert found[0].ratio.alpha == pytest.approx(0.025)
    assert "2 slices" in found[0].note
    assert slice_ratios([], *masks(""), minimum=1) == []
    with pytest.raises(MeasureError, match="labels"):
        slice_ratios(["a"], human, ai)


@settings(max_examples=60, deadline=None)
@given(KINDS, st.integers(1, 5))
def test_slices_weighted_by_size_give_the_whole(kinds, pieces):
    labels = [f"s{i % pieces}" for i in range(len(kinds))]
    human, ai = masks(kinds)
    found = slice_ratios(labels, human, ai, minimum=1)
    assert sum(s.ratio.n for s in found) == len(kinds)
    total = sum(s.ratio.lower * s.ratio.n for s in found)
    assert total / len(kinds) == pytest.approx(human_ratio(human, ai).lower)


@pytest.mark.parametrize("threshold", [0.5, 0.0, 1.01, -1, float("nan"), "0.9", True, None])
def test_threshold_outside_its_range_is_refused(threshold):
    with pytest.raises(UsageError, match="threshold"):
        SyntheticContentDetector(threshold=threshold)


@pytest.mark.parametrize("threshold", [0.51, 0.94, 1, 1.0])
def test_threshold_reaches_the_configuration(threshold):
    assert SyntheticContentDetector(threshold=threshold).config.detection.threshold == threshold
