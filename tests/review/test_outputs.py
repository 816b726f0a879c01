"""Checkpoints: a sample of each model's outputs is put to people among the controls, and counted."""

from __future__ import annotations

import hashlib
import itertools

import numpy as np
import pyarrow as pa
import pytest

from genepool import pipeline, provenance, report, review
from genepool.config import Config
from genepool.gate._people import people
from genepool.store import ReviewRecord, Workspace
from support.reviews import Table
from support.scans import fill, scanned


class _Set:
    uri = "memory:outputs"
    columns: tuple[str, ...] = ()
    n = 0
    dataset = property(lambda self: self)


def settled(unknown=20, outputs=(("m1", 1, 30), ("m2", 3, 4))):
    rows = [("unknown", False, None, 0)] * unknown
    for model, generation, n in outputs:
        rows += [("synthetic", True, model, generation)] * n
    shas = [hashlib.sha256(str(i).encode()).digest() for i in range(len(rows))]
    words, ai, models, lo = zip(*rows, strict=True)
    return pa.table(
        {
            "sha256": pa.array(shas, pa.binary(32)),
            "human": np.zeros(len(rows), bool),
            "ai": list(ai),
            "origin": list(words),
            "model": pa.array(models, pa.string()),
            "lo": pa.array(lo, pa.int32()),
        }
    )


@pytest.fixture
def space(tmp_path):
    return Workspace(tmp_path / "ws").create()


def opened(space, origins, **options):
    ticks = itertools.count(1_000_000.0)
    return review.queue(space, _Set(), origins, clock=lambda: next(ticks), **options)


def sit(queue, reviewer, say=lambda asked: "ai", at_most=10**6):
    given = []
    while len(given) < at_most and (asked := queue.next(reviewer, 1)):
        queue.answer(asked[0].token, say(asked[0]), reviewer, uncanny=len(given) % 2 == 0)
        given.append(asked[0])
    return given


def test_each_models_sample_is_seen_before_the_sitting_ends(space, one_order):
    origins = settled()
    queue = opened(space, origins, outputs=6)
    assert queue.progress("Ann").outputs_left == {"m1": 6, "m2": 4}
    given = sit(queue, "Ann")
    assert queue.progress("Ann").outputs_left == {}
    assert sum(a.kind == "image" for a in given) == 20
    shown = {a.sha256 for a in given if a.kind == "control"}
    assert set(queue.outputs) <= shown
    # They came among the others, marked only inside, and measure the reviewer like any control.
    kinds = [a.kind for a in given]
    assert "control" in kinds[: kinds.index("image") + 18]
    found = people(space, origins)
    assert found.verdicts == 20
    assert found.models["m1"][0] >= 6
    assert found.models["m2"] == (4, 4)
    with ReviewRecord(space) as record:
        row = review.board(record).reviewers[0]
    assert row.ai_recall.k == row.ai_recall.n == len(shown)
    share = {(u["model"], u["generation"]): u for u in found.uncanny}
    assert set(share) == {("m1", 1), ("m2", 3)}
    for u in share.values():
        assert 0 <= u["lower"] <= u["share"] <= u["upper"] <= 1


def test_the_sample_is_the_same_for_everybody_and_nobody_repeats_it(space):
    origins = settled()
    queue = opened(space, origins, outputs=6)
    sit(queue, "Ann")
    again = opened(space, origins, outputs=6)
    assert again.outputs == queue.outputs
    assert again.progress("Bob").outputs_left == {}


def test_a_careless_reviewers_looks_do_not_count(space):
    origins = settled()
    queue = opened(space, origins, outputs=6)
    sit(queue, "Ann")
    with ReviewRecord(space) as record:
        record.set_standing("Ann", "quarantined", "clicks", 1.0)
    assert queue.progress("Ann").outputs_left == {}
    queue.refresh()
    assert queue.progress("Ann").outputs_left == {"m1": 6, "m2": 4}
    assert people(space, origins).models["m2"] == (0, 4)
    assert opened(space, origins, outputs=6).progress("Bob").outputs_left == {"m1": 6, "m2": 4}


def test_without_a_checkpoint_outputs_are_ordinary_controls(space):
    queue = opened(space, settled())
    assert queue.outputs == {}
    assert len([a for a in sit(queue, "Ann") if a.kind == "image"]) == 20


def test_the_gate_waits_for_the_looks_and_the_report_shows_them(tmp_path):
    folder = fill(tmp_path / "set", 8)
    made = fill(tmp_path / "set" / "made", 6, size=80)
    space = Workspace(tmp_path / "work")
    config = Config().with_(
        engine__workers=1, review__checkpoint=4, review__checkpoint_outputs=3, policy__human_ratio=0.5
    )
    held = scanned(made, tmp_path / "work")
    provenance.register_model(space, "painter", [("unknown", None)], config=config)
    provenance.register_outputs(held, space, model="painter", config=config)
    options = {"workspace": tmp_path / "work", "config": config, "select": ["GP103"], "record": False}
    before = pipeline.check(folder, **options)
    assert before.status == "undecided"
    assert "0 on the outputs of painter, 3 are asked for" in before.failures[0].message
    found = Table(folder, tmp_path / "work", config)
    validator = review.HumanInLoopValidator(tmp_path / "work", config=config)
    queue = validator.questions(found.catalogue, found.origins)
    sit(queue, "test:r")
    queue.record.close()
    after = pipeline.check(folder, **options)
    assert after.status == "pass"
    (row,) = after.extra["uncanny"]
    assert (row["model"], row["judged"] >= 3) == ("painter", True)
    report.write(after, found.catalogue, found.origins, tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text()
    assert "Flagged as uncanny, by model and generation" in page
    assert "<bdi>painter</bdi>" in page
