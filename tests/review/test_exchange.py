"""Verdicts out and in, and reviewing on paper; the verb."""

from __future__ import annotations

import csv
import io
import json

import pytest
from click.testing import CliRunner
from PIL import Image

from genepool import review
from genepool.cli.review import command
from genepool.errors import MissingExtra, UsageError
from genepool.records import Verdict
from genepool.review import HumanInLoopValidator, export_verdicts, import_verdicts, sampled_verdicts
from genepool.store import ReviewRecord, Verdicts, Vote, Workspace
from support.rooms import CONFIG, gallery

GIVEN = [
    Verdict("ab" * 32, "human", "test:ann", 1.5, comment="brush, “strokes”\n=1+1", seconds=2.25, token="t1"),
    Verdict("ab" * 32, "ai", "test:ann", 2.5, changed=True, token="t1"),
    Verdict("cd" * 32, "unsure", "test:bob", 3.5, control=True, uncanny=True),
]


@pytest.mark.parametrize("ending", [".jsonl", ".csv", ".json"])
def test_a_round_trip_loses_no_decision(tmp_path, ending):
    space, other = Workspace(tmp_path / "a"), Workspace(tmp_path / "b")
    with Verdicts(space) as verdicts:
        verdicts.add_all((verdict, "") for verdict in GIVEN)
    path = tmp_path / f"out{ending}"
    assert export_verdicts(space, path) == 3
    assert import_verdicts(other, path) == (3, 0)
    assert import_verdicts(other, path) == (0, 3)
    found = sorted(Verdicts(other).all(), key=lambda v: v.at)
    for old, new in zip(GIVEN, found, strict=True):
        assert (new.sha256, new.answer, new.reviewer, new.at) == (
            old.sha256,
            old.answer,
            old.reviewer,
            old.at,
        )
        assert (new.control, new.changed, new.uncanny, new.seconds) == (
            old.control, old.changed, old.uncanny, old.seconds
        )  # fmt: skip
        assert new.comment == old.comment
        assert new.token == ""  # nobody was asked here: never part of a certificate


def test_votes_are_written_as_they_were_given(tmp_path):
    space = Workspace(tmp_path / "ws").create()
    votes = [
        Vote("ab" * 32, "cd" * 32, "a", "=Ann", 5.0, 1.5, "s"),
        Vote("cd" * 32, "ab" * 32, "both_bad", "Bob", 6.0),
    ]
    with ReviewRecord(space) as record:
        for number, vote in enumerate(votes):
            record.add_vote(vote, nonce=str(number))
    assert review.export_votes(space, tmp_path / "v.jsonl") == 2
    lines = (tmp_path / "v.jsonl").read_text().splitlines()
    assert [Vote(**json.loads(line)) for line in lines] == votes
    review.export_votes(space, tmp_path / "v.csv")
    first = next(csv.DictReader((tmp_path / "v.csv").read_text().splitlines()))
    assert (first["outcome"], first["reviewer"], first["seconds"]) == ("a", "'=Ann", "1.5")  # no formula
    with pytest.raises(UsageError, match="for votes"):
        review.export_votes(space, tmp_path / "v.json")


