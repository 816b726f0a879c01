"""Workspaces in an object store: published whole, worked on through a copy, one writer at a time."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

import fsspec
import pytest

from genepool import dataset, provenance, store
from genepool.cli._main import main
from genepool.config import Config
from genepool.errors import UsageError, WorkspaceError
from genepool.records import Verdict
from genepool.store import Verdicts, Workspace, find_workspace
from support.buckets import Store
from support.probes import MeanProbe
from support.scans import fill, rows, scanned, use_probes

pytestmark = pytest.mark.xdist_group("s3")

LIGHT = '[detection]\ndetector = "none"\n[diversity]\nembedder = "classical"\n'


@pytest.fixture
def few_probes(monkeypatch: pytest.MonkeyPatch) -> None:
    use_probes(monkeypatch, MeanProbe())


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A folder of fsspec's file system in memory, emptied afterwards."""
    forget(monkeypatch)
    yield "memory://spaces/ws"
    fs = fsspec.filesystem("memory")
    if fs.exists("/spaces"):
        fs.rm("/spaces", recursive=True)


def verb(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, Any]:
    """Run a verb; its exit code, and the JSON that it printed."""
    with pytest.raises(SystemExit) as ended:
        main([*words, "--format", "json"])
    told = capsys.readouterr()
    assert told.out, told.err
    return int(ended.value.code or 0), json.loads(told.out)


def essence(decision: dict[str, Any]) -> dict[str, Any]:
    """What a decision says about the images, wherever they lie."""
    return {
        "dataset": {key: decision["dataset"][key] for key in ("n", "root")},
        **{key: decision[key] for key in ("status", "measures", "set_aside")},
        "failures": [(f["code"], f["status"], f["message"]) for f in decision["failures"]],
    }


