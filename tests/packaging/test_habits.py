"""Habits that a program can hold: change fragments, the list of the source distribution, types."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
KINDS = {kind["directory"] for kind in PROJECT["tool"]["towncrier"]["type"]}


def test_every_fragment_says_something_to_people():
    fragments = [path for path in (ROOT / "changelog.d").iterdir() if path.name != "README.md"]
    for path in fragments:
        assert re.fullmatch(rf"[a-z0-9-]+\.({'|'.join(sorted(KINDS))})\.md", path.name), path.name
        text = path.read_text("utf-8").strip()
        assert text.endswith("."), path.name
        assert "\n\n" not in text, f"{path.name}: one paragraph"


def test_towncrier_makes_the_change_log_of_them(tmp_path):
    build = pytest.importorskip("towncrier.build")
    from click.testing import CliRunner

    told = CliRunner().invoke(
        build._main, ["--draft", "--version", "9.9.9", "--date", "2030-01-02", "--dir", str(ROOT)]
    )
    assert told.exit_code == 0, told.output
    assert "## 9.9.9 (2030-01-02)" in told.output
    said = " ".join(told.output.split())
    for path in (ROOT / "changelog.d").glob("*.*.md"):
        assert " ".join(path.read_text("utf-8").split()) in said
    marker = PROJECT["tool"]["towncrier"]["start_string"].strip()
    assert (ROOT / "CHANGELOG.md").read_text("utf-8").count(marker) == 1


def test_the_source_distribution_leaves_nothing_of_the_repository_out():
    if not (ROOT / ".git").exists():
        pytest.skip("not a git repository: this is the source distribution itself")
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    top = {line.partition("/")[0] for line in listed.splitlines()}
    included = set(PROJECT["tool"]["hatch"]["build"]["targets"]["sdist"]["include"])
    assert top - included - {"pyproject.toml"} == set()


def test_types_are_announced_and_version_is_one():
    assert (ROOT / "src" / "genepool" / "py.typed").read_text() == ""
    assert "Typing :: Typed" in PROJECT["project"]["classifiers"]
    assert PROJECT["tool"]["hatch"]["version"]["path"] == "src/genepool/_version.py"


def test_contributing_and_security_name_what_is_there():
    """Every file, make target and function that the two pages name exists."""
    makefile = (ROOT / "Makefile").read_text("utf-8")
    for name in ("CONTRIBUTING.md", "SECURITY.md"):
        text = (ROOT / name).read_text("utf-8")
        for target in re.findall(r"make ([a-z][a-z-]+)`", text):
            assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
        for path in re.findall(r"`((?:docs|tests|src|bench|changelog\.d)/[\w./-]*)`", text):
            assert (ROOT / path).exists(), path
