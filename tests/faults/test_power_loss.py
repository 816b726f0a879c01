"""After a loss of power at any moment the log opens, keeps what it promised, and never signs a fork."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from genepool.errors import WorkspaceError
from genepool.provenance import Ledger, Signer
from support.powerloss import Disk, Recorder, outcomes

KEY = Signer("test", bytes(range(32)))
BATCHES = (3, 250, 1, 5, 600, 2)


def record(
    folder: Path, monkeypatch: pytest.MonkeyPatch, *, syncfs: bool, batches: tuple[int, ...]
) -> Recorder:
    """A writer's whole life, from the empty folder on."""
    recorder = Recorder(folder)
    with monkeypatch.context() as patch:
        recorder.install(patch, syncfs=syncfs)
        ledger = Ledger.open(folder / "log", create=True, signer=KEY, origin="example.org/log")
        recorder.note("said", 0)
        for count in batches:
            ledger.append([b"%d" % (ledger.size + i) for i in range(count)])
            recorder.note("said", ledger.size)
    return recorder


def check(place: Path, disk: Disk, why: str) -> None:
    """What is left must be a sound log that goes on, with every promise kept."""
    promised = max(disk.said, default=-1)
    if not (place / "checkpoint").exists():
        assert promised < 0, why
        if (place / "tile").exists():
            with pytest.raises(WorkspaceError):
                Ledger.open(place, signer=KEY)
        return
    ledger = Ledger.open(place, signer=KEY)
    ledger.audit()
    assert ledger.size >= promised, why
    written = ledger.size
    with ledger.writing():  # a head that was journalled is finished here
        written = ledger.size
    assert ledger.size >= max((size for size, _ in disk.signed), default=0), why
    ledger.append([b"another batch"] * 7)
    ledger.audit()
    assert list(ledger.entries(0, written)) == [b"%d" % i for i in range(written)], why
    for size, root in disk.signed:
        assert ledger.root_at(size) == root, f"{why}: two roots were signed at size {size}"


@pytest.fixture(autouse=True)
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    """What this process forces in earnest proves nothing here: the replay decides what is safe."""
    monkeypatch.setattr("genepool.provenance._files._sync_file_system", lambda path: None)
    monkeypatch.setattr("genepool.provenance._files._syncfs", len)
    monkeypatch.setattr("genepool.provenance._files._fsync", lambda path: None)
    monkeypatch.setattr(os, "fsync", lambda handle: None)


def replay(recorder: Recorder, folder: Path, *, extra: int, seed: int = 0) -> int:
    disk, tried = Disk(recorder.root), 0
    for at, operation in enumerate(recorder.operations):
        disk.do(operation)
        for name, choose, content in outcomes(seed + at, extra):
            place = folder / "after"
            disk.lose_power(place, choose, content)
            check(place / "log", disk, f"after operation {at} ({operation[:2]}), {name}")
            shutil.rmtree(place, ignore_errors=True)
            tried += 1
    return tried


@pytest.mark.parametrize("syncfs", [True, False], ids=["syncfs", "fsync"])
def test_every_prefix_of_a_writers_life(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, syncfs: bool
) -> None:
    few = (3, 250, 1, 5, 300) if syncfs else (2, 255)
    recorder = record(tmp_path / "disk", monkeypatch, syncfs=syncfs, batches=few)
    kinds = {operation[0] for operation in recorder.operations}
    assert kinds >= {"mkdir", "create", "write", "rename", "fsync", "signed", "said"}
    assert ("syncfs" in kinds) == syncfs
    assert replay(recorder, tmp_path, extra=1) > 150


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("syncfs", [True, False], ids=["syncfs", "fsync"])
def test_every_prefix_many_times(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, syncfs: bool, seed: int
) -> None:
    recorder = record(tmp_path / "disk", monkeypatch, syncfs=syncfs, batches=BATCHES)
    replay(recorder, tmp_path, extra=10, seed=1_000_000 * (seed + 1))


@pytest.mark.parametrize("missing", ["barrier", "journal", "checkpoint"])
def test_the_shim_finds_a_writer_that_forces_too_little(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    """Without one of the forced steps the replay must fail; otherwise it would prove nothing."""
    recorder = record(tmp_path / "disk", monkeypatch, syncfs=True, batches=(3, 254))

    def dropped(operation: tuple[object, ...]) -> bool:
        if missing == "barrier":
            return operation[0] == "syncfs"
        name = {"journal": "signed-heads", "checkpoint": "checkpoint.tmp"}[missing]
        return operation[0] == "fsync" and str(operation[1]).endswith(name)

    kept = [operation for operation in recorder.operations if not dropped(operation)]
    assert len(kept) < len(recorder.operations)
    recorder.operations = kept
    with pytest.raises(Exception):  # noqa: B017, PT011 — any alarm will do
        replay(recorder, tmp_path, extra=2)
