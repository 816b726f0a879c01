"""kill -9 of a whole `genepool check`, or of its workers, at any moment: the next one says the same.

Compared with a check that was never disturbed: status, root, every measure, every row, and the log, in which
each image stands once.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from genepool import store
from genepool.config import Config
from genepool.store._listing import all_listings, listing_batches
from genepool.store._parts import read_part
from support.moments import environment
from support.scans import encoded, fill, picture

GENEPOOL = [sys.executable, "-m", "genepool"]
N = 24
CONFIG = """
schema = 1
[diversity]
embedder = "classical"
[detection]
detector = "none"
[scan]
unit = 4
merge = 3
[engine]
workers = 1
"""


class Checks:
    """A set, its configuration, and what an undisturbed check says of it."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.folder = fill(place / "set", N, size=48)
        (self.folder / "cut.jpg").write_bytes(encoded(picture(1))[:600])
        (place / "genepool.toml").write_text(CONFIG)
        begun = time.monotonic()
        both = [self.start(place / "both") for _ in range(2)]
        self.ends = sorted(process.wait() for process in both)
        self.seconds = time.monotonic() - begun
        self.expected = self.told(place / "both")

    def start(self, space: Path) -> subprocess.Popen[bytes]:
        home = str(space.with_name(f"{space.name}-home"))
        command = ["check", str(self.folder), "--workspace", str(space), "--format", "json"]
        return subprocess.Popen(
            [*GENEPOOL, *command, "--config", str(self.place / "genepool.toml")],
            env=environment(GENEPOOL_HOME=home),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def told(self, space: Path) -> dict[str, Any]:
        """What the workspace holds that must not depend on what happened on the way."""
        decision = json.loads((space / "decision.json").read_text())
        found = store.Workspace(space)
        rows, aside = [], []
        for folder, listing in all_listings(found):
            for batch in listing_batches(folder / listing.file, 1000):
                for row in batch.to_pylist():
                    name = listing.parts[row["part"]][0]
                    part = read_part(found.parts, name, ["place", "sha256", "pixel", "reason"])
                    kept = part.slice(row["row"], 1).to_pylist()
                    rows.append((row["uri"], row["readable"], row["mark"], *kept))
            aside += listing.aside
        return {
            "status": decision["status"],
            "measures": decision["measures"],
            "dataset": {k: decision["dataset"][k] for k in ("n", "root")},
            "failures": [(f["code"], f["status"]) for f in decision["failures"]],
            "rows": [repr(row) for row in rows],
            "aside": aside,
            "log": self.log(space),
        }

    def log(self, space: Path) -> dict[str, Any]:
        """What the log says of images and sets: each once. Decisions may be recorded again."""
        from genepool import provenance

        with pytest.MonkeyPatch.context() as monkeypatch:
            monkeypatch.setenv("GENEPOOL_HOME", str(space.with_name(f"{space.name}-home")))
            [state] = provenance.open_trail(store.Workspace(space), Config()).logs
        return {
            "checked": Counter(state.claims.origin[state.claims.role == 1].tolist()),
            "claims": int(state.claims.attested.sum()),
            "sets": len(state.datasets),
        }

    def resumed(self, space: Path) -> None:
        """Check again, and compare."""
        assert self.start(space).wait() in (0, 1, 5)
        assert self.told(space) == self.expected
        health = store.inspect(store.Workspace(space))
        assert health.problems == ()
        assert not [f for f in health.findings if f.kind in ("leftover", "run", "vectors")]


@pytest.fixture(scope="module")
def checks(tmp_path_factory: pytest.TempPathFactory) -> Checks:
    return Checks(tmp_path_factory.mktemp("checks"))


def children(pid: int) -> list[int]:
    found: list[int] = []
    try:
        for task in Path(f"/proc/{pid}/task").iterdir():
            found += [int(word) for word in (task / "children").read_text().split()]
    except OSError:
        pass
    return found


@pytest.mark.parametrize(
    "moment", [pytest.param(n, marks=() if n == 0 else pytest.mark.soak) for n in range(50)]
)
def test_killed_at_a_random_moment_and_checked_again(checks: Checks, moment: int) -> None:
    """Even moments: the main process dies (up to three times in a row). Odd ones: its workers do."""
    chance = random.Random(moment)
    space = checks.place / f"w{moment}"
    if moment % 2 == 0:
        for _ in range(1 + moment % 3):
            process = checks.start(space)
            time.sleep(chance.uniform(0.2, 1.1) * checks.seconds)
            process.send_signal(signal.SIGKILL)
            process.wait()
        checks.resumed(space)
        return
    process = checks.start(space)
    killed: set[int] = set()
    ends = time.monotonic() + 60
    while process.poll() is None and time.monotonic() < ends:
        for pid in children(process.pid):
            # Each worker once at most, so that no image is ever met by two deaths: that would be quarantine.
            if pid not in killed and len(killed) < 2 and chance.random() < 0.1:
                killed.add(pid)
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.02)
    assert process.wait() in (0, 1, 5)
    assert checks.told(space) == checks.expected
    checks.resumed(space)


def test_two_checks_on_one_workspace(checks: Checks) -> None:
    """One works, the other is told who does, with exit code 3; together they leave what one would have."""
    # On a slow machine the second may come when the first is done: then both are right.
    assert set(checks.ends) <= {0, 1, 3, 5}
    assert checks.ends.count(3) <= 1
    assert store.inspect(store.Workspace(checks.place / "both")).problems == ()


@pytest.mark.soak
def test_one_undisturbed_check_says_the_same(checks: Checks) -> None:
    assert checks.start(checks.place / "alone").wait() in (0, 1, 5)
    assert checks.told(checks.place / "alone") == checks.expected
