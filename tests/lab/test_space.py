"""The space of a judge: the same directions whichever way they are found."""

from __future__ import annotations

import numpy as np

from genepool.lab._space import Space, _principal


def test_both_ways_find_the_same_directions():
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(50, 12)) @ rng.normal(size=(12, 80))
    rows -= rows.mean(axis=0)
    values, vectors = _principal(rows)
    wanted, other = np.linalg.eigh(np.cov(rows, rowvar=False))
    assert np.allclose(values[:12], wanted[::-1][:12])
    assert np.allclose(np.abs((vectors[:, :12] * other[:, ::-1][:, :12]).sum(axis=0)), 1)
    assert np.allclose(vectors[:, :12].T @ vectors[:, :12], np.eye(12))


def test_pictures_of_more_pixels_than_there_are_pictures():
    pictures = np.random.default_rng(1).integers(0, 256, (70, 12, 12, 3), np.uint8)
    space = Space(pictures)
    assert space.human.shape == (70, 17)
    assert np.isfinite(space.human).all()
