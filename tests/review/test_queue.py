"""The queue: a recorded random order without gaps, controls inside, every verdict in the log once."""

from __future__ import annotations

import hashlib
import itertools
import random
import sqlite3

import numpy as np
import pyarrow as pa
import pytest

from genepool import provenance, review
from genepool.errors import UsageError, WorkspaceError
from genepool.prevalence import sample_of, verify_order
from genepool.records import Verdict
from genepool.store import ReviewRecord, Verdicts, Workspace


def digests(n: int, salt: str = "") -> list[bytes]:
    return [hashlib.sha256(f"{salt}{i}".encode()).digest() for i in range(n)]


class _Set:
    """What the queue needs of a catalogue."""

    uri = "memory:test"
    columns: tuple[str, ...] = ()
    n = 0
    dataset = property(lambda self: self)


def settled(shas: list[bytes], human: int = 0, ai: int = 0) -> pa.Table:
    n = len(shas)
    words = ["human_made"] * human + ["synthetic"] * ai + ["unknown"] * (n - human - ai)
    flags = np.arange(n)
    return pa.table(
        {
            "sha256": pa.array(shas, pa.binary(32)),
            "human": flags < human,
            "ai": (flags >= human) & (flags < human + ai),
            "origin": words,
        }
    )


@pytest.fixture
def space(tmp_path):
    return Workspace(tmp_path / "ws").create()


def opened(space, origins, **options):
    ticks = itertools.count(1_000_000.0)
    options.setdefault("clock", lambda: next(ticks))
    return review.queue(space, _Set(), origins, **options)


def play(queue, reviewer, n, answer=lambda asked: "human", batch=8):
    given = []
    while len(given) < n:
        asked = queue.next(reviewer, batch)
        if not asked:
            break
        for question in asked[: n - len(given)]:
            queue.answer(question.token, answer(question), reviewer)
            given.append(question)
    return given


def test_the_order_is_uniform_recorded_and_the_same_for_everybody(space):
    shas = digests(40)
    origins = settled(shas, 5, 5)
    queue = opened(space, origins, mixture=review.Mixture(controls=0, repeats=0, overlap=0))
    asked = play(queue, "test:a", 30)
    assert [a.position for a in asked] == list(range(30))
    order = review.order(queue.draw.seed, 30)
    assert [a.sha256 for a in asked] == [shas[10 + i].hex() for i in order]
    assert (order == verify_order(queue.draw.seed, 30)).all()
    sampled = review.sampled_verdicts(space)
    assert sampled == [(i, a.sha256, "human", "test:a") for i, a in enumerate(asked)]
    # The same images always have the same draw; other images another one.
    assert opened(space, origins).draw == queue.draw
    assert opened(space, settled(digests(41), 5, 5)).draw.seed != queue.draw.seed
    # Uniform: over many seeds every image is first about equally often.
    firsts = np.bincount([review.order(f"{seed:032x}", 8)[0] for seed in range(4000)], minlength=8)
    assert ((firsts - 500) ** 2 / 500).sum() < 24.3  # χ², 7 degrees of freedom, p = 0.001


def test_reviewers_share_the_order_and_open_questions_leave_no_gap(space):
    queue = opened(space, settled(digests(30)), mixture=review.Mixture(controls=0, repeats=0, overlap=0))
    mine, yours = queue.next("test:a", 4), queue.next("test:b", 4)
    assert [a.position for a in mine] == [0, 1, 2, 3]
    assert [a.position for a in yours] == [4, 5, 6, 7]
    for question in (*mine[1:], *yours):
        queue.answer(question.token, "ai", question.reviewer)
    assert review.sampled_verdicts(space) == []  # position 0 is open: the rest is no random sample yet
    assert queue.next("test:a", 1) == mine[:1]  # it comes again, also after a restart
    again = opened(space, settled(digests(30)), mixture=queue.mixture)
    assert again.next("test:a", 1) == mine[:1]
    again.answer(mine[0].token, "human", "test:a")
    assert [row[0] for row in review.sampled_verdicts(space)] == list(range(8))
    # A question that nobody answers is put to somebody else after a while.
    late = opened(space, settled(digests(30)), clock=lambda: 2e9, mixture=queue.mixture)
    late.next("test:a", 1)
    later = opened(space, settled(digests(30)), clock=lambda: 3e9, mixture=queue.mixture)
    assert later.next("test:b", 1)[0].position == 8


