"""A room imports only what stands below it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def test_layers_hold():
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
        cwd=root,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