def test_check_of_a_bucket_with_a_workspace_in_it(
    tmp_path: Path, s3: Store, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    data = fill(tmp_path / "data", 6)
    (tmp_path / "genepool.toml").write_text(LIGHT)
    options = ("--config", str(tmp_path / "genepool.toml"), "--workers", "1")
    url, place = s3.upload(data), f"{s3.url}/ws"
    near = verb(capsys, "gate", str(data), "--workspace", str(tmp_path / "near"), *options)
    far = verb(capsys, "check", url, "--workspace", place, *options)
    assert far[0] == near[0]
    assert essence(far[1]) == essence(near[1])
    # The page and the log lie in the bucket, for people and for other programs.
    assert {"ws/report.html", "ws/ledger/checkpoint"} <= set(s3.names("ws"))
    log = provenance.Ledger.open(f"{place}/ledger")
    assert log.size == far[1]["ledger"]["size"] > 6
    assert log.audit().size == log.size
    # On another machine nothing is read anew.
    s3.proxy.clear()
    monkeypatch.setenv("GENEPOOL_HOME", str(tmp_path / "home2"))
    scan = verb(capsys, "scan", url, "--workspace", place, *options)
    assert (scan[1]["new"], scan[1]["reused"]) == (0, 6)
    assert s3.proxy.count("GET", r"\.jpg$") == 0
    assert s3.proxy.count("PUT", "") == 0
    shown = verb(capsys, "ledger", "show", "--workspace", place)
    assert shown[1]["size"] == log.size
    code, health = verb(capsys, "doctor", url, "--workspace", place)
    assert (code, health["problems"], health["workspace"]["entries"]) == (0, [], shown[1]["size"])
    assert health["workspace"]["parts"] == 1


@pytest.mark.soak
def test_the_second_check_says_the_same_and_reads_what_is_new(
    tmp_path: Path, s3: Store, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    data = fill(tmp_path / "data", 12)
    (tmp_path / "genepool.toml").write_text(LIGHT)
    options = ("--config", str(tmp_path / "genepool.toml"), "--workers", "1")
    url, place = s3.upload(data), f"{s3.url}/ws"
    first = verb(capsys, "check", url, "--workspace", place, *options)[1]
    second = verb(capsys, "check", url, "--workspace", place, *options)[1]
    assert essence(second) == essence(first)
    assert second["timing"]["reused"] == 12
    # Each image stands in the log once; only dataset and decision are said again.
    assert 0 < second["ledger"]["size"] - first["ledger"]["size"] < 12
    monkeypatch.setenv("GENEPOOL_HOME", str(tmp_path / "home2"))
    fill(data, 14)
    s3.upload(data)
    grown = verb(capsys, "gate", url, "--workspace", place, *options)[1]
    assert (grown["dataset"]["n"], grown["timing"]["reused"]) == (14, 12)
    near = verb(capsys, "gate", str(data), "--workspace", str(tmp_path / "near"), *options)[1]
    assert essence(grown) == essence(near)


def test_another_machine_finds_all_of_it(
    tmp_path: Path, place: str, few_probes: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = fill(tmp_path / "data", 6, size=48)
    first = scanned(data, place)
    first.workspace.write_json("decision.json", {"a": 1})
    first.workspace.publish()
    second = other_machine(place, monkeypatch)
    assert second.root != first.workspace.root
    assert second.read_json("decision.json") == {"a": 1}
    again = scanned(data, place)
    assert again.stats.n_new == 0
    assert again.root() == first.root()
    assert rows(again) == rows(first)


def forget(monkeypatch: pytest.MonkeyPatch) -> None:
    from genepool.store import _copies

    monkeypatch.setattr(_copies, "_MIRRORS", {})
    monkeypatch.setattr(_copies, "TEMPORARY", {})


def other_machine(place: str, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """The workspace as a machine sees it that has no copy; from here on this process is that machine."""
    forget(monkeypatch)
    return Workspace(place)


def test_one_writer_at_a_time(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from genepool.remote import Lease

    first = Workspace(place)
    elsewhere = Lease(f"{place}/locks", "the other machine")
    elsewhere.acquire()
    with pytest.raises(WorkspaceError, match=r"another process writing: process \d+ on"), first.lock():
        pytest.fail("two writers at once")
    elsewhere.release()
    with first.lock(), Workspace(place).lock(), pytest.raises(WorkspaceError, match="another process"):
        elsewhere.acquire()
    elsewhere.acquire()
    elsewhere.release()


def test_a_writer_that_slept_too_long_publishes_nothing(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from genepool.remote import Lease

    first = Workspace(place)
    first.write_json("x.json", 1)
    first.publish()
    other = Lease(f"{place}/locks", "other")

    def oversleep() -> None:
        """The heartbeat stopped, the time ran out, another writer took over."""
        with first.lock():
            first.write_json("x.json", 2)
            with monkeypatch.context() as patch:
                patch.setattr("genepool.remote._lease.time.time", lambda: 4e9)
                other.acquire()

    with pytest.raises(WorkspaceError, match="the lock was lost"):
        oversleep()
    other.release()
    assert other_machine(place, monkeypatch).read_json("x.json") == 1


def test_two_publications_of_one_number_are_impossible(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even where both believed that they held the lock."""
    first = Workspace(place)
    first.write_json("x.json", 1)
    first.publish()
    monkeypatch.setattr("genepool.remote.Lease.held", lambda self: True)

    def both() -> None:
        with first.lock():
            first.write_json("x.json", 2)
            fsspec.filesystem("memory").pipe_file("/spaces/ws/manifests/0000000002", b"{}")

    with pytest.raises(WorkspaceError, match="another process published"):
        both()


def test_what_an_interrupted_writer_left_is_published_by_the_next(
    tmp_path: Path, place: str, few_probes: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = fill(tmp_path / "data", 4, size=32)
    space = Workspace(place)
    with monkeypatch.context() as patch:
        patch.setattr("genepool.store._mirror.Mirror.push", interrupted)
        with pytest.raises(KeyboardInterrupt):
            scanned(data, place)
    assert scanned(data, place).stats.n_new == 0  # the copy knows
    space.publish()
    other_machine(place, monkeypatch)
    assert scanned(data, place).stats.n_new == 0  # and now all do


def test_verbs_that_take_no_lock_publish_too(
    place: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    code, _ = verb(capsys, "register", "model", "painter", "--trained-on", "unknown", "--workspace", place)
    assert code == 0
    second = other_machine(place, monkeypatch)
    assert (second.root / "workspace.json").exists()
    assert set(provenance.open_trail(second, Config()).models) == {"painter"}


def interrupted(*arguments: object) -> None:
    raise KeyboardInterrupt


def test_verdicts_travel(tmp_path: Path, place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    space = Workspace(place)
    with Verdicts(space) as file:
        file.add(Verdict("a" * 64, "human", "ada", 1.0))
    second = other_machine(place, monkeypatch)
    assert [v.reviewer for v in Verdicts(second).all()] == ["ada"]
    with Verdicts(second) as file:
        file.add(Verdict("b" * 64, "ai", "bob", 2.0))
    assert [v.reviewer for v in Verdicts(Workspace(second.root)).all()] == ["ada", "bob"]


def test_verdicts_of_two_machines_at_once_are_not_lost(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    space = Workspace(place)
    with Verdicts(space) as file:
        file.add(Verdict("a" * 64, "human", "ada", 1.0))
    with monkeypatch.context() as patch:
        patch.setattr(Workspace, "publish", lambda self: None)  # this machine is cut off
        with Verdicts(space) as file:
            file.add(Verdict("c" * 64, "human", "eve", 3.0))
    with monkeypatch.context() as patch:
        second = other_machine(place, patch)
        with Verdicts(second) as file:
            file.add(Verdict("b" * 64, "ai", "bob", 2.0))
    with pytest.raises(WorkspaceError, match=r"from another machine; those given here") as caught:
        Workspace(place)
    kept = caught.value.message.rpartition(" in ")[2]
    with sqlite3.connect(kept) as connection:
        assert connection.execute("SELECT reviewer FROM verdicts").fetchall() == [("ada",), ("eve",)]
    connection.close()
    assert [v.reviewer for v in Verdicts(Workspace(place)).all()] == ["ada", "bob"]


def test_what_two_machines_changed_is_that_of_the_first_to_publish(
    place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    space = Workspace(place).create()
    space.write_json("a.json", 0)
    space.publish()
    space.write_json("a.json", 1)
    space.write_json("b.json", 1)
    with monkeypatch.context() as patch:
        second = other_machine(place, patch)
        second.write_json("a.json", 2)
        second.publish()
    again = Workspace(place)
    assert (again.read_json("a.json"), again.read_json("b.json")) == (2, 1)
    assert again.read_json("aside/a.json.1") == 1
    again.publish()
    third = other_machine(place, monkeypatch)
    assert (third.read_json("a.json"), third.read_json("b.json")) == (2, 1)


def test_secrets_and_locks_stay_here_and_what_is_erased_goes(place: str) -> None:
    space = Workspace(place)
    with space.lock():
        (space.root / "review.secret").write_bytes(bytes(32))
        (space.root / "half.json.tmp").write_bytes(b"x")
        space.write_json("people.json", {"name": "Ada Lovelace"})
    fs = fsspec.filesystem("memory")
    found = {name: fs.cat_file(name) for name in fs.find("/spaces")}
    assert b"Ada" in b"".join(found.values())
    assert bytes(32) not in found.values()
    assert not any(name.endswith(("/lock", ".tmp")) for name in found)
    with space.lock():
        space.write_json("people.json", {})
    assert b"Ada" not in b"".join(fs.cat_file(name) for name in fs.find("/spaces"))


def test_a_workspace_that_was_removed_begins_anew_and_the_copy_is_kept(
    tmp_path: Path, place: str, few_probes: None
) -> None:
    data = fill(tmp_path / "data", 3, size=32)
    space = scanned(data, place).workspace
    fsspec.filesystem("memory").rm("/spaces", recursive=True)
    assert scanned(data, place).stats.n_new == 3
    (old,) = space.root.parent.glob(f"{space.root.name}.before-*")
    assert list(old.glob("catalogue/parts/*.parquet"))


def test_hostile_manifests_reach_nothing_outside(tmp_path: Path, place: str) -> None:
    fs = fsspec.filesystem("memory")
    for name in ("../out.json", "/etc/x", "a/../../x", ".hidden", "ledger/checkpoint", "lock", "a\\b", ""):
        entry = {"schema": "genepool.remote/1", "version": 1, "files": {name: ["0" * 64, 1, 1]}}
        fs.pipe_file("/spaces/ws/manifests/0000000001", json.dumps(entry).encode())
        with pytest.raises(WorkspaceError, match="expected files of a workspace"):
            Workspace(place)
    for text, said in (("{", "JSON"), ("[]", "format"), ('{"schema": "genepool.remote/9"}', "format")):
        fs.pipe_file("/spaces/ws/manifests/0000000001", text.encode())
        with pytest.raises(WorkspaceError, match=said):
            Workspace(place)


def test_a_damaged_object_is_named(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    space = Workspace(place)
    space.write_json("x.json", {"a": 1})
    space.publish()
    fs = fsspec.filesystem("memory")
    (name,) = [n for n in fs.find("/spaces/ws/files") if b'"a"' in fs.cat_file(n)]
    fs.pipe_file(name, fs.cat_file(name).replace(b"1", b"2"))
    with pytest.raises(WorkspaceError, match=r"memory://spaces/ws/files/[0-9a-f]{64}: expected the bytes"):
        other_machine(place, monkeypatch)


def test_which_places_and_which_folders(tmp_path: Path, place: str) -> None:
    assert Workspace((tmp_path / "a b").as_uri()).root == tmp_path / "a b"
    opened = dataset.open(str(tmp_path), workspace=place)
    assert opened.workspace == place
    assert find_workspace(opened) is None
    Workspace(place).create().publish()
    assert find_workspace(opened) is not None
    with pytest.raises(UsageError, match="without credentials") as caught:
        Workspace("s3://AKIA123:hunter22@bucket/ws")
    assert "hunter22" not in str(caught.value)
    # A folder that only says that it is a copy opens no connection.
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / ".store.json").write_text('{"url": "s3://evil/ws", "manifest": {}}')
    assert Workspace(tmp_path / "theirs").url == ""


def test_without_a_url_nothing_is_connected(
    tmp_path: Path, few_probes: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    forget(monkeypatch)

    def refused(*arguments: object, **options: object) -> None:
        raise AssertionError("a connection")

    monkeypatch.setattr("fsspec.filesystem", refused)
    monkeypatch.setattr("socket.socket.connect", refused)
    space = scanned(fill(tmp_path / "data", 3, size=32), tmp_path / "ws").workspace
    with Verdicts(space) as file:
        file.add(Verdict("a" * 64, "human", "ada", 1.0))
    space.publish()
    store.publish_opened()
    assert not (space.root / ".store.json").exists()


def test_a_remote_log_is_written_there_first(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from support.ledgers import images

    space = Workspace(place).create()
    provenance.register_human(images(3, "far"), space, cohort="far")
    fs = fsspec.filesystem("memory")
    assert fs.exists("/spaces/ws/ledger/checkpoint")  # before anything else is published
    space.publish()
    second = other_machine(place, monkeypatch)
    assert set(provenance.open_trail(second, Config()).cohorts) == {"far"}
    provenance.register_human(images(2, "more"), second, cohort="more")
    assert store.log_url(second.ledger) == f"{place}/ledger"
    third = other_machine(place, monkeypatch)
    assert set(provenance.open_trail(third, Config()).cohorts) == {"far", "more"}
