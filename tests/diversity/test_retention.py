"""Unique feature retention: 100 for a fresh sample, less for one that has lost features, tail first."""

from __future__ import annotations

import itertools
import pickle

import numpy as np
import pytest

from genepool.diversity import FeatureAtlas, Panel, feature_retention
from genepool.errors import MeasureError

MODES = 12


def sample(n: int, seed: int, modes: int = MODES, spread: float = 1.0) -> np.ndarray:
    """Clusters of falling size around frozen centres; ``modes`` keeps only the commonest."""
    centres = np.random.default_rng(0).normal(size=(MODES, 8)) * 6
    rng = np.random.default_rng(seed)
    shares = 1.0 / np.arange(1, MODES + 1)[:modes]
    which = rng.choice(modes, n, p=shares / shares.sum())
    return centres[which] + rng.normal(size=(n, 8)) * spread


def test_a_fresh_sample_keeps_everything():
    found = [feature_retention(sample(600, s), sample(1800, 100 + s)) for s in range(1, 9)]
    assert np.mean([f.value for f in found]) == pytest.approx(100, abs=4)
    # 95 % intervals: of eight, one may miss.
    assert sum(f.lower <= 100 <= f.upper for f in found) >= 7
    assert all(f.seen > 0.8 for f in found)


def test_what_is_lost_is_lost_and_the_tail_shows_it_first():
    reference = sample(1800, 1)
    values = [feature_retention(sample(600, 2, modes=m), reference) for m in (12, 9, 6, 3, 1)]
    assert all(a.value > b.value for a, b in itertools.pairwise(values))
    assert values[1].upper < values[0].lower + 15
    assert values[2].tail < values[2].value
    assert values[-1].value < 45  # the commonest mode alone holds a third of the reference


def test_images_off_the_reference_count_for_nobody():
    reference = sample(1800, 1)
    noise = np.random.default_rng(3).normal(size=(600, 8)) * 60
    assert feature_retention(noise, reference).value < 5
    half = np.concatenate([sample(600, 4), noise])
    assert feature_retention(half, reference).value < 75


def test_counts_of_parts_add_up():
    atlas = FeatureAtlas(sample(900, 1))
    x = sample(400, 2)
    whole = atlas.count(x)
    assert np.array_equal(whole, atlas.count(x[:150]) + atlas.count(x[150:]))
    assert np.array_equal(whole, atlas.count([x[:7], x[7:]]))
    assert whole.sum() == 400
    assert atlas.shares.sum() == pytest.approx(1)


def test_same_seed_same_number_and_it_survives_pickling():
    a, b = (feature_retention(sample(300, 2), sample(600, 1), seed=4) for _ in range(2))
    assert (a.value, a.lower, a.upper, a.tail) == (b.value, b.lower, b.upper, b.tail)
    again = pickle.loads(pickle.dumps(a))
    assert (again.value, again.tail, again.seen) == (a.value, a.tail, a.seen)
    assert a.to_json()["tail"] == a.tail.to_json()
    assert again.presence.upper == a.presence.upper


def test_the_panel_whitens(photos):
    from genepool.degradation import Picture, as_pictures
    from genepool.embedding import ClassicalEmbedder
    from support.galleries import crops

    embedder = ClassicalEmbedder()
    pictures = as_pictures(crops(photos, 90, seed=1, side=48))
    vectors = np.stack([embedder.embed(Picture(picture)) for picture in pictures])
    assert feature_retention(vectors, vectors, Panel.load(embedder="classical")).value > 80


def test_bad_input():
    with pytest.raises(MeasureError, match="at least 40"):
        FeatureAtlas(sample(39, 1))
    with pytest.raises(MeasureError, match="prototypes"):
        FeatureAtlas(sample(60, 1), prototypes=30)
    atlas = FeatureAtlas(sample(60, 1))
    with pytest.raises(MeasureError, match="shape"):
        atlas.count(np.zeros((5, 3)))
    with pytest.raises(MeasureError, match="finite"):
        atlas.count(np.full((5, 8), np.nan))
    with pytest.raises(MeasureError, match="found 0 images"):
        atlas.retention(np.zeros(len(atlas.shares) + 1, np.int64))


def test_presence_counts_what_a_small_sample_has_not_met():
    rng = np.random.default_rng(5)
    centres = rng.normal(size=(60, 8)) * 9
    reference = centres[rng.integers(0, 60, 3000)] + rng.normal(size=(3000, 8))
    atlas = FeatureAtlas(reference, prototypes=60)
    small, half = centres[rng.integers(0, 60, 90)], centres[rng.integers(0, 30, 900)]
    found = atlas.retention(atlas.count(small + rng.normal(size=small.shape) * 0.3))
    assert found.seen < 0.85
    assert found.presence > found.seen + 0.05
    assert found.presence.lower <= found.presence <= found.presence.upper <= 1
    lost = atlas.retention(atlas.count(half + rng.normal(size=half.shape) * 0.3))
    # Half of the modes are gone for good: no estimate may bring them back.
    assert lost.presence.upper < 0.7
    assert lost.tail.lower <= lost.tail <= lost.tail.upper


def test_a_reference_too_small_for_its_rare_features_gives_a_wide_interval_not_an_absurd_one():
    found = feature_retention(sample(400, 5), sample(40, 6))
    assert 0 <= found.tail.lower <= found.tail <= found.tail.upper < 1e5
