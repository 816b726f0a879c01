"""The style diversity index: what it must say of pictures, whatever Vendi says."""

from __future__ import annotations

import dataclasses
import itertools
import math
import pickle
from pathlib import Path

import numpy as np
import pytest

from genepool.diversity import (
    Panel,
    StyleState,
    cluster_weights,
    commonness,
    near_duplicates,
    style_diversity,
    style_map,
    vendi_score,
)
from genepool.errors import MeasureError
from genepool.records import Estimate


def test_noise_scores_nothing_although_the_raw_score_likes_it(noises, scenes, panel):
    for name, vectors in noises.items():
        e = style_diversity(vectors, panel)
        assert e <= 0.15, name
        assert e.on_support <= 0.05, name
    everything = np.concatenate(list(noises.values()))
    assert style_diversity(everything, panel) <= 0.15
    # Adding noise to pictures lowers the index.
    pictures = style_diversity(scenes[0], panel)
    mixed = style_diversity(np.concatenate((scenes[0], everything)), panel)
    assert mixed.upper < pictures.lower


def test_one_image_repeated_or_varied_scores_nothing(varied, panel):
    vectors, _ = varied
    assert style_diversity(np.repeat(vectors[:1], 50, axis=0), panel) == pytest.approx(0.0, abs=1e-9)
    e = style_diversity(vectors, panel)
    assert e <= 0.15
    assert e.on_support >= 0.9


def test_more_styles_score_more(scenes, panel):
    vectors, names = scenes
    known = sorted(set(names))
    few, many = np.isin(names, known[:2]), np.isin(names, known)
    low, high = style_diversity(vectors[few], panel), style_diversity(vectors[many], panel)
    assert low.upper < high.lower
    assert 0.0 <= low.lower <= low <= low.upper <= 1.0


def test_halving_the_styles_lowers_it_beyond_its_interval(panel, places):
    rng = np.random.default_rng(1)
    centres = panel.prototypes[rng.choice(len(panel.prototypes), 64, replace=False)]
    spread = 0.1 * panel.bandwidth

    def draw(kinds, n=1500):
        return places(centres[rng.integers(0, kinds, n)] + spread * rng.normal(size=(n, centres.shape[1])))

    whole, half = style_diversity(draw(64), panel), style_diversity(draw(32), panel)
    assert half.upper < whole.lower


def test_copies_never_raise_it(scenes, varied, panel):
    vectors, _ = scenes
    plain = style_diversity(vectors, panel)
    rng = np.random.default_rng(2)
    for times in (2, 5, 40):
        for chosen in (rng.integers(0, len(vectors), 1), rng.integers(0, len(vectors), 30)):
            counts = np.ones(len(vectors), int)
            counts[chosen] = times
            copies = np.repeat(np.arange(len(vectors)), counts)
            weights = cluster_weights(copies)
            assert style_diversity(vectors[copies], panel, weights=weights) <= plain + 1e-12
            assert style_diversity(vectors[copies], panel, weights=weights) == pytest.approx(plain, abs=0.02)
    # Slight variations, found by their perceptual hashes, count as one image.
    near, hashes = varied
    labels = near_duplicates(hashes)
    together = np.concatenate((vectors, near))
    weights = np.concatenate((np.ones(len(vectors)), cluster_weights(labels)))
    one = np.concatenate((vectors, near[:1]))
    assert style_diversity(together, panel, weights=weights) <= style_diversity(one, panel) + 0.005


def test_what_a_collapsing_generator_does_lowers_it_each_time(photos, panel):
    from PIL import Image, ImageFilter

    from support.galleries import crops
    from support.views import embed

    pictures = crops(photos, 60, seed=8)
    mean = np.mean([np.asarray(p, float) for p in pictures], axis=0)

    def shrunk(share):
        return [
            Image.fromarray((mean + share * (np.asarray(p, float) - mean)).astype(np.uint8)) for p in pictures
        ]

    def score(images):
        return style_diversity(embed(images), panel)

    fading = [score(pictures), *(score(shrunk(s)) for s in (0.4, 0.15, 0.05))]
    assert all(worse < better for better, worse in itertools.pairwise(fading))
    assert fading[-1].upper < fading[0].lower
    assert score([p.filter(ImageFilter.GaussianBlur(6)) for p in pictures]).upper < fading[0].lower


