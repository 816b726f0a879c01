"""Verdicts: appended, durable, never changed."""

from __future__ import annotations

import hashlib
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from genepool.errors import UsageError, WorkspaceError
from genepool.records import Verdict
from genepool.store import Verdicts, Workspace


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def test_all_and_count(tmp_path: Path) -> None:
    space = Workspace(tmp_path / "w")
    assert Verdicts(space).all() == []
    assert Verdicts(space).count() == 0
    assert not space.reviews.exists()
    given = [
        Verdict(digest("a"), "human", "ada", 1.5),
        Verdict(digest("b"), "ai", "ada", 2.0, control=True, comment="hands"),
        Verdict(digest("a"), "unsure", "bob", 3.0),
    ]
    with Verdicts(space) as verdicts:
        for verdict in given:
            verdicts.add(verdict)
        assert verdicts.all() == given
    again = Verdicts(space.reviews)
    assert again.all() == given
    assert again.count() == 3
    assert again.count([digest("a")]) == 2
    assert again.count([]) == 0
    assert again.check() == []


@pytest.mark.parametrize(
    "verdict",
    [
        Verdict("A" * 64, "human", "ada", 0),
        Verdict("ab", "human", "ada", 0),
        Verdict("a" * 64, "maybe", "ada", 0),  # type: ignore[arg-type]
        Verdict("a" * 64, "human", "", 0),
    ],
)
def test_nonsense_is_refused(tmp_path: Path, verdict: Verdict) -> None:
    with pytest.raises(UsageError, match="expected"):
        Verdicts(tmp_path / "r.sqlite").add(verdict)


def test_nothing_can_be_changed(tmp_path: Path) -> None:
    path = tmp_path / "r.sqlite"
    with Verdicts(path) as verdicts:
        verdicts.add(Verdict("a" * 64, "ai", "ada", 0))
    connection = sqlite3.connect(path)
    for statement in ("DELETE FROM verdicts", "UPDATE verdicts SET answer = 'human'"):
        with pytest.raises(sqlite3.IntegrityError, match="append-only"):
            connection.execute(statement)
    connection.close()


def test_a_killed_process_loses_no_verdict(tmp_path: Path) -> None:
    code = (
        "import os, signal, sys\nfrom genepool.records import Verdict\nfrom genepool.store import Verdicts\n"
        "v = Verdicts(sys.argv[1])\n"
        "for i in range(5): v.add(Verdict(f'{i:064x}', 'ai', 'ada', i))\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    path = tmp_path / "r.sqlite"
    subprocess.run([sys.executable, "-c", code, str(path)], check=False)
    assert Verdicts(path).count() == 5


def test_two_writers(tmp_path: Path) -> None:
    path = tmp_path / "r.sqlite"
    with Verdicts(path) as one, Verdicts(path) as two:
        one.add(Verdict("a" * 64, "ai", "ada", 0))
        two.add(Verdict("b" * 64, "ai", "bob", 1))
        one.add(Verdict("c" * 64, "ai", "ada", 2))
        assert [v.reviewer for v in two.all()] == ["ada", "bob", "ada"]


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "r.sqlite"
    path.write_bytes(b"no database" * 100)
    with pytest.raises(WorkspaceError, match=r"r\.sqlite"):
        Verdicts(path).all()
    with pytest.raises(WorkspaceError, match=r"r\.sqlite"), Verdicts(path) as verdicts:
        verdicts.add(Verdict("a" * 64, "ai", "ada", 0))
