"""Actors that hold several workers, on a real Ray node of four CPUs: ``make soak-ray``."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from genepool.engine import RayEngine
from genepool.engine import _ray_crew as crew
from genepool.engine._ray_worker import Supervisor
from genepool.errors import EngineError
from genepool.records import Item, Unit
from support.clusters import MARKS, add, cluster, gone, needs_ray
from support.probes import PidJob

needs_ray()
pytestmark = MARKS


@pytest.fixture(scope="module")
def made() -> Iterator[Any]:
    with cluster(0) as made:
        add(made, num_cpus=4)
        yield made


def units(n: int) -> list[Unit]:
    return [Unit(f"u{i}", (Item(f"i{i}", "", ""),), None) for i in range(n)]


def at(folder: Path) -> dict[str, tuple[int, int]]:
    """Item → process and actor that began it last."""
    found = {}
    for path in folder.glob("*.pid"):
        words = path.read_text().split()
        if len(words) == 3:
            found[path.stem] = (int(words[0]), int(words[1]))
    return found


def until(true: Callable[[], bool], seconds: float = 120.0) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it never came to that"
        time.sleep(0.05)


@pytest.fixture
def sizes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Sizes of the actors that are asked for."""
    seen: list[int] = []
    ask = crew.Crew._ask

    def noted(self: crew.Crew, size: int) -> None:
        seen.append(size)
        ask(self, size)

    monkeypatch.setattr(crew.Crew, "_ask", noted)
    return seen


def test_two_workers_on_one_node_are_one_actor(made: Any, tmp_path: Path, sizes: list[int]) -> None:
    with RayEngine(made.address, 2) as engine:
        results = list(engine.run(PidJob(tmp_path, {"i0": "nap", "i1": "nap"}), units(6)))
        assert sorted(r.id for r in results) == [f"u{i}" for i in range(6)]
        assert sizes == [2]
        found = at(tmp_path)
        assert (len({w for w, _ in found.values()}), len({a for _, a in found.values()})) == (2, 1)
        assert gone(sorted({pid for pair in found.values() for pid in pair}), 20) == []

    with RayEngine(made.address, 3) as engine:  # leaving in the middle ends all
        (tmp_path / "left").mkdir()
        job = PidJob(tmp_path / "left", {"i0": "nap", "i1": "hang", "i2": "hang"})
        running = engine.run(job, units(3))
        next(running)
        until(lambda: {"i1", "i2"} <= at(job.folder).keys())
        running.close()
        assert gone(sorted({pid for pair in at(job.folder).values() for pid in pair}), 20) == []


def test_poisons_are_found_beside_others(made: Any, tmp_path: Path) -> None:
    poison = {"i1": "abort", "i6": "segfault", "i9": "memory"}
    with RayEngine(made.address, 4) as engine:
        results = list(engine.run(PidJob(tmp_path, poison), units(12)))
    assert (sum(r.n for r in results), sum(r.n_aside for r in results)) == (12, 3)
    assert {p.stem for p in tmp_path.glob("*.quarantined")} == set(poison)
    assert len({actor for _, actor in at(tmp_path).values()}) == 1


