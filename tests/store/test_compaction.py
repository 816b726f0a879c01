"""Many small parts become few: nothing is lost or doubled, also when it is cut short anywhere."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from genepool.config import Config
from genepool.store import Catalogue, Workspace, _compact, collect, compact, inspect, part_names
from genepool.store._compact import _Reader, _whole
from support.moments import environment
from support.probes import MeanProbe
from support.scans import encoded, fill, picture, rows, scanned, use_probes


@pytest.fixture(autouse=True)
def mean_only(monkeypatch: pytest.MonkeyPatch) -> None:
    use_probes(monkeypatch, MeanProbe())


def grown(tmp_path: Path, days: int = 6) -> tuple[Path, Path]:
    """A set that grew by one image a day, one of which changed and one of which went; one cannot be read."""
    folder, space = fill(tmp_path / "set", 5, size=48), tmp_path / "w"
    (folder / "cut.jpg").write_bytes(encoded(picture(1))[:600])
    for day in range(days):
        scanned(folder, space)
        name = "sub/new{}.jpg" if day % 2 else "a-new{}.jpg"
        (folder / name.format(day)).write_bytes(encoded(picture(100 + day, 48), quality=90))
        (folder / "000.jpg").write_bytes(encoded(picture(200 + day, 48), quality=90))
    (folder / "002.jpg").unlink()
    scanned(folder, space)
    scanned(folder / "sub", space)
    scanned(folder, space, select=["000.jpg", "cut.jpg", "a-new0.jpg"])
    return folder, space


def told(catalogue: Catalogue) -> tuple[object, ...]:
    vectors = np.concatenate(list(catalogue.vectors("colour")))
    return rows(catalogue), vectors.tobytes(), catalogue.root(), catalogue.cases(), catalogue.n


def sets(folder: Path, space: Path) -> list[Catalogue]:
    return [
        scanned(folder, space),
        scanned(folder / "sub", space),
        scanned(folder, space, select=["000.jpg", "cut.jpg", "a-new0.jpg"]),
    ]


def test_tables_that_do_not_fit_are_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With room for one table, a few, all: the same rows, and never more held than there is room."""
    folder, place = grown(tmp_path, 3)
    names = part_names(Workspace(place).parts)
    sizes = [_whole(Workspace(place).parts, name, False).nbytes for name in names]
    expected = told(scanned(folder, place))
    for room in (0, 2 * max(sizes), 1 << 20):
        copy = tmp_path / f"w{room}"
        shutil.copytree(place, copy)
        held: list[int] = []
        real = _Reader._table

        def watched(self: _Reader, *key: Any, real: Any = real, held: list[int] = held) -> Any:
            table = real(self, *key)
            assert self._held == sum(size for _, size in self._kept.values())
            assert len(self._kept) == 1 or self._held <= _compact._CACHE
            held.append(len(self._kept))
            return table

        with monkeypatch.context() as patch, Workspace(copy).lock():
            patch.setattr(_compact, "_CACHE", room)
            patch.setattr(_Reader, "_table", watched)
            compact(Workspace(copy))
        assert (max(held) == 1) == (room == 0)
        assert told(scanned(folder, copy)) == expected


def test_the_catalogue_says_the_same_afterwards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, place = grown(tmp_path)
    space = Workspace(place)
    old = sets(folder, place)
    before = [told(catalogue) for catalogue in old]
    count = len(part_names(space.parts))
    with space.lock():
        done = compact(space)
    assert (done.merged, done.made, done.listings) == (count, 1, 3)
    assert done.dropped == 0  # what changed or went is kept: it might come back
    new = sets(folder, place)
    assert [told(catalogue) for catalogue in new] == before
    assert {catalogue.stats.n_new for catalogue in new} == {0}
    assert {len(catalogue._listing.parts) for catalogue in new} == {1}
    # Whoever was reading goes on reading, until the hour is over.
    assert [told(catalogue) for catalogue in old] == before
    assert collect(space) == (0, 0)
    health = inspect(space)
    assert health.problems == ()
    assert any("go an hour after" in note for note in health.notes)
    monkeypatch.setattr("genepool.store._compact.time.time", lambda: 2.0**33)
    files, freed = collect(space)
    assert (files, freed > 0) == (2 * count, True)
    assert len(part_names(space.parts)) == 1
    assert [told(catalogue) for catalogue in sets(folder, place)] == before
    assert inspect(space).problems == ()
    with space.lock():
        assert compact(space).merged == 0  # one small part stays as it is


