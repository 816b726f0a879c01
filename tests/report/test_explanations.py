"""Every code is explained, in words that stand alone and with commands that exist."""

from __future__ import annotations

import importlib
import inspect
import re
import shlex
from pathlib import Path

import click
import pytest

import genepool
from genepool import errors
from genepool.cli._main import VERBS
from genepool.errors import UsageError
from genepool.report import explanations, find

SOURCE = Path(genepool.__file__).parent
TABLE = explanations()


def test_every_error_class_is_explained_with_its_exit_code():
    for _, kind in inspect.getmembers(errors, inspect.isclass):
        if issubclass(kind, errors.GenepoolError):
            assert kind.code in TABLE, kind
            assert kind.exit_code in TABLE[kind.code].exit, kind


def test_every_code_in_the_source_is_explained():
    used = {
        (code, path.name)
        for path in SOURCE.rglob("*.py")
        for code in re.findall(r"\bGP\d{3}\b", path.read_text("utf-8"))
    }
    assert len(used) > 20
    assert [(code, where) for code, where in sorted(used) if code not in TABLE] == []


def test_every_rule_of_the_gate_is_a_rule_of_the_table():
    from genepool.gate import RULES

    assert {rule.code for rule in RULES} <= {code for code, e in TABLE.items() if e.kind == "rule"}


def test_every_explanation_is_complete():
    names = [entry.name for entry in TABLE.values()]
    assert len(set(names)) == len(names)
    for code, entry in TABLE.items():
        assert re.fullmatch(r"GP\d{3}", code)
        assert re.fullmatch(r"[a-z]+(-[a-z]+)*", entry.name)
        assert entry.kind in ("rule", "error")
        assert entry.exit
        assert set(entry.exit) <= {0, 1, 2, 3, 4, 5}
        assert entry.what.endswith(".")
        assert ". " not in entry.what
        assert 1 <= len(re.findall(r"[.:] [A-Z]|\.$|\. [a-z`]", entry.why)) <= 7
        assert entry.do
        assert list(entry.to_json()) == ["code", "name", "kind", "exit", "what", "why", "do"]


@pytest.mark.parametrize("line", sorted({line for entry in TABLE.values() for line in entry.do}))
def test_every_command_exists(line):
    words = shlex.split(line, comments=True)
    # A variable of the environment may stand before the command, if it is one of ours.
    while re.match(r"GENEPOOL_[A-Z]+=", words[0]):
        words.pop(0)
    assert words[0] == "genepool"
    if words[1] == "--help":
        return
    assert words[1] in VERBS
    command = importlib.import_module(f"genepool.cli.{words[1]}").command
    rest = words[2:]
    while isinstance(command, click.Group):
        inner = command.get_command(click.Context(command), rest[0])
        assert inner is not None, line
        command, rest = inner, rest[1:]
    if "--help" not in rest:
        # Parsing checks names, options and the number of arguments, and runs nothing.
        command.make_context("genepool", list(rest))


@pytest.mark.parametrize("word", ["GP301", "gp301", "301", "style-diversity", "Style Diversity", "divers"])
def test_a_code_is_found_by_what_people_type(word):
    assert find(word).code == "GP301"


@pytest.mark.parametrize(
    ("word", "hint"),
    [
        ("GP102x", "GP102"),
        ("humen-ratio", "GP101"),
        ("human", "GP103"),
        ("zzz", "lists all"),
        ("", "lists all"),
    ],
)
def test_what_is_not_found_is_suggested(word, hint):
    with pytest.raises(UsageError) as caught:
        find(word)
    assert hint in caught.value.hint
