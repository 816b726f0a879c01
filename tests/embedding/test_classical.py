"""The classical descriptor: deterministic, finite for every raster, blind to size, sharp on style."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from genepool.embedding import ClassicalEmbedder
from genepool.embedding._features import DIMENSION, _lab, describe


class View:
    """The part of an ImageView that an embedder uses."""

    def __init__(self, raster):
        self.raster = raster

    def thumbnail(self, short_side=256):
        height, width = self.raster.shape[:2]
        scale = short_side / min(height, width)
        if scale >= 1:
            return self.raster
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        return np.asarray(Image.fromarray(self.raster).resize(size, Image.Resampling.BOX))


@pytest.mark.parametrize(
    "shape", [(1, 1), (1, 500), (500, 1), (47, 48), (49, 127), (128, 128), (63, 64), (128, 3000), (700, 500)]
)
def test_every_raster_gives_a_finite_unit_vector(shape):
    rng = np.random.default_rng(0)
    for raster in (
        np.zeros((*shape, 3), np.uint8),
        np.full((*shape, 3), 255, np.uint8),
        rng.integers(0, 256, (*shape, 3), dtype=np.uint8),
    ):
        vector = ClassicalEmbedder().embed(View(raster))
        assert vector.shape == (DIMENSION,)
        assert vector.dtype == np.float32
        assert np.isfinite(vector).all()
        assert np.linalg.norm(vector) == pytest.approx(1.0, abs=1e-5)


def test_the_dimension_is_small_and_the_same_picture_gives_the_same_bytes(photos):
    assert DIMENSION <= 512
    one, two = (ClassicalEmbedder().embed(View(photos["astronaut"])) for _ in range(2))
    assert one.tobytes() == two.tobytes()


def test_lab_agrees_with_an_independent_implementation(photos):
    skimage = pytest.importorskip("skimage.color")
    rgb = photos["astronaut"][::7, ::7]
    expected = skimage.rgb2lab(rgb)
    assert np.abs(_lab(np.ascontiguousarray(rgb)).transpose(1, 2, 0) - expected).max() < 0.6
    grey = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 3, axis=2)
    assert np.abs(_lab(grey)[1:]).max() < 0.6


def test_a_resized_picture_stays_close_and_another_one_does_not(photos):
    embed = ClassicalEmbedder().embed
    whole = Image.fromarray(photos["astronaut"])
    half = np.asarray(whole.resize((256, 256), Image.Resampling.LANCZOS))
    vectors = {name: embed(View(np.ascontiguousarray(raster))) for name, raster in photos.items()}
    near = np.linalg.norm(embed(View(half)) - vectors["astronaut"])
    others = [np.linalg.norm(v - vectors["astronaut"]) for n, v in vectors.items() if n != "astronaut"]
    assert near < 0.1 * min(others)


def test_rotating_changes_directions_not_colours(photos):
    raster = photos["camera"]
    turned = np.ascontiguousarray(np.rot90(raster))
    one, two = describe(View(raster).thumbnail(128)), describe(View(turned).thumbnail(128))
    # The first 34 numbers are colour moments, quantiles and the hue circle.
    assert np.abs(one[:34] - two[:34]).max() < 0.02
    assert np.abs(one - two).max() > 0.02