def test_verified_images_always_count_and_carry_their_neighbours(noises, scenes, panel):
    strange = noises["uniform"]
    vectors = np.concatenate((scenes[0], strange))
    verified = np.zeros(len(vectors), bool)
    without = style_diversity(vectors, panel, verified)
    verified[len(scenes[0])] = True
    carried = style_diversity(vectors, panel, verified)
    assert without.on_support < carried.on_support
    verified[len(scenes[0]) :] = True
    assert style_diversity(vectors, panel, verified).on_support == style_diversity(
        scenes[0], panel
    ).on_support * len(scenes[0]) / len(vectors) + len(strange) / len(vectors)


def test_it_equals_the_definition_pair_by_pair(scenes, noises, panel):
    vectors = np.concatenate((scenes[0][:60], noises["uniform"][:5]))
    rng = np.random.default_rng(3)
    weights = rng.uniform(0.1, 1.0, len(vectors))
    z = panel.whiten(vectors)
    on = panel.supported(z)
    waves = panel.features(z)
    alike = (waves @ waves.T) ** 2
    alike[~on] = 0.0
    alike[:, ~on] = 0.0
    alike[np.ix_(~on, ~on)] = 1.0
    pair = np.outer(weights, weights)
    np.fill_diagonal(pair, 0.0)
    purity = (pair * alike).sum() / pair.sum()
    e = style_diversity(vectors, panel, weights=weights)
    assert e.purity == pytest.approx(purity, rel=1e-9)
    assert e == pytest.approx(-math.log(purity) / math.log(panel.reference), rel=1e-9)
    rare = commonness(vectors, panel)
    np.fill_diagonal(alike, 0.0)
    assert rare == pytest.approx(alike.sum(1) / (len(vectors) - 1), rel=1e-9)


def test_the_features_approximate_the_gaussian_kernel(panel, scenes):
    z = panel.whiten(scenes[0][:80])
    waves = panel.features(z)
    assert np.einsum("ni,ni->n", waves, waves) == pytest.approx(1.0, abs=1e-12)
    squares = ((z[:, None] - z[None]) ** 2).sum(-1)
    kernel = np.exp(-squares / (2 * panel.bandwidth**2))
    assert np.abs(waves @ waves.T - kernel).mean() < 0.05


def test_the_interval_covers_the_truth(panel, places):
    # A population of 4000 images in styles of very different size; 500 samples of 200.
    panel = dataclasses.replace(panel, frequencies=panel.frequencies[:64])
    rng = np.random.default_rng(4)
    share = 1.0 / np.arange(1, 41)
    kind = rng.choice(40, 4000, p=share / share.sum())
    centres = panel.prototypes[rng.choice(len(panel.prototypes), 40, replace=False)]
    z = centres[kind] + 0.3 * panel.bandwidth * rng.normal(size=(4000, centres.shape[1]))
    vectors = places(z)
    truth = float(style_diversity(vectors, panel))
    hits = 0
    for _ in range(500):
        e = style_diversity(vectors[rng.integers(0, 4000, 200)], panel)
        hits += e.lower <= truth <= e.upper
    assert 0.93 <= hits / 500 <= 0.98


def test_batches_lists_and_functions_are_the_same(scenes, panel):
    vectors = scenes[0].astype(np.float32)
    whole = style_diversity(vectors, panel)
    parts = [vectors[:7], vectors[7:90], vectors[90:]]
    for other in (parts, lambda: iter(parts)):
        e = style_diversity(other, panel)
        assert e == pytest.approx(whole, abs=1e-12)
        assert e.upper == pytest.approx(whole.upper, abs=1e-12)
    with pytest.raises(MeasureError, match="read twice"):
        style_diversity(iter(parts), panel)


def test_the_estimate_is_a_number_that_carries_its_facts(scenes, panel):
    e = pickle.loads(pickle.dumps(style_diversity(scenes[0], panel)))
    assert isinstance(e, Estimate)
    assert isinstance(e, float)
    assert e.styles == pytest.approx(1 / e.purity)
    assert set(e.to_json()) == {"value", "lower", "upper", "n", "method"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda v: v[:1], "at least two images"),
        (lambda v: v[:2], "at least 3 different images"),
        (lambda v: v[:0], "at least two images"),
        (lambda v: np.where(np.arange(len(v))[:, None] == 3, np.nan, v), "NaN or infinity, first row 3"),
        (lambda v: v[:, :-1], "expected \\(n, 417\\)"),
        (lambda v: v[0], "shape \\(n, d\\)"),
    ],
)
def test_bad_features_are_refused_with_a_reason(change, message, scenes, panel):
    with pytest.raises(MeasureError, match=message):
        style_diversity(change(scenes[0]), panel)