def test_an_image_that_comes_back_is_known_unless_unused_rows_were_dropped(tmp_path: Path) -> None:
    folder, place = grown(tmp_path)
    space = Workspace(place)
    gone = folder / "004.jpg"
    data, stamp = gone.read_bytes(), gone.stat().st_mtime_ns
    gone.unlink()
    before = [told(catalogue) for catalogue in sets(folder, place)]

    def back() -> int:
        import os

        gone.write_bytes(data)
        os.utime(gone, ns=(stamp, stamp))
        found = scanned(folder, place).stats.n_new
        gone.unlink()
        scanned(folder, place)
        return found

    with space.lock():
        compact(space)
    assert back() == 0
    with space.lock():
        done = compact(space, drop=True)
    # 004 and 002 went, 000 changed six times.
    assert done.dropped == 8
    assert [told(catalogue) for catalogue in sets(folder, place)] == before
    assert back() == 1


def test_rows_of_an_unfinished_scan_are_not_unused(tmp_path: Path) -> None:
    """Its listing was never written; dropping what no dataset refers to must not undo its work."""
    from genepool.engine import LocalEngine

    class Stopping(LocalEngine):
        def run(self, job, units):  # type: ignore[no-untyped-def]
            for n, result in enumerate(super().run(job, units)):
                yield result
                if n == 1:
                    raise KeyboardInterrupt

    from genepool import dataset, scan

    folder, space = fill(tmp_path / "set", 12, size=48), Workspace(tmp_path / "w")
    opened = dataset.open(str(folder), workspace=str(space.root))
    settings = Config().with_(scan__unit=3)
    with pytest.raises(KeyboardInterrupt):
        scan.scan(opened, config=settings, engine=Stopping(inline=True))
    with space.lock():
        compact(space, drop=True)
    assert scanned(folder, space.root).stats.n_reused == 6


def test_merging_is_automatic_above_a_threshold(tmp_path: Path) -> None:
    folder, place = fill(tmp_path / "set", 4, size=48), tmp_path / "w"
    settings = Config().with_(scan__merge=4)
    most = 0
    for day in range(12):
        (folder / f"new{day}.jpg").write_bytes(encoded(picture(100 + day, 48)))
        found = scanned(folder, place, config=settings)
        most = max(most, len(found._listing.parts))
    assert most < 4
    assert rows(found) == rows(scanned(folder, tmp_path / "fresh"))
    assert scanned(folder, place, config=Config().with_(scan__merge=0)).stats.n_new == 0


def test_a_damaged_source_is_moved_aside_and_the_rest_is_merged(tmp_path: Path) -> None:
    folder, place = grown(tmp_path)
    space = Workspace(place)
    before = [told(catalogue) for catalogue in sets(folder, place)]
    victim = space.parts / f"{part_names(space.parts)[2]}.parquet"
    victim.write_bytes(victim.read_bytes()[:-30])
    with space.lock():
        compact(space, drop=True)
    assert [told(catalogue) for catalogue in sets(folder, place)] == before
    assert (space.root / "aside" / "catalogue" / "parts" / f"{victim.name}.1").is_file()


COMPACT = """
import sys
from pathlib import Path
from genepool.store import Workspace, compact
from support.moments import die_at
space = Workspace(sys.argv[1])
with space.lock():
    die_at(space.root, int(sys.argv[2]))
    compact(space, drop=sys.argv[3] == "drop")
print("end")
"""

_MOMENTS = 15
"""At least so many files are published by this compaction."""


@pytest.mark.parametrize(
    ("moment", "how"),
    [(5, "keep")]
    + [pytest.param(n, how, marks=pytest.mark.soak) for n in range(1, 24) for how in ("keep", "drop")],
)
def test_killed_at_any_publishing(tmp_path: Path, moment: int, how: str) -> None:
    """kill -9 as the n-th file is renamed or opened for writing; the datasets never notice."""
    folder, place = grown(tmp_path)
    before = [told(catalogue) for catalogue in sets(folder, place)]
    done = subprocess.run(
        [sys.executable, "-c", COMPACT, str(place), str(moment), how],
        env=environment(),
        capture_output=True,
        check=False,
    )
    assert done.returncode == -9 or (moment > _MOMENTS and done.stdout == b"end\n"), done.stderr
    space = Workspace(place)
    assert inspect(space).problems == ()
    assert [told(catalogue) for catalogue in sets(folder, place)] == before
    with space.lock():
        compact(space, drop=True)
    after = sets(folder, place)
    assert [told(catalogue) for catalogue in after] == before
    assert {len(catalogue._listing.parts) for catalogue in after} == {1}
    assert {catalogue.stats.n_new for catalogue in after} == {0}
