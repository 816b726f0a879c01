"""What the code has, the pages say; what the pages name, is there."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
import types
from pathlib import Path

import click
import pytest

from support.pages import ROOT, blocks, pages

DOCS = ROOT / "docs"


@pytest.fixture(scope="module")
def generator() -> types.ModuleType:
    """`docs/generate.py`, as a module."""
    spec = importlib.util.spec_from_file_location("docs_generate", DOCS / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def prose() -> str:
    """Everything that was written by hand: no generated page."""
    generated = {"docs/rules.md", "docs/reference/cli.md", "docs/reference/configuration.md"}
    return "\n".join((ROOT / page).read_text("utf-8") for page in pages() if page not in generated)


def test_generated_pages_say_what_the_code_says(generator):
    """`make docs` writes them again."""
    stale = {name: lines[:12] for name, lines in generator.stale().items()}
    assert not stale


def test_every_verb_and_option_is_in_the_reference_and_has_a_meaning(generator):
    text = (DOCS / "reference" / "cli.md").read_text("utf-8")
    for page in generator.commands():
        assert page.words in text
        assert generator.told(page), f"{page.words} has no help"
        for parameter in page.command.params:
            if (
                isinstance(parameter, click.Option)
                and not parameter.hidden
                and "--help" not in parameter.opts
            ):
                assert all(name in text for name in parameter.opts), f"{page.words} {parameter.opts}"
                assert parameter.help, f"{page.words} {parameter.opts}: no help"


def test_every_verb_is_used_in_prose(prose):
    from genepool.cli._main import VERBS

    unused = [verb for verb in VERBS if not re.search(rf"genepool {verb}\b", prose)]
    assert not unused, "no page shows: " + ", ".join(unused)


def test_every_rule_and_error_code_is_explained_and_every_explained_one_exists():
    """A code that the source raises or prints has its entry; an entry's code is in the source."""
    from genepool.report import explanations

    source = "\n".join(p.read_text("utf-8") for p in (ROOT / "src").rglob("*.py"))
    raised = set(re.findall(r"\bGP\d{3}\b", source))
    known = set(explanations())
    assert raised - known <= {"GP999"}
    assert not known - raised
    rules = (DOCS / "rules.md").read_text("utf-8")
    for code, entry in explanations().items():
        assert f"### {code} {entry.name}" in rules
        assert entry.do, code


def test_every_code_that_the_pages_name_exists(prose):
    from genepool.report import explanations

    assert set(re.findall(r"\bGP\d{3}\b", prose)) <= set(explanations())


def test_every_configuration_key_is_in_the_reference_and_keys_in_prose_exist(prose):
    from genepool import config

    text = (DOCS / "reference" / "configuration.md").read_text("utf-8")
    keys = {key for key, _, _ in config.describe()}
    assert all(f"`{key}`" in text for key in keys)
    tables = {key.split(".")[0] for key in keys if "." in key}
    named = set(re.findall(rf"`((?:{'|'.join(tables)})\.[a-z_]+)`", prose))
    # `review.board` and its kin are functions of the room of that name.
    wrong = {name for name in named - keys if not _is_function(name)}
    assert not wrong


def _is_function(name: str) -> bool:
    room, _, attribute = name.partition(".")
    try:
        module = importlib.import_module(f"genepool.{room}")
    except ModuleNotFoundError:
        return False
    return hasattr(module, attribute) or attribute in ("secret", "sqlite", "toml")


def test_every_environment_variable_is_in_the_reference(generator):
    source = "\n".join(p.read_text("utf-8") for p in (ROOT / "src").rglob("*.py"))
    used = set(re.findall(r"\bGENEPOOL_[A-Z_]*[A-Z]\b", source)) - {"GENEPOOL_COMPLETE"}
    assert used <= set(generator.ENVIRONMENT)


