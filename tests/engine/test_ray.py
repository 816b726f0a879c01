"""Ray clusters of several nodes, for real, on this machine: ``make soak-ray``."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from genepool import dataset, pipeline
from genepool.config import Config
from genepool.diversity import near_duplicates
from genepool.diversity._partitioned import Partitioned
from genepool.engine import CountRows, LocalEngine, RayEngine, SumCounts, exchange, write_rows
from genepool.engine import _ray as room
from genepool.engine import _ray_crew as crew
from genepool.errors import EngineError
from genepool.records import Item, Unit
from genepool.scan import scan
from support.clusters import MARKS, add, cluster, gone, needs_ray, tree
from support.probes import AbortingSpread, CarriedJob, PidJob, SlowProbe, TouchJob
from support.scans import fill, rows, use_probes

needs_ray()
pytestmark = MARKS


@pytest.fixture(scope="module")
def made() -> Iterator[Any]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with cluster(2, client_port=port, gpus=1) as made:
        made.client = f"ray://127.0.0.1:{port}"
        yield made


@pytest.fixture
def engine(made: Any) -> Iterator[RayEngine]:
    """Connected to the cluster for one test; two workers, one on each node."""
    one = RayEngine(made.address)
    with one:
        yield one


def units(count: int, size: int) -> list[Unit]:
    names = iter(range(count * size))
    return [
        Unit(f"u{n}", tuple(Item(f"i{next(names)}", "", "") for _ in range(size)), None)  # type: ignore[arg-type]
        for n in range(count)
    ]


def touched(folder: Path) -> set[str]:
    return {p.name for p in folder.iterdir() if p.suffix not in (".pid", ".tmp")}


def pids(folder: Path) -> list[int]:
    return sorted({int(word) for p in folder.glob("*.pid") for word in p.read_text().split()[:2]})


def test_every_unit_once_on_all_nodes(engine: RayEngine, tmp_path: Path) -> None:
    assert engine.workers == 2
    long = dict.fromkeys(("i0", "i3", "i6", "i9"), "nap")  # else the first to stand may do all
    results = list(engine.run(PidJob(tmp_path, long), units(8, 3)))
    assert sorted(r.id for r in results) == [f"u{i}" for i in range(8)]
    assert touched(tmp_path) == {f"i{i}" for i in range(24)}
    assert len({p.read_text() for p in tmp_path.glob("i?")}) == 2  # both worked
    assert gone(pids(tmp_path), 10) == []
    assert list(tmp_path.glob(".ray*")) == []


def test_units_are_pulled_as_needed(engine: RayEngine, tmp_path: Path) -> None:
    pulled = 0

    def endless() -> Iterator[Unit]:
        nonlocal pulled
        for unit in units(1000, 1):
            pulled += 1
            yield unit

    results = engine.run(TouchJob(tmp_path), endless())
    next(results)
    assert pulled < 12
    results.close()


def test_poisons_are_found_and_quarantined(engine: RayEngine, tmp_path: Path) -> None:
    job = TouchJob(tmp_path, {"i1": "abort", "i6": "segfault", "i9": "memory", "i20": "hang"})
    engine.timeout = 3.0
    results = list(engine.run(job, units(3, 8)))
    assert (sum(r.n for r in results), sum(r.n_aside for r in results)) == (24, 4)
    poisoned = {"i1": "SIGABRT", "i6": "SIGSEGV", "i9": "137", "i20": "no progress for 3 s"}
    for name, word in poisoned.items():
        assert word in (tmp_path / f"{name}.quarantined").read_text()
    assert touched(tmp_path) == {f"i{i}" for i in range(24)} - set(poisoned) | {
        f"{n}.quarantined" for n in poisoned
    }


@pytest.mark.parametrize(
    ("poison", "message"),
    [({"i3": "raise"}, "RuntimeError: no such luck"), ({"prepare": "raise"}, "preparation failed")],
)
def test_errors_of_the_job_stop_the_run(
    engine: RayEngine, tmp_path: Path, poison: dict[str, str], message: str
) -> None:
    with pytest.raises(EngineError, match=message):
        list(engine.run(TouchJob(tmp_path, poison), units(2, 4)))


def test_an_actor_that_is_killed_gives_its_unit_to_another(engine: RayEngine, tmp_path: Path) -> None:
    """And one that is lost with the same item three times is not tried for ever."""
    done: list[int] = []

    def kill() -> None:
        killed: set[int] = set()
        while not done:
            for path in tmp_path.glob("i5.pid"):
                text = path.read_text().split()
                if len(text) == 3 and int(text[1]) not in killed:
                    killed.add(int(text[1]))
                    os.kill(int(text[1]), signal.SIGKILL)
            time.sleep(0.05)

    thread = threading.Thread(target=kill)
    thread.start()
    try:
        results = list(engine.run(PidJob(tmp_path, {"i5": "hang"}), units(3, 2)))
    finally:
        done.append(1)
        thread.join()
    assert (sum(r.n for r in results), sum(r.n_aside for r in results)) == (6, 1)
    assert touched(tmp_path) == {"i0", "i1", "i2", "i3", "i4", "i5.quarantined"}
    assert "lost 3 times" in (tmp_path / "i5.quarantined").read_text()


def unseen(monkeypatch: pytest.MonkeyPatch) -> None:
    """No node sees the driver's folder: the file that would prove it is somewhere else."""
    monkeypatch.setattr(crew.Crew, "_token", lambda self: ("/nowhere/token", "x"))


