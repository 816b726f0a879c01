"""No calibration, no vote."""

import dataclasses
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genepool.detection import Calibration, load_calibration, opinion
from genepool.errors import ConfigError

GOOD = Calibration(
    detector="ab" * 32,
    temperature=2.0,
    bias=0.5,
    ai_above=1.5,
    human_below=-1.0,
    llr_ai=1.7,
    llr_human=-1.1,
    accuracy=0.94,
    n=900,
    groups={"diffusion": 450, "photo": 450},
)
MODEL = "onnx:m.onnx@" + "ab" * 32


class Folder:
    """The one method of a workspace that is used."""

    def __init__(self, data):
        self.data = data

    def read_json(self, name):
        assert name == "calibration.json"
        return self.data


def ask(logit, calibration, model=MODEL, abstained=""):
    return opinion(logit, model, abstained, calibration, path="a.jpg", sha256="cd" * 32)


@pytest.mark.parametrize("logit", [-40.0, 0.0, 40.0])
def test_without_calibration_nothing_is_said(logit):
    for calibration in (None, dataclasses.replace(GOOD, detector="00" * 32)):
        found = ask(logit, calibration)
        assert (found.verdict, found.llr, found.p_ai) == ("abstain", 0.0, None)
        assert found.reason.startswith("uncalibrated: no vote")


def test_decisions_carry_the_worst_groups_likelihood_ratio():
    assert (ask(2.0, GOOD).verdict, ask(2.0, GOOD).llr) == ("ai", 1.7)
    assert (ask(-3.0, GOOD).verdict, ask(-3.0, GOOD).llr) == ("human", -1.1)
    between = ask(0.0, GOOD)
    assert (between.verdict, between.llr) == ("abstain", 0.0)
    assert between.p_ai == pytest.approx(1 / (1 + math.exp(-0.5)))
    assert ask(2.0, GOOD).to_json()["model"] == MODEL


def test_abstentions_keep_their_reason():
    assert ask(None, GOOD, abstained="too small").reason == "too small"
    assert ask(None, None, model="none").reason == "no calibrated detector"
    assert ask(float("nan"), GOOD).verdict == "abstain"


@settings(max_examples=100, deadline=None)
@given(st.floats(-1e4, 1e4), st.floats(0, 50), st.floats(-50, 0))
def test_the_vote_is_capped_and_monotone(logit, up, down):
    strong = dataclasses.replace(GOOD, llr_ai=up, llr_human=down)
    p, _, llr = strong.decide(logit)
    assert -2.0 <= llr <= 2.0
    assert 0.0 <= p <= 1.0
    assert strong.decide(logit + 1.0)[0] >= p
    assert strong.decide(logit + 1.0)[2] >= llr


def test_round_trip_and_the_accuracy_asked_for():
    assert Calibration.from_json(GOOD.to_json()) == GOOD
    assert load_calibration(Folder(GOOD.to_json()), 0.94) == GOOD
    assert load_calibration(Folder(GOOD.to_json()), 0.97) is None
    assert load_calibration(Folder(None), 0.94) is None
    assert load_calibration(None, 0.94) is None


@pytest.mark.parametrize(
    "change",
    [
        {"temperature": 0.0},
        {"temperature": float("nan")},
        {"ai_above": -2.0},
        {"llr_ai": -0.1},
        {"llr_human": 0.1},
        {"accuracy": 0.4},
        {"n": 0},
        {"detector": ""},
    ],
)
def test_impossible_calibrations_are_refused(change):
    with pytest.raises(ConfigError, match="calibration"):
        Calibration.from_json({**GOOD.to_json(), **change})


@pytest.mark.parametrize("data", [[], {}, {"schema": "genepool.calibration/1"}, {"schema": "other"}, "text"])
def test_files_that_are_something_else_are_refused(data):
    with pytest.raises(ConfigError, match="calibration"):
        load_calibration(Folder(data), 0.94)
