"""The order and the table of `genepool compare`, on decisions made by hand; real sets are compared below."""

from __future__ import annotations

import json

import pytest

from genepool.cli import compare
from genepool.cli.compare import Judged, ranked, table
from genepool.errors import LogError, SourceError
from genepool.records import Decision, Measure


def judged(path: str, status: str, lower: float = 0.8, index: float | None = 0.7) -> Judged:
    low = None if index is None else index - 0.05
    measures = {
        "human_ratio": Measure("human_ratio", "human", lower + 0.1, lower, lower + 0.2, 1200, "m"),
        "generation": Measure("generation", "generation", 1.0, 1.0, 1.0, 1200, "m"),
        "diversity": Measure("diversity", "diversity", index, low, index, 1200, "m"),
    }
    return Judged(path, Decision(status, path, 1200, "00", measures), None)


def test_rank_is_status_then_guaranteed_human_share_then_diversity():
    sets = [
        Judged("broken", None, SourceError("no images", hint="look")),
        judged("fails", "fail", 0.99),
        judged("unsure", "undecided", 0.1),
        judged("low", "pass", 0.71),
        judged("dull", "pass", 0.9, 0.65),
        judged("bright", "pass", 0.9, 0.8),
        judged("blind", "pass", 0.9, None),
    ]
    order = [j.path for j in ranked(sets)]
    assert order == ["bright", "dull", "blind", "low", "unsure", "fails", "broken"]
    assert [j.path for j in ranked(sets[::-1])] == order


def test_columns_are_aligned_and_every_error_is_told():
    lines = table(
        [judged("a", "pass"), judged("a-longer-name", "fail"), Judged("x", None, SourceError("no images"))]
    )
    starts = [lines[0].index(word) for word in ("set", "status", "human", "rules")]
    for line in lines[1:4]:
        assert all(line[start - 1] == " " and line[start] != " " for start in starts), line
    assert "0.900 [0.800, 1.000]" in lines[1]
    assert lines[-1] == "x: GP012 no images"


def _pretend(monkeypatch: pytest.MonkeyPatch, answers: dict[str, object]) -> None:
    def check(path, **_):
        answer = answers[path]
        if isinstance(answer, Exception):
            raise answer
        return answer

    from genepool import pipeline

    monkeypatch.setattr(pipeline, "check", check)


def test_a_failing_set_ends_with_zero_and_a_broken_log_with_four(run, monkeypatch):
    good, bad = judged("good", "pass").decision, judged("bad", "fail").decision
    _pretend(monkeypatch, {"good": good, "bad": bad, "gone": SourceError("gone"), "torn": LogError("torn")})
    told = run("compare", "bad", "good", "bad")
    assert told.code == 0
    assert [line.split()[:2] for line in told.out.splitlines()[1:]] == [["1", "good"], ["2", "bad"]]
    assert run("compare", "good", "gone").code == 3
    torn = run("compare", "torn", "gone", "good", "--format", "json")
    assert torn.code == 4
    data = json.loads(torn.out)
    assert data["schema"] == "genepool.comparison/1"
    assert [(s["rank"], s["status"]) for s in data["sets"]] == [(1, "pass"), (2, "error"), (3, "error")]
    assert data["sets"][0]["measures"]["human_ratio"]["lower"] == 0.8
    github = run("compare", "good", "bad", "--format", "github").out.splitlines()
    assert github[0].startswith("::notice title=genepool compare::1. good: PASS")
    assert github[1].startswith("::error title=genepool compare::2. bad: FAIL")


def test_compare_needs_a_path(run):
    assert run("compare").code == 2
    assert compare.command.params[0].name == "paths"
