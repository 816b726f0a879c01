"""Strangers' rules: whatever one does, our findings stay as they are, and a set never passes by it."""

from __future__ import annotations

import dataclasses

import pytest

from genepool import gate, plugins
from genepool.config import Config
from genepool.errors import PluginError, UsageError
from genepool.gate import Measures, PluggedRule
from genepool.records import Case, Estimate, Failure, RatioEstimate
from genepool.testing import check_rule, facts_of


def good(**changes):
    base = Measures(
        uri="set",
        n=100,
        root="00",
        workspace="set.genepool",
        kept=100,
        kept_root="00",
        human=RatioEstimate(0.9, point=0.95, upper=1.0, alpha=0.05, n=100, n_audited=90, method="t"),
        diversity=Estimate(0.8, 0.75, 0.85, 100, "t"),
        duplicates=Estimate(0.01, 0.01, 0.01, 100, "t"),
    )
    return dataclasses.replace(base, **changes)


class Quiet:
    code, name, what = "ATL101", "quiet", "Nothing is ever wrong."

    def judge(self, facts):
        return None


class Answers(Quiet):
    def __init__(self, answer):
        self.answer = answer

    def judge(self, facts):
        if isinstance(self.answer, BaseException):
            raise self.answer
        return self.answer


def plugged(rule):
    rows = facts_of(3).rows
    return (PluggedRule(rule, "mine", rows),)


def decided(rule, **changes):
    return gate.decide(good(**changes), Config(), plugged=plugged(rule))


FINE = Failure("ATL101", "fail", "two are small", "leave them out", (Case("0.jpg", "small", "10 × 10"),))


def test_a_finding_is_added_with_its_own_code():
    decision = decided(Answers(dataclasses.replace(FINE, code="GP101", cases=[*FINE.cases])))
    assert decision.status == "fail"
    assert [f.code for f in decision.failures] == ["ATL101"]
    assert decision.failures[0].cases == (Case("0.jpg", "small", "10 × 10", "ATL101"),)
    assert decided(Quiet()).status == "pass"


@pytest.mark.parametrize(
    ("answer", "word"),
    [
        (RuntimeError("no"), "RuntimeError: no"),
        (True, "found bool"),
        (dataclasses.replace(FINE, status="pass"), "found 'pass'"),
        (dataclasses.replace(FINE, message="  "), "no message"),
        (dataclasses.replace(FINE, cases=("0.jpg",)), "tuple of Case"),
        (dataclasses.replace(FINE, cases=(Case("9.jpg", "r", "m"),)), "'9.jpg'"),
    ],
)
def test_a_rule_that_cannot_judge_leaves_the_set_undecided(answer, word):
    decision = decided(Answers(answer))
    assert decision.status == "undecided"
    assert word in decision.failures[0].message
    assert "genepool plugins check rules mine" in decision.failures[0].hint


def test_nothing_that_a_rule_does_weakens_ours():
    class Meddles(Quiet):
        def judge(self, facts):
            seen.append(facts)
            with pytest.raises(TypeError):
                facts.measures["human_ratio"] = None
            with pytest.raises(dataclasses.FrozenInstanceError):
                facts.measures["diversity"].ok = True
            with pytest.raises(TypeError):
                facts.policy["policy"] = {}
            facts.policy["policy"]["diversity"] = 0.0

    seen = []
    low = {"diversity": Estimate(0.2, 0.1, 0.3, 100, "t")}
    ours = gate.decide(good(**low), Config())
    with_theirs = decided(Meddles(), **low)
    assert len(seen) == 1
    assert with_theirs.failures == ours.failures
    assert with_theirs.measures == ours.measures
    assert with_theirs.extra["config"] == ours.extra["config"]


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"code": "GP999"}, "other than GP"),
        ({"code": "atl101"}, "capital"),
        ({"code": "A1"}, "capital"),
        ({"name": "Large Enough"}, "hyphens"),
        ({"name": "human-ratio"}, "already a rule"),
        ({"what": " "}, "sentence"),
    ],
)
def test_what_a_rule_states_must_be_its_own(monkeypatch, changes, word):
    rule = Quiet()
    for name, value in changes.items():
        setattr(rule, name, value)
    monkeypatch.setattr(plugins, "create", lambda group, spec: rule)
    with pytest.raises(PluginError, match=word):
        gate.open_rules(("mine",))
    if "already" not in word:
        assert not all(check.ok for check in check_rule(rule))


def test_two_rules_of_one_code_are_refused(monkeypatch):
    monkeypatch.setattr(plugins, "create", lambda group, spec: Quiet())
    assert len(gate.open_rules(("mine", "mine"))) == 1
    with pytest.raises(PluginError, match="already a rule called ATL101"):
        gate.open_rules(("mine", "mine:other"))
    monkeypatch.setattr(plugins, "create", lambda group, spec: object())
    with pytest.raises(PluginError, match="expected a rule"):
        gate.open_rules(("mine",))


def test_facts_give_rows_of_the_catalogue_and_of_the_origins():
    facts = facts_of(3, {"width": [1, 2, 3]})
    assert facts.images("width", "origin").column_names == ["uri", "width", "origin"]
    assert facts.images("width").column("width").to_pylist() == [1, 2, 3]
    assert {"uri", "sha256", "tier", "caption"} <= set(facts.images().column_names)
    with pytest.raises(UsageError, match="colour"):
        facts.images("colour")
    with pytest.raises(ValueError, match="expected 3"):
        facts_of(3, {"width": [1]})


def test_the_kit_finds_what_is_wrong_with_a_rule():
    broken = [c for c in check_rule(Answers(RuntimeError("no"))) if not c.ok]
    assert {c.found for c in broken} >= {"raised RuntimeError: no"}
    hintless = Answers(dataclasses.replace(FINE, hint=""))
    assert any("hint" in c.found for c in check_rule(hintless) if not c.ok)
    silent = check_rule(Quiet(), fails=facts_of(2))
    assert [c.rule for c in silent if not c.ok] == ["it finds what it is for"]
    assert all(c.ok for c in check_rule(Quiet(), holds=facts_of(2)))
