"""The pass as a whole: what is read, reused, set aside; damage, full disks, bad probes."""

from __future__ import annotations

import errno
import hashlib
import os
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from genepool import dataset, store
from genepool.config import Config
from genepool.engine import LocalEngine
from genepool.errors import EngineError, PluginError, SourceError, WorkspaceError
from genepool.records import Item, Unit
from genepool.scan import ScanJob, load_probes, make_plan, scan
from support.probes import BadProbe, FailingSource, MeanProbe
from support.scans import encoded, fill, picture, rows, scanned, use_probes


@pytest.fixture(autouse=True)
def mean_only(monkeypatch: pytest.MonkeyPatch) -> None:
    use_probes(monkeypatch, MeanProbe())


def test_rows_are_complete_and_ordered(tmp_path: Path) -> None:
    folder = fill(tmp_path / "set", 9)
    (folder / "000.txt").write_text("a caption")
    catalogue = scanned(folder, tmp_path / "w")
    table = catalogue.table()
    uris = table.column("uri").to_pylist()
    assert uris == sorted(uris)
    assert catalogue.n == len(catalogue) == 9
    first = table.slice(0, 1).to_pylist()[0]
    data = (folder / "000.jpg").read_bytes()
    assert first["uri"] == "000.jpg"
    assert first["place"] == str(folder / "000.jpg")
    assert first["sha256"] == hashlib.sha256(data).digest()
    assert (first["width"], first["height"], first["size"]) == (96, 96, len(data))
    assert (first["format"], first["mode"], first["caption"]) == ("JPEG", "RGB", "a caption")
    assert first["decoder"].startswith("simplejpeg ")
    assert first["reason"] is first["note"] is None
    [vectors] = catalogue.vectors("colour")
    assert vectors.dtype == np.float32
    assert np.allclose(vectors.mean(axis=1), table.column("brightness").to_numpy(), atol=0.1)


def test_workers_do_not_change_the_result(tmp_path: Path) -> None:
    folder = fill(tmp_path / "set", 24)
    (folder / "cut.jpg").write_bytes(encoded(picture(1))[:700])
    one = scanned(folder, tmp_path / "one", workers=1)
    two = scanned(folder, tmp_path / "two", workers=2, config=Config().with_(scan__unit=12))
    assert one.stats.workers == 1
    assert two.stats.workers == 2
    assert rows(one) == rows(two)
    assert one.root() == two.root()
    assert one.cases() == two.cases()
    assert np.array_equal(
        np.concatenate(list(one.vectors("colour"))), np.concatenate(list(two.vectors("colour")))
    )


def test_a_day_of_few_images_takes_one_worker_and_leaves_one_part(tmp_path: Path) -> None:
    folder = fill(tmp_path / "set", 20)
    space = tmp_path / "w"
    first = scanned(folder, space, workers=2)
    assert first.stats.workers == 1
    fill(folder, 25, names="more-{:03}.jpg")
    grown = scanned(folder, space, workers=2)
    assert (grown.stats.n_new, grown.stats.workers) == (25, 1)
    assert len(store.part_names(grown.workspace.parts)) == 2
    assert rows(grown) == rows(scanned(folder, tmp_path / "afresh", workers=2))


def test_only_what_changed_is_read_again(tmp_path: Path) -> None:
    folder = fill(tmp_path / "set", 8)
    space = tmp_path / "w"
    first = scanned(folder, space)
    assert (first.stats.n_new, first.stats.n_reused) == (8, 0)
    again = scanned(folder, space)
    assert (again.stats.n_new, again.stats.n_reused, again.stats.workers) == (0, 8, 0)
    assert rows(again) == rows(first)

    (folder / "002.jpg").write_bytes(encoded(picture(77)))
    (folder / "new.png").write_bytes(encoded(picture(78), "PNG"))
    (folder / "004.jpg").unlink()
    third = scanned(folder, space)
    assert (third.stats.n_new, third.stats.n_reused) == (2, 6)
    fresh = scanned(folder, tmp_path / "fresh")
    assert rows(third) == rows(fresh)
    assert third.root() == fresh.root() != first.root()

    (folder / "new.png").unlink()
    fourth = scanned(folder, space)
    assert (fourth.stats.n_new, fourth.n) == (0, 7)

    everything = scanned(folder, space, rescan=True)
    assert everything.stats.n_new == 7
    assert rows(everything) == rows(fourth)
    assert scanned(folder, space).stats.n_new == 0


