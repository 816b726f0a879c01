"""The demo's story on the real rooms, end to end."""

from __future__ import annotations

import dataclasses
import json
import os
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from genepool import demo
from genepool.cli._main import cli
from genepool.config import Config
from genepool.demo import _story
from genepool.errors import UsageError


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("story-home")


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory, home: Path) -> tuple[demo.Story, list[str]]:
    """The story, once, with a key of its own."""
    said: list[str] = []
    before = os.environ.get("GENEPOOL_HOME")
    os.environ["GENEPOOL_HOME"] = str(home)
    try:
        place = tmp_path_factory.mktemp("story") / "demo"
        story = demo.run(place, say=said.append, show=lambda d, r: said.append(f"{d.status} {r.name}"))
    finally:
        os.environ.pop("GENEPOOL_HOME")
        if before is not None:
            os.environ["GENEPOOL_HOME"] = before
    return story, said


def test_it_ends_as_expected(told):
    story, said = told
    assert story.differences == ()
    assert story.first.status == "fail"
    assert sorted(f.code for f in story.first.failures) == ["GP101", "GP401"]
    assert story.second.status == "pass"
    assert not story.second.failures
    assert [line for line in said if line.endswith("report.html")] == ["fail report.html", "pass report.html"]
    for report in story.reports:
        assert report.read_text("utf-8").lstrip().lower().startswith("<!doctype html")
        assert report.stat().st_size < 2e6


def test_it_judges_by_the_default_policy(told):
    story, _ = told
    defaults = Config().to_json()
    for decision in (story.first, story.second):
        for table in ("policy", "generation", "review"):
            assert decision.policy[table] == json.loads(json.dumps(defaults[table]))


def test_the_numbers_are_those_of_the_gallery(told):
    story, _ = told
    groups = {name: len(files) for name, files in story.gallery.groups.items()}
    human = groups["photographs"] + groups["drawings"]
    first, second = (d.measures["human_ratio"] for d in (story.first, story.second))
    kept = story.gallery.readable - groups["found"]
    assert first.n == kept
    assert first.lower == pytest.approx(human / kept, abs=0.03)
    assert first.upper < 0.70
    assert second.n == kept - groups["third"]
    assert second.lower >= 0.70
    assert second.lower == pytest.approx(human / second.n, abs=0.04)
    assert story.first.measures["generation"].value == 3
    assert story.second.measures["generation"].value == 1
    assert story.first.extra["c2pa"]["valid"] == groups["signed"]


def test_the_offenders_and_only_they_were_set_aside(told):
    story, _ = told
    groups = story.gallery.groups
    left = {p.name for p in story.clean.rglob("*") if p.suffix in (".png", ".jpg", ".webp")}
    gone = {Path(n).name for group in ("third", "found", "damaged") for n in groups[group]}
    stay = {Path(n).name for group in groups for n in groups[group]} - gone
    assert left == stay


def test_the_index_of_honest_work_is_above_the_floor(told):
    story, _ = told
    for decision in (story.first, story.second):
        assert decision.measures["diversity"].lower >= 0.60
    # What collapsed costs diversity: without it the index is higher.
    assert story.second.measures["diversity"].value > story.first.measures["diversity"].value


def test_a_story_that_goes_otherwise_says_how(told):
    story, _ = told
    changed = dataclasses.replace(story.second, status="undecided")
    assert _story._compare("the second check", changed, demo.SECOND) == [
        "the second check: expected PASS, found UNDECIDED"
    ]
    blind = dataclasses.replace(story.first, failures=story.first.failures[:1])
    assert _story._compare("the first check", blind, demo.FIRST)
    missed = dataclasses.replace(
        story.first,
        failures=tuple(
            dataclasses.replace(f, cases=f.cases[1:]) if f.code == "GP401" else f
            for f in story.first.failures
        ),
    )
    (difference,) = _story._compare_images(story.gallery, missed)
    assert re.search(r"expected 60, found 59; differing: generation-3/", difference)


def test_the_command_repeats_itself_and_reports(told, home, monkeypatch):
    """Over the folder of an earlier demo: replaced, same ending, exit code 0, the report last."""
    story, _ = told
    monkeypatch.setenv("GENEPOOL_HOME", str(home))
    folder = story.gallery.root
    result = CliRunner().invoke(cli, ["demo", str(folder)], standalone_mode=False)
    assert result.exception is None
    assert result.return_value == 0, result.output
    assert "FAIL" in result.output
    assert "GP401" in result.output
    assert "PASS" in result.output
    assert result.output.rstrip().endswith("demo-clean.genepool/report.html")


def test_a_folder_of_somebody_else_is_left_alone(tmp_path):
    (tmp_path / "demo").mkdir()
    (tmp_path / "demo" / "holiday.jpg").write_bytes(b"x")
    with pytest.raises(UsageError, match="expected an empty folder or an earlier demo"):
        demo.run(tmp_path / "demo")
    assert [p.name for p in tmp_path.iterdir()] == ["demo"]


def test_nothing_is_made_when_the_clean_folder_is_taken(tmp_path):
    (tmp_path / "demo-clean").mkdir()
    (tmp_path / "demo-clean" / "mine.txt").write_text("x")
    with pytest.raises(UsageError, match="demo-clean"):
        demo.run(tmp_path / "demo")
    assert not (tmp_path / "demo").exists()


def test_the_command_says_what_differed(monkeypatch, told, tmp_path):
    story, _ = told
    changed = dataclasses.replace(story, differences=("the second check: expected PASS, found FAIL (GP301)",))
    monkeypatch.setattr("genepool.demo.run", lambda *args, **options: changed)
    result = CliRunner().invoke(cli, ["demo", str(tmp_path / "demo")], standalone_mode=False)
    assert result.return_value == 3
    assert "expected PASS, found FAIL (GP301)" in result.output
