"""Pools of images at chosen places, and small folders of real pictures."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from genepool.diversity import Panel
from genepool.injection._pool import Pool


@pytest.fixture(scope="session")
def panel():
    """The packaged panel with a quarter of its frequencies: the algebra is the same, faster."""
    whole = Panel.load(embedder="classical")
    return dataclasses.replace(whole, frequencies=whole.frequencies[:64])


@pytest.fixture
def make_pool(panel):
    """A pool from style numbers: images of equal number lie close together; −1 is off support."""

    def make(styles, human=None, ai=None, reserve=None, cluster=None, spread=0.2, seed=0):
        styles = np.asarray(styles)
        rng = np.random.default_rng(seed)
        z = panel.prototypes[styles % len(panel.prototypes)]
        z = z + spread * panel.bandwidth * rng.normal(size=z.shape)
        z[styles < 0] = 50.0 + rng.normal(size=(int((styles < 0).sum()), z.shape[1]))
        n = len(styles)

        def flags(values):
            return np.zeros(n, bool) if values is None else np.asarray(values, bool)

        return Pool(
            panel=panel,
            uris=tuple(f"{i:05}" for i in range(n)),
            reserve=flags(reserve),
            whitened=z,
            on=panel.supported(z) | flags(human),
            human=flags(human),
            ai=flags(ai),
            cluster=np.arange(n) if cluster is None else np.asarray(cluster),
            alpha=0.05,
        )

    return make
