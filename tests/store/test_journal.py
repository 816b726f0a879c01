"""The run journal: what ran, how it ended, and what becomes of it when it is damaged, long or lost."""

from __future__ import annotations

from pathlib import Path

import pytest

from genepool.errors import WorkspaceError
from genepool.store import Journal, Workspace, inspect, part_names, repair
from genepool.store._journal import unfinished
from genepool.store._parts import newest_run
from support.probes import MeanProbe
from support.scans import fill, scanned, use_probes


@pytest.fixture
def space(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path / "w").create()


def test_every_way_to_end(space: Workspace) -> None:
    journal = Journal(space)
    with journal.record("scan", "/data/a", plan="p") as run:
        run.unit("p-1", 16, 2)
        run.unit("p-2", 5)
        run.facts["pending"] = 21
    with pytest.raises(WorkspaceError), journal.record("scan", "/data/b"):
        raise WorkspaceError("the disk is full\nsecond line", hint="no")
    with pytest.raises(KeyboardInterrupt), journal.record("check", "/data/c"):
        raise KeyboardInterrupt
    runs = journal.runs()
    assert [(r.number, r.what, r.dataset, r.outcome) for r in runs] == [
        (1, "scan", "/data/a", "finished"),
        (2, "scan", "/data/b", "failed"),
        (3, "check", "/data/c", "interrupted"),
    ]
    assert runs[0].units == {"p-1": 16, "p-2": 5}
    assert runs[0].facts == {"plan": "p", "pending": 21}
    assert runs[0].begun <= runs[0].ended
    assert runs[1].message == "GP013 the disk is full"
    assert runs[0].to_json()["units"] == 2
    assert unfinished(runs) == {2, 3}
    with journal.record("scan", "/data/b"):
        pass
    assert unfinished(journal.runs()) == {3}
    with journal.record("scan", "/data/c"):
        pass
    assert unfinished(journal.runs()) == {3}  # the check has not been done again
    with journal.record("check", "/data/c"):
        pass
    assert unfinished(journal.runs()) == set()


def test_a_run_begins_by_clearing_away_what_dead_writers_left(space: Workspace) -> None:
    sets = space.catalogue / "sets" / "ab"
    sets.mkdir(parents=True)
    dead = [
        space.root / ".decision.json.4194305.ab12cd34.tmp",
        space.root / ".report.html.4194305.partial",
        sets / ".listing-ab-cd.parquet.tmp",
        space.parts / ".x.parquet.4194305.99887766.tmp",
    ]
    alive = space.root / ".links.json.1.ab12cd34.tmp"  # process 1 is always there
    for path in (*dead, alive):
        path.write_bytes(b"half")
    with Journal(space).record("scan", "/a"):
        pass
    assert [path for path in (*dead, alive) if path.exists()] == [alive]


def test_a_run_inside_another_is_not_taken_for_dead(space: Workspace) -> None:
    journal = Journal(space)
    with journal.record("check", "/a") as outer, journal.record("scan", "/a") as inner:
        assert (outer.number, inner.number) == (1, 2)
    assert [run.outcome for run in journal.runs()] == ["finished", "finished"]


def test_the_next_run_notes_who_was_killed(space: Workspace) -> None:
    journal = Journal(space)
    journal.append({"event": "begin", "run": 7, "what": "scan", "dataset": "/a", "at": "x", "process": "h:1"})
    journal.append({"event": "unit", "run": 7, "part": "p-1", "n": 3, "aside": 0})
    assert journal.runs()[0].outcome == "open"
    with journal.record("scan", "/b") as run:
        assert run.number == 8
    assert [r.outcome for r in journal.runs()] == ["killed", "finished"]


@pytest.mark.parametrize(
    "damage", [b'{"event": "un', b"\x00\x00\x00\n", b"[1]\n", b'{"event": "end", "run": 99}\n', b"\xff\xfe\n"]
)
def test_a_torn_or_foreign_line_is_passed_over_and_mended(space: Workspace, damage: bytes) -> None:
    journal = Journal(space)
    with journal.record("scan", "/a") as run:
        run.unit("p-1", 3)
    with journal.path.open("ab") as file:
        file.write(damage)
    before = journal.path.read_bytes()
    runs, broken = journal.read()
    assert (len(runs), runs[0].outcome, runs[0].units, broken) == (1, "finished", {"p-1": 3}, 1)
    assert any("journal.jsonl" in problem for problem in inspect(space).problems)
    done, after = repair(space)
    assert any("journal.jsonl" in line for line in done)
    assert after.problems == ()
    assert (space.root / "aside" / "journal.jsonl.1").read_bytes() == before
    runs, broken = journal.read()
    assert broken == 0
    assert [(r.what, r.outcome) for r in runs] == [("scan", "finished"), ("repair", "finished")]


def test_a_long_journal_is_thinned(space: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("genepool.store._journal._LARGE", 2000)
    monkeypatch.setattr("genepool.store._journal._REMEMBERED", 3)
    journal = Journal(space)
    for name in "abcde":
        with journal.record("scan", name) as run:
            for i in range(10):
                run.unit(f"{name}-{i}", 1)
    runs = journal.runs()
    assert [run.number for run in runs][-1] == 5
    assert len(runs) <= 5
    assert len(runs[-1].units) == 10
    assert any(run.thinned for run in runs)
    assert journal.path.stat().st_size < 4000


def test_newer_rows_win_whatever_the_clock_and_the_journal_say(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Parts of a second run win although they look older, and although the journal was lost between."""
    import os

    use_probes(monkeypatch, MeanProbe())
    folder = fill(tmp_path / "set", 6)
    first = scanned(folder, tmp_path / "w")
    parts = first.workspace.parts
    tomorrow = 2**31
    for path in parts.iterdir():
        os.utime(path, (tomorrow, tomorrow))  # written while the clock was ahead
    (first.workspace.root / "journal.jsonl").unlink()
    # Other bytes, the same size and time: what --rescan is for. Another unit size: other parts.
    victim = folder / "000.jpg"
    stamp = victim.stat()
    data = bytearray(victim.read_bytes())
    data[-40] ^= 1
    victim.write_bytes(data)
    os.utime(victim, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    from genepool.config import Config

    again = scanned(folder, tmp_path / "w", rescan=True, config=Config().with_(scan__unit=1))
    digest = again.table(["sha256"]).column(0)[0].as_py()
    assert digest != first.table(["sha256"]).column(0)[0].as_py()
    assert newest_run(parts) == 2
    assert len(part_names(parts)) == 7
    # A further image: the index is loaded anew, and the row of the second run must be the one that counts.
    (folder / "zzz.jpg").write_bytes((folder / "002.jpg").read_bytes())
    third = scanned(folder, tmp_path / "w")
    assert third.stats.n_new == 1
    assert third.table(["sha256"]).column(0)[0].as_py() == digest
