"""``genepool scan`` and ``genepool doctor`` as a person runs them."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from genepool.cli import main
from support.scans import encoded, fill, picture


def call(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        main(list(arguments))
    out, err = capsys.readouterr()
    return int(ended.value.code or 0), out, err


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    found = fill(tmp_path / "set", 6)
    (found / "cut.jpg").write_bytes(encoded(picture(1))[:600])
    return found


def test_scan_twice_then_doctor(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = call(capsys, "scan", str(folder), "--workers", "1")
    assert (code, err) == (0, "")
    assert "6 images (7 read, 0 known)" in out
    assert "set aside: 1 (1 truncated)" in out
    assert "cut.jpg: truncated: expected a complete JPEG" in out
    assert f"next: genepool check {folder}" in out

    code, out, _ = call(capsys, "scan", str(folder), "--format", "json")
    data = json.loads(out)
    assert (code, data["schema"], data["new"], data["reused"]) == (0, "genepool.scan/1", 0, 7)
    assert data["set_aside"]["cases"] == {"truncated": 1}
    assert data["workspace"] == f"{folder}.genepool"

    _, out, _ = call(capsys, "scan", str(folder), "--format", "github")
    assert out.startswith("::warning file=cut.jpg::truncated: ")
    assert "(7 read, 0 known)" in call(capsys, "scan", str(folder), "--rescan", "--workers", "1")[1]

    code, out, _ = call(capsys, "doctor", str(folder), "--format", "json")
    data = json.loads(out)
    assert (code, data["problems"]) == (0, [])
    assert data["workspace"]["listings"] == 1
    assert data["versions"]["numpy"]
    assert set(data["extras"]) >= {"demo", "hf", "webdataset"}
    assert "local" in data["plugins"]["engines"]

    part = next(Path(f"{folder}.genepool").glob("catalogue/parts/*.vec.parquet"))
    part.write_bytes(b"")
    code, out, _ = call(capsys, "doctor", str(folder))
    assert code == 3
    assert part.name in out
    code, out, _ = call(capsys, "scan", str(folder), "--workers", "1")
    assert code == 0
    assert f"damaged and read anew: {part.name.removesuffix('.vec.parquet')}" in out
    assert call(capsys, "doctor", str(folder))[0] == 0


def test_doctor_without_anything(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = call(capsys, "doctor")
    assert code == 0
    assert "all sound" in out
    assert "none yet: genepool register human" in out
    code, _, err = call(capsys, "doctor", str(tmp_path / "missing"))
    assert code == 3
    assert "found nothing" in err
    (tmp_path / "unscanned").mkdir()
    code, out, _ = call(capsys, "doctor", str(tmp_path / "unscanned"))
    assert "none yet: genepool scan PATH" in out
    assert [p.name for p in tmp_path.iterdir()] == ["unscanned"]


def test_scan_of_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "empty").mkdir()
    code, out, err = call(capsys, "scan", str(tmp_path / "empty"))
    assert (code, out) == (3, "")
    assert err.startswith("GP012 ")


def test_the_bar_is_on_stderr_and_only_on_a_terminal(folder: Path) -> None:
    """On a terminal there is a bar; the result goes to stdout all the same."""
    terminal, other = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "genepool", "scan", str(folder), "--workers", "1"],
        stdout=subprocess.PIPE,
        stderr=other,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "120"},
    )
    os.close(other)
    seen = b""
    try:
        while piece := os.read(terminal, 65536):  # while it runs: a full terminal would stop the bar
            seen += piece
    except OSError:
        pass  # the other end is closed
    os.close(terminal)
    out, _ = process.communicate()
    assert process.returncode == 0
    assert b"images/s" in seen
    assert b"1 set aside" in seen
    assert b"6 images" in out
    assert b"\x1b" not in out
