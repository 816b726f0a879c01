"""What an actor does on its node, without a cluster: real worker processes, no Ray."""

from __future__ import annotations

import os
import pickle
import sys
import threading
import time
from pathlib import Path

import pytest

from genepool import __version__, plugins
from genepool.config import Config
from genepool.engine import LocalEngine, Portable, RayEngine, configured
from genepool.engine._pool import Worker
from genepool.engine._ray_session import _knock
from genepool.engine._ray_worker import FOLDER, Poison, Supervisor, _sweep
from genepool.errors import EngineError, MissingExtra, PluginError, WorkspaceError
from genepool.records import Item, Unit
from genepool.scan import scan
from genepool.scan._unit import ScanJob
from genepool.store import take_parts
from support.probes import CarriedJob, TouchJob


def unit(*names: str, path: str = "") -> bytes:
    return pickle.dumps(Unit("u", tuple(Item(name, "", path) for name in names), None))  # type: ignore[arg-type]


def supervisor(job: object, carried: str = "", timeout: float = 60.0) -> Supervisor:
    made = Supervisor(timeout, sys.path, ("", ""))
    made.take(0, pickle.dumps(job), carried)
    return made


def begun(actor: Supervisor, number: int = 0) -> Worker:
    """The process of one worker, once it is at its unit."""
    deadline = time.monotonic() + 30
    run = actor.slots[number].run
    while not (run.pool and run.pool[0].unit) and time.monotonic() < deadline:
        time.sleep(0.02)
    return run.pool[0]


def test_units_share_one_process_that_a_poison_replaces(tmp_path: Path) -> None:
    actor = supervisor(TouchJob(tmp_path, {"i2": "abort"}))
    try:
        first = actor.work(0, unit("a", "b"), look=True)
        assert [r.n for r in first.outcomes] == [2]  # type: ignore[union-attr]
        second = actor.work(0, unit("i1", "i2", "i3"), look=True)
        poison = [o for o in second.outcomes if isinstance(o, Poison)]
        assert [p.unit.items[0].uri for p in poison] == ["i2"]
        assert "SIGABRT" in poison[0].reason
        assert sum(len(o.unit.items) if isinstance(o, Poison) else o.n for o in second.outcomes) == 3
        third = actor.work(0, unit("c"), look=True)
        assert third.error is None
        pids = [(tmp_path / name).read_text().strip() for name in ("a", "b", "i1", "i3", "c")]
        assert pids[0] == pids[1]
        assert str(os.getpid()) not in pids
    finally:
        actor.end()


def test_what_is_carried_is_collected_and_nothing_is_left(tmp_path: Path) -> None:
    folder = tmp_path / "elsewhere"
    job = CarriedJob(tmp_path, {"poison": "abort"})
    assert isinstance(job, Portable)
    assert isinstance(ScanJob(tmp_path, None), Portable)  # type: ignore[arg-type]
    actor = supervisor(job.at(folder), str(folder))
    answer = actor.work(0, unit("a", "poison", "b"), look=True)
    assert [name for name, _ in answer.files] == ["a", "b"]
    assert list(folder.iterdir()) == []
    job.take(answer.files)
    assert (tmp_path / "a").exists()
    actor.end()
    assert not folder.exists()


def test_an_error_is_an_answer(tmp_path: Path) -> None:
    actor = supervisor(TouchJob(tmp_path, {"bad": "raise"}))
    answer = actor.work(0, unit("bad"), look=True)
    assert isinstance(answer.error, EngineError)
    assert "no such luck" in str(answer.error)
    actor.end()


def test_a_file_that_the_node_does_not_see(tmp_path: Path) -> None:
    actor = supervisor(TouchJob(tmp_path))
    gone = str(tmp_path / "gone.jpg")
    assert actor.work(0, unit("a", path=gone), look=True).unseen == gone
    assert actor.work(0, unit("a", path=gone), look=False).outcomes
    actor.end()


def test_the_end_interrupts_all_units(tmp_path: Path) -> None:
    """The actor answers another call while its workers are at work: that is how Ctrl-C reaches a node."""
    actor = supervisor(TouchJob(tmp_path, {"slow": "hang"}))
    actor.take(1, pickle.dumps(TouchJob(tmp_path, {"slow": "hang"})), "")
    answers = []
    threads = [
        threading.Thread(target=lambda n=n: answers.append(actor.work(n, unit("slow"), look=True)))
        for n in (0, 1)
    ]
    for thread in threads:
        thread.start()
    processes = [begun(actor, n).process for n in (0, 1)]
    actor.end()
    assert [process.wait(60) for process in processes] == [-9, -9]
    for thread in threads:
        thread.join(60)
    assert ["stopped" in str(answer.error) for answer in answers] == [True, True]


