"""The checks of a set over time: one point a state, nothing of another set, never in the way."""

from __future__ import annotations

import pytest

from genepool.gate import history
from genepool.gate._saved import POINTS
from genepool.records import Decision, Measure
from genepool.store import Workspace


@pytest.fixture
def space(tmp_path):
    return Workspace(tmp_path / "w").create()


def decision(root: str = "aa", index: float = 0.7, uri: str = "/set") -> Decision:
    found = Measure("diversity", "diversity", index, index - 0.1, index + 0.1, 40, "m", 0.6, "floor", True)
    return Decision("pass", uri, 40, root, {"diversity": found})


def keep(space, made: Decision, at: int) -> list:
    points = history(space, made, at)
    space.write_json("decision.json", {**made.to_json(), "history": points})
    return points


def test_every_state_of_the_set_is_a_point(space):
    keep(space, decision(), 100)
    points = keep(space, decision("bb", 0.5), 200)
    assert [(p["at"], p["root"], p["diversity"]["value"]) for p in points] == [
        (100, "aa", 0.7),
        (200, "bb", 0.5),
    ]
    assert points[1]["diversity"] == {"value": 0.5, "lower": 0.4, "upper": 0.6, "n": 40}
    assert points[1]["human_ratio"] is None


def test_the_same_state_again_moves_its_point(space):
    keep(space, decision(), 100)
    assert [p["at"] for p in keep(space, decision(), 300)] == [300]
    keep(space, decision("bb"), 400)
    assert [p["at"] for p in keep(space, decision("aa"), 500)] == [300, 400, 500]


@pytest.mark.parametrize("kept", [{"history": 3}, {"history": ["x"]}, {"history": [{"at": 1}]}, {}, []])
def test_what_is_damaged_begins_anew(space, kept):
    data = {"dataset": {"uri": "/set"}, **kept} if isinstance(kept, dict) else kept
    space.write_json("decision.json", data)
    assert [p["at"] for p in history(space, decision(), 9)] == [9]


def test_another_set_has_a_history_of_its_own(space):
    keep(space, decision(), 100)
    assert [p["at"] for p in history(space, decision(uri="/other"), 200)] == [200]


def test_it_does_not_grow_for_ever(space):
    point = {"at": 1, "root": "r", "status": "pass", "n": 1, "diversity": None, "human_ratio": None}
    many = [{**point, "at": i} for i in range(POINTS + 50)]
    space.write_json("decision.json", {"dataset": {"uri": "/set"}, "history": many})
    points = history(space, decision(), 999)
    assert len(points) == POINTS
    assert (points[0]["at"], points[-1]["at"]) == (51, 999)
