"""What the packaged panels must say of labelled pictures; needs ../shared."""

from __future__ import annotations

import csv
from collections import Counter

import numpy as np
import pytest

from genepool import plugins
from genepool.diversity import Panel, style_diversity
from genepool.records import Item, Sample
from genepool.scan import View

pytestmark = pytest.mark.shared


@pytest.fixture(scope="module")
def labelled(shared):
    """Every 8th human picture, and all pictures of each artist with at least 15."""
    with (shared / "images.csv").open(encoding="utf-8") as file:
        rows = sorted((r for r in csv.DictReader(file) if r["label"] == "human"), key=lambda r: r["path"])
    artists = [a for a, n in Counter(r["artist"] for r in rows if r["artist"]).most_common() if n >= 15]
    embedder = plugins.create("embedders", "house")
    embedder.prepare()

    def vectors(chosen):
        files = ((shared / "images" / r["path"]).read_bytes() for r in chosen)
        views = (View(Sample(Item("x", "", "x"), data), max_pixels=10**8) for data in files)
        return np.array([embedder.embed(view) for view in views], np.float16).astype(np.float32)

    wide = vectors(rows[::8])
    return wide, [vectors([r for r in rows if r["artist"] == a]) for a in artists]


def test_a_broad_set_scores_high_and_one_artist_low(labelled):
    panel = Panel.load(embedder="house")
    wide, hands = labelled
    broad = style_diversity(wide, panel)
    assert broad >= 0.85
    assert broad.on_support >= 0.95
    read = [style_diversity(hand, panel) for hand in hands]
    assert len(read) == 19
    assert np.mean(read) <= 0.35
    assert all(e.upper < broad.lower for e in read)
