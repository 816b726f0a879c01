"""`inject_diversity` on real folders: as a function and as a method, with and without a reserve."""

from __future__ import annotations

import logging

import pytest

import genepool
from genepool import errors
from genepool.config import Config
from genepool.injection import plan_injection
from support.galleries import crops, write


@pytest.fixture(scope="module")
def dull(tmp_path_factory, photos):
    """Many nearly equal views of one photograph beside a few different ones; scanned once, beside itself."""
    folder = tmp_path_factory.mktemp("injection") / "dull"
    write(folder, crops({"chelsea": photos["chelsea"]}, 60, seed=3), "dull")
    write(folder, crops(photos, 26, seed=4), "rich")
    return folder


@pytest.fixture
def reserve(tmp_path, photos):
    folder = tmp_path / "reserve"
    write(folder, crops(photos, 52, seed=11), "other")
    return folder


CONFIG = Config().with_(engine__workers=1)


def test_the_index_rises_and_equals_what_the_plan_said(dull):
    index = genepool.StyleDiversityIndex(config=CONFIG)
    before = index.calculate(dull)
    plan = plan_injection(dull, config=CONFIG)
    assert plan.before == pytest.approx(before, abs=1e-9)
    assert plan.accepted
    result = genepool.inject_diversity(dull, config=CONFIG)
    assert isinstance(result, genepool.Dataset)
    after = index.calculate(result)
    assert after.lower > before.lower
    assert after == pytest.approx(plan.after, abs=1e-6)
    assert {s.item.uri for s in result} == set(plan.kept)
    assert set(plan.kept) | set(plan.dropped) == {s.item.uri for s in genepool.open(dull)}


def test_a_reserve_comes_in_as_a_union(dull, reserve):
    plan = plan_injection(dull, reserve=reserve, floor=0.5, config=CONFIG)
    assert plan.accepted
    assert plan.added
    result = plan.apply()
    assert len(result) == len(plan.kept) + len(plan.added)
    after = genepool.StyleDiversityIndex(config=CONFIG).calculate(result)
    assert after == pytest.approx(plan.after, abs=1e-6)
    assert after.lower > plan.before.lower


def test_it_works_as_a_method_in_every_way_a_class_can_hold_it(dull):
    class Plain:
        inject_diversity = genepool.inject_diversity

    class Static:
        inject_diversity = staticmethod(genepool.inject_diversity)

    class Wrapped:
        def inject_diversity(self, dataset):
            return genepool.inject_diversity(dataset, config=CONFIG)

    chosen = set(plan_injection(dull, config=CONFIG).kept)
    for kind in (Plain, Static, Wrapped):
        assert {s.item.uri for s in kind().inject_diversity(dull)} == chosen


def test_where_nothing_can_be_done_the_very_same_object_comes_back(tmp_path, photos, caplog):
    folder = tmp_path / "same"
    write(folder, crops({"moon": photos["moon"]}, 3, seed=1), "m")
    data = genepool.open(folder)
    with caplog.at_level(logging.WARNING, "genepool.injection"):
        assert genepool.inject_diversity(data, config=CONFIG) is data
        assert genepool.inject_diversity(str(folder), floor=0.0, config=CONFIG) == str(folder)
    assert "left as it is" in caplog.text
    assert "nothing to do" in caplog.text


def test_bad_goals_and_empty_sets_are_refused(dull, tmp_path):
    with pytest.raises(errors.UsageError, match="floor"):
        genepool.inject_diversity(dull, floor=1.5)
    with pytest.raises(errors.UsageError, match="human_ratio"):
        genepool.inject_diversity(dull, human_ratio=-0.1)
    (tmp_path / "empty").mkdir()
    with pytest.raises(errors.SourceError):
        genepool.inject_diversity(tmp_path / "empty", config=CONFIG)