def test_label_studio_finds_what_it_expects(tmp_path):
    space = Workspace(tmp_path / "a")
    with Verdicts(space) as verdicts:
        verdicts.add(GIVEN[0])
    export_verdicts(space, tmp_path / "o.json", names={"ab" * 32: "/x/y.jpg"})
    (task,) = json.loads((tmp_path / "o.json").read_text())
    assert task["data"]["image"] == "/x/y.jpg"
    result = task["annotations"][0]["result"][0]
    assert result["type"] == "choices"
    assert result["value"] == {"choices": ["human"]}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.jsonl", '{"sha256": "ab", "answer": "human", "reviewer": "x", "at": 1}'),
        ("a.jsonl", "not json"),
        ("a.csv", "sha256,answer\n" + "ab" * 32 + ",maybe\n"),
        ("a.json", '{"no": "list"}'),
        ("a.json", '[{"data": {}, "annotations": [{}]}]'),
        ("a.txt", ""),
    ],
)
def test_what_is_no_verdict_imports_nothing(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    with pytest.raises(UsageError):
        import_verdicts(Workspace(tmp_path / "w"), tmp_path / name)
    assert Verdicts(Workspace(tmp_path / "w")).count() == 0


def run(*arguments):
    result = CliRunner().invoke(command, list(map(str, arguments)), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_on_paper_from_sheet_to_certificate_sample(tmp_path):
    folder, space = gallery(tmp_path / "set", tmp_path / "ws", known=2, unknown=12), tmp_path / "ws"
    common = (folder, "--workspace", space, "--workers", 1)
    text = run(*common, "--plain", "--user", "test:ann", "-n", 12)
    assert "12 images on the sheets" in text
    sheets = sorted((space / "sheets").glob("*.jpg"))
    assert len(sheets) == 2
    with Image.open(sheets[0]) as sheet:
        assert sheet.size[0] > 1400
        assert not sheet.getexif()
    path = space / "sheets" / "answers.csv"
    assert "secret" not in path.read_text()
    rows = list(csv.DictReader(io.StringIO(path.read_text())))
    with ReviewRecord(Workspace(space)) as record:
        truths = record.controls()
        known = {a.token: truths[a.sha256] for a in record.asked() if a.kind == "control"}
    for row, word in zip(rows, ["human", "a", "U", "h"] * 2, strict=False):
        # Somebody who misses both controls is quarantined, and rightly so: this person sees them.
        row["answer"] = known.get(row["token"], word)
    rows[0]["uncanny"], rows[1]["comment"] = "x", "hands"
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    answers = (*common, "--answers", path, "--user", "test:ann")
    assert "8 verdicts by test:ann kept, 4 rows still open" in run(*answers)
    run(*answers)  # twice is once
    with ReviewRecord(Workspace(space)) as record:
        given = record.all()
        kinds = {a.token: a.kind for a in record.asked()}
    assert len(given) == 8
    meant = ["human", "ai", "unsure", "human"]
    assert [v.answer for v in given[:4]] == [
        known.get(row["token"], word) for row, word in zip(rows, meant, strict=False)
    ]
    assert (given[0].uncanny, given[1].comment) == (True, "hands")
    images = sum(kinds[v.token] == "image" for v in given)
    assert len({row[0] for row in sampled_verdicts(Workspace(space))}) == images
    assert "8 verdicts written" in run(*common, "--export", tmp_path / "o.json")
    assert "secret-name" in (tmp_path / "o.json").read_text()
    assert "0 verdicts imported, 8 known" in run(*common, "--import", tmp_path / "o.json")


def test_the_validator_asks_in_the_random_order_and_certifies(tmp_path):
    folder, space = gallery(tmp_path / "set", tmp_path / "ws", known=2, unknown=9), tmp_path / "ws"
    people = HumanInLoopValidator(space, config=CONFIG)
    batch = people.next_batch(folder, 6, reviewer="test:ann")
    assert people.next_batch(folder, 6, reviewer="test:ann") == batch  # open ones come again
    for question in batch:
        verdict = people.record(question.sha256, "human", "test:ann")
        assert verdict.token
        assert verdict.control == (question.status == "settled")
    asked = [q for q in batch if q.status != "settled"]
    sampled = sampled_verdicts(Workspace(space))
    assert [row[1] for row in sampled] == [q.sha256 for q in asked]
    found = people.certify(folder)
    assert found.ratio.n == 13
    assert "test:ann" in found.refused  # six answers are no qualification
    assert found.plan is not None


def test_what_the_verb_refuses(tmp_path, monkeypatch):
    folder = gallery(tmp_path / "set", tmp_path / "ws", known=0, unknown=2)
    common = (folder, "--workspace", tmp_path / "ws", "--workers", 1)
    for arguments, words in (
        ((*common, "--host", "192.0.2.7"), "named users"),
        ((*common, "--controls", tmp_path), "human and ai"),
        ((*common, "--import", tmp_path / "nothing.csv"), "cannot be read"),
    ):
        with pytest.raises(UsageError, match=words):
            run(*arguments)
    import sys

    monkeypatch.setitem(sys.modules, "uvicorn", None)
    with pytest.raises(MissingExtra, match="uvicorn"):
        run(*common, "--no-browser")
