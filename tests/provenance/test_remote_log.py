"""Logs at fsspec URLs, and the audit over several processes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest

from genepool import provenance
from genepool.cli._main import main
from genepool.config import Config
from genepool.errors import LogError, UsageError, WorkspaceError
from genepool.provenance import Ledger, Signer
from genepool.provenance import _audit as audits
from genepool.provenance._remote import UrlStore
from support.ledgers import images, workspace

KEY = Signer("test", bytes(range(32)))


@pytest.fixture
def url() -> Iterator[str]:
    fs = fsspec.filesystem("memory")
    yield "memory://bucket/log"
    if fs.exists("/bucket"):
        fs.rm("/bucket", recursive=True)


def test_a_log_in_an_object_store_is_the_log_on_disk(tmp_path: Path, url: str) -> None:
    far = Ledger.open(url, create=True, signer=KEY, origin="example.org/log")
    near = Ledger.open(tmp_path / "log", create=True, signer=KEY, origin="example.org/log")
    for count in (1, 254, 3, 300):
        for ledger in (far, near):
            ledger.append([b"%d" % (ledger.size + i) for i in range(count)])
    assert far.root == near.root
    files = {
        str(p.relative_to(tmp_path / "log")): p.read_bytes()
        for p in (tmp_path / "log").rglob("*")
        if p.is_file()
    }
    files.pop(".lock")
    store = UrlStore(url)
    assert {name: store.read(name) for name in files} == files
    assert store.read(".lock") is None
    reader = Ledger.open(url, verifiers=[KEY.verifier])
    assert reader.audit().size == 558
    reader.prove(300).verify(None, [reader.verifier])
    assert list(reader.entries(255, 257)) == [b"255", b"256"]
    with pytest.raises(WorkspaceError, match="URL"):
        _ = reader.path


def test_changes_of_a_remote_log_are_named(url: str) -> None:
    Ledger.open(url, create=True, signer=KEY).append([b"a", b"b"])
    fs = fsspec.filesystem("memory")
    for name in ("tile/0/000.p/2", "tile/entries/000.p/2"):
        good = fs.cat_file(f"/bucket/log/{name}")
        fs.pipe_file(f"/bucket/log/{name}", good[:-1] + b"x")
        with pytest.raises(LogError, match=name):
            Ledger.open(url, verifiers=[KEY.verifier]).audit()
        fs.pipe_file(f"/bucket/log/{name}", good)
    fs.pipe_file("/bucket/log/tile/0/000.p/2", bytes(1 << 25))
    with pytest.raises(LogError, match="at most"):
        Ledger.open(url, verifiers=[KEY.verifier]).audit()


def test_one_writer_at_a_time(url: str) -> None:
    ledger = Ledger.open(url, create=True, signer=KEY)
    with UrlStore(url).lock():
        with pytest.raises(WorkspaceError, match="another process"), UrlStore(url).lock(timeout=0.01):
            pytest.fail("two writers at once")
        assert Ledger.open(url, verifiers=[KEY.verifier]).size == 0
    ledger.append([b"a"])
    assert ledger.size == 1


def test_a_crash_between_journal_and_checkpoint_is_finished(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    Ledger.open(url, create=True, signer=KEY).append([b"old"])
    ledger = Ledger.open(url, signer=KEY)

    def fail(*arguments: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(UrlStore, "publish", fail)
        with pytest.raises(KeyboardInterrupt):
            ledger.append([b"new"])
    assert Ledger.open(url, verifiers=[KEY.verifier]).size == 1
    again = Ledger.open(url, signer=KEY)
    assert again.append([b"later"]) == range(2, 3)
    assert list(again.entries()) == [b"old", b"new", b"later"]


def test_file_urls_are_folders_and_plain_file_systems_are_not_written(tmp_path: Path) -> None:
    Ledger.open((tmp_path / "a b").as_uri(), create=True, signer=KEY).append([b"a"])
    assert (tmp_path / "a b" / "checkpoint").is_file()
    fs = UrlStore(f"local://{tmp_path}/a b")
    assert fs.read("checkpoint") == (tmp_path / "a b" / "checkpoint").read_bytes()
    with pytest.raises(WorkspaceError, match="object store"):
        fs.write("checkpoint", b"")
    with pytest.raises(UsageError, match="no file system"):
        Ledger.open("unheard-of://x/y")


def test_a_remote_log_is_read_beside_the_own_one(tmp_path: Path, url: str) -> None:
    other = workspace(tmp_path, "other")
    provenance.register_human(images(3, "far"), other, cohort="far")
    fs = fsspec.filesystem("memory")
    fs.put(str(other.ledger), "/bucket/log", recursive=True)
    space = workspace(tmp_path)
    provenance.register_human(images(1, "near"), space, cohort="near")
    trail = provenance.open_trail(space, Config().with_(ledger__logs=(url,)))
    assert set(trail.cohorts) == {"near", "far"}
    assert trail.attestations(images(3, "far").shas, [])[2][0].trusted
    space.link(url)
    with pytest.raises(WorkspaceError, match="URL"):
        provenance.open_trail(space)


def test_the_verbs_read_a_log_at_a_url(tmp_path: Path, url: str, capsys: pytest.CaptureFixture[str]) -> None:
    other = workspace(tmp_path, "other")
    provenance.register_human(images(3, "far"), other, cohort="far")
    fs = fsspec.filesystem("memory")
    fs.put(str(other.ledger), "/bucket/log", recursive=True)

    def run(verb: str) -> tuple[int, str]:
        with pytest.raises(SystemExit) as stopped:
            main(["ledger", verb, "--workspace", url])
        said = capsys.readouterr()
        return int(stopped.value.code or 0), said.out + said.err

    assert url in run("show")[1]
    assert run("audit")[0] == 0
    fs.pipe_file("/bucket/log/tile/entries/000.p/7", b"\0")
    code, said = run("audit")
    assert code == 4
    assert "tile/entries/000.p/7" in said


# ------------------------------------------------------------------------------------- several processes


def test_the_audit_over_processes_finds_what_one_process_finds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = Ledger.open(tmp_path / "log", create=True, signer=KEY)
    ledger.append([b"%d" % i for i in range(3 * 65_536 // 16 + 300)])
    # Subtrees of 4,096 entries stand for those of 65,536, so that a small log has several.
    monkeypatch.setattr(audits, "_SUBTREE", 16)
    one, two = ledger.audit(), ledger.audit(workers=2)
    assert one == two
    for name, cut in (("tile/entries/020", 0), ("tile/0/040", 1)):
        path = tmp_path / "log" / name
        good = path.read_bytes()
        path.write_bytes(good[:-1] + bytes([good[-1] ^ 1])[cut:])
        with pytest.raises(LogError, match=name) as alone:
            ledger.audit()
        with pytest.raises(LogError, match=name) as together:
            ledger.audit(workers=2)
        assert alone.value.message == together.value.message
        path.write_bytes(good)
