"""The generator is really trained."""

from __future__ import annotations

import numpy as np
import pytest

from genepool.demo._computed import julia
from genepool.demo._generator import PictureGenerator, _enlarge, _overlap_add, _patches, _pyramid
from genepool.errors import MeasureError


def pictures(low: int, high: int, n: int = 24) -> np.ndarray:
    rng = np.random.default_rng(3)
    base = rng.integers(low, high, (n, 8, 8, 3), dtype=np.uint8)
    return np.repeat(np.repeat(base, 16, axis=1), 16, axis=2)


def test_what_it_draws_depends_on_what_it_learned():
    dark = PictureGenerator().fit(pictures(0, 80), 1).draw(6, 2)
    bright = PictureGenerator().fit(pictures(170, 250), 1).draw(6, 2)
    assert dark.shape == (6, 128, 128, 3)
    assert dark.dtype == np.uint8
    assert dark.mean() < 90 < 160 < bright.mean()


def test_one_training_picture_more_changes_the_model():
    data = pictures(0, 255)
    a, b = (PictureGenerator().fit(d, 1).draw(4, 2) for d in (data, data[:-1]))
    assert not np.array_equal(a, b)


def test_same_seed_same_pictures():
    data = pictures(0, 255)
    a, b, c = (PictureGenerator().fit(data, 1).draw(4, seed) for seed in (2, 2, 3))
    assert np.array_equal(a, b)
    assert not np.array_equal(a, c)


def test_layouts_narrow_from_one_generation_to_the_next():
    """Drawing at a temperature below one loses variance every time."""
    data = pictures(0, 255, 60)
    spread = []
    for generation in range(3):
        data = PictureGenerator(mixture=1).fit(data, 1).draw(60, 10 + generation)
        spread.append(data.reshape(60, 16, 8, 16, 8, 3).mean(axis=(2, 4)).var(axis=0).mean())
    assert spread[0] > 1.2 * spread[1] > 1.44 * spread[2]


@pytest.mark.parametrize("shape", [(20, 64, 64, 3), (20, 128, 128), (4, 128, 128, 3)])
def test_refuses_what_it_cannot_learn_from(shape):
    with pytest.raises(MeasureError, match="training pictures"):
        PictureGenerator().fit(np.zeros(shape, np.uint8), 1)


def test_patches_put_back_give_the_picture():
    picture = np.random.default_rng(0).random((64, 64, 3)).astype(np.float32)
    assert np.allclose(_overlap_add(_patches(picture), 64), picture, atol=1e-6)


def test_enlarging_then_averaging_keeps_a_ramp():
    ramp = np.broadcast_to(np.arange(128, dtype=np.float32)[:, None, None], (128, 128, 3))[None]
    levels = _pyramid(ramp)
    assert [level.shape[1] for level in levels] == [16, 32, 64, 128]
    assert np.allclose(_enlarge(levels[2])[0, 2:-2], ramp[0, 2:-2], atol=1e-4)


def test_julia_sets_are_computed_and_differ():
    (a, p), (b, q), (again, _) = julia(64, 1), julia(64, 2), julia(64, 1)
    assert np.array_equal(a, again)
    assert not np.array_equal(a, b)
    assert p["c"] != q["c"]
    # A Julia set of z² + c is symmetric under z → −z.
    assert np.abs(a.astype(int) - a[::-1, ::-1].astype(int)).mean() < 2
