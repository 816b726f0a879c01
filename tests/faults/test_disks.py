"""A disk that is full, and a place that cannot be written, at every kind of write of a check.

The faults are the kernel's: a tmpfs without room, and folders with the immutable flag. Every run must end in
an error that says so, and the same run afterwards in what an undisturbed one would say, nothing doubled.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from genepool import pipeline, store
from genepool.config import Config
from genepool.engine import LocalEngine
from genepool.errors import GenepoolError, WorkspaceError
from genepool.records import Decision, Verdict
from support.disks import Disk, frozen, small_disk
from support.probes import MeanProbe
from support.scans import encoded, fill, picture, rows, scanned, use_probes

CONFIG = Config().with_(diversity__embedder="classical", detection__detector="none", scan__merge=2)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    with small_disk(tmp_path / "disk", 1024) as found:
        yield found


def leftovers(space: Path) -> list[Path]:
    return [p for pattern in (".*.tmp", "*.partial", "*.sorted.tmp") for p in space.rglob(pattern)]


def refused(folder: Path, space: Path) -> WorkspaceError | None:
    try:
        scanned(folder, space, config=Config().with_(scan__unit=4))
    except WorkspaceError as error:
        return error
    return None


def test_a_scan_with_ever_more_room(tmp_path: Path, disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    """From no room at all to enough, in steps of two blocks: each kind of write is once the first to fail."""
    use_probes(monkeypatch, MeanProbe())
    folder = fill(tmp_path / "set", 12, size=48)
    expected = rows(scanned(folder, tmp_path / "fresh"))
    errors: list[str] = []
    for kib in range(0, 400, 8):
        space = disk.root / f"w{kib}"
        disk.leave(kib)
        error = refused(folder, space)
        disk.clear()
        if error is None:
            break
        assert "No space left on device" in error.message
        assert error.exit_code == 3
        errors.append(Path(error.message.partition(":")[0]).name)
        assert not leftovers(space)
        assert rows(scanned(folder, space)) == expected
        assert store.inspect(store.Workspace(space)).problems == ()
    else:
        pytest.fail("400 KiB were not enough")
    told = " ".join(errors)
    assert {"parquet", "listing"} <= set(told.replace("-", ".").split("."))


def test_a_read_only_disk(tmp_path: Path, disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is known can be read; what has to be written is refused before anything is examined."""
    use_probes(monkeypatch, MeanProbe())
    folder = fill(tmp_path / "set", 4, size=48)
    known = rows(scanned(folder, disk.root / "w"))
    disk.read_only()
    assert rows(scanned(folder, disk.root / "w")) == known
    assert store.inspect(store.Workspace(disk.root / "w")).problems == ()
    (folder / "new.jpg").write_bytes(encoded(picture(5, 48)))
    for space in (disk.root / "w", disk.root / "other"):
        with pytest.raises(WorkspaceError, match="Read-only file system"):
            scanned(folder, space)
    disk.read_only(on=False)
    assert scanned(folder, disk.root / "w").stats.n_new == 1


def test_verdicts_on_a_full_disk(disk: Disk) -> None:
    """What was reported as kept is there; what could not be kept is an error."""
    space = store.Workspace(disk.root / "w").create()
    kept = 0
    with store.Verdicts(space) as verdicts:
        verdicts.add(Verdict("0" * 64, "human", "ann", 1.0, comment=""))
        disk.leave(64)
        error = None
        while error is None and kept < 1000:
            try:
                kept += verdicts.add(Verdict(f"{kept:063x}a", "ai", "ann", 1.0, comment="x" * 4000))
            except WorkspaceError as raised:
                error = raised
    assert error is not None
    assert "full" in error.message
    disk.clear()
    with store.Verdicts(space) as verdicts:
        assert len(verdicts.all()) == kept + 1
        verdicts.add(Verdict("f" * 64, "ai", "ann", 1.0, comment=""))
        assert verdicts.count() == kept + 2
        assert verdicts.check() == []


# --------------------------------------------------------------------- every kind of write of a check

STAGES = {
    "lock": ("genepool.store._workspace", "_flock"),
    "part": ("genepool.store._parts", "write_part"),
    "journal": ("genepool.store._journal", "Journal.append"),
    "listing": ("genepool.scan._scan", "ListingWriter"),
    "state": ("genepool.store._listing", "put_in_force"),
    "merged part": ("genepool.store._compact", "write_part"),
    "retired": ("genepool.scan._scan", "compact"),
    "origins": ("genepool.store._catalogue", "Catalogue.write_origins"),
    "log": ("genepool.provenance", "seal"),
    "decision": ("genepool.gate", "save"),
    "report": ("genepool.report", "write"),
}
QUICK = {"decision", "log"}


