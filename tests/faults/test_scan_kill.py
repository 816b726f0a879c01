"""kill -9 at any moment of a scan: the next one finishes the work, and nobody can tell."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from genepool import store
from support.clusters import gone, tree
from support.probes import SlowProbe
from support.scans import fill, rows, scanned, use_probes

N = 48

SCAN = """
import sys
import genepool.scan._scan as room
from genepool import dataset
from genepool.config import Config
from genepool.engine import LocalEngine
from support.probes import SlowProbe
room.load_probes = lambda config: [SlowProbe()]
def told(done, total, aside, rate):
    print(done, flush=True)
opened = dataset.open(sys.argv[1], workspace=sys.argv[2])
room.scan(opened, config=Config().with_(scan__unit=4), engine=LocalEngine(2), progress=told)
print("end", flush=True)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fill(tmp_path_factory.mktemp("kill") / "set", N, size=48)


@pytest.fixture(scope="module")
def expected(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, object]]:
    with pytest.MonkeyPatch.context() as monkeypatch:
        use_probes(monkeypatch, SlowProbe())
        return rows(scanned(folder, tmp_path_factory.mktemp("whole")))


# Before any unit, in the middle (a delay lands inside a unit or a write), and at the end.
SOAK = [(0, 0.0), (1, 0.0), (N // 2, 0.05), (N, 0.0)]


@pytest.mark.parametrize(
    ("after", "delay"),
    [(0, 0.5), (1, 0.13), (N, 0.004), *(pytest.param(*each, marks=pytest.mark.soak) for each in SOAK)],
)
def test_killed_and_resumed(
    folder: Path,
    expected: list[dict[str, object]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    after: int,
    delay: float,
) -> None:
    space = tmp_path / "w"
    process = subprocess.Popen(
        [sys.executable, "-c", SCAN, str(folder), str(space)],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    done = -1
    while done < after:
        line = process.stdout.readline()
        assert line, "the scan ended too early"
        done = int(line)
    time.sleep(delay)
    workers = tree(process.pid)[1:]
    process.send_signal(signal.SIGKILL)
    process.communicate()

    use_probes(monkeypatch, SlowProbe())
    resumed = scanned(folder, space)
    assert resumed.n == N
    assert resumed.stats.n_reused >= max(done, 0)
    assert resumed.stats.damaged == ()
    assert rows(resumed) == expected
    assert store.inspect(resumed.workspace).problems == ()
    outcomes = [run.outcome for run in store.Journal(resumed.workspace).runs()]
    assert outcomes in (["killed", "finished"], ["finished"], ["finished", "finished"])
    assert outcomes == ["killed", "finished"] or done == N
    assert scanned(folder, space).stats.n_new == 0
    # A worker may outlive its main process by a moment, and write while the resumed scan has already swept.
    assert gone(workers, 60) == []
    if list(space.rglob(".*.tmp")):
        scanned(folder, space, rescan=True)
        assert not list(space.rglob(".*.tmp"))