def test_touching_a_file_reads_it_again(tmp_path: Path) -> None:
    folder = fill(tmp_path / "set", 3)
    scanned(folder, tmp_path / "w")
    os.utime(folder / "000.jpg", ns=(1, 1))
    assert scanned(folder, tmp_path / "w").stats.n_new == 1


def test_parts_are_shared_by_the_datasets_of_a_workspace(tmp_path: Path) -> None:
    folder = fill(tmp_path / "set", 10)
    whole = scanned(folder, tmp_path / "w")
    inner = scanned(folder / "sub", tmp_path / "w")
    assert (inner.stats.n_new, inner.n) == (0, 5)
    assert inner.table(["uri"]).column(0).to_pylist() == [f"{i:03}.jpg" for i in range(1, 10, 2)]
    assert scanned(folder, tmp_path / "w").stats.n_new == 0
    assert rows(whole) == rows(scanned(folder, tmp_path / "w"))


def test_a_selection_is_a_dataset_of_its_own(tmp_path: Path) -> None:
    folder = fill(tmp_path / "set", 6)
    whole = scanned(folder, tmp_path / "w")
    some = scanned(folder, tmp_path / "w", select=["000.jpg", "sub/001.jpg", "gone.jpg"])
    assert (some.n, some.stats.n_new) == (2, 0)
    assert rows(some) == rows(whole.select(["000.jpg", "sub/001.jpg"]))
    assert scanned(folder, tmp_path / "w").n == 6


def test_a_changed_plan_reads_everything_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = fill(tmp_path / "set", 4)
    before = scanned(folder, tmp_path / "w")
    monkeypatch.setattr(MeanProbe, "version", "2")
    after = scanned(folder, tmp_path / "w")
    assert after.stats.n_new == 4
    assert after.plan != before.plan
    limited = Config().with_(scan__max_pixels=96 * 96 - 1)
    strict = scanned(folder, tmp_path / "w", config=limited)
    assert (strict.n, strict.stats.n_new) == (0, 4)
    assert {case.reason for case in strict.cases()} == {"too-many-pixels"}
    assert strict.table().num_rows == 0
    assert list(strict.vectors("colour")) == []


