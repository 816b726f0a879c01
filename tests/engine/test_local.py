"""The local engine: results, and what becomes of units that kill, stall or fail."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from genepool.engine import LocalEngine, beat, cores
from genepool.errors import EngineError
from genepool.records import Item, Unit
from support.probes import ThreadsJob, TouchJob


def units(count: int, size: int) -> list[Unit]:
    names = iter(range(count * size))
    return [
        Unit(f"u{n}", tuple(Item(f"i{next(names)}", "", "") for _ in range(size)), None)  # type: ignore[arg-type]
        for n in range(count)
    ]


def touched(folder: Path) -> set[str]:
    return {p.name for p in folder.iterdir()}


def test_every_unit_once_in_worker_processes(tmp_path: Path) -> None:
    results = list(LocalEngine(2).run(TouchJob(tmp_path), units(6, 4)))
    assert sorted(r.id for r in results) == [f"u{i}" for i in range(6)]
    assert sum(r.n for r in results) == 24
    assert touched(tmp_path) == {f"i{i}" for i in range(24)}
    pids = {p.read_text().strip() for p in tmp_path.iterdir()}
    assert len({len(p.read_text().split()) for p in tmp_path.iterdir()}) == 1
    assert str(os.getpid()) not in pids
    assert len(pids) <= 2


def test_inline_runs_here(tmp_path: Path) -> None:
    list(LocalEngine(inline=True).run(TouchJob(tmp_path), units(2, 2)))
    assert {p.read_text().strip() for p in tmp_path.iterdir()} == {str(os.getpid())}
    beat(3)  # outside a worker: nothing happens


def test_units_are_pulled_as_needed(tmp_path: Path) -> None:
    pulled = 0

    def endless() -> object:
        nonlocal pulled
        for unit in units(1000, 1):
            pulled += 1
            yield unit

    results = LocalEngine(2).run(TouchJob(tmp_path), endless())
    next(results)
    assert pulled < 12
    results.close()


@pytest.mark.parametrize("how", ["abort", "segfault", "memory"])
@pytest.mark.parametrize("telling", [True, False])
def test_a_poison_item_is_found_and_quarantined(tmp_path: Path, how: str, telling: bool) -> None:
    job = TouchJob(tmp_path, {"i5": how}, telling=telling)
    results = list(LocalEngine(2).run(job, units(2, 8)))
    assert sum(r.n for r in results) == 16
    assert sum(r.n_aside for r in results) == 1
    expected = {f"i{i}" for i in range(16)} - {"i5"} | {"i5.quarantined"}
    assert touched(tmp_path) == expected
    reason = (tmp_path / "i5.quarantined").read_text()
    word = {"abort": "SIGABRT", "segfault": "SIGSEGV", "memory": "exit status 137"}[how]
    assert word in reason


def test_a_stalled_item_is_quarantined(tmp_path: Path) -> None:
    start = time.monotonic()
    results = list(LocalEngine(2, timeout=0.6).run(TouchJob(tmp_path, {"i2": "hang"}), units(1, 5)))
    assert sum(r.n_aside for r in results) == 1
    assert "no progress for 0.6 s" in (tmp_path / "i2.quarantined").read_text()
    assert touched(tmp_path) == {"i0", "i1", "i3", "i4", "i2.quarantined"}
    assert time.monotonic() - start < 300  # the item itself would sleep for an hour


def test_two_poisons_in_one_unit(tmp_path: Path) -> None:
    job = TouchJob(tmp_path, {"i1": "abort", "i6": "abort"})
    results = list(LocalEngine(1).run(job, units(1, 8)))
    assert sum(r.n_aside for r in results) == 2
    assert touched(tmp_path) >= {"i0", "i1.quarantined", "i6.quarantined", "i7"}


def test_an_ordinary_exception_stops_the_run_and_is_told(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="RuntimeError: no such luck"):
        list(LocalEngine(2).run(TouchJob(tmp_path, {"i3": "raise"}), units(2, 4)))


def test_a_failing_preparation_is_told(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="preparation failed"):
        list(LocalEngine(2).run(TouchJob(tmp_path, {"prepare": "raise"}), units(2, 4)))


def test_workers_that_die_at_birth(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match=r"before they are ready.*SIGABRT"):
        list(LocalEngine(2).run(TouchJob(tmp_path, {"prepare": "abort"}), units(2, 4)))


def test_a_job_that_cannot_travel(tmp_path: Path) -> None:
    job = TouchJob(tmp_path)
    job.poison = {"x": lambda: None}  # type: ignore[dict-item]
    with pytest.raises(EngineError, match="cannot be sent to workers"):
        list(LocalEngine(1).run(job, units(1, 1)))


def test_worker_surroundings(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    list(LocalEngine(1).run(ThreadsJob(tmp_path), units(1, 1)))
    assert (tmp_path / "i0").read_text() == "1 _worker.py"
    assert capfd.readouterr() == ("", "")


def test_cores_is_positive() -> None:
    assert 1 <= cores() <= (os.cpu_count() or 1)
    assert LocalEngine().workers == cores()


SCRIPT = """
import sys
from pathlib import Path
from support.probes import TouchJob
from genepool.engine import LocalEngine
from genepool.records import Item, Unit
units = [Unit(f"u{n}", (Item(f"i{n}", "", ""),), None) for n in range(3)]
print(sum(r.n for r in LocalEngine(2).run(TouchJob(Path(sys.argv[1])), units)))
"""


@pytest.mark.parametrize("way", ["script", "-c", "stdin"])
def test_without_a_main_guard(tmp_path: Path, way: str) -> None:
    """The worker never imports the caller's main module, so a bare script works, as does no module at all."""
    out = tmp_path / "out"
    out.mkdir()
    script = tmp_path / "bare.py"
    script.write_text(SCRIPT)
    arguments = {"script": [str(script)], "-c": ["-c", SCRIPT], "stdin": ["-"]}[way]
    done = subprocess.run(
        [sys.executable, "-X", "dev", *arguments, str(out)],
        input=SCRIPT if way == "stdin" else "",
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "3", "")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_signals_leave_no_worker_behind(tmp_path: Path, number: signal.Signals) -> None:
    code = textwrap.dedent(
        """
        import signal
        import sys
        from pathlib import Path
        from support.probes import TouchJob
        from genepool.engine import LocalEngine
        from genepool.records import Item, Unit
        # Ignored, and so inherited, where the tests run behind "&".
        signal.signal(signal.SIGINT, signal.default_int_handler)
        def units():
            yield Unit("a", (Item("first", "", ""),), None)
            yield Unit("b", (Item("second", "", ""),), None)
            yield Unit("c", (Item("third", "", ""),), None)
        job = TouchJob(Path(sys.argv[1]), {"second": "hang", "third": "hang"})
        for result in LocalEngine(2).run(job, units()):
            print("one", flush=True)
        """
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "one\n"
    time.sleep(0.3)
    children = _children(process.pid)
    assert children
    process.send_signal(number)
    _, error = process.communicate(timeout=120)
    assert process.returncode == {signal.SIGTERM: 143}.get(number, -number)
    assert "leaked" not in error
    deadline = time.monotonic() + 60
    while any(map(_alive, children)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not [pid for pid in children if _alive(pid)]


def _children(pid: int) -> list[int]:
    found = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        found += [int(word) for word in (task / "children").read_text().split()]
    return found


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