def checked(folder: Path, space: Path, monkeypatch: pytest.MonkeyPatch) -> Decision:
    monkeypatch.setattr("genepool.scan._scan.configured", lambda config: LocalEngine(inline=True))
    return pipeline.check(str(folder), workspace=str(space), config=CONFIG)


def told(decision: Decision, space: Path) -> tuple[Any, ...]:
    """What must not depend on whether an earlier run was disturbed."""
    from genepool.provenance import open_trail

    trail = open_trail(store.Workspace(space), CONFIG)
    data = decision.to_json()
    table = scanned_rows(space, decision.uri)
    claims = trail.attestations([r["sha256"] for r in table], [r["pixel"] for r in table])
    return (
        decision.status,
        decision.root,
        decision.n,
        data["measures"],
        [(f.code, f.status, len(f.cases)) for f in decision.failures],
        table,
        [len(found) for found in claims],
    )


def scanned_rows(space: Path, uri: str) -> list[dict[str, Any]]:
    from genepool import dataset, scan

    opened = dataset.open(uri, workspace=str(space))
    found = scan.scan(opened, config=CONFIG)
    assert found.stats.n_new == 0
    return rows(found)


def strike(monkeypatch: pytest.MonkeyPatch, stage: str, act: Callable[[], None]) -> None:
    """Call ``act`` once, just before the first write of a stage."""
    import importlib

    module, name = STAGES[stage]
    owner: Any = importlib.import_module(module)
    *path, last = name.split(".")
    for part in path:
        owner = getattr(owner, part)
    real = getattr(owner, last)
    struck = False

    def wrapper(*args: Any, **options: Any) -> Any:
        nonlocal struck
        if not struck:
            struck = True
            act()
        return real(*args, **options)

    monkeypatch.setattr(owner, last, wrapper)


class Prepared:
    """A workspace after a first check, and what an undisturbed second one says of one image more."""

    def __init__(self, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.home = place / "home"
        monkeypatch.setenv("GENEPOOL_HOME", str(self.home))
        self.folder = fill(place / "set", 8, size=48)
        self.first = place / "first"
        checked(self.folder, self.first, monkeypatch)
        (self.folder / "new.jpg").write_bytes(encoded(picture(90, 48)))
        self.use(monkeypatch, place)
        shutil.copytree(self.first, place / "second")
        self.expected = told(checked(self.folder, place / "second", monkeypatch), place / "second")

    def use(self, monkeypatch: pytest.MonkeyPatch, place: Path) -> None:
        """Work with the key that sealed the first check, and the heads that were seen then."""
        shutil.copytree(self.home, place / "home-copy")
        monkeypatch.setenv("GENEPOOL_HOME", str(place / "home-copy"))


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    with pytest.MonkeyPatch.context() as monkeypatch:
        return Prepared(tmp_path_factory.mktemp("prepared"), monkeypatch)


@pytest.mark.parametrize(
    ("how", "stage"),
    [
        pytest.param(how, stage, marks=() if stage in QUICK and how == "full" else pytest.mark.soak)
        for how in ("full", "frozen")
        for stage in STAGES
    ],
)
def test_a_check_that_meets_the_fault_at_one_kind_of_write(
    prepared: Prepared, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str, stage: str
) -> None:
    prepared.use(monkeypatch, tmp_path)
    with small_disk(tmp_path / "disk", 4096) as disk:
        # A first check was made, so that there is something to lose; then one image came, read in a part of
        # its own, and the parts are so many that they are merged.
        space = disk.root / "w" if how == "full" else tmp_path / "w"
        shutil.copytree(prepared.first, space)
        folders = [space, *(path for path in space.rglob("*") if path.is_dir())]

        def fault() -> None:
            if how == "full":
                disk.leave(0)
            else:
                for place in folders:
                    frozen(place)

        try:
            with monkeypatch.context() as context:
                strike(context, stage, fault)
                if how == "frozen" and stage in ("lock", "journal"):
                    # Files that are there already can be written; nothing else can.
                    context.setattr("genepool.store._journal._LARGE", 10)
                with pytest.raises(GenepoolError) as caught:
                    checked(prepared.folder, space, context)
        finally:
            disk.clear()
            if how == "frozen":
                for place in folders:
                    frozen(place, on=False)
        word = "No space left" if how == "full" else "Operation not permitted"
        assert word in caught.value.message, caught.value.message
        assert caught.value.exit_code == 3
        after = checked(prepared.folder, space, monkeypatch)
        assert store.inspect(store.Workspace(space)).problems == ()
        assert not leftovers(space)
        assert told(after, space) == prepared.expected
