"""Board and Queue: people, the proxy and published models apart; how many answers it takes."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from click.testing import CliRunner

from genepool import provenance, review
from genepool.cli.plugins import command as plugins
from genepool.cli.review import command
from genepool.errors import UsageError
from genepool.records import Verdict
from genepool.store import ReviewRecord, Vote, Workspace
from genepool.web._numbers import judge_rows
from support.onnx_models import model
from support.rooms import CONFIG, Caller, gallery, opened, served


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    root = tmp_path_factory.mktemp("judges")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GENEPOOL_HOME", str(root / "home"))
        folder = gallery(root / "set", root / "ws", known=2, unknown=16)
        yield root, folder


def bright(root):
    """A published model that likes bright pictures."""
    path = root / "bright.onnx"
    return path if path.exists() else model(path, side=32)


def vote_by_brightness(room, n=260, noise=0.1, reviewers=6):
    """Made-up people who like bright pictures."""
    digests = [*room.pairs.images, *room.ladder.names]
    level = {d: float(room.pictures.pixels(d).mean()) for d in digests}
    rng = np.random.default_rng(0)
    with room.queue.record.transaction():
        for i in range(n):
            a, b = (str(d) for d in rng.choice(digests, 2, replace=False))
            likes = level[a] > level[b] if rng.random() > noise else rng.random() < 0.5
            vote = Vote(a, b, "a" if likes else "b", f"person {rng.integers(reviewers)}", float(i))
            room.queue.record.add_vote(vote, nonce=f"n{i}")


def page(serving, link, path):
    return Caller(serving).enter(link).call("GET", path)[2].decode()


def test_the_board_keeps_people_proxy_and_models_apart(place):
    root, folder = place
    room = opened(folder, root / "ws")
    room.config = room.config.with_(review__preferences=(f"onnx:{bright(root)}", "onnx:/nowhere.onnx"))
    silent = room.judges(wait=True)
    assert silent.people.needs.startswith("needs people: genepool review")
    assert silent.proxy is None
    vote_by_brightness(room)
    judges = room.judges(wait=True)
    assert judges.people.votes == 260
    assert judges.models[0].agreement.value > 0.85
    with served(room, ["test:board"]) as serving:
        text = page(serving, serving.links["test:board"], "/board").replace("&nbsp;", " ")
        assert f"bright@{hashlib.sha256(bright(root).read_bytes()).hexdigest()[:12]}" in text
        assert '<b class="tag">published model</b>' in text
        assert '<b class="tag">proxy</b>' in text
        assert "GP012" in text  # the model that is not there is named, and breaks nothing
        if judges.proxy is None:
            assert "refused: " in text
        else:
            assert f"{judges.proxy.agreement.k} of {judges.proxy.agreement.n}" in text
        assert "score of the set, 0 to 10, by people" in text
        assert "bootstrap over the 6 raters" in text


def test_the_proxy_is_refused_where_votes_are_a_coin(place, tmp_path, one_order):
    _, folder = place
    space = tmp_path / "coin"
    room = opened(folder, space)
    vote_by_brightness(room, noise=1.0)
    judges = room.judges(wait=True)
    assert judges.proxy is None
    assert "no better than a coin" in judges.proxy_note
    (row,) = judge_rows(judges)["judges"]
    assert (row["label"], row["state"].startswith("refused: agrees with")) == ("proxy", True)
    room.close()


def test_the_queue_shows_the_table_and_what_a_checkpoint_waits_for(place):
    root, folder = place
    room = opened(folder, root / "ws")
    room.queue.outputs.update({"ab" * 32: "painter"})
    room.queue._unseen.update({"ab" * 32: None})
    with served(room, ["test:queue"]) as serving:
        text = page(serving, serving.links["test:queue"], "/")
    assert "How many more answers, by how human the unverified images are" in text
    assert "1 output of <strong>painter</strong>" in text
    assert "is assumed" in text
    assert room.planning().rows[0][0] == 0.99


def run(*arguments):
    found = CliRunner().invoke(command, [str(a) for a in arguments], standalone_mode=False)
    if found.exception:
        raise found.exception
    return found.output


def test_the_plugins_verb_tries_a_model(place):
    root, _ = place
    found = CliRunner().invoke(
        plugins, ["check", "preferences", f"onnx:{bright(root)}"], standalone_mode=False
    )
    assert found.return_value == 0
    assert "rules kept" in found.output
    assert f"sha256={hashlib.sha256(bright(root).read_bytes()).hexdigest()}" in found.output


def test_the_verb_plans_scores_and_carries(place, tmp_path):
    root, folder = place
    out = run(folder, "--workspace", root / "ws", "--workers", 1, "--plan")
    assert "of the unverified images" in out
    assert "decided beforehand, with right answers:" in out
    target = tmp_path / "scores.csv"
    out = run(folder, "--workspace", tmp_path / "w", "--workers", 1, "--scores", target,
              "--preference", f"onnx:{bright(root)}")  # fmt: skip
    assert "needs people: genepool review" in out
    assert "published model bright@" in out
    lines = target.read_text().splitlines()
    assert len(lines) == 21
    assert all("needs people: genepool review" in line for line in lines[1:])
    with pytest.raises(UsageError, match="expected a workspace with verdicts"):
        run(
            folder,
            "--workspace",
            tmp_path / "w",
            "--workers",
            1,
            "--plan",
            "--qualified-in",
            tmp_path / "none",
        )
    # Controls that somebody judged elsewhere come along.
    other = Workspace(tmp_path / "other").create()
    with ReviewRecord(other) as record:
        record.add_controls({"cd" * 32: "human", "ef" * 32: "ai"}, "given")
        for digest, answer in (("cd" * 32, "human"), ("ef" * 32, "ai")):
            record.add(Verdict(digest, answer, "Ann", 5.0, control=True, token=digest[:8]))
        review.record_in_log(other, record, CONFIG)
    assert len(provenance.find_verdicts(other)) == 2
    out = run(folder, "--workspace", tmp_path / "w", "--workers", 1, "--plan", "--qualified-in", other.root)
    assert "controls carried over: Ann 2" in out
