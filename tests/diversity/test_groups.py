"""Groups of images: the bootstrap over artists, the index slice by slice, who has few images."""

from __future__ import annotations

import dataclasses
import errno

import numpy as np
import pytest

from genepool.diversity import _regrouped, extremes, group_shares, slice_indices, style_diversity
from genepool.errors import MeasureError, WorkspaceError


@pytest.fixture(scope="module")
def small(panel):
    """The panel with a quarter of its frequencies: the same algebra, faster."""
    return dataclasses.replace(panel, frequencies=panel.frequencies[:64])


def clustered(panel, places, artists, each, seed):
    """Artists at places of their own in the panel's space, a few images each."""
    rng = np.random.default_rng(seed)
    own = panel.prototypes[rng.integers(0, len(panel.prototypes), artists)]
    z = np.repeat(own, each, axis=0) + 0.1 * panel.bandwidth * rng.normal(size=(artists * each, own.shape[1]))
    return places(z), np.repeat([f"a{i}" for i in range(artists)], each)


def test_the_interval_over_artists_holds_where_the_one_over_images_is_too_narrow(small, places):
    # The population: every artist's place is a prototype drawn at random.
    truth = float(style_diversity(clustered(small, places, 1500, 1, 1)[0], small))
    over_images = over_artists = 0
    for seed in range(60):
        x, artists = clustered(small, places, 40, 6, 100 + seed)
        # Pairs inside one artist are part of such samples: compare with what 40 artists read on average.
        e, g = style_diversity(x, small), style_diversity(x, small, groups=artists)
        assert float(e) == pytest.approx(float(g), abs=1e-9)
        over_images += e.upper - e.lower
        over_artists += g.upper - g.lower
        assert "whole groups" in g.method
    assert over_artists > 1.3 * over_images
    assert truth > 0.5


def test_groups_of_one_image_give_about_the_interval_over_images(small, places):
    x, _ = clustered(small, places, 300, 1, 5)
    e, g = style_diversity(x, small), style_diversity(x, small, groups=np.arange(300))
    assert g.upper - g.lower == pytest.approx(e.upper - e.lower, rel=0.5)


def test_a_slice_reads_what_it_reads_alone(small, places):
    x, artists = clustered(small, places, 6, 40, 2)
    labels = [a if a in ("a0", "a1") else "rest" if a != "a5" else "" for a in artists]
    found = slice_indices(x, small, labels, least=30)
    assert set(found) == {"a0", "a1", "rest"}
    for name, e in found.items():
        alone = style_diversity(x[np.array(labels) == name], small)
        assert (e.value, e.n) == (pytest.approx(alone.value, abs=1e-9), alone.n)
        assert e.upper == pytest.approx(alone.upper, abs=1e-9)
    assert found["a0"].upper < found["rest"].lower
    assert slice_indices(x, small, labels, least=60).keys() == {"rest"}


def shuffled(panel, places, seed=8, artists=120):
    """Many small slices, the images of all of them mixed up."""
    x, names = clustered(panel, places, artists, 20, seed)
    order = np.random.default_rng(seed).permutation(len(x))
    return x[order], names[order]


def test_many_slices_cost_one_pass_each_over_the_set_and_not_one_for_every_few(small, places):
    x, names = shuffled(small, places)
    passes = 0

    def start():
        nonlocal passes
        passes += 1
        return (x[at : at + 100] for at in range(0, len(x), 100))

    found = slice_indices(start, small, names, least=10)
    assert len(found) == 120
    assert passes == 1
    for name in ("a0", "a77"):
        alone = style_diversity(x[names == name], small)
        assert found[name].value == pytest.approx(alone.value, abs=1e-9)
        assert found[name].upper == pytest.approx(alone.upper, abs=1e-9)


def test_what_memory_does_not_hold_goes_through_a_file_with_the_same_result(small, places, monkeypatch):
    x, names = shuffled(small, places, artists=30)
    human = np.arange(len(x)) % 3 == 0
    weights = np.where(np.arange(len(x)) % 5 == 0, 0.5, 1.0)
    held = slice_indices(x, small, names, human, weights, least=10)
    monkeypatch.setattr(_regrouped, "IN_MEMORY", 0)
    filed = slice_indices(x, small, names, human, weights, least=10)
    assert filed == held
    assert [(e.lower, e.upper) for e in filed.values()] == [(e.lower, e.upper) for e in held.values()]
    with pytest.raises(MeasureError, match="beside"):
        slice_indices(x, small, names, human[:-1], least=10)


def test_no_room_for_the_temporary_file_is_said(small, places, monkeypatch):
    x, names = shuffled(small, places, artists=10)
    monkeypatch.setattr(_regrouped, "IN_MEMORY", 0)

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(_regrouped.os, "pwrite", full)
    with pytest.raises(WorkspaceError, match=r"temporary file.*No space left") as refused:
        slice_indices(x, small, names, least=10)
    assert "TMPDIR" in refused.value.hint


def test_one_long_label_does_not_make_every_image_as_long():
    labels = ["x"] * 100_000 + ["y" * 50_000]  # as fixed-width text: 20 GB
    assert group_shares(labels).counts == (1.0, 100_000.0)


def test_who_has_few_images():
    labels = ["x"] * 90 + ["y"] * 80 + ["z"] * 4 + [""] * 10
    found = group_shares(labels)
    assert found.names == ("z", "y", "x")
    assert found.under == ("z",)
    assert found.unnamed == 10
    assert found.hill[0] == pytest.approx(3)
    assert found.hill[0] > found.hill[1] > found.hill[2] > 1
    assert found.to_json()["under_represented"] == [{"name": "z", "count": 4.0}]
    # Twenty copies of one picture count once.
    weights = np.array([1 / 90] * 90 + [1.0] * 94)
    assert group_shares(labels, weights).counts[0] == pytest.approx(1.0)
    assert group_shares([]).hill == (0.0, 0.0, 0.0)
    with pytest.raises(MeasureError, match="beside"):
        group_shares(labels, [1.0])


def test_the_rarest_and_commonest_are_no_copies_of_each_other():
    common = np.array([0.9, 0.9, 0.1, 0.1, 0.5, 0.4, 0.6, 0.3])
    rare, often = extremes(common, np.array([0, 0, 1, 1, 2, 3, 4, 5]), 2)
    assert rare.tolist() == [2, 7]
    assert often.tolist() == [0, 6]
