"""From the real queue to the gate: undecided with what it takes, then pass or fail by people's answers."""

import numpy as np
import pytest

from genepool import pipeline, review
from genepool.config import Config
from genepool.errors import CertificateError
from genepool.prevalence import (
    ReviewedSet,
    SyntheticContentDetector,
    certified_ratio,
    certify,
    reviewers_of,
    sample_of,
    verify_order,
)
from genepool.store import ReviewRecord
from support.reviews import Table, controls
from support.scans import fill


@pytest.fixture
def config():
    return Config().with_(engine__workers=1)


def table(tmp_path, config, n, humans):
    folder = fill(tmp_path / "set", n)
    found = Table(folder, tmp_path / "work", config, controls(100))
    digests = sorted(d.hex() for d in found.origins.column("sha256").to_pylist())
    rng = np.random.default_rng(3)
    rng.shuffle(digests)
    return folder, found, {d: "human" if i < humans else "ai" for i, d in enumerate(digests)}


@pytest.mark.parametrize(("humans", "status"), [(78, "pass"), (24, "fail")])
def test_undecided_then_decided_by_people(tmp_path, config, humans, status, one_order):
    folder, found, truth = table(tmp_path, config, 80, humans)
    options = {"workspace": tmp_path / "work", "config": config, "select": ["GP101"], "record": False}
    before = pipeline.check(folder, **options)
    assert before.status == "undecided"
    text = before.failures[0].message
    assert "after 200 controls" in text
    assert "minutes) if" in text
    assert "genepool review" in before.failures[0].hint
    assert before.extra["certificate"]["needs"][0]["labels"] <= 80
    # Answers of somebody whom no control has measured do not count.
    found.look("test:eager", truth, at_most=5)
    stranger = pipeline.check(folder, **options)
    assert "the answers of test:eager do not count" in stranger.failures[0].message
    assert stranger.extra["certificate"]["waiting"] >= 1
    found.qualify("test:labels")
    found.look("test:labels", truth)
    after = pipeline.check(folder, **options)
    assert after.status == status
    assert after.exit_code == (0 if status == "pass" else 1)
    line = after.measures["human_ratio"]
    assert "audited by people" in line.method
    assert line.lower <= humans / 80 <= line.upper
    told = after.extra["certificate"]
    assert (told["status"], told["reviewers"][0]["reviewer"]) == (status, "test:labels")
    ratio = SyntheticContentDetector(workspace=tmp_path / "work", config=config).get_human_content_ratio(
        folder
    )
    assert (ratio.lower, ratio.upper) == (line.lower, line.upper)
    assert ratio.n_audited == told["labels"]
    assert any("TEST DATA" in text for text in ratio.assumptions)


def test_an_order_that_was_tampered_with_certifies_nothing(tmp_path, config, one_order):
    _, found, truth = table(tmp_path, config, 12, 12)
    found.look("test:labels", truth, at_most=6)
    digests = found.origins.column("sha256").to_pylist()
    with ReviewRecord(found.place) as record:
        draw = record.draws()[-1]
        assert np.array_equal(verify_order(draw.seed, 12), review.order(draw.seed, 12))
        asked = [a for a in record.asked(draw.id) if a.kind == "image"]
        looks = sample_of(record, digests, np.ones(12, bool)).looks
        assert [digests[look.row].hex() for look in looks] == [a.sha256 for a in asked]
        with record.transaction() as connection:
            connection.execute("UPDATE draws SET seed = ? WHERE id = ?", ("0" * 32, draw.id))
        with pytest.raises(CertificateError, match="another image than its seed gives"):
            sample_of(record, digests, np.ones(12, bool))


def test_a_set_that_changed_needs_a_new_order_and_old_answers_are_no_fair_sample(tmp_path, config):
    folder, found, truth = table(tmp_path, config, 30, 24)
    found.qualify("test:labels")
    found.look("test:labels", truth, at_most=12)
    with ReviewRecord(found.place) as record:
        given = {v.sha256 for v in record.all() if not v.control}
    # Whoever takes away what was called AI leaves only what was called human.
    kept = {
        d.hex(): u
        for d, u in zip(*(found.origins.column(c).to_pylist() for c in ("sha256", "uri")), strict=True)
    }
    # The order is drawn at random: once in thirty times it meets none of them, and anything may go.
    gone = [digest for digest in given if truth[digest] == "ai"] or sorted(given)[:1]
    for digest in gone:
        (folder / kept[digest]).unlink()
    again = Table(folder, tmp_path / "work", config, found.known)
    again.clock = found.clock
    closed = certified_ratio(again.catalogue, again.origins, again.place)
    assert closed.n_labels == 0
    assert "changed" in closed.note
    again.look("test:labels", truth, at_most=1)
    whole = ReviewedSet.of(again.catalogue, again.origins, again.place)
    assert whole.sample.before == len(given)
    assert len(whole.sample.judged) == len(given) - len(gone)
    assert whole.certify().n_labels >= 1


def test_two_who_contradict_each_other_wait_for_a_third():
    from genepool.prevalence import Look, Reviewer, Sample

    people = {name: Reviewer.of(99, 100, 99, 100, name) for name in "abc"}
    none = np.zeros(300, bool)

    def told(looks, crowd="abc"):
        chosen = Sample(tuple(Look(i, said) for i, said in enumerate(looks)), {k: people[k] for k in crowd})
        return certify(chosen, none, none)

    alone = [{"a": "human"}] * 3
    split = {"a": "human", "b": "ai"}
    assert told([*alone, split, *alone]).n_labels == 7  # only two have judged this set: nobody to ask
    with_third = [{"c": "human"}, split, *alone]
    assert (told(with_third).n_labels, told(with_third).waiting) == (1, 1)
    assert told([{"c": "human"}, {**split, "c": "human"}, *alone]).n_labels == 5
    # Nobody knows a stranger: what only they judged counts as not drawn.
    stranger = told([{"x": "human"}, *alone])
    assert (stranger.n_labels, stranger.waiting) == (3, 1)
    assert "no controls judged" in stranger.refused["x"]


def test_controls_count_once_and_in_epochs(tmp_path, config):
    folder = fill(tmp_path / "set", 3)
    found = Table(folder, tmp_path / "work", config, controls(120))
    found.qualify("test:r", (0.9, 0.8))
    with ReviewRecord(found.place) as record:
        people = reviewers_of(record.all(), record.controls())
    one = people["test:r"]
    assert (one.human_shown, one.ai_shown, one.share) == (100, 100, 0.5)
    assert 75 <= one.human_right <= 99
    assert one.human_right + one.human_wrong == 100
