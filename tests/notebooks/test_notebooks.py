"""The notebooks run as scripts, from the first cell to the last, on a folder that is given."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from support import reports

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"


def run(name: str, folder: Path, n: int) -> subprocess.CompletedProcess[str]:
    pytest.importorskip("marimo")
    folder.mkdir()
    for i in range(n):
        (folder / f"{i:02}.jpg").write_bytes(reports.picture(i, (64, 56)))
    command = [sys.executable, str(NOTEBOOKS / name), "--data", str(folder)]
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder.parent, env=env)
    assert done.returncode == 0, done.stderr[-3000:]
    return done


def test_a_first_look(tmp_path):
    run("first_look.py", tmp_path / "set", 24)
    assert (tmp_path / "set.genepool" / "report.html").exists()


@pytest.mark.soak
def test_from_a_check_to_a_certificate_and_what_a_model_loses(tmp_path):
    done = run("certificate_and_degradation.py", tmp_path / "set", 124)
    assert "unique feature retention" in done.stdout
    assert "held-out reference" in done.stdout


@pytest.mark.soak
def test_the_demo_gets_a_certificate_that_verifies(tmp_path):
    code = f"import runpy; app = runpy.run_path({str(NOTEBOOKS / 'certificate_and_degradation.py')!r})['app']"
    code += "; print(app.run()[1]['shown'].text)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "<strong>verified</strong>" in done.stdout


def test_every_notebook_is_run_here():
    tested = Path(__file__).read_text("utf-8")
    found = sorted(NOTEBOOKS.glob("*.py"))
    assert found
    assert all(f'"{one.name}"' in tested for one in found)
