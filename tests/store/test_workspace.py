"""Which workspace, its files, its lock."""

from __future__ import annotations

import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path

import pytest

from genepool.errors import UsageError, WorkspaceError
from genepool.store import Workspace, workspace_for


@dataclass(frozen=True)
class Named:
    uri: str
    workspace: str | None = None


def test_order_of_choice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "set"
    folder.mkdir()
    named = Named(str(folder))
    asked, env, own = tmp_path / "asked", tmp_path / "env", tmp_path / "own"
    monkeypatch.setenv("GENEPOOL_WORKSPACE", str(env))
    assert workspace_for(named, asked).root == asked
    assert workspace_for(named).root == env
    monkeypatch.delenv("GENEPOOL_WORKSPACE")
    beside = workspace_for(named).root
    assert beside == tmp_path / "set.genepool"
    # What somebody said outranks what happens to lie beside the dataset …
    assert workspace_for(named, asked).root == asked
    monkeypatch.setenv("GENEPOOL_WORKSPACE", str(env))
    assert workspace_for(named).root == env
    # … and what the dataset itself was opened with outranks everything.
    assert workspace_for(Named(str(folder), str(own)), asked).root == own
    assert workspace_for(Named(str(tmp_path / "other")), Workspace(asked)).root == asked


def test_memory_and_remote_sets_share_a_temporary_one() -> None:
    first = workspace_for(Named("memory:abc"))
    assert first.root == workspace_for(Named("memory:abc")).root
    assert first.root != workspace_for(Named("memory:abd")).root
    assert first.root.is_dir()
    assert workspace_for(Named("s3://bucket/set")).root.is_dir()


def test_a_temporary_workspace_goes_with_the_process() -> None:
    code = (
        "from dataclasses import make_dataclass as m; from genepool.store import workspace_for as w;"
        "print(w(m('N', [('uri', str), ('workspace', str)])('memory:x', None)).root)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not Path(done.stdout.strip()).parent.exists()


def test_patterns_get_a_plain_name(tmp_path: Path) -> None:
    assert workspace_for(Named(str(tmp_path / "s-{000..009}.tar"))).root.name == "s-_000..009_.tar.genepool"


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    inside = Named(str(tmp_path / "file" / "set"))
    assert workspace_for(inside).root.is_dir()  # falls back to a temporary one
    with pytest.raises(WorkspaceError, match="cannot be created"):
        workspace_for(inside, tmp_path / "file" / "w")
    with pytest.raises(WorkspaceError, match="found a file"):
        Workspace(tmp_path / "file")
    with pytest.raises(WorkspaceError, match="object store"):
        Workspace("ftp://host/w")
    with pytest.raises(UsageError):
        workspace_for(inside, "")


def test_a_newer_workspace_is_refused(tmp_path: Path) -> None:
    (tmp_path / "workspace.json").write_text('{"schema": "genepool.workspace/9"}')
    with pytest.raises(WorkspaceError, match=r"genepool\.workspace/9"):
        Workspace(tmp_path)
    (tmp_path / "workspace.json").write_text("{")
    with pytest.raises(WorkspaceError, match="expected JSON"):
        Workspace(tmp_path)


def test_json_and_links(tmp_path: Path) -> None:
    space = Workspace(tmp_path / "w")
    assert space.read_json("x.json") is None
    space.write_json("deep/x.json", {"a": [1, None]})
    assert space.read_json("deep/x.json") == {"a": [1, None]}
    assert space.links() == []
    space.link(tmp_path / "one")
    space.link("https://example.org/log")
    space.link(tmp_path / "one")
    assert Workspace(space.root).links() == [str(tmp_path / "one"), "https://example.org/log"]
    assert {space.ledger.name, space.reviews.name, space.report.name, space.cases.name} == {
        "ledger",
        "reviews.sqlite",
        "report.html",
        "cases.parquet",
    }


def test_lock_is_reentrant_and_ends_with_its_holder(tmp_path: Path) -> None:
    space = Workspace(tmp_path / "w")
    code = (
        "import sys; from genepool.store import Workspace\n"
        "with Workspace(sys.argv[1]).lock():\n    print('held', flush=True); sys.stdin.read()\n"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", code, str(space.root)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    with pytest.raises(WorkspaceError, match=f"process {holder.pid}"), space.lock():
        pass
    holder.kill()
    holder.communicate()
    with space.lock(), space.lock(), Workspace(space.root).lock():
        pass
    with space.lock():
        pass


def test_threads_wait_for_the_lock(tmp_path: Path) -> None:
    space = Workspace(tmp_path / "w")
    order: list[str] = []

    def other() -> None:
        with space.lock():
            order.append("other")

    with space.lock():
        thread = threading.Thread(target=other)
        thread.start()
        thread.join(0.2)
        order.append("first")
    thread.join()
    assert order == ["first", "other"]
