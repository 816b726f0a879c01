"""CONTRIBUTING's hour, command for command as it is printed, in an environment of its own."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest
from PIL import Image

from genepool.testing import picture

ROOT = Path(__file__).parents[2]
HOUR = (ROOT / "CONTRIBUTING.md").read_text("utf-8").split("## Add a part in an hour")[1].split("\n## ")[0]
COMMANDS = [
    line.removeprefix("$ ")
    for block in re.findall(r"```console\n(.*?)```", HOUR, re.DOTALL)
    for line in block.splitlines()
    if line.startswith("$ ")
]


def test_the_hour_has_a_command_for_every_kind_of_part():
    text = "\n".join(COMMANDS)
    for group in ("detectors", "evidence", "rules"):
        assert f"genepool plugins check {group} mine" in text


@pytest.mark.soak
def test_the_hour_as_it_is_printed(tmp_path):
    checkout = tmp_path / "genepool"
    (checkout / "tests").mkdir(parents=True)
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "tests" / "plugin_package", checkout / "tests" / "plugin_package", ignore=ignored)
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for i in range(2):
        Image.fromarray(picture(96, 96, i)).save(pictures / f"{i}.png")

    home = tmp_path / "environment"
    venv.create(home, with_pip=True)
    # What genepool needs is lent from here, so that nothing is fetched.
    lent = [str(ROOT / "src"), sysconfig.get_paths()["purelib"]]
    site = next((home / "lib").glob("python*/site-packages"))
    (site / "lent.pth").write_text("\n".join(lent) + "\n")
    genepool = home / "bin" / "genepool"
    genepool.write_text(f'#!/bin/sh\nexec "{home}/bin/python" -m genepool "$@"\n')
    genepool.chmod(0o755)

    lines = []
    for command in COMMANDS:
        lines += [f"echo '$ {command.split()[0]} …'", command]
        if command.startswith("cd "):
            lines.append(f"cp -r '{pictures}' pictures")
    script = tmp_path / "hour.sh"
    script.write_text("set -e\n" + "\n".join(lines) + "\n")
    offline = {"PIP_NO_INDEX": "1", "PIP_NO_BUILD_ISOLATION": "0", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    path = f"{home / 'bin'}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", script],
        cwd=checkout,
        env={**os.environ, **offline, "PATH": path, "GENEPOOL_HOME": str(tmp_path / "keys")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "genepool.toml: sound" in done.stdout
    assert "ATL101 large-enough · rule" in done.stdout
    assert "0.png" in done.stdout, "the detector's opinion on each picture"
    assert sys.executable not in done.stdout
