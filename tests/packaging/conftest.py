"""A stranger's plug-in, built and installed once into a folder of its own."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from genepool import plugins

HERE = Path(__file__).parents[1]


@pytest.fixture(scope="session")
def atelier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``tests/plugin_package`` as pip installs it."""
    pytest.importorskip("hatchling")
    copy = tmp_path_factory.mktemp("atelier") / "source"
    shutil.copytree(HERE / "plugin_package", copy, ignore=shutil.ignore_patterns("__pycache__"))
    target = copy.parent / "site"
    how = "--no-deps --no-build-isolation --no-index --no-compile --disable-pip-version-check"
    done = subprocess.run(
        [sys.executable, "-m", "pip", "install", "-q", *how.split(), "--target", target, copy],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return target


@pytest.fixture
def path_of_plugins(monkeypatch: pytest.MonkeyPatch):
    """``add(folder)``: what is installed there is found, in this test only."""
    plugins._points.cache_clear()

    def add(folder: Path) -> None:
        monkeypatch.syspath_prepend(str(folder))
        plugins._points.cache_clear()

    yield add
    monkeypatch.undo()
    plugins._points.cache_clear()
    for name in [n for n in sys.modules if n.partition(".")[0] in ("genepool_atelier", "broken_part")]:
        del sys.modules[name]


@pytest.fixture
def installed(atelier: Path, path_of_plugins) -> Path:
    """The plug-in's folder, on the path."""
    path_of_plugins(atelier)
    return atelier


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    """A distribution whose every part fails at import, and which claims a name of ours."""
    site = tmp_path / "broken-site"
    info = site / "broken_part-9.dist-info"
    info.mkdir(parents=True)
    (site / "broken_part.py").write_text("raise SystemExit('no licence found')\n")
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: broken-part\nVersion: 9\n")
    (info / "RECORD").write_text("broken_part.py,,\n")
    groups = [f"[genepool.{group}]\nbroken = broken_part:Part\n" for group in plugins.GROUPS]
    claimed = "house = broken_part:Part\n"
    (info / "entry_points.txt").write_text(
        "".join(text + (claimed if "detectors" in text or "embedders" in text else "") for text in groups)
    )
    return site