def test_bad_columns_are_refused(scenes, panel):
    vectors = scenes[0]
    with pytest.raises(MeasureError, match="beside"):
        style_diversity(vectors, panel, np.ones(3, bool))
    with pytest.raises(MeasureError, match="not negative"):
        style_diversity(vectors, panel, weights=-np.ones(len(vectors)))
    with pytest.raises(MeasureError, match="at least two images"):
        style_diversity(vectors, panel, weights=np.eye(len(vectors))[0])
    with pytest.raises(MeasureError, match="at least 8 groups"):
        style_diversity(vectors, panel, groups=["a", "b"] * (len(vectors) // 2))
    with pytest.raises(MeasureError, match="beside"):
        style_diversity(vectors, panel, groups=np.arange(10))
    with pytest.raises(MeasureError, match="alpha"):
        style_diversity(vectors, panel, alpha=0)


def test_other_orders_come_from_the_same_state(scenes, noises, panel):
    state = StyleState(panel)
    state.update(np.concatenate((scenes[0], noises["grey"])))
    assert state.spectrum().sum() == pytest.approx(1.0)
    assert state.spectrum()[0] >= state.weight_off / state.weight
    assert state.vendi(0.5) > state.vendi(1) > state.vendi(2) > state.vendi(math.inf) > 1
    assert state.vendi(1, keep=64) <= 64
    assert state.vendi(2) < 1 / state.purity()


def test_states_of_different_panels_do_not_mix(scenes, panel):
    other = dataclasses.replace(panel, bandwidth=panel.bandwidth * 2)
    with pytest.raises(MeasureError, match="different panels"):
        StyleState(panel).merge(StyleState(other))
    with pytest.raises(MeasureError, match="anchors"):
        StyleState(panel).merge(StyleState(panel, np.zeros((1, 16))))


def test_the_map_counts_every_image_once(scenes, noises, panel):
    vectors = np.concatenate((scenes[0], noises["grey"]))
    m = style_map(vectors, panel)
    assert m.counts.sum() + m.off_support == len(vectors)
    assert m.off_support >= len(noises["grey"])
    assert m.expected.sum() == pytest.approx(len(vectors), rel=1e-5)
    assert m.hill[0] >= m.hill[1] >= m.hill[2] > 1
    # Two thousand images of one style: nearly every other prototype is missing.
    dull = style_map(np.repeat(vectors[:1], 8000, axis=0), panel)
    assert len(dull.under) > 400
    assert (dull.counts[dull.under] == 0).all()


def test_raw_vendi_prefers_noise_which_is_why_it_is_not_the_index(noises, varied, panel):
    z = panel.whiten(np.concatenate(list(noises.values())))
    assert vendi_score(z) > vendi_score(panel.whiten(varied[0]))


@pytest.mark.shared
def test_a_broad_human_set_scores_high_and_an_artist_lower(shared):
    import csv
    from concurrent.futures import ThreadPoolExecutor

    from genepool.embedding import ClassicalEmbedder
    from genepool.records import Item, Sample
    from genepool.scan import View

    with (shared / "images.csv").open(encoding="utf-8") as file:
        rows = [r for r in csv.DictReader(file) if r["label"] == "human"]
    broad = rows[:: len(rows) // 300]
    artist = [r for r in rows if r["artist"] == "pavel-filonov"]

    def vector(row):
        data = (shared / "images" / row["path"]).read_bytes()
        return ClassicalEmbedder().embed(View(Sample(Item("x", "", "x"), data), max_pixels=10**8))

    with ThreadPoolExecutor(2) as pool:
        wide, narrow = (np.array(list(pool.map(vector, chosen))) for chosen in (broad, artist))
    panel = Panel.load(embedder="classical")
    high, low = style_diversity(wide, panel), style_diversity(narrow, panel)
    assert high >= 0.85
    assert low.upper < high.lower


def test_replacing_pictures_by_a_collapsed_generators_lowers_it_each_time(panel, scenes):
    from PIL import Image

    from support.views import embed

    with np.load(Path(__file__).parent / "fixtures" / "collapsed.npz") as file:
        made = file["generation_4"]
    assert made.shape[1:] == (32, 32, 3)
    drawn = embed([Image.fromarray(p) for p in made])
    pictures = scenes[0][::2][: len(drawn)]
    found = []
    for share in (0.0, 0.5, 0.8, 0.95):
        count = round(share * len(pictures))
        found.append(style_diversity(np.concatenate((pictures[count:], drawn[:count])), panel))
    assert all(worse < better for better, worse in itertools.pairwise(found))
    assert found[-1].upper < found[0].lower
