"""Style vectors of pictures that scikit-image ships and of pictures that a program computes."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from genepool.diversity import Panel
from genepool.embedding import ClassicalEmbedder
from genepool.scan import perceptual_hash
from support.views import embed, view


@pytest.fixture(scope="session")
def panel():
    return Panel.load(embedder="classical")


@pytest.fixture(scope="session")
def varied(photos):
    """120 mild variations of one photograph: vectors and perceptual hashes."""
    rng = np.random.default_rng(5)
    vectors, hashes = [], []
    for _ in range(120):
        top, left = rng.integers(0, 40, 2)
        cut = photos["astronaut"][top : top + 472, left : left + 472] * rng.uniform(0.92, 1.08)
        side = int(rng.integers(200, 500))
        image = Image.fromarray(np.clip(cut, 0, 255).astype(np.uint8)).resize((side, side))
        seen = view(image, quality=int(rng.integers(60, 96)))
        vectors.append(ClassicalEmbedder().embed(seen))
        hashes.append(perceptual_hash(seen.luma()))
    return np.array(vectors), hashes


@pytest.fixture(scope="session")
def noises():
    """White noise of several kinds and sizes, by name."""
    rng = np.random.default_rng(6)
    made = {"uniform": [], "gaussian": [], "grey": []}
    for _ in range(20):
        height, width = rng.integers(128, 512, 2)
        uniform = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
        gaussian = rng.normal(rng.uniform(60, 190), rng.uniform(20, 90), (height, width, 3))
        grey = np.repeat(rng.normal(128, rng.uniform(20, 90), (height, width, 1)), 3, axis=2)
        made["uniform"].append(Image.fromarray(uniform))
        made["gaussian"].append(Image.fromarray(np.clip(gaussian, 0, 255).astype(np.uint8)))
        made["grey"].append(Image.fromarray(np.clip(grey, 0, 255).astype(np.uint8)))
    return {name: embed(images) for name, images in made.items()}


@pytest.fixture(scope="session")
def scenes(photos):
    """200 crops of 13 photographs, in order of the photograph: vectors and which photograph."""
    rng = np.random.default_rng(7)
    images, names = [], []
    for i in range(200):
        name = sorted(photos)[i % len(photos)]
        raster = photos[name]
        side = int(min(raster.shape[:2]) * rng.uniform(0.4, 0.9))
        top, left = (int(rng.integers(0, edge - side + 1)) for edge in raster.shape[:2])
        images.append(Image.fromarray(np.ascontiguousarray(raster[top : top + side, left : left + side])))
        names.append(name)
    return embed(images), np.array(names)


@pytest.fixture(scope="session")
def places(panel):
    """Makes vectors from whitened places: a style wherever one is wanted."""

    def make(whitened):
        inverse = np.linalg.pinv(panel.projection)
        return np.asarray(whitened) @ inverse + panel.mean

    return make
