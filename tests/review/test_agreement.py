"""Agreement against published examples and an independent implementation."""

from __future__ import annotations

import numpy as np
import pytest

from genepool.review import agreement, gwet_ac1, krippendorff_alpha

# Krippendorff, "Computing Krippendorff's Alpha-Reliability" (2011), example C: 4 observers, 12 units.
KRIPPENDORFF = (
    (1, 2, 3, 3, 2, 1, 4, 1, 2, None, None, None),
    (1, 2, 3, 3, 2, 2, 4, 1, 2, 5, None, 3),
    (None, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, None),
    (1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, None),
)


def units(rows):
    return [{r: v for r, v in enumerate(column) if v is not None} for column in zip(*rows, strict=True)]


def test_the_published_example():
    found = krippendorff_alpha(units(KRIPPENDORFF))
    assert found.value == pytest.approx(0.743, abs=5e-4)
    assert found.units == 11
    assert found.ratings == 40
    assert found.lower < found.value < found.upper
    # Gwet (2008): two raters, 125 units, 118 of them "positive" to both, 5 and 2 in disagreement.
    table = [{0: "+", 1: "+"}] * 118 + [{0: "+", 1: "-"}] * 5 + [{0: "-", 1: "+"}] * 2
    assert gwet_ac1(table).value == pytest.approx(0.9408, abs=1e-3)


def test_it_agrees_with_evalica():
    evalica = pytest.importorskip("evalica")
    rng = np.random.default_rng(0)
    for _ in range(20):
        rows = rng.integers(0, 3, (3, 25)).astype(float)
        rows[rng.random(rows.shape) < 0.2] = np.nan
        mine = krippendorff_alpha(
            [{r: v for r, v in enumerate(column) if not np.isnan(v)} for column in rows.T], runs=10
        )
        import pandas as pd

        assert mine.value == pytest.approx(evalica.alpha(pd.DataFrame(rows), distance="nominal").alpha)


def test_edges():
    assert krippendorff_alpha([]).value is None
    assert gwet_ac1([{0: "a"}, {1: "b"}]).value is None
    same = [{0: "human", 1: "human"}] * 9
    assert krippendorff_alpha(same).value is None  # one category only: nothing to disagree about
    assert gwet_ac1(same).value == 1.0
    alpha, ac1 = agreement({"x": {"a": "human", "b": "unsure"}, "y": {"a": "ai", "b": "ai"}})
    assert alpha.units == ac1.units == 1


def test_the_interval_covers():
    rng = np.random.default_rng(2)
    hits = 0
    for _ in range(120):
        truth = rng.random(150) < 0.5
        rows = [np.where(rng.random(150) < 0.85, truth, ~truth) for _ in range(2)]
        found = krippendorff_alpha([dict(enumerate(pair)) for pair in zip(*rows, strict=True)], runs=400)
        hits += found.lower <= 0.49 <= found.upper  # (2·0.85 − 1)² for balanced classes
    assert hits >= 105
