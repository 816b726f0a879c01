"""Every file of a workspace, damaged in several ways: it is named, the next run makes it good, nothing goes.

And `genepool doctor --repair`: what is damaged lies in ``aside/`` afterwards, byte for byte.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest

from genepool.cli import main
from genepool.store import Journal, Workspace, inspect, mend_mark, repair
from support.probes import MeanProbe
from support.scans import encoded, fill, picture, rows, scanned, use_probes

FILES = {
    "core": f"catalogue/parts/{8 * '?'}-{16 * '?'}.parquet",
    "vectors": "catalogue/parts/*.vec.parquet",
    "listing": "catalogue/sets/*/listing-*.parquet",
    "state": "catalogue/sets/*/state.json",
    "origins": "catalogue/sets/*/origins.parquet",
    "journal": "journal.jsonl",
    "retired": "catalogue/retired.json",
    "mark": "workspace.json",
}


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[min(30, len(data) // 3)] ^= 0xFF
    path.write_bytes(data)


WAYS: dict[str, Callable[[Path], object]] = {
    "cut": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "empty": lambda path: path.write_bytes(b""),
    "flipped": flip,
    "foreign": lambda path: path.write_bytes(b"PAR1 no such thing {]\n" * 20),
    "gone": lambda path: path.unlink(),
}
SILENT = {
    ("journal", "gone"),
    ("journal", "empty"),
    ("retired", "gone"),
    ("origins", "gone"),
    ("state", "gone"),
}
"""What is simply not there, as in a workspace that never had it."""


@pytest.fixture(autouse=True)
def mean_only(monkeypatch: pytest.MonkeyPatch) -> None:
    use_probes(monkeypatch, MeanProbe())


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("damage")
    folder = fill(place / "set", 8, size=48)
    (folder / "cut.jpg").write_bytes(encoded(picture(1))[:600])
    with pytest.MonkeyPatch.context() as monkeypatch:
        use_probes(monkeypatch, MeanProbe())
        found = scanned(folder, place / "w")
        found.write_origins(pa.table({"uri": found.table(["uri"]).column(0), "human": [True] * found.n}))
    found.workspace.write_json("catalogue/retired.json", {})
    return place


QUICK = {("gone", kind) for kind in ("core", "vectors", "mark")} | {
    ("flipped", "core"),
    ("flipped", "listing"),
}


@pytest.mark.parametrize(
    ("way", "kind"),
    [
        pytest.param(way, kind, marks=() if way == "cut" or (way, kind) in QUICK else pytest.mark.soak)
        for way in WAYS
        for kind in FILES
    ],
)
def test_a_damaged_file(made: Path, tmp_path: Path, kind: str, way: str) -> None:
    shutil.copytree(made / "w", tmp_path / "w")
    expected = rows(scanned(made / "set", made / "w"))
    [victim] = (tmp_path / "w").glob(FILES[kind])
    WAYS[way](victim)
    damaged = victim.read_bytes() if victim.exists() else None
    if kind != "mark" or way == "gone":
        problems = inspect(Workspace(tmp_path / "w")).problems
        assert bool(problems) == ((kind, way) not in SILENT)
        assert damaged is None or not problems or victim.name.split(".")[0] in " ".join(problems)
        # The next scan needs no repair …
        shutil.copytree(tmp_path / "w", tmp_path / "other")
        after = scanned(made / "set", tmp_path / "other")
        assert rows(after) == expected
        assert len(after.cases()) == 1
        assert bool(after.stats.n_new) == (kind in ("core", "vectors"))
    # … and a repair moves what is damaged aside, and says so.
    done = mend_mark(tmp_path / "w")
    actions, health = repair(Workspace(tmp_path / "w"))
    assert bool(health.problems) == (kind in ("core", "vectors"))
    assert bool(done + actions) == ((kind, way) not in SILENT or kind == "journal")
    kept = [path.read_bytes() for path in (tmp_path / "w" / "aside").rglob("*") if path.is_file()]
    if damaged is not None and (kind, way) not in SILENT:
        assert damaged in kept
    last = scanned(made / "set", tmp_path / "w")
    assert rows(last) == expected
    assert bool(last.stats.n_new) == (kind in ("core", "vectors"))
    assert inspect(last.workspace).problems == ()


def test_a_listing_that_contradicts_its_parts(made: Path, tmp_path: Path) -> None:
    """Rows swapped by whatever means: both files are sound Parquet, and together they are wrong."""
    import pyarrow.parquet as pq

    shutil.copytree(made / "w", tmp_path / "w")
    expected = rows(scanned(made / "set", made / "w"))
    [path] = (tmp_path / "w").glob(FILES["listing"])
    table = pq.read_table(path)
    swapped = table.column("row").to_pylist()
    swapped[0], swapped[1] = swapped[1], swapped[0]
    pq.write_table(table.set_column(2, "row", pa.array(swapped, pa.int32())), path, write_page_checksum=True)
    space = Workspace(tmp_path / "w")
    [problem] = inspect(space).problems
    assert "2 of 9 rows" in problem
    done, after = repair(space)
    assert any("state.json" in line for line in done)
    assert after.problems == ()
    found = scanned(made / "set", tmp_path / "w")
    assert (rows(found), found.stats.n_new) == (expected, 0)


def test_leftovers_and_strange_parts_are_notes(
    made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(made / "w", tmp_path / "w")
    space = Workspace(tmp_path / "w")
    (space.parts / ".x.parquet.12.ab.tmp").write_bytes(b"half")
    (space.parts / "12345678-aa.vec.parquet").write_bytes(b"vectors alone")
    journal = space.root / "journal.jsonl"
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join(line for line in lines if b'"unit"' not in line and b'"end"' not in line))
    begun = {"what": "scan", "dataset": "/elsewhere", "at": "2026-01-01T00:00:00Z", "process": "h:1"}
    Journal(space).append({"event": "begin", "run": 2, **begun})
    health = inspect(space)
    assert health.problems == ()
    kinds = {finding.kind for finding in health.findings}
    assert kinds == {"leftover", "vectors", "adopt", "run"}
    # The scan of this set was killed as well, but only after its listing was in force.
    [note] = [finding.message for finding in health.findings if finding.kind == "run"]
    assert "scan of /elsewhere" in note
    assert "was killed after 0 units: the same command goes on" in note
    with pytest.raises(SystemExit) as ended:
        main(["doctor", str(space.root), "--repair", "--compact", "--format", "json"])
    data = json.loads(capsys.readouterr().out)
    assert ended.value.code == 0
    assert len(data["workspace"]["actions"]) == 4
    assert data["workspace"]["actions"][-1] == "nothing to merge"
    assert [run["outcome"] for run in data["workspace"]["runs"]] == ["killed"] * 2 + ["finished"] * 2
    assert {f["kind"] for f in data["workspace"]["findings"]} == {"run", "aside"}
    assert (space.root / "aside/catalogue/parts/12345678-aa.vec.parquet.1").read_bytes() == b"vectors alone"
    with pytest.raises(SystemExit) as ended:
        main(["doctor", "--repair"])
    assert ended.value.code == 2


def test_a_damaged_log_is_told_beside_everything_else(
    made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 4, and a repair leaves the log alone: it cannot be made again."""
    from genepool import provenance

    shutil.copytree(made / "w", tmp_path / "w")
    space = Workspace(tmp_path / "w")
    found = scanned(made / "set", tmp_path / "w")
    provenance.register_human(found, space, artist="Ann")
    for path in (space.root / "ledger" / "tile" / "entries").rglob("*"):
        if path.is_file():
            flip(path)
    WAYS["cut"](next(space.parts.glob("*.vec.parquet")))
    before = {path: path.read_bytes() for path in (space.root / "ledger").rglob("*") if path.is_file()}
    with pytest.raises(SystemExit) as ended:
        main(["doctor", str(space.root), "--repair"])
    out = capsys.readouterr().out
    assert ended.value.code == 4
    assert "GP02" in out
    assert "moved catalogue/parts/" in out
    assert {path: path.read_bytes() for path in before} == before


def test_too_many_open_files_is_no_damage(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sound part must not be moved aside because this process may open nothing more."""
    import resource

    from genepool.errors import WorkspaceError

    shutil.copytree(made / "w", tmp_path / "w")
    found = scanned(made / "set", tmp_path / "w")
    before = sorted(path.name for path in found.workspace.parts.iterdir())
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    batch = found.batches(["place"])
    with open("/dev/null") as last:
        resource.setrlimit(resource.RLIMIT_NOFILE, (last.fileno(), limits[1]))
        try:
            with pytest.raises(WorkspaceError, match="Too many open files"):
                next(batch)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert sorted(path.name for path in found.workspace.parts.iterdir()) == before
    assert len(rows(found)) == found.n
