"""Importing genepool is free, and --help stays quick."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import genepool

ROOMS = sorted(p.parent.name for p in Path(genepool.__file__).parent.glob("*/__init__.py"))
HEAVY = (
    "numpy",
    "PIL",
    "pyarrow",
    "duckdb",
    "scipy",
    "onnxruntime",
    "torch",
    "matplotlib",
    "c2pa",
    "rich",
    "cryptography",
)


def _modules_after(statement: str) -> set[str]:
    code = f"import sys\n{statement}\nprint(' '.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_importing_genepool_loads_nothing_heavy():
    assert _modules_after("import genepool").isdisjoint(HEAVY)


def test_importing_the_command_line_loads_nothing_heavy():
    assert _modules_after("import genepool.cli").isdisjoint(HEAVY)


def test_every_door_opens_without_heavy_libraries_but_numpy():
    rooms = [room for room in ROOMS if room not in ("cli", "demo", "records", "stats")]
    loaded = _modules_after("import " + ", ".join(f"genepool.{room}" for room in rooms))
    assert loaded.isdisjoint(set(HEAVY) - {"numpy"})


def test_help_names_every_verb():
    env = {**os.environ, "COLUMNS": "120"}
    done = subprocess.run(
        [sys.executable, "-m", "genepool", "--help"], capture_output=True, text=True, check=True, env=env
    )
    from genepool.cli._main import VERBS

    assert all(f"  {verb} " in done.stdout for verb in VERBS)
