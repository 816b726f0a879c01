"""Panels of one's own: what they learn from artists' names, that noise stays out, what they refuse."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from genepool.diversity import (
    Panel,
    Recipe,
    artefact_pictures,
    artefact_vectors,
    make_panel,
    style_diversity,
    style_map,
)
from genepool.embedding import ClassicalEmbedder
from genepool.errors import MeasureError

SMALL = Recipe(dimensions=8, prototypes=48, frequencies=64)
DIM, ARTISTS = 30, 40


def art(seed: int = 0, n: int = 800):
    """Artists with a hand each, tight in half of the directions, who paint anything, wide in the others."""
    rng = np.random.default_rng(seed)
    hands = np.random.default_rng(99).normal(size=(ARTISTS, DIM // 2)) * 1.5
    who = rng.integers(0, ARTISTS, n)
    what = rng.normal(size=(n, DIM - DIM // 2)) * 4
    x = np.concatenate([hands[who] + 0.4 * rng.normal(size=(n, DIM // 2)), what], axis=1)
    return x, [(f"source {a % 5}", f"artist {a}") for a in who.tolist()]


@pytest.fixture(scope="module")
def made():
    x, groups = art()
    noise = 9.0 + np.random.default_rng(1).normal(size=(60, DIM))
    return make_panel(
        x, groups, noise, name="t-1", embedder="e@1", labels=[a for _, a in groups], recipe=SMALL
    )


def test_names_of_artists_turn_the_directions_to_their_hands(made):
    x, groups = art(5)
    plain = make_panel(x, [(s, "") for s, _ in groups], name="p", embedder="e@1", recipe=SMALL)
    one = np.array([a == "artist 7" for _, a in groups])
    few, many = style_diversity(x[one], made), style_diversity(x, made)
    assert few.upper < many.lower
    assert few / many < style_diversity(x[one], plain) / style_diversity(x, plain) - 0.1


def test_noise_of_a_kind_it_never_saw_is_off_support(made):
    x, _ = art(3)
    rng = np.random.default_rng(2)
    other = 7.0 + rng.uniform(-2, 2, size=(50, DIM))
    assert made.supported(made.whiten(other)).mean() <= 0.05
    assert made.supported(made.whiten(x)).mean() >= 0.9
    assert style_diversity(other, made) <= 0.15


def test_it_survives_its_file_and_the_digest_binds_the_limit(made, tmp_path):
    made.save(tmp_path / "p.npz")
    again = Panel.load(tmp_path / "p.npz")
    assert (again.digest, again.limit, again.notes) == (made.digest, made.limit, made.notes)
    assert np.array_equal(again.projection, made.projection)
    import dataclasses

    assert dataclasses.replace(made, limit=made.limit + 1).digest != made.digest
    with pytest.raises(MeasureError, match="limit"):
        dataclasses.replace(made, limit=float("nan"))


def test_the_same_pictures_make_the_same_panel(made):
    x, groups = art()
    noise = 9.0 + np.random.default_rng(1).normal(size=(60, DIM))
    labels = [a for _, a in groups]
    twice = make_panel(x, groups, noise, name="t-1", embedder="e@1", labels=labels, recipe=SMALL)
    assert twice.digest == made.digest


def test_prototypes_are_called_after_their_members(made):
    x, groups = art(8)
    lone = np.array([a == "artist 3" for _, a in groups])
    found = style_map(x[lone], made)
    most = found.names[int(found.counts.argmax())]
    assert most == "artist 3"
    dull = style_map(np.repeat(x[lone], 60, axis=0), made)
    assert dull.to_json()["missing"][0]["like"].startswith("artist ")
    assert dull.to_json()["missing"][0]["expected"] > dull.to_json()["missing"][0]["count"]


def test_artefacts_are_noise_and_always_the_same():
    first, second = (list(artefact_pictures(2)) for _ in range(2))
    assert first == second
    assert len(first) == 8
    for _, data in first:
        image = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"), float)
        assert np.abs(np.diff(image, axis=0)).mean() > 5
    vectors, kinds = artefact_vectors(ClassicalEmbedder(), 1)
    assert vectors.shape == (4, ClassicalEmbedder.dim)
    assert len(set(kinds)) == 4


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x, g: (x[:150], g[:150]), "at least 200 human pictures, found 150"),
        (lambda x, g: (x, g[:-1]), "as many vectors"),
        (lambda x, g: (x, [("one", a) for _, a in g]), "at least two sources"),
        (lambda x, g: (np.where(x > 9, np.nan, x), g), "NaN"),
    ],
)
def test_bad_input_is_refused(change, message):
    x, groups = change(*art())
    with pytest.raises(MeasureError, match=message):
        make_panel(x, groups, name="t", embedder="e@1", recipe=SMALL)