def test_files_are_carried_from_nodes_that_do_not_see_the_folder(
    engine: RayEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unseen(monkeypatch)
    results = list(engine.run(CarriedJob(tmp_path, {"i5": "abort"}), units(4, 3)))
    assert (sum(r.n for r in results), sum(r.n_aside for r in results)) == (12, 1)
    assert touched(tmp_path) == {f"i{i}" for i in range(12)} - {"i5"} | {"i5.quarantined"}
    with pytest.raises(EngineError, match="does not see /nowhere"):
        list(engine.run(TouchJob(tmp_path), units(1, 1)))


def test_gpus_are_asked_for_and_seen(engine: RayEngine, tmp_path: Path) -> None:
    engine.gpus = 1.0
    list(engine.run(PidJob(tmp_path), units(2, 1)))
    assert {p.read_text().split()[2] for p in tmp_path.glob("*.pid")} == {"0"}


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = fill(tmp_path_factory.mktemp("ray") / "set", 40, size=160)
    (folder / "broken.jpg").write_bytes((folder / "000.jpg").read_bytes()[:500])
    (folder / "again.jpg").write_bytes((folder / "000.jpg").read_bytes())
    return folder


def checked(pictures: Path, space: Path, **changes: Any) -> tuple[Any, Any]:
    config = Config().with_(**changes)
    decision = pipeline.check(pictures, workspace=space, config=config)
    opened = dataset.open(pictures, workspace=space)
    return decision, scan(opened, config=config)


def test_a_check_of_real_pictures_is_that_of_local(
    engine: RayEngine, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All probes that ship, duplicates in partitions on Ray; root and counts exactly, floats to 1e-9."""
    here, first = checked(pictures, tmp_path / "here", engine__workers=2)
    asked = []
    real = room.RayEngine.run

    def run(self: RayEngine, job: Any, chosen: Any) -> Any:
        asked.append(type(job).__name__)
        return real(self, job, chosen)

    monkeypatch.setattr(room.RayEngine, "run", run)
    options = {"engine__name": "ray", "engine__address": "auto", "engine__partition_above": 10}
    options["scan__unit"] = 8  # so many pictures are not worth a second worker by themselves
    there, second = checked(pictures, tmp_path / "there", **options)
    assert set(asked) == {"ScanJob", "_SpreadJob", "_MergeJob"}
    assert first.root() == second.root()
    assert first.n == second.n == 41
    assert [c.reason for c in first.cases()] == [c.reason for c in second.cases()]
    same(rows(first), rows(second))
    for name in first.dims:
        for a, b in zip(first.vectors(name), second.vectors(name), strict=True):
            np.testing.assert_allclose(a, b, rtol=0, atol=1e-9)
    assert here.status == there.status
    assert here.measures.keys() == there.measures.keys()
    same(
        {k: m.to_json() for k, m in here.measures.items()},
        {k: m.to_json() for k, m in there.measures.items()},
    )

    unseen(monkeypatch)  # the same once more, parts carried
    del options["engine__partition_above"]
    _, third = checked(pictures, tmp_path / "carried", **options)
    assert third.root() == first.root()
    same(rows(first), rows(third))


def same(a: Any, b: Any) -> None:
    assert type(a) is type(b)
    if isinstance(a, dict):
        assert a.keys() == b.keys()
        for key in a:
            if key not in ("place", "seconds"):
                same(a[key], b[key])
    elif isinstance(a, list | tuple):
        assert len(a) == len(b)
        for x, y in zip(a, b, strict=True):
            same(x, y)
    elif isinstance(a, float):
        assert a == pytest.approx(b, rel=0, abs=1e-9, nan_ok=True)
    else:
        assert a == b


def test_stages_are_those_of_local(engine: RayEngine, tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    rng = np.random.default_rng(1)
    files = []
    for i in range(4):
        files.append(tmp_path / f"in{i}.parquet")
        write_rows(files[-1], pa.table({"key": rng.integers(0, 50, 1000)}))
    found = {}
    for name, one in (("ray", engine), ("local", LocalEngine(inline=True))):
        paths = exchange(one, tmp_path / name, {"rows": files}, CountRows(["key"], 5), SumCounts(["key"]), 5)
        found[name] = [pq.read_table(path).to_pylist() for path in paths]
    assert found["ray"] == found["local"]
    hashes = rng.integers(0, 256, (6000, 32), dtype=np.uint8)
    hashes[3000:, :30] = hashes[:3000, :30]
    labels = Partitioned(engine, tmp_path, rows=4000).near_duplicates(hashes)
    assert np.array_equal(labels, near_duplicates(hashes))
    with pytest.raises(EngineError, match=r"in0\.parquet: cannot be processed.*SIGABRT"):
        exchange(engine, tmp_path / "bad", {"rows": files[:1]}, AbortingSpread(), SumCounts(["key"]), 5)


def test_stages_go_on_here_where_nodes_do_not_see_the_folder(
    engine: RayEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unseen(monkeypatch)
    hashes = np.random.default_rng(2).integers(0, 256, (300, 32), dtype=np.uint8)
    hashes[150:] = hashes[:150]
    labels = Partitioned(engine, tmp_path, rows=100).near_duplicates(hashes)
    assert np.array_equal(labels, near_duplicates(hashes))


DRIVER = """
import sys
from pathlib import Path
from support.probes import PidJob
from genepool.engine import RayEngine
from genepool.records import Item, Unit
def units():
    yield Unit("a", (Item("first", "", ""),), None)
    yield Unit("b", (Item("second", "", ""),), None)
    yield Unit("c", (Item("third", "", ""),), None)
how = sys.argv[3]
if how == "refused":
    from ray.util.client.worker import Worker
    begin = Worker._server_init
    def refuse(*_):
        Worker._server_init = begin
        print("refused", file=sys.stderr)
        raise ConnectionAbortedError("Initialization failure from server:\\nRuntimeError: not started")
    Worker._server_init, how = refuse, ""
job = PidJob(Path(sys.argv[1]), {"second": how, "third": how})
for result in RayEngine(sys.argv[2]).run(job, units()):
    print(result.id, flush=True)
"""


def driver(folder: Path, address: str, how: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(DRIVER), str(folder), address, how],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_signals_leave_no_worker_behind(made: Any, tmp_path: Path, number: signal.Signals) -> None:
    process = driver(tmp_path, made.address, "hang")
    deadline = time.monotonic() + 180
    while (
        not {"second.pid", "third.pid"} <= {p.name for p in tmp_path.iterdir()}
        and time.monotonic() < deadline
    ):
        assert process.poll() is None, process.communicate()
        time.sleep(0.1)
    workers = pids(tmp_path)
    process.send_signal(number)
    _, error = process.communicate(timeout=120)
    assert process.returncode == {signal.SIGTERM: 143}.get(number, -number)
    assert "leaked" not in error
    assert workers
    assert gone(workers, 20) == []


def test_through_the_client_port(made: Any, tmp_path: Path) -> None:
    """``ray://``: the driver is no part of the cluster."""
    process = driver(tmp_path, made.client, "")
    out, error = process.communicate(timeout=400)
    assert (sorted(out.split()), process.returncode) == (["a", "b", "c"], 0), error
    assert touched(tmp_path) == {"first", "second", "third"}
    assert gone(pids(tmp_path), 20) == []


def test_a_client_port_that_first_refuses(made: Any, tmp_path: Path) -> None:
    """What Ray's proxy says where its process for this driver died while it started: tried again."""
    process = driver(tmp_path, made.client, "refused")
    out, error = process.communicate(timeout=400)
    assert (sorted(out.split()), process.returncode) == (["a", "b", "c"], 0), error
    assert error.count("refused") == 1


def test_a_node_lost_in_the_middle_of_a_scan(
    made: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed with all its processes, without notice: the rows are those of an uninterrupted scan."""
    use_probes(monkeypatch, SlowProbe())
    folder = fill(tmp_path / "set", 96, size=48)
    expected = scan(
        dataset.open(folder, workspace=tmp_path / "whole"), config=Config(), engine=LocalEngine(inline=True)
    )
    victim = add(made)
    told: list[int] = []
    killed: list[int] = []

    def progress(done: int, total: int, aside: int, rate: float) -> None:
        told.append(done)
        if done >= total // 4 and not killed:
            killed.append(done)
            made.remove_node(victim, allow_graceful=False)

    with RayEngine(made.address) as engine:
        assert engine.workers == 3
        opened = dataset.open(folder, workspace=tmp_path / "w")
        catalogue = scan(opened, config=Config().with_(scan__unit=4), engine=engine, progress=progress)
    assert killed
    assert told == sorted(told)
    assert told[-1] == 96
    assert catalogue.cases() == []
    assert catalogue.root() == expected.root()
    same(rows(catalogue), rows(expected))
    again = scan(opened, config=Config(), engine=LocalEngine(inline=True))
    assert again.stats.n_new == 0


OWN = """
import sys, time
from genepool.engine._ray_session import Session
session = Session("local", 1)
time.sleep(float(sys.argv[1]))
session.close()
"""


def test_nothing_is_reported_to_anybody() -> None:
    """A trap stands where Ray's reports would go. It catches those of a plain ``ray start``, none of ours."""
    start = [str(Path(sys.executable).with_name("ray")), "start", "--head", "--port=0", "--num-cpus=1"]
    assert caught([*start, "--include-dashboard=false", "--block"], 180) > 0
    assert caught([sys.executable, "-c", OWN, "40"], 240) == 0


def caught(command: list[str], seconds: float) -> int:
    """Connections to the trap until the program ends; one is enough."""
    hits = 0
    with socket.create_server(("127.0.0.1", 0)) as trap:
        trap.settimeout(0.5)
        env = {k: v for k, v in os.environ.items() if not k.startswith("RAY_USAGE")}
        env["RAY_USAGE_STATS_REPORT_URL"] = f"http://127.0.0.1:{trap.getsockname()[1]}/"
        env["RAY_USAGE_STATS_REPORT_INTERVAL_S"] = "1"
        env["RAY_USAGE_STATS_PROMPT_ENABLED"] = "0"
        process = subprocess.Popen(
            command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )
        deadline = time.monotonic() + seconds
        try:
            while process.poll() is None and not hits and time.monotonic() < deadline:
                with contextlib.suppress(TimeoutError):
                    connection, _ = trap.accept()
                    connection.close()
                    hits += 1
            assert hits or process.poll() == 0, "it neither reported nor came to its end"
        finally:
            if process.poll() is None:
                for pid in tree(process.pid):  # `ray start --block` does not go by itself
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
            process.wait(60)
    return hits
