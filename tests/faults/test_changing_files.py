"""Files that change, go or come back while they are scanned, and files that could not be read only once."""

from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from genepool.dataset import FolderSource, WebDatasetSource
from genepool.records import Item, Sample
from genepool.store import Journal
from support.probes import MeanProbe
from support.scans import encoded, fill, picture, rows, scanned, use_probes


@pytest.fixture(autouse=True)
def mean_only(monkeypatch: pytest.MonkeyPatch) -> None:
    use_probes(monkeypatch, MeanProbe())


def during(monkeypatch: pytest.MonkeyPatch, kind: type, uri: str, act: object, *, after: bool) -> None:
    """Call ``act`` as the scan reads ``uri``: just before its bytes are read, or just after."""
    real = kind.read

    def read(self: object, items: Sequence[Item]) -> Iterator[Sample]:
        for item in items:
            if item.uri == uri and not after:
                act()  # type: ignore[operator]
            yield from _then(real(self, [item]), act if item.uri == uri and after else None)

    monkeypatch.setattr(kind, "read", read)


def _then(samples: Iterator[Sample], act: object) -> Iterator[Sample]:
    found = list(samples)
    if act is not None:
        act()  # type: ignore[operator]
    yield from found


@pytest.mark.parametrize("after", [False, True])
def test_a_file_that_changes_while_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: bool
) -> None:
    folder, space = fill(tmp_path / "set", 6, size=48), tmp_path / "w"
    victim = folder / "002.jpg"
    with monkeypatch.context() as context:
        during(
            context,
            FolderSource,
            "002.jpg",
            lambda: victim.write_bytes(encoded(picture(77, 48), quality=70)),
            after=after,
        )
        first = scanned(folder, space)
    [case] = first.cases()
    assert (case.uri, case.reason, first.n) == ("002.jpg", "changed", 5)
    assert "it was changed while it was read" in case.message
    second = scanned(folder, space)
    assert (second.stats.n_new, second.n, second.cases()) == (1, 6, [])
    assert rows(second) == rows(scanned(folder, tmp_path / "fresh"))
    assert scanned(folder, space).stats.workers == 0


def test_a_file_that_changes_and_is_put_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With its old time: what was read in between must not be taken for it."""
    folder, space = fill(tmp_path / "set", 4, size=48), tmp_path / "w"
    victim = folder / "000.jpg"
    data, stamp = victim.read_bytes(), victim.stat().st_mtime_ns
    with monkeypatch.context() as context:
        during(context, FolderSource, "000.jpg", lambda: victim.write_bytes(b"other"), after=False)
        scanned(folder, space)
    victim.write_bytes(data)
    os.utime(victim, ns=(stamp, stamp))
    second = scanned(folder, space)
    assert (second.stats.n_new, second.n) == (1, 4)
    assert rows(second) == rows(scanned(folder, tmp_path / "fresh"))


@pytest.mark.parametrize("after", [False, True])
def test_a_file_that_goes_while_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: bool
) -> None:
    folder, space = fill(tmp_path / "set", 4, size=48), tmp_path / "w"
    with monkeypatch.context() as context:
        during(context, FolderSource, "000.jpg", (folder / "000.jpg").unlink, after=after)
        first = scanned(folder, space)
    assert [(c.uri, c.reason) for c in first.cases()] == [("000.jpg", "vanished")]
    second = scanned(folder, space)
    assert (second.n, second.cases(), second.stats.changes.removed) == (3, [], 1)


def test_a_shard_that_is_written_anew_while_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def shard(first: int) -> None:
        with tarfile.open(tmp_path / "s-0.tar", "w") as tar:
            for i in range(4):
                data = encoded(picture(first + i, 48))
                member = tarfile.TarInfo(f"{i}.jpg")
                member.size = len(data)
                tar.addfile(member, io.BytesIO(data))

    shard(1)
    with monkeypatch.context() as context:
        during(context, WebDatasetSource, "s-0.tar::2.jpg", lambda: shard(50), after=False)
        first = scanned(tmp_path / "s-0.tar", tmp_path / "w")
    assert first.n == 2
    assert {case.uri for case in first.cases()} == {"s-0.tar::2.jpg", "s-0.tar::3.jpg"}
    assert {case.reason for case in first.cases()} <= {"changed", "vanished"}
    second = scanned(tmp_path / "s-0.tar", tmp_path / "w")
    assert (second.n, second.cases()) == (4, [])
    assert rows(second) == rows(scanned(tmp_path / "s-0.tar", tmp_path / "fresh"))


def test_what_could_not_be_read_once_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An I/O error leaves the file's time as it is: without another try it would never be an image again."""
    folder, space = fill(tmp_path / "set", 5, size=48), tmp_path / "w"

    def fail() -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as context:
        during(context, FolderSource, "002.jpg", fail, after=False)
        first = scanned(folder, space)
    # The source failed at 002.jpg: it and what came after it in the unit could not be read.
    assert {case.reason for case in first.cases()} == {"unreadable"}
    before = first.n
    assert before < 5
    second = scanned(folder, space)
    assert (second.n, second.stats.n_new) == (5, 5 - before)
    assert rows(second) == rows(scanned(folder, tmp_path / "fresh"))
    assert first.origins() is second.origins() is None


def test_what_was_added_removed_and_changed_is_told(tmp_path: Path) -> None:
    folder, space = fill(tmp_path / "set", 8, size=48), tmp_path / "w"
    assert scanned(folder, space).stats.changes is None
    assert not scanned(folder, space).stats.changes
    (folder / "sub" / "001.jpg").unlink()
    (folder / "004.jpg").unlink()
    (folder / "002.jpg").write_bytes(encoded(picture(60, 48)))
    (folder / "aaa.jpg").write_bytes(encoded(picture(61, 48)))
    (folder / "zzz.jpg").write_bytes(encoded(picture(62, 48)))
    (folder / "sub" / "zz.jpg").write_bytes(encoded(picture(63, 48)))
    changes = scanned(folder, space).stats.changes
    assert changes.to_json() == {
        "added": {"n": 3, "uris": ["aaa.jpg", "sub/zz.jpg", "zzz.jpg"]},
        "removed": {"n": 2, "uris": ["004.jpg", "sub/001.jpg"]},
        "changed": {"n": 1, "uris": ["002.jpg"]},
    }
    # Another plan reads everything, and the set is still the same.
    use = scanned(folder, space, rescan=True).stats
    assert (use.n_new, bool(use.changes)) == (9, False)
    from genepool.store import Workspace

    told = [run.facts.get("changes") for run in Journal(Workspace(space)).runs()]
    assert told[1] == changes.to_json(20)
