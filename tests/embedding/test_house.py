"""The embedder that ships: unit vectors, the same every time, blind to size, copies together."""

from __future__ import annotations

import io
from importlib import resources

import numpy as np
import pytest
from PIL import Image

from genepool.embedding import SIDE, EmbeddingProbe, HouseEmbedder, middle
from genepool.errors import PluginError
from genepool.testing import assert_embedder, picture, view_of
from support.views import view


@pytest.fixture(scope="module")
def embedder():
    found = HouseEmbedder()
    found.prepare()
    return found


def test_it_keeps_every_rule_of_the_kit():
    assert_embedder(HouseEmbedder())


def test_the_models_weigh_at_most_ten_megabytes():
    sizes = [
        resources.files(room).joinpath("model", name).stat().st_size
        for room, name in (
            ("genepool.embedding", "embedder.onnx"),
            ("genepool.detection", "forensic.onnx"),
            ("genepool.detection", "stack.npz"),
        )
    ]
    assert sum(sizes) <= 10 * 10**6


@pytest.mark.parametrize("shape", [(1, 1), (1, 500), (63, 64), (176, 176), (100, 3000), (700, 500)])
def test_every_raster_gives_finite_unit_vectors(embedder, shape):
    rng = np.random.default_rng(0)
    for raster in (np.zeros((*shape, 3), np.uint8), rng.integers(0, 256, (*shape, 3), dtype=np.uint8)):
        found = embedder.embed_all(view_of(raster))
        for name, size in (("style", embedder.dim), ("copy", embedder.copy_dim)):
            assert found[name].shape == (size,)
            assert np.linalg.norm(found[name]) == pytest.approx(1, abs=1e-5)


def test_a_batch_says_what_each_alone_says(embedder):
    pictures = np.stack([picture(SIDE, SIDE, seed) for seed in range(6)])
    for together, rgb in zip(embedder.look_at(pictures), pictures, strict=True):
        alone = embedder.look_at(rgb[None])[0]
        for a, b in zip(together, alone, strict=True):
            assert np.abs(a - b).max() <= 1e-5


def test_two_probes_share_one_look(embedder):
    seen = view_of(picture(300, 200))
    assert embedder.look(seen) is embedder.look(seen)


def test_small_pictures_are_padded_never_enlarged():
    small = picture(40, 50)
    square = middle(small)
    assert square.shape == (64, 64, 3)
    assert np.array_equal(square[12:52, 12:52], small[:, 5:45])


def test_copies_lie_nearer_than_other_pictures(embedder, photos):
    images = [Image.fromarray(p) for p in photos.values()]
    originals = np.stack([embedder.embed_all(view(p))["copy"] for p in images])
    for k, photo in enumerate(images):
        out = io.BytesIO()
        photo.save(out, "JPEG", quality=40)
        half = photo.resize((photo.width // 2, photo.height // 2), Image.Resampling.LANCZOS)
        for copied in (
            Image.open(out).convert("RGB"),
            half,
            photo.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
        ):
            near = originals @ embedder.embed_all(view(copied))["copy"]
            assert near.argmax() == k


def test_the_probe_writes_both_vectors():
    probe = EmbeddingProbe(HouseEmbedder())
    probe.prepare()
    row = probe.examine(view_of(picture(200, 300)))
    assert probe.vectors == {"style": 256, "copy": 128}
    assert row["embedder"] == probe.identity == f"house@{HouseEmbedder().version}"


def test_a_damaged_or_missing_model_is_named(tmp_path):
    with pytest.raises(PluginError, match="cannot be read"):
        HouseEmbedder(tmp_path / "none.onnx")
    bad = tmp_path / "bad.onnx"
    bad.write_bytes(b"not a model")
    with pytest.raises(PluginError, match="not a model that ONNX Runtime can load"):
        HouseEmbedder(bad).prepare()
    found = HouseEmbedder(bad)
    bad.write_bytes(b"another")
    with pytest.raises(PluginError, match="changed while it was in use"):
        found.prepare()
