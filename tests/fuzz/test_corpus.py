"""Every input that ever broke the rule, and every valid one, again: none may break it."""

from __future__ import annotations

from pathlib import Path

import pytest

from fuzz.seeds import seeds
from fuzz.targets import TARGETS
from fuzz.watch import watched

CORPUS = Path(__file__).parent / "corpus"
KEPT = sorted(path for path in CORPUS.rglob("*") if path.is_file() and path.suffix != ".md")


@pytest.mark.parametrize("path", KEPT, ids=lambda path: path.name)
def test_what_once_broke_the_rule(path: Path) -> None:
    watched(TARGETS[path.name.partition("-")[0]], path.read_bytes())


@pytest.mark.parametrize("target", [name for name in TARGETS if name != "models"])
def test_what_is_valid(target: str) -> None:
    for data in seeds(target):
        TARGETS[target](data)  # not even an error of ours
        watched(TARGETS[target], data[: len(data) // 2])