def test_workers_of_one_actor_do_not_share_what_they_write(tmp_path: Path) -> None:
    """One hangs over its second item; what it began is not the other's, whose unit ends meanwhile."""
    job = CarriedJob(tmp_path, {"slow": "hang"})
    folders = [tmp_path / "here", tmp_path / "there"]
    actor = Supervisor(60.0, sys.path, ("", ""))
    for number, folder in enumerate(folders):
        actor.take(number, pickle.dumps(job.at(folder)), str(folder))
    try:
        thread = threading.Thread(target=lambda: actor.work(0, unit("a", "slow"), look=True))
        thread.start()
        first = begun(actor)
        (folders[0] / "part").write_bytes(b"of the first")
        answer = actor.work(1, unit("c"), look=True)
        assert [name for name, _ in answer.files] == ["c"]
        assert first.process.poll() is None
        assert actor.slots[1].run.pool[0].process.pid != first.process.pid
    finally:
        actor.end()
        thread.join(60)
    assert [folder.exists() for folder in folders] == [False, False]


def test_hello_tells_versions_and_sight(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("secret")
    seeing = Supervisor(1.0, [], (str(token), "secret")).hello()
    assert (seeing.version, seeing.pid, seeing.sees) == (__version__, os.getpid(), True)
    assert not Supervisor(1.0, [], (str(token), "other")).hello().sees
    assert not Supervisor(1.0, [], (str(tmp_path / "no"), "secret")).hello().sees


def test_folders_of_the_dead_are_swept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path))
    old, new = tmp_path / f"{FOLDER}1", tmp_path / f"{FOLDER}2"
    old.mkdir()
    new.mkdir()
    os.utime(old, (0, 0))
    _sweep()
    assert [p.name for p in tmp_path.iterdir()] == [new.name]


def test_without_ray_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingExtra) as error:
        configured(Config().with_(engine__name="ray"))
    assert str(error.value) == "ray is not installed\n  → pip install 'genepool[ray]'"


def test_the_configuration_names_the_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("genepool.engine._ray.require_ray", lambda: None)
    assert {e.name for e in plugins.entries("engines")} >= {"local", "ray"}
    local = configured(Config().with_(engine__workers=3, engine__address="ray://head:10001"))
    assert isinstance(local, LocalEngine)
    assert local.workers == 3
    config = Config().with_(
        engine__name="ray", engine__address="ray://head:10001", engine__workers=5, engine__gpus=0.5
    )
    there = configured(config, timeout=7.0)
    assert isinstance(there, RayEngine)
    assert (there.address, there.workers, there.timeout, there.gpus) == ("ray://head:10001", 5, 7.0, 0.5)
    named = configured(Config().with_(engine__name="ray:other:6379", engine__workers=1))
    assert isinstance(named, RayEngine)
    assert named.address == "other:6379"
    with pytest.raises(PluginError, match="rai"):
        configured(Config().with_(engine__name="rai"))


@pytest.mark.parametrize("place", ["127.0.0.1:1", "ray://127.0.0.1:1", "127.0.0.1:999999"])
def test_nobody_at_the_address_is_told_at_once(place: str) -> None:
    with pytest.raises(EngineError, match=f"cannot connect to {place}"):
        _knock(place)
    _knock("auto")  # Ray's to find


def test_parts_from_elsewhere_keep_to_their_names(tmp_path: Path) -> None:
    take_parts(
        tmp_path, "abcdef0123", [("abcdef01-u.parquet", b"core"), ("abcdef01-u.vec.parquet", b"vectors")]
    )
    assert sorted(p.name for p in tmp_path.iterdir()) == ["abcdef01-u.parquet", "abcdef01-u.vec.parquet"]
    for name in ("../abcdef01-u.parquet", "12345678-u.parquet", "abcdef01-u.txt"):
        with pytest.raises(WorkspaceError, match="expected abcdef01"):
            take_parts(tmp_path, "abcdef0123", [(name, b"")])


def test_the_command_line_names_the_engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from click.testing import CliRunner

    from genepool.cli.scan import command

    asked: list[str] = []
    monkeypatch.setattr(
        "genepool.scan.scan", lambda opened, *, config, **_: asked.append(config.engine.name) or scan
    )
    (tmp_path / "set").mkdir()
    CliRunner().invoke(command, [str(tmp_path / "set"), "--engine", "ray:auto"])
    assert asked == ["ray:auto"]
