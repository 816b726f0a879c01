"""A clock that is set back between two runs: order, grace periods and stamps do not come from it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from genepool.config import Config
from genepool.store import Journal, Workspace, collect, compact, inspect, part_names
from support.probes import MeanProbe
from support.scans import encoded, fill, picture, rows, scanned, use_probes

_YEAR = 365 * 86400


@pytest.fixture(autouse=True)
def mean_only(monkeypatch: pytest.MonkeyPatch) -> None:
    use_probes(monkeypatch, MeanProbe())


def ahead(folder: Path) -> None:
    """Everything in a folder was written by a clock a year ahead; now it is right again."""
    for path in folder.rglob("*"):
        if path.is_file():
            status = path.stat()
            os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns + _YEAR * 10**9))


def test_scans_before_and_after_the_clock_was_set_back(tmp_path: Path) -> None:
    folder, space = fill(tmp_path / "set", 8, size=48), tmp_path / "w"
    scanned(folder, space)
    ahead(space)
    ahead(folder)
    # All files look newer than now, and their times differ from those that were listed: all are read again.
    assert scanned(folder, space).stats.n_new == 8
    # A file whose time goes back changes as well: stamps are compared, never ordered.
    (folder / "000.jpg").write_bytes(encoded(picture(70, 48)))
    third = scanned(folder, space)
    assert (third.stats.n_new, third.stats.changes.changed) == (1, 1)
    assert rows(third) == rows(scanned(folder, tmp_path / "fresh"))
    assert inspect(third.workspace).problems == ()
    assert [run.number for run in Journal(third.workspace).runs()] == [1, 2, 3]


def test_rescanned_rows_win_over_parts_from_the_future(tmp_path: Path) -> None:
    folder, space = fill(tmp_path / "set", 6, size=48), tmp_path / "w"
    scanned(folder, space)
    victim = folder / "002.jpg"
    stamp = victim.stat().st_mtime_ns
    data = bytearray(victim.read_bytes())
    data[-60] ^= 4
    victim.write_bytes(data)
    os.utime(victim, ns=(stamp, stamp))
    ahead(Workspace(space).parts)
    again = scanned(folder, space, rescan=True, config=Config().with_(scan__unit=2))
    (folder / "new.jpg").write_bytes(encoded(picture(71, 48)))
    after = scanned(folder, space)
    assert (
        after.select([f"{n:03}.jpg" for n in (0, 2, 4)]).root()
        == again.select([f"{n:03}.jpg" for n in (0, 2, 4)]).root()
    )
    assert rows(after) == rows(scanned(folder, tmp_path / "fresh"))


def test_a_grace_period_survives_the_clock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Old parts go an hour after a compaction; set back by a year, an hour after that, not in a year."""
    folder, place = fill(tmp_path / "set", 4, size=48), tmp_path / "w"
    scanned(folder, place)
    (folder / "new.jpg").write_bytes(encoded(picture(71, 48)))
    before = rows(scanned(folder, place))
    space = Workspace(place)
    now = 4_000_000_000.0
    monkeypatch.setattr("genepool.store._compact.time.time", lambda: now)
    with space.lock():
        assert compact(space).merged == 2
    assert collect(space) == (0, 0)
    now -= _YEAR
    assert collect(space) == (0, 0)
    now += 3599
    assert collect(space) == (0, 0)
    now += 2
    assert collect(space)[0] == 4
    assert len(part_names(space.parts)) == 1
    assert rows(scanned(folder, place)) == before