def test_a_team_without_room_comes_in_smaller_ones(
    made: Any, tmp_path: Path, sizes: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three of four CPUs are somebody else's: four workers are asked for, the one that fits does it all."""
    monkeypatch.setattr(crew, "_ROOM", 4.0)
    monkeypatch.setattr(crew, "_DOUBT", 1e9)  # there is none: less is taken than was asked for

    class Guest:
        def here(self) -> bool:
            return True

    with RayEngine(made.address, 4) as engine:
        engine.connect()
        import ray

        guest = ray.remote(num_cpus=3)(Guest).remote()
        assert ray.get(guest.here.remote(), timeout=120)
        try:
            results = list(engine.run(PidJob(tmp_path), units(8)))
        finally:
            ray.kill(guest)
    assert sorted(r.id for r in results) == [f"u{i}" for i in range(8)]
    assert sizes[:3] == [4, 2, 2]
    assert set(sizes[3:]) == {1}
    assert len({worker for worker, _ in at(tmp_path).values()}) == 1


def lose(folder: Path, both: set[str], times: int, killed: list[int]) -> None:
    """Kill the actor of the first of two items when it is at both, or at the first one alone for long."""
    first = min(both)
    while len(killed) < times:
        until(lambda: first in at(folder) and at(folder)[first][1] not in killed)
        actor = at(folder)[first][1]
        end = time.monotonic() + 2
        while {i for i, (_, a) in at(folder).items() if a == actor} < both and time.monotonic() < end:
            time.sleep(0.05)
        killed.append(actor)
        os.kill(actor, signal.SIGKILL)


@pytest.mark.parametrize(("poison", "times"), [("nap", 1), ("hang", 3)])
def test_an_actor_that_is_lost_with_two_units(
    made: Any, tmp_path: Path, sizes: list[int], poison: str, times: int
) -> None:
    """Both are done again; where one is lost for ever, the other is not blamed for its company."""
    killed: list[int] = []
    thread = threading.Thread(target=lose, args=(tmp_path, {"i0", "i1"}, times, killed))
    thread.start()
    with RayEngine(made.address, 2) as engine:
        results = list(engine.run(PidJob(tmp_path, {"i0": poison, "i1": "nap"}), units(5)))
    thread.join()
    assert len(set(killed)) == times
    assert sizes == [2] * (times + 1)
    assert sorted(r.id for r in results if not r.n_aside) == [f"u{i}" for i in range(times == 3, 5)]
    assert sum(r.n for r in results) == 5
    done = {p.name: p.read_text().split() for p in tmp_path.iterdir() if "." not in p.name}
    assert done.keys() == {f"i{i}" for i in range(times == 3, 5)}
    assert all(len(lines) == 1 for lines in done.values())  # nothing of a lost attempt is counted
    assert [p.stem for p in tmp_path.glob("*.quarantined")] == (["i0"] if times == 3 else [])


def test_a_team_that_is_slow_to_start_is_waited_for(
    made: Any, tmp_path: Path, sizes: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """All CPUs are its own: smaller ones would find no more room than it has."""
    monkeypatch.setattr(crew, "_ROOM", 0.0)
    monkeypatch.setattr(crew, "_DOUBT", 0.0)

    class Slow(Supervisor):
        def __init__(self, timeout: float, path: list[str], token: tuple[str, str]) -> None:
            time.sleep(5)
            Supervisor.__init__(self, timeout, path, token)

    monkeypatch.setattr(crew, "Supervisor", Slow)
    halved = crew.Crew._halve
    begun = time.monotonic()

    def later(self: crew.Crew) -> None:
        if time.monotonic() - begun > 3:  # Ray's figures are as of a moment ago
            halved(self)

    monkeypatch.setattr(crew.Crew, "_halve", later)
    with RayEngine(made.address, 4) as engine:
        results = list(engine.run(PidJob(tmp_path), units(8)))
    assert (len(results), sizes) == (8, [4])


def broken(step: str) -> type[Supervisor]:
    """Made here, so that it travels by value: actors cannot import this module."""

    class Unborn(Supervisor):
        def __init__(self, timeout: float, path: list[str], token: tuple[str, str]) -> None:
            raise OSError(28, "No space left on device")

    class Unable(Supervisor):
        def take(self, number: int, job: bytes, carried: str) -> None:
            raise OSError(28, "No space left on device")

    return Unborn if step == "birth" else Unable


@pytest.mark.parametrize("step", ["birth", "take"])
def test_a_birth_that_fails_is_one_for_all_workers(
    made: Any, tmp_path: Path, sizes: list[int], monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """Three actors that cannot start, or not take the job, are enough, whatever they were to hold."""
    monkeypatch.setattr(crew, "Supervisor", broken(step))
    with (
        RayEngine(made.address, 4) as engine,
        pytest.raises(EngineError, match=r"workers cannot be started: .*No space left"),
    ):
        list(engine.run(PidJob(tmp_path), units(8)))
    assert sizes == [4, 4, 4]