def test_bad_files_are_set_aside_and_the_rest_goes_on(tmp_path: Path) -> None:
    folder = fill(tmp_path / "set", 4)
    good = encoded(picture(1))
    (folder / "cut.jpg").write_bytes(good[: len(good) // 2])
    (folder / "zero.jpg").write_bytes(b"")
    (folder / "text.png").write_bytes(b"this is not an image at all")
    (folder / "named.png").write_bytes(good)
    (folder / "copy.jpg").write_bytes(good)
    (folder / "link.jpg").symlink_to(folder / "nowhere.jpg")
    os.mkfifo(folder / "pipe.jpg")
    (folder / os.fsdecode(b"bad-\xff-name.jpg")).write_bytes(good)
    catalogue = scanned(folder, tmp_path / "w")
    reasons = {case.uri: case.reason for case in catalogue.cases()}
    assert reasons["cut.jpg"] == "truncated"
    assert reasons["zero.jpg"] == "empty"
    assert reasons["text.png"] == "not-an-image"
    # Whatever lies in the folder is either a row or a case: nothing is lost.
    uris = catalogue.table(["uri"]).column(0).to_pylist()
    named = {p.name for p in folder.iterdir() if p.is_file() or p.is_symlink() or p.is_fifo()}
    told = {uri.rpartition("/")[2] for uri in [*uris, *reasons]}
    assert {os.fsencode(n).decode("utf-8", "backslashreplace") for n in named} <= {
        os.fsencode(n).decode("utf-8", "backslashreplace") for n in told
    }
    cut = next(case for case in catalogue.cases() if case.uri == "cut.jpg")
    assert cut.sha256 == hashlib.sha256((folder / "cut.jpg").read_bytes()).hexdigest()
    table = catalogue.table(["uri", "note", "sha256"]).to_pylist()
    assert next(r for r in table if r["uri"] == "named.png")["note"] == "wrong-extension"
    # Two files of equal bytes are two images, and count twice in the root.
    equal = [r for r in table if r["sha256"] == hashlib.sha256(good).digest()]
    assert {r["uri"] for r in equal} >= {"named.png", "copy.jpg"}
    assert catalogue.root() == store.merkle_root([r["sha256"] for r in table])
    assert catalogue.stats.n_aside == len(catalogue.cases())
    assert scanned(folder, tmp_path / "w").cases() == catalogue.cases()


def test_unreadable_file(tmp_path: Path) -> None:
    folder = fill(tmp_path / "set", 3)
    (folder / "000.jpg").chmod(0)
    if os.access(folder / "000.jpg", os.R_OK):
        pytest.skip("this user may read every file")
    catalogue = scanned(folder, tmp_path / "w")
    assert [(c.uri, c.reason) for c in catalogue.cases()] == [("000.jpg", "unreadable")]


@pytest.mark.parametrize("how", ["raise", "stop"])
def test_a_source_that_breaks_its_promise_loses_nothing(tmp_path: Path, how: str) -> None:
    items = tuple(Item(f"{i}.jpg", "", f"/{i}.jpg") for i in range(5))
    plan = make_plan(Config(), [MeanProbe()])
    space = store.Workspace(tmp_path / "w").create()
    result = ScanJob(space.parts, plan)(Unit("u", items, FailingSource(how)))
    assert (result.n, result.n_aside) == (5, 5)
    index = store.PartIndex(space.parts, plan.digest, vectors=True)
    index.load()
    assert index.damaged == {}
    keys = b"".join(store.part_key(item.path, "", plan.digest) for item in items)
    assert index.find(keys)[1].tolist() == [0, 1, 2, 3, 4]


def test_empty_folder(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    with pytest.raises(SourceError):
        scanned(tmp_path / "set", tmp_path / "w")
    (tmp_path / "set" / "notes.txt").write_text("nothing here")
    with pytest.raises(SourceError):
        scanned(tmp_path / "set", tmp_path / "w")


@pytest.mark.parametrize("how", ["raise", "wrong shape", "missing", "wrong type"])
def test_a_probe_that_fails_on_one_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    use_probes(monkeypatch, BadProbe(how))
    folder = fill(tmp_path / "set", 4)
    (folder / "poison.jpg").write_bytes(encoded(picture(9)))
    catalogue = scanned(folder, tmp_path / "w")
    table = {row["uri"]: row for row in catalogue.table().to_pylist()}
    assert catalogue.n == 5
    poisoned = table["poison.jpg"]
    assert poisoned["brightness"] is None
    assert poisoned["pixel"] is not None
    if how == "wrong type":
        assert "brightness: expected float, found str" in poisoned["note"]
    else:
        assert poisoned["note"].startswith("probe bad failed: ")
        assert "\n" not in poisoned["note"]
        assert catalogue.stats.failures == {"bad": 1}
        assert scanned(folder, tmp_path / "w").stats.failures == {"bad": 1}
        vectors = np.concatenate(list(catalogue.vectors("colour")))
        assert np.isnan(vectors).all(axis=1).tolist() == [uri == "poison.jpg" for uri in table]
    assert all(row["note"] is None for uri, row in table.items() if uri != "poison.jpg")


@pytest.mark.parametrize(
    "how", ["memory", *(pytest.param(how, marks=pytest.mark.soak) for how in ("abort", "segfault", "hang"))]
)
def test_a_probe_that_kills_or_stalls_its_worker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    use_probes(monkeypatch, BadProbe(how))
    folder = fill(tmp_path / "set", 20)
    (folder / "poison.jpg").write_bytes(encoded(picture(9)))
    catalogue = scanned(folder, tmp_path / "w", workers=2, timeout=1.0 if how == "hang" else 60)
    assert catalogue.n == 20
    [case] = catalogue.cases()
    assert (case.uri, case.reason) == ("poison.jpg", "quarantined")
    word = {"abort": "SIGABRT", "segfault": "SIGSEGV", "hang": "no progress", "memory": "137"}[how]
    assert word in case.message
    assert scanned(folder, tmp_path / "w").stats.n_new == 0


def test_probes_that_cannot_be_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = fill(tmp_path / "set", 2)
    use_probes(monkeypatch, MeanProbe(), BadProbe("raise"))
    with pytest.raises(PluginError, match="column 'brightness' is already taken"):
        scanned(folder, tmp_path / "w")
    use_probes(monkeypatch, "no probe")
    with pytest.raises(PluginError, match="expected name, version"):
        scanned(folder, tmp_path / "w")


def test_the_installed_probes_load() -> None:
    names = [probe.name for probe in load_probes(Config())]
    assert sorted(names) == ["detection", "embedding", "evidence"]
    plan = make_plan(Config(), load_probes(Config()))
    assert plan.vectors["style"] > 0
    assert {"evidence", "c2pa", "rights", "embedder", "detector", "logit", "abstained"} <= set(plan.columns)
    assert make_plan(Config(), load_probes(Config())[::-1]).digest == plan.digest


def test_progress_counts_what_is_read(tmp_path: Path) -> None:
    folder = fill(tmp_path / "set", 20)
    (folder / "cut.jpg").write_bytes(encoded(picture(1))[:900])
    calls: list[tuple[int, int, int, float]] = []
    scanned(folder, tmp_path / "w", progress=lambda *a: calls.append(a))
    assert calls[0] == (0, 21, 0, 0.0)
    assert calls[-1][:3] == (21, 21, 1)
    assert [c[0] for c in calls] == sorted(c[0] for c in calls)
    again: list[object] = []
    scanned(folder, tmp_path / "w", progress=lambda *a: again.append(a))
    assert again == []


def test_damaged_parts_are_named_removed_and_read_anew(tmp_path: Path) -> None:
    folder = fill(tmp_path / "set", 30)
    space = tmp_path / "w"
    before = rows(scanned(folder, space))
    parts = sorted((space / "catalogue" / "parts").glob("*.parquet"))
    core = next(p for p in parts if not p.name.endswith(".vec.parquet"))
    for damage in (
        lambda p: p.write_bytes(p.read_bytes()[:-40]),
        lambda p: p.unlink(),
        lambda p: flip(p, 60),
    ):
        for victim in (core, core.with_name(core.name.replace(".parquet", ".vec.parquet"))):
            damage(victim)
            after = scanned(folder, space)
            assert after.stats.n_new > 0
            assert rows(after) == before
            assert core.name.removesuffix(".parquet") in " ".join(after.stats.damaged)
    assert scanned(folder, space).stats.n_new == 0


def flip(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 0xFF
    path.write_bytes(data)


def test_damage_found_while_reading_is_told_and_cured_by_the_next_scan(tmp_path: Path) -> None:
    folder = fill(tmp_path / "set", 6)
    catalogue = scanned(folder, tmp_path / "w")
    expected = rows(catalogue)
    fresh = scanned(folder, tmp_path / "w")
    part = next((tmp_path / "w" / "catalogue" / "parts").glob("*.vec.parquet"))
    flip(part, 20)
    with pytest.raises(WorkspaceError, match="damaged and has been moved aside"):
        list(fresh.vectors("colour"))
    assert rows(scanned(folder, tmp_path / "w")) == expected


def test_a_lost_listing_is_made_from_the_parts(tmp_path: Path) -> None:
    folder = fill(tmp_path / "set", 5)
    before = scanned(folder, tmp_path / "w")
    for state in (tmp_path / "w" / "catalogue" / "sets").glob("*/state.json"):
        state.write_text("{ not json")
    after = scanned(folder, tmp_path / "w")
    assert (after.stats.n_new, rows(after)) == (0, rows(before))


@pytest.mark.parametrize("at", range(12))
def test_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: int) -> None:
    """The n-th write finds the disk full: an error that says so, nothing half-written, the rest next time."""
    folder = fill(tmp_path / "set", 34)
    space = tmp_path / "w"
    store.Workspace(space).create()
    real, count = os.write, 0

    def write(descriptor: int, data: bytes) -> int:
        nonlocal count
        count += 1
        if count > at:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(descriptor, data[: max(1, len(data) // 2)])

    monkeypatch.setattr("genepool.store._files.os.write", write)
    with pytest.raises(WorkspaceError, match="No space left on device") as caught:
        scanned(folder, space)
    assert "finished parts are kept" in caught.value.hint
    assert caught.value.exit_code == 3
    monkeypatch.undo()
    assert not list(space.rglob(".*.tmp"))
    for part in store.part_names(space / "catalogue" / "parts"):
        assert store.check_part(space / "catalogue" / "parts", part) == ""
    use_probes(monkeypatch, MeanProbe())
    resumed = scanned(folder, space)
    assert resumed.n == 34
    assert rows(resumed) == rows(scanned(folder, tmp_path / "fresh"))


def test_a_busy_workspace(tmp_path: Path) -> None:
    import fcntl

    folder = fill(tmp_path / "set", 2)
    space = store.Workspace(tmp_path / "w").create()
    with open(space.root / "lock", "w") as file:
        file.write("4242\n")
        file.flush()
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(WorkspaceError, match="process 4242"):
            scanned(folder, tmp_path / "w")
    scanned(folder, tmp_path / "w")


def test_images_in_memory(tmp_path: Path) -> None:
    images = [picture(i) for i in range(3)]
    catalogue = scan(dataset.open(images), config=Config(), engine=LocalEngine(inline=True))
    assert catalogue.n == 3
    again = scan(
        dataset.open([picture(i) for i in range(3)]), config=Config(), engine=LocalEngine(inline=True)
    )
    assert again.stats.n_new == 0
    assert again.workspace.root == catalogue.workspace.root
    raster = np.asarray(images[0])
    assert np.array_equal(np.asarray(Image.fromarray(raster)), raster)


def test_an_engine_that_loses_a_unit(tmp_path: Path) -> None:
    class Lossy(LocalEngine):
        def run(self, job, units):  # type: ignore[no-untyped-def]
            yield from list(super().run(job, units))[:0]
            for part in Path(tmp_path / "w" / "catalogue" / "parts").iterdir():
                part.unlink()

    folder = fill(tmp_path / "set", 2)
    opened = dataset.open(str(folder), workspace=str(tmp_path / "w"))
    with pytest.raises(EngineError, match="found none in any part"):
        scan(opened, config=Config(), engine=Lossy(inline=True))


def test_reasons_are_counted(tmp_path: Path) -> None:
    folder = fill(tmp_path / "set", 2)
    for i in range(3):
        (folder / f"bad{i}.jpg").write_bytes(b"\xff\xd8\xff\xe0 nothing more")
    catalogue = scanned(folder, tmp_path / "w")
    assert Counter(c.reason for c in catalogue.cases()).total() == 3
    assert catalogue.stats.n_aside == 3
    assert catalogue.select(["bad0.jpg"]).n == 0
    assert len(catalogue.select(["bad0.jpg"]).cases()) == 1


def test_the_same_images_in_every_container(tmp_path: Path) -> None:
    """Folder, tar shard and Parquet: the same digests, the same vectors, the same root."""
    import io
    import tarfile

    import pyarrow as pa
    import pyarrow.parquet as pq

    images = {f"{i:03}.jpg": encoded(picture(i)) for i in range(9)}
    (tmp_path / "set").mkdir()
    for name, data in images.items():
        (tmp_path / "set" / name).write_bytes(data)
    with tarfile.open(tmp_path / "s-0.tar", "w") as tar:
        for name, data in images.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    pq.write_table(pa.table({"image": list(images.values())}), tmp_path / "set.parquet")

    folder = scanned(tmp_path / "set", tmp_path / "w")
    shard = scanned(tmp_path / "s-0.tar", tmp_path / "w")
    table = scanned(tmp_path / "set.parquet", tmp_path / "w")
    assert folder.root() == shard.root() == table.root()
    columns = ["sha256", "pixel", "phash", "width", "brightness"]
    expected = sorted(map(repr, folder.table(columns).to_pylist()))
    for other in (shard, table):
        assert other.stats.n_new == 9
        assert sorted(map(repr, other.table(columns).to_pylist())) == expected
        assert scanned(Path(other.dataset.uri), tmp_path / "w").stats.n_new == 0
