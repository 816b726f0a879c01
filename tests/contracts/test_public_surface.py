"""The public names, the doors of the rooms, the error codes: owned by tests."""

from __future__ import annotations

import ast
import importlib
import inspect
import pickle
import re
import tomllib
from pathlib import Path

import pytest

import genepool
from genepool import errors

SRC = Path(genepool.__file__).parent
ROOMS = sorted(p.parent.name for p in SRC.glob("*/__init__.py"))


def test_public_names_are_exactly_these():
    assert genepool.__all__ == [
        "DataProvenanceBlockchain",
        "Dataset",
        "Decision",
        "Estimate",
        "GateError",
        "GenepoolError",
        "HumanInLoopValidator",
        "InsufficientHumanContent",
        "RatioEstimate",
        "StyleDiversityIndex",
        "SustainableAITrainingPipeline",
        "SyntheticContentDetector",
        "__version__",
        "check",
        "inject_diversity",
        "open",
    ]
    assert all(getattr(genepool, name) is not None for name in genepool.__all__)


def test_unknown_names_raise_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        genepool.nonsense  # noqa: B018


def test_version_is_the_distributions():
    from importlib.metadata import version

    assert genepool.__version__ == version("genepool")


@pytest.mark.parametrize("room", ROOMS)
def test_rooms_keep_their_doors(room):
    """Every file of a room but its door is private (the command line's files are verbs)."""
    if room in ("cli",):
        return
    public = [p.name for p in (SRC / room).glob("*.py") if not p.name.startswith("_")]
    assert public == []


@pytest.mark.parametrize("room", ROOMS)
def test_doors_export_what_they_say(room):
    module = importlib.import_module(f"genepool.{room}")
    assert module.__doc__
    assert sorted(module.__all__) == sorted(set(module.__all__))
    for name in module.__all__:
        assert getattr(module, name) is not None


def test_no_room_reaches_into_anothers_private_files():
    offences = []
    for path in SRC.rglob("*.py"):
        room = path.relative_to(SRC).parts[0]
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            name = node.module if isinstance(node, ast.ImportFrom) else None
            match = re.fullmatch(r"genepool\.(\w+)\._\w+", name or "")
            if match and match[1] != room:
                offences.append(f"{path.relative_to(SRC)}: {name}")
    assert offences == []


def test_modules_stay_short():
    long = {
        str(p.relative_to(SRC)): n
        for p in SRC.rglob("*.py")
        if (n := len(p.read_text("utf-8").splitlines())) > 400
    }
    assert long == {}


def _error_classes():
    return [c for _, c in inspect.getmembers(errors, inspect.isclass) if issubclass(c, errors.GenepoolError)]


def test_error_codes_are_unique_and_every_code_is_explained():
    kinds = _error_classes()
    codes = [kind.code for kind in kinds]
    assert len(codes) == len(set(codes))
    explained = tomllib.loads((SRC / "explanations.toml").read_text("utf-8"))
    known = {entry["code"]: entry for entry in explained["entry"]} if "entry" in explained else explained
    used = {code for p in SRC.rglob("*.py") for code in re.findall(r"\"(GP\d{3})\"", p.read_text("utf-8"))}
    assert used | set(codes) <= set(known)
    for kind in kinds:
        assert kind.exit_code in known[kind.code]["exit"]


@pytest.mark.parametrize("kind", _error_classes())
def test_errors_survive_pickling_with_their_hint(kind):
    error = kind("what went wrong", hint="do this")
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is kind
    assert (again.message, again.hint) == ("what went wrong", "do this")
    assert str(again).endswith("→ do this")


def test_the_promised_value_error():
    assert issubclass(genepool.InsufficientHumanContent, ValueError)
    assert issubclass(genepool.InsufficientHumanContent, genepool.GateError)
    assert genepool.InsufficientHumanContent.exit_code == 1
