"""The page's ES module is typed in JSDoc; TypeScript's checker, where it is installed, finds nothing."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from genepool import web

MODULE = Path(web.__file__).parent / "static" / "room.js"
OPTIONS = ["--allowJs", "--checkJs", "--noEmit", "--strict", "--noImplicitReturns", "--noUnusedLocals"]


@pytest.fixture(scope="module")
def tsc() -> str:
    own = Path(__file__).parents[2] / ".oracles" / "typescript" / "node_modules" / ".bin" / "tsc"
    found = str(own) if own.is_file() else shutil.which("tsc")
    if found is None or shutil.which("node") is None:
        pytest.skip("node or tsc is not installed: make typescript")
    return found


def check(tsc: str, path: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [tsc, *OPTIONS, str(path)], capture_output=True, text=True, timeout=300, check=False
    )


def test_the_module_is_typed_strictly(tsc):
    found = check(tsc, MODULE)
    assert (found.returncode, found.stdout) == (0, "")


def test_the_checker_would_find_a_fault(tsc, tmp_path):
    text = MODULE.read_text()
    line = 'say("Saved. Next pair.");'
    assert line in text
    broken = tmp_path / "room.js"
    broken.write_text(text.replace(line, "say(42);"))
    found = check(tsc, broken)
    assert found.returncode != 0
    assert "TS2345" in found.stdout


def test_it_is_one_module_without_build_step_or_strangers():
    text = MODULE.read_text()
    assert text.startswith("// @ts-check")
    assert "@ts-ignore" not in text
    assert "import " not in text
    assert [p.name for p in MODULE.parent.glob("*.js")] == ["room.js"]