def test_equal_files_are_asked_about_once_and_count_at_every_position(space):
    one, two = digests(2)
    origins = settled([one, two, one, one, two])
    queue = opened(space, origins, mixture=review.Mixture(controls=0, repeats=0))
    assert len(play(queue, "test:a", 9)) == 2
    rows = review.sampled_verdicts(space)
    assert [row[0] for row in rows] == [0, 1, 2, 3, 4]
    with ReviewRecord(space) as record:
        sample = sample_of(record, [one, two, one, one, two], np.ones(5, bool))
    assert len(sample.looks) == 5


def test_controls_and_repeats_are_mixed_in_evenly_and_marked_only_inside(space, one_order):
    queue = opened(space, settled(digests(900), 150, 150))
    asked = play(queue, "test:a", 500, lambda a: random.Random(a.sha256).choice(["human", "ai"]))
    kinds = [a.kind for a in asked]
    assert 30 <= kinds.count("control") <= 72
    assert 8 <= kinds.count("repeat") <= 45
    assert "repeat" not in kinds[:50]
    controls = [a.sha256 for a in asked if a.kind == "control"]
    assert len(set(controls)) == len(controls)
    shown = [a.sha256 for a in asked]
    for place, question in enumerate(asked):
        if question.kind == "repeat":
            assert place - shown.index(question.sha256) >= 50
    given = {v.token: v for v in queue.record.all()}
    for question in asked:
        verdict = given[question.token]
        assert (verdict.control, verdict.repeat) == (question.kind == "control", question.kind == "repeat")
    row = review.board(queue.record).reviewers[0]
    assert row.self_agreement.k == row.self_agreement.n == kinds.count("repeat")
    assert row.verdicts == kinds.count("image")
    assert row.test


def test_qualification_asks_about_controls_alone(space):
    given = {digest.hex(): "ai" for digest in digests(20, "control")}
    queue = opened(
        space, settled(digests(60), 20, 10), controls=given, mixture=review.Mixture(only_controls=True)
    )
    asked = play(queue, "test:a", 99)
    assert [a.kind for a in asked] == ["control"] * 50
    assert queue.record.controls() == dict.fromkeys(given, "ai") | {
        d.hex(): "human" if i < 20 else "ai" for i, d in enumerate(digests(30))
    }


def test_what_counts_as_blind(space):
    queue = opened(space, settled(digests(20)), mixture=review.Mixture(controls=0, repeats=0))
    a, b = queue.next("test:a", 2)
    with pytest.raises(UsageError, match="before the evidence"):
        queue.reveal(a.token, "test:a")
    queue.answer(a.token, "human", "test:a")
    undone = queue.answer(a.token, "ai", "test:a")
    assert (undone.undo, undone.changed) == (True, False)
    queue.reveal(a.token, "test:a")
    informed = queue.answer(a.token, "human", "test:a")
    assert (informed.undo, informed.changed) == (False, True)
    assert review.sampled_verdicts(space) == [(0, a.sha256, "ai", "test:a")]
    with pytest.raises(UsageError, match="somebody else"):
        queue.answer(b.token, "human", "test:b")
    # Nobody was asked for these: kept, never in the sample.
    with Verdicts(space) as verdicts:
        verdicts.add(Verdict(b.sha256, "human", "test:c", 5.0))
    assert len(review.sampled_verdicts(space)) == 1
    # The evidence was shown before a restart: the next answer is still not blind.
    again = opened(space, settled(digests(20)))
    assert again.answer(a.token, "ai", "test:a").changed


def test_disagreement_goes_to_a_third_and_no_fourth(space):
    mixture = review.Mixture(controls=0, repeats=0, overlap=1.0)
    queue = opened(space, settled(digests(6)), mixture=mixture)
    for name in ("test:a", "test:b", "test:c", "test:d"):
        queue.next(name, 1)
    word = {"test:a": "human", "test:b": "ai", "test:c": "ai", "test:d": "ai"}
    for _ in range(4):
        for name in word:
            play(queue, name, 20, lambda _, name=name: word[name])
    lookers = [len(found) for found in queue.record.blind().values()]
    assert len(lookers) == 6
    assert max(lookers) <= 3
    contradicting = [f for f in queue.record.blind().values() if {"human", "ai"} <= set(f.values())]
    assert contradicting
    assert all(len(found) == 3 for found in contradicting)


