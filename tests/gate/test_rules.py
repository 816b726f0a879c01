"""Each rule: when it holds, when it fails, when it is undecided, and what it says to do next."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from genepool import gate
from genepool.cli.check import render
from genepool.config import Config
from genepool.errors import PolicyError
from genepool.gate import Measures, SliceShare
from genepool.records import Case, Estimate, RatioEstimate


def ratio(lower: float, upper: float, n: int = 100) -> RatioEstimate:
    return RatioEstimate(
        lower, point=(lower + upper) / 2, upper=upper, alpha=0.05, n=n, n_audited=round(lower * n), method="t"
    )


def good(**changes: object) -> Measures:
    base = Measures(
        uri="set",
        n=100,
        root="00",
        workspace="set.genepool",
        kept=100,
        kept_root="00",
        human=ratio(0.9, 1.0),
        diversity=Estimate(0.8, 0.75, 0.85, 100, "t"),
        duplicates=Estimate(0.01, 0.01, 0.01, 100, "t"),
    )
    return dataclasses.replace(base, **changes)


def codes(measures: Measures, config: Config | None = None, **options: object) -> list[tuple[str, str]]:
    decision = gate.decide(measures, config or Config(), **options)
    return [(f.code, f.status) for f in decision.failures]


def cases(n: int, code: str) -> tuple[Case, ...]:
    return tuple(Case(f"{i}.jpg", "r", "m", code) for i in range(n))


def test_a_good_set_passes_with_every_number_and_bound():
    decision = gate.decide(good(), Config())
    assert decision
    assert decision.exit_code == 0
    assert list(decision.measures) == [
        "human_ratio",
        "generation",
        "diversity",
        "near_duplicates",
        "opted_out",
    ]
    assert all(m.ok for m in decision.measures.values())
    assert decision.to_json()["measures"]["human_ratio"]["floor"] == 0.70


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"human": ratio(0.5, 0.6)}, [("GP101", "fail")]),
        ({"human": ratio(0.0, 1.0)}, [("GP101", "undecided")]),
        ({"human": ratio(0.7, 0.7)}, []),
        ({"slices": (SliceShare("style", "cubism", ratio(0.1, 0.2)),)}, [("GP102", "fail")]),
        ({"slices": (SliceShare("style", "cubism", ratio(0.1, 0.9)),)}, []),
        ({"diversity": Estimate(0.4, 0.35, 0.45, 100, "t")}, [("GP301", "fail")]),
        ({"diversity": Estimate(0.6, 0.55, 0.65, 100, "t")}, [("GP301", "undecided")]),
        ({"diversity": None, "diversity_note": "one image"}, [("GP301", "undecided")]),
        (
            {"duplicates": Estimate(0.3, 0.3, 0.3, 100, "t"), "redundant": cases(30, "GP303")},
            [("GP303", "fail")],
        ),
        ({"toxic": cases(3, "GP401")}, [("GP401", "fail")]),
        ({"maybe_toxic": cases(3, "GP402")}, []),
        ({"findings": cases(1, "GP403")}, [("GP403", "fail")]),
        ({"opted_out": cases(1, "GP501")}, [("GP501", "fail")]),
        ({"kept": 0, "diversity": None}, [("GP601", "fail")]),
    ],
)
def test_rules(changes, expected):
    assert codes(good(**changes)) == expected


def test_nothing_left_says_what_set_the_images_aside_and_what_brings_them_back():
    def said(**changes):
        decision = gate.decide(good(kept=0, diversity=None, **changes), Config())
        (failure,) = decision.failures
        return failure

    found = said(maybe_toxic=cases(100, "GP402"))
    assert found.message.endswith("100 readable images, all set aside: 100 r")
    assert "genepool register outputs FOLDER --model NAME" in found.hint
    found = said(n=0, unread=cases(3, "GP600"))
    assert found.message == "no image could be read: 3 r"
    assert found.hint == "each file with its reason: genepool scan set"


def test_a_generation_is_confirmed_only_where_one_is_known():
    def line(**generations):
        return gate.decide(good(generations=generations), Config()).measures["generation"]

    nothing = line(**{"0": 0, "no origin": 100})
    assert (nothing.ok, nothing.note) == (None, "100 images of no verified origin")
    some = line(**{"0": 99, "no origin": 1})
    assert (some.ok, some.note) == (True, "1 image of no verified origin")
    broken = gate.decide(good(generations={"no origin": 100}, toxic=cases(1, "GP401")), Config())
    assert broken.measures["generation"].ok is False

    shown = render(gate.decide(good(generations={"0": 99, "no origin": 1}), Config()))
    assert "99 gen 0 · 1 of no verified origin" in shown


def test_the_hint_about_diversity_is_a_command():
    decision = gate.decide(good(diversity=Estimate(0.3, 0.2, 0.4, 100, "t")), Config())
    assert "genepool inject set --plan --reserve POOL" in decision.failures[0].hint


def test_fail_outranks_undecided():
    decision = gate.decide(good(human=ratio(0.0, 1.0), toxic=cases(1, "GP401")), Config())
    assert decision.status == "fail"
    assert decision.exit_code == 1
    assert [f.code for f in decision.failures] == ["GP401", "GP101"]


def test_undecided_ends_with_five_and_the_command_to_run():
    decision = gate.decide(good(human=ratio(0.2, 1.0)), Config())
    assert decision.exit_code == 5
    assert "50 more of the 100 images" in decision.failures[0].message
    assert "genepool register human FOLDER --workspace set.genepool" in decision.failures[0].hint


def test_unknown_generations_follow_the_policy():
    m = good(maybe_toxic=cases(4, "GP402"))
    assert len(gate.decide(m, Config()).set_aside) == 4
    for choice in ("undecided", "fail"):
        config = Config().with_(generation__unknown=choice)
        assert codes(m, config) == [("GP402", choice)]
        assert gate.decide(m, config).set_aside == ()


def test_rights_follow_the_policy():
    m = good(opted_out=cases(2, "GP501"))
    assert codes(m, Config().with_(policy__rights="ignore")) == []
    excluded = gate.decide(m, Config().with_(policy__rights="exclude"))
    assert excluded
    assert len(excluded.set_aside) == 2


def test_the_checkpoint_asks_for_verdicts():
    config = Config().with_(review__checkpoint=10)
    assert codes(good(verdicts=9), config) == [("GP103", "undecided")]
    assert codes(good(verdicts=10), config) == []


def test_the_surplus_that_must_leave_is_enough_and_not_too_much():
    m = good(human=ratio(0.5, 0.5))
    text = gate.decide(m, Config()).failures[0].hint
    n = int(text.split("at least ")[1].split(" ")[0])
    assert 50 / (100 - n) >= 0.70
    assert 50 / (100 - n + 1) < 0.70


def test_select_and_ignore():
    m = good(toxic=cases(1, "GP401"), human=ratio(0, 0.1))
    assert codes(m, select=["GP4"]) == [("GP401", "fail")]
    assert codes(m, ignore=["GP101"]) == [("GP401", "fail")]
    with pytest.raises(PolicyError, match="no rule is called 'GP999'"):
        codes(m, select=["GP999"])
    with pytest.raises(PolicyError, match="no rule is left"):
        codes(m, select=["GP401"], ignore=["GP4"])


def test_a_baseline_tolerates_only_what_did_not_get_worse():
    before = gate.decide(good(human=ratio(0.5, 0.6), toxic=cases(2, "GP401"), top=3), Config()).to_json()
    same = gate.decide(good(human=ratio(0.5, 0.6), toxic=cases(2, "GP401"), top=3), Config())
    assert gate.apply_baseline(same, before)
    assert len(gate.apply_baseline(same, before).extra["tolerated"]) == 2
    more = gate.decide(good(human=ratio(0.5, 0.6), toxic=cases(3, "GP401"), top=3), Config())
    assert [f.code for f in gate.apply_baseline(more, before).failures] == ["GP401"]
    lower = gate.decide(good(human=ratio(0.4, 0.6), toxic=cases(2, "GP401"), top=3), Config())
    assert [f.code for f in gate.apply_baseline(lower, before).failures] == ["GP101"]
    new = gate.decide(good(human=ratio(0.5, 0.6), opted_out=cases(1, "GP501")), Config())
    assert [f.code for f in gate.apply_baseline(new, before).failures] == ["GP501"]


@given(st.integers(0, 200), st.integers(0, 200), st.integers(0, 200))
def test_the_gate_is_monotone_in_human_images(human, ai, unknown):
    """Turning an unknown image into a verified human one never makes the decision worse."""
    n = human + ai + unknown
    if n == 0 or unknown == 0:
        return
    rank = {"fail": 0, "undecided": 1, "pass": 2}

    def status(h: int) -> str:
        m = good(kept=n, n=n, human=ratio(h / n, 1 - ai / n, n))
        return gate.decide(m, Config()).status

    assert rank[status(human + 1)] >= rank[status(human)]
