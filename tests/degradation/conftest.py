"""Human pictures, and generations of a made-up model that narrows and leaves a growing grid."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from support.galleries import crops


def worn(photos: dict, count: int, seed: int, kinds: int, grid: float) -> list[Image.Image]:
    """Crops of the first ``kinds`` photographs, blurred a little, with a grid of amplitude ``grid``."""
    some = {name: photos[name] for name in sorted(photos)[:kinds]}
    wave = grid * np.cos(np.pi * np.arange(64))
    found = []
    for picture in crops(some, count, seed, side=64):
        plane = np.asarray(picture, np.float64) + (wave[:, None] * wave[None, :] / max(grid, 1e-9))[..., None]
        found.append(Image.fromarray(np.clip(np.rint(plane), 0, 255).astype(np.uint8)))
    return found


@pytest.fixture(scope="session")
def human(photos) -> list[Image.Image]:
    return crops(photos, 150, 1, side=64)


@pytest.fixture(scope="session")
def generations(photos) -> list[list[Image.Image]]:
    """All photographs and a faint grid; fewer and a stronger one; few and a strong one."""
    return [
        worn(photos, 60, seed, kinds, grid)
        for seed, kinds, grid in ((2, len(photos), 4.0), (3, len(photos) // 2, 8.0), (4, 3, 16.0))
    ]