def careless(kind):
    dice = random.Random(3)
    words = {
        "random": lambda a: dice.choice(["human", "ai"]),
        "always": lambda a: "human",
        "good": lambda a: TRUTH[a.sha256] if dice.random() < 0.93 else "unsure",
    }
    return words[kind]


TRUTH: dict[str, str] = {}


@pytest.mark.parametrize(("kind", "out"), [("random", True), ("always", True), ("good", False)])
def test_careless_reviewers_are_quarantined(space, kind, out, one_order):
    shas = digests(500)
    TRUTH.update({d.hex(): "human" if i < 100 else "ai" for i, d in enumerate(shas)})
    queue = opened(space, settled(shas, 100, 100), mixture=review.Mixture(controls=0.5, repeats=0.02))
    play(queue, "test:x", 300, careless(kind))
    before = len(review.sampled_verdicts(space))
    assert before > 100
    assert review.judge_standings(queue.record, lambda: 1.0).keys() == ({"test:x"} if out else set())
    assert len(review.sampled_verdicts(space)) == (0 if out else before)
    assert queue.record.count() == 300  # kept all the same
    assert review.judge_standings(queue.record, lambda: 2.0) == {}  # nothing new
    row = review.board(queue.record).reviewers[0]
    assert row.counted is not out
    if out:
        assert "Youden" in row.reason
        queue.refresh()
        again = [a.position for a in queue.next("test:y", 20) if a.kind == "image"]
        assert again == list(range(len(again)))  # somebody else is asked from the beginning


def test_verdicts_enter_the_log_once(space):
    queue = opened(space, settled(digests(30), 5, 5))
    play(queue, "test:a", 7)
    assert review.record_in_log(space, queue.record) == 7
    assert review.record_in_log(space, queue.record) == 0
    play(queue, "test:a", 3)
    # A crash after the log was written, before that was noted; and one before the log was written.
    done, _ = queue.record.sealed()
    fresh = list(queue.record.since(done))
    queue.record.begin_seal(fresh[-1][0], provenance.log_size(space))
    provenance.append_verdicts(space, [v for _, v in fresh])
    assert review.record_in_log(space, queue.record) == 0
    play(queue, "test:a", 2)
    queue.record.begin_seal(queue.record.count(), provenance.log_size(space))
    assert review.record_in_log(space, queue.record) == 2
    there = provenance.find_verdicts(space)
    assert there.keys() == {provenance.verdict_digest(v) for v in queue.record.all()}
    assert len(there) == 12
    assert queue.record.draws()[0].leaf is not None
    assert provenance.open_trail(space, None).problems == ()  # the log still reads as a log


def test_older_files_are_carried_over(tmp_path):
    path = tmp_path / "reviews.sqlite"
    old = sqlite3.connect(path)
    old.executescript(
        "CREATE TABLE verdicts (id INTEGER PRIMARY KEY, sha256 TEXT NOT NULL, answer TEXT NOT NULL, "
        "reviewer TEXT NOT NULL, at REAL NOT NULL, control INTEGER NOT NULL, comment TEXT NOT NULL);"
        f"INSERT INTO verdicts VALUES (1, '{'ab' * 32}', 'ai', 'Ann', 5.0, 0, 'old');"
    )
    old.close()
    with Verdicts(path) as verdicts:
        assert verdicts.all() == [Verdict("ab" * 32, "ai", "Ann", 5.0, False, "old")]
        verdicts.add(Verdict("cd" * 32, "human", "Ann", 6.0, uncanny=True, token="t"))
        assert verdicts.all()[1].uncanny
        assert verdicts.check() == []
    new = sqlite3.connect(path)
    new.execute("PRAGMA user_version = 99")
    new.close()
    with pytest.raises(WorkspaceError, match="newer genepool"):
        Verdicts(path).all()