def test_every_room_has_a_page():
    index = (DOCS / "concepts" / "index.md").read_text("utf-8")
    rooms = {p.parent.name for p in (ROOT / "src" / "genepool").glob("*/__init__.py")}
    assert rooms <= set(re.findall(r"^\| `(\w+)` \|", index, re.M))


def test_formats_name_every_field_of_an_entry():
    from genepool.provenance._entries import KINDS

    text = (DOCS / "formats.md").read_text("utf-8")
    rows = dict(re.findall(r"^\| `(\w+)` \| (.*?) \|", text, re.M))
    for kind, (must, may) in KINDS.items():
        for field in must:
            assert f"`{field}`" in rows[kind], f"{kind}.{field}"
        for field in may:
            assert f"[`{field}`]" in rows[kind], f"{kind}.{field} is optional"


@pytest.mark.xdist_group("demo")
def test_formats_name_every_section_of_a_decision(demo_told):
    story, _ = demo_told
    text = (DOCS / "formats.md").read_text("utf-8")
    section = text[text.index("## The decision") : text.index("## The workspace")]
    for decision in (story.first, story.second):
        for key in decision.to_json():
            assert f'"{key}"' in section or f"`{key}`" in section, key


def test_every_bench_is_listed_as_evidence_and_every_program_that_pages_name_exists(prose):
    evidence = (DOCS / "evidence.md").read_text("utf-8")
    benches = {p.relative_to(ROOT).as_posix() for p in (ROOT / "bench").rglob("*.py") if p.name[0] != "_"}
    missing = {b for b in benches if b not in evidence and not b.startswith("bench/peers/")}
    missing -= {"bench/all.py"}
    assert not missing, "docs/evidence.md lists no figure of: " + ", ".join(sorted(missing))
    for path in set(re.findall(r"\b(?:bench|training|docs|tests)/[\w/.-]+\.(?:py|json|md|toml|gz)\b", prose)):
        assert (ROOT / path).exists(), path


def test_pages_speak_of_this_machine_and_its_keepers_nowhere(prose):
    """No absolute path of a developer's machine."""
    for page in pages():
        found = re.findall(r"(?:/work/|/root/|/home/\w+/)\S*", (ROOT / page).read_text("utf-8"))
        assert not found, f"{page}: {found}"


def test_the_manual_page_is_one_that_man_can_show(generator):
    """No warning of groff's, every verb in it; and the wheel puts it where `man` looks."""
    import shutil
    import tomllib

    page = DOCS / "man" / "genepool.1"
    text = page.read_text("utf-8")
    from genepool.cli._main import VERBS

    for verb in VERBS:
        assert f"genepool {verb}" in text
    build = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["hatch"]["build"]
    assert build["targets"]["wheel"]["shared-data"]["docs/man/genepool.1"] == "share/man/man1/genepool.1"
    if shutil.which("groff") is None:
        pytest.skip("groff is not here")
    shown = subprocess.run(
        ["groff", "-man", "-Tutf8", "-P-cbou", "-ww", "-K", "utf-8", str(page)],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert shown.returncode == 0
    assert not shown.stderr
    assert "EXIT STATUS" in shown.stdout


def test_importing_the_package_loads_nothing_heavy():
    """What the wheel promises: a name and a map, no arrays, no pictures, no network."""
    code = (
        "import sys, genepool; from genepool.cli._main import cli; "
        "heavy = {'numpy', 'pyarrow', 'duckdb', 'PIL', 'scipy', 'onnxruntime', 'matplotlib', 'torch'}; "
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout == "[]\n", done.stderr


def test_blocks_are_marked_with_real_reasons():
    """A page may not skip everything: what is not run is the exception."""
    found = [b for page in pages() for b in blocks(page) if b.language in ("console", "python")]
    skipped = [b for b in found if b.reason is not None]
    assert len(skipped) < len(found) / 3, [b.place for b in skipped]
    assert Path(ROOT / "docs" / "generate.py").exists()
