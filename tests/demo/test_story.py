"""The demo's story on the real rooms, end to end."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import re
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from genepool import demo
from genepool.cli._main import cli
from genepool.config import Config
from genepool.demo import _story
from genepool.demo._place import mark
from genepool.errors import MissingExtra, UsageError

pytestmark = pytest.mark.xdist_group("demo")


@pytest.fixture(scope="module")
def home(demo_home: Path) -> Path:
    return demo_home


@pytest.fixture(scope="module")
def told(demo_told: tuple[demo.Story, str]) -> tuple[demo.Story, str]:
    """The story as `genepool demo` tells it (`tests/conftest.py`)."""
    return demo_told


def test_it_ends_as_expected(told):
    story, output = told
    assert story.differences == ()
    assert story.first.status == "fail"
    assert sorted(f.code for f in story.first.failures) == ["GP101", "GP401"]
    assert story.second.status == "pass"
    assert not story.second.failures
    assert output.index("FAIL  this set") < output.index("exported the 290") < output.index("PASS  this set")
    assert "As expected: " in output
    assert output.rstrip().endswith("demo-clean.genepool/report.html")
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


def test_each_generation_alone_is_duller(told):
    """Measured, not asserted by the gallery: after three generations the intervals do not touch."""
    story, output = told
    human, first, third = story.parts.values()
    assert human.value > first.value > 1.3 * third.value
    assert human.lower > third.upper
    assert "style diversity of each part alone: human 0." in output


def test_the_key_is_named_aloud_when_it_is_made(told, home):
    _, output = told
    assert f"a new key of yours, {home / 'key'}" in output


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


def test_what_an_earlier_demo_left_is_replaced(told):
    story, _ = told
    assert not list(story.gallery.root.parent.rglob("stale.png"))


def test_the_gallery_is_a_function_of_the_seed(told, gallery):
    """Every byte but the signatures (their keys are thrown away); there, every pixel."""
    again = told[0].gallery
    assert again.groups == gallery.groups
    for group, files in gallery.groups.items():
        for name in files:
            if group == "signed":
                with Image.open(gallery.root / name) as a, Image.open(again.root / name) as b:
                    assert np.array_equal(np.asarray(a), np.asarray(b)), name
            else:
                assert (gallery.root / name).read_bytes() == (again.root / name).read_bytes(), name
    assert (gallery.root / "genepool.jsonl").read_bytes() == (again.root / "genepool.jsonl").read_bytes()


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


def test_a_missing_extra_is_said_before_anything_is_removed(monkeypatch, tmp_path):
    mark(tmp_path / "demo", ["old.png"])
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda n: None if n == "sklearn" else find(n))
    with pytest.raises(MissingExtra, match="scikit-learn is not installed"):
        demo.run(tmp_path / "demo")
    assert (tmp_path / "demo").is_dir()


def test_the_command_says_what_differed(monkeypatch, told, tmp_path):
    story, _ = told
    changed = dataclasses.replace(story, differences=("the second check: expected PASS, found FAIL (GP301)",))
    monkeypatch.setattr("genepool.demo.run", lambda *args, **options: changed)
    result = CliRunner().invoke(cli, ["demo", str(tmp_path / "demo")], standalone_mode=False)
    assert result.return_value == 3
    assert "expected PASS, found FAIL (GP301)" in result.output
