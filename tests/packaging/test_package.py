"""Wheel and source distribution: built, installed, and the quick tests run from the unpacked source."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
QUICK = (
    "tests/contracts",
    "tests/stats",
    "tests/dataset",
    "tests/gate",
    "tests/origin",
    "tests/evidence",
    "tests/store",
    "tests/compat",
    "tests/packaging/test_habits.py",
)
MEGABYTES = 30


def run(*command: object, cwd: Path, **more: str) -> str:
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"} | {"OMP_NUM_THREADS": "1"} | more
    done = subprocess.run(
        [str(part) for part in command], cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-6000:]
    return done.stdout


@pytest.mark.soak
def test_the_source_distribution_builds_installs_and_passes_by_itself(tmp_path):
    pytest.importorskip("build")
    built, unpacked, site = (tmp_path / name for name in ("built", "unpacked", "site"))
    # The wheel is built from the source distribution, not from the repository.
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", built, ROOT, cwd=tmp_path)
    (sdist,) = built.glob("*.tar.gz")
    (wheel,) = built.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        packed = sum(info.compress_size for info in archive.infolist())
    assert "genepool/py.typed" in names
    assert "genepool/explanations.toml" in names
    assert not [n for n in names if n.startswith(("tests/", "docs/")) or "/tests/" in n]
    assert packed < MEGABYTES * 1e6, f"{packed / 1e6:.1f} MB"
    with tarfile.open(sdist) as archive:
        archive.extractall(unpacked, filter="data")
    (source,) = unpacked.iterdir()
    for name in ("CONTRIBUTING.md", "SECURITY.md", "action.yml", "tests/plugin_package/pyproject.toml"):
        assert (source / name).is_file(), name

    pip = (sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-index")
    run(*pip, "--disable-pip-version-check", "--target", site, wheel, cwd=tmp_path)
    path = os.pathsep.join([str(site), sysconfig.get_paths()["purelib"]])
    where = run(
        sys.executable, "-S", "-c", "import genepool; print(genepool.__file__)", cwd=tmp_path, PYTHONPATH=path
    )
    assert where.startswith(str(site)), "the installed one, not the repository's"
    told = run(sys.executable, "-S", "-m", "genepool", "plugins", "list", cwd=tmp_path, PYTHONPATH=path)
    assert "genepool.detection:HouseDetector" in told

    # -S: the environment's own editable genepool is not on the way.
    tested = run(
        sys.executable,
        "-S",
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        *QUICK,
        cwd=source,
        PYTHONPATH=path,
    )
    assert " passed" in tested
    assert "failed" not in tested
    print(tested.strip().splitlines()[-1])
