"""Every session and every program of the pages, run as it is printed.

A page's blocks run in order, in the directory that the page names (`conftest.py`), sessions in one shell and
Python in one namespace. What is not run says why on the page. The quick pages run with every test run, their
`genepool` in this process; `make soak-docs` runs all of them in a real bash.
"""

from __future__ import annotations

import json
import sys
import tomllib
import types
import warnings
from typing import Any

import pytest
import yaml

from support.pages import LANGUAGES, SKIPPED, Block, blocks, commands, matches, pages
from support.terminal import Shell, shell

# What a new user tries first, and what is cheap; all others are run by `make soak-docs`.
QUICK = {"README.md"}
# The directories that `conftest.py` prepares.
PLACES = {"demo", "empty", "pictures", "checked", "passed", "generations"}
ALL = {page: blocks(page) for page in pages()}
RUN = {page for page, found in ALL.items() if any(b.language in ("console", "python") for b in found)}


def grouped(page: str) -> Any:
    """The page as a parameter: soak unless quick; those on the demo run where the demo was made."""
    marks = [] if page in QUICK else [pytest.mark.soak]
    if any(b.setup == "demo" for b in ALL[page]):
        marks.append(pytest.mark.xdist_group("demo"))
    return pytest.param(page, marks=marks, id=page.removeprefix("docs/"))


@pytest.mark.parametrize("page", [grouped(page) for page in sorted(RUN)])
def test_a_page_does_what_it_prints(page, places, at, monkeypatch):
    play(page, places, at, monkeypatch, real=page not in QUICK)


@pytest.mark.soak
@pytest.mark.parametrize("page", [grouped(page) for page in sorted(QUICK)])
def test_a_quick_page_in_a_real_shell(page, places, at, monkeypatch):
    play(page, places, at, monkeypatch, real=True)


def play(page: str, places: Any, at: Any, monkeypatch: pytest.MonkeyPatch, *, real: bool) -> None:
    """Run a page's blocks, part by part: a part is what stands under one `<!-- tested in: NAME -->`."""
    parts: list[list[Block]] = []
    for block in ALL[page]:
        if block.language not in ("console", "python"):
            continue
        if not parts or parts[-1][-1].setup != block.setup:
            parts.append([])
        parts[-1].append(block)
    for part in parts:
        to_run = [b for b in part if b.reason is None]
        if not to_run:
            continue
        assert part[0].setup, f"{to_run[0].place}: no <!-- tested in: NAME --> above this block"
        module = types.ModuleType("page_under_test")  # a real module: what it defines can be pickled
        monkeypatch.setitem(sys.modules, module.__name__, module)
        with at(places(part[0].setup)) as place, shell(place.folder, real=real) as terminal:
            for block in to_run:
                if block.language == "console":
                    session(block, terminal, place.told)
                else:
                    program(block, module.__dict__)
        places(part[0].setup)  # put back at once: other tests look at the demo, too


def session(block: Block, terminal: Shell, told: str) -> None:
    """Run the commands of a block; compare what they print, where the page shows it, and how they end."""
    listed = commands(block)
    for i, command in enumerate(listed):
        where = f"{block.page}:{command.line}: $ {command.text}"
        if SKIPPED.search(command.text):
            continue
        if told and command.text.split("#")[0].strip() in ("genepool demo", "make demo"):
            code, printed = 0, told  # it was run, once for all tests
        else:
            code, printed = terminal.run(command.text)
        asked = i + 1 < len(listed) and listed[i + 1].text == "echo $?"
        if not asked and code != (command.exit or 0):
            pytest.fail(f"{where}\nended with {code}:\n{printed}", pytrace=False)
        if command.output and (wrong := matches(command.output, printed)):
            pytest.fail(f"{where}\n{wrong}; it printed:\n{printed}", pytrace=False)


def program(block: Block, namespace: dict[str, Any]) -> None:
    """Run a Python block; lines of its traceback are those of the page."""
    code = compile("\n" * block.line + block.text, block.page, "exec")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # third parties' deprecations are not the page's subject
        exec(code, namespace)


# ------------------------------------------------------------------------------ what is written down


def test_every_block_has_a_language_that_somebody_checks():
    strange = [f"{b.place}: {b.language or 'none'}" for found in ALL.values() for b in found]
    strange = [s for s in strange if s.split(": ")[1] not in LANGUAGES]
    assert not strange, f"use one of {sorted(LANGUAGES)} for: " + ", ".join(strange)


def test_every_block_is_run_somewhere_or_says_why_not():
    """`<!-- tested in: NAME -->` above it, or a paragraph `*Not run by the tests: …*` right before it."""
    lost = [
        block.place
        for found in ALL.values()
        for block in found
        if block.language in ("console", "python") and block.reason is None and block.setup not in PLACES
    ]
    assert not lost


def test_no_command_hides_in_a_block_that_is_not_run():
    """A block of text may hold output or a diagram, no session."""
    hidden = [
        f"{block.place}: {line}"
        for found in ALL.values()
        for block in found
        if block.language == "text"
        for line in block.text.splitlines()
        if line.startswith(("$ ", "pip ", "python ", "make "))
        or (line.startswith("genepool ") and "--" in line)
    ]
    assert not hidden, "\n".join(hidden)


def test_data_blocks_can_be_read():
    from genepool import config

    for found in ALL.values():
        for block in found:
            if block.language == "json":
                json.loads(block.text)
            elif block.language == "yaml":
                list(yaml.safe_load_all(block.text))
            elif block.language == "toml":
                data = tomllib.loads(block.text)
                if block.text.startswith("# genepool.toml"):
                    config.parse(data, text=block.text, where=block.place)


def test_python_that_is_not_run_is_python_all_the_same():
    for found in ALL.values():
        for block in found:
            if block.language == "python":
                compile(block.text, block.place, "exec")


@pytest.mark.parametrize(
    ("expected", "printed", "same"),
    [
        (["a  1", "b"], "a 1\nb\n", True),
        (["a …", "b"], "a long tail\nb\n", True),
        (["…", "b"], "many\nlines\nb\n", True),
        (["…", "b"], "many\nlines\n", False),
        (["a"], "a\nb\n", False),
        (["0.73…"], "0.74\n", False),
        (["a", "…"], "a\n", True),
        (["a…b"], "a\nb\n", False),
    ],
)
def test_output_is_compared_line_by_line(expected, printed, same):
    assert (matches(expected, printed) is None) == same


def test_a_session_that_lies_is_found(places, at, tmp_path):
    lie = Block("page.md", 1, "console", "$ genepool explain GP401\nGP401 nonsense\n", None, "empty")
    with at(places("empty")) as place, shell(place.folder, real=False) as terminal:
        with pytest.raises(pytest.fail.Exception, match="it printed:\nGP401 generation"):
            session(lie, terminal, "")
        with pytest.raises(pytest.fail.Exception, match="ended with 3"):
            session(lie._replace(text="$ genepool check nowhere\n"), terminal, "")
        session(lie._replace(text="$ genepool check nowhere  # exit 3\n$ echo $?\n3\n"), terminal, "")
