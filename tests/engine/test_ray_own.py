"""One real Ray, started and ended by the engine itself: nothing changes beside it, nothing stays."""

from __future__ import annotations

import importlib
import os
import signal
from pathlib import Path

import pytest

from genepool.engine import RayEngine
from genepool.records import Item, Unit
from support.clusters import MARKS, gone, needs_ray
from support.probes import PidJob

needs_ray()
pytestmark = MARKS


def test_own_cluster(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    importlib.import_module("ray")  # which sets RAY_CLIENT_MODE by itself
    before = {name: value for name, value in os.environ.items() if name.startswith("RAY_")}
    handler = signal.getsignal(signal.SIGTERM)
    names = iter(range(12))
    units = [
        Unit(f"u{n}", tuple(Item(f"i{next(names)}", "", "") for _ in range(4)), None)  # type: ignore[arg-type]
        for n in range(3)
    ]
    results = []
    for result in RayEngine("local", workers=1).run(PidJob(tmp_path, {"i5": "segfault"}), units):
        results.append(result)
        # Ray keeps what it asked for a report of its use: nothing.
        from ray._common.usage import usage_lib

        assert not usage_lib.usage_stats_enabled()
    assert (sum(r.n for r in results), sum(r.n_aside for r in results)) == (12, 1)
    assert {p.name for p in tmp_path.iterdir() if "." not in p.name} == {f"i{i}" for i in range(12)} - {"i5"}
    assert "SIGSEGV" in (tmp_path / "i5.quarantined").read_text()
    pids = {int(word) for p in tmp_path.glob("*.pid") for word in p.read_text().split()[:2]}
    assert gone(sorted(pids), 10) == []
    import ray

    assert not ray.is_initialized()
    assert {name: value for name, value in os.environ.items() if name.startswith("RAY_")} == before
    assert signal.getsignal(signal.SIGTERM) is handler
    assert capfd.readouterr() == ("", "")
