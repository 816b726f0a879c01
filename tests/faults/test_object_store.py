"""An object store that fails, stalls, cuts short and goes away: a right result or a clear error."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from genepool import dataset, store
from genepool.errors import SourceError, WorkspaceError
from genepool.provenance import _rehash as provenance
from support.buckets import KEY, SECRET, Fault, Store
from support.probes import MeanProbe
from support.scans import encoded, fill, picture, rows, scanned, use_probes

pytestmark = pytest.mark.xdist_group("s3")

FAULTS = ("error", "reset", "truncated", "short")
N = 8


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = fill(tmp_path_factory.mktemp("far") / "data", N, size=64)
    (root / "000.txt").write_text("a caption")
    (root / "sub" / "001.jpg.genepool.json").write_text('{"artist": "Ada", "origin": "human_made"}')
    return root


@pytest.fixture(autouse=True)
def few_probes(monkeypatch: pytest.MonkeyPatch) -> None:
    use_probes(monkeypatch, MeanProbe())


def as_folder(folder: Path, place: Path) -> Path:
    return folder


def as_tar(folder: Path, place: Path) -> Path:
    place.mkdir()
    with tarfile.open(place / "shard-000.tar", "w") as archive:
        for path in sorted(folder.rglob("*.jpg")):
            archive.add(path, path.relative_to(folder))
        info = tarfile.TarInfo("000.txt")
        info.size = 9
        archive.addfile(info, io.BytesIO(b"a caption"))
    return place


def as_parquet(folder: Path, place: Path) -> Path:
    place.mkdir()
    data = [path.read_bytes() for path in sorted(folder.rglob("*.jpg"))]
    table = pa.table(
        {"image": pa.array(data, pa.binary()), "caption": [f"no. {i}" for i in range(len(data))]}
    )
    pq.write_table(table, place / "part.parquet", row_group_size=3)
    return place


def known(catalogue: store.Catalogue) -> list[dict[str, object]]:
    """Rows without their place."""
    return [{k: v for k, v in row.items() if k != "place"} for row in rows(catalogue)]


@pytest.mark.parametrize("form", [as_folder, as_tar, as_parquet])
def test_faults_that_pass_leave_no_trace(
    form: Callable[[Path, Path], Path], folder: Path, tmp_path: Path, s3: Store
) -> None:
    data = form(folder, tmp_path / "form")
    near = scanned(data, tmp_path / "near")
    url = s3.upload(data)
    for kind in (*FAULTS, "slow"):
        for path in ("list-type", r"\.(jpg|tar|parquet)$"):
            s3.proxy.faults.append(Fault(kind, path, times=1))
    s3.proxy.faults += [Fault(kind, method="HEAD", times=1) for kind in ("error", "reset")]
    far = scanned(url, tmp_path / "far")
    assert [fault.kind for fault in s3.proxy.faults if fault.times] == []
    assert known(far) == known(near)
    assert far.root() == near.root()
    assert far.cases() == near.cases() == []
    # The second scan lists, and reads no image.
    s3.proxy.clear()
    again = scanned(url, tmp_path / "far")
    assert again.stats.n_new == 0
    assert again.root() == near.root()
    assert s3.proxy.count("GET", r"\.jpg$") == 0


def test_images_out_of_reach_are_cases_and_are_tried_again(folder: Path, tmp_path: Path, s3: Store) -> None:
    url = s3.upload(folder)
    away = ["000.jpg", "002.jpg", "sub/001.jpg", "sub/003.jpg"]
    for kind, name in zip(FAULTS, away, strict=True):
        s3.proxy.faults.append(Fault(kind, f"/data/{name}$"))
    far = scanned(url, tmp_path / "ws")
    assert [(case.uri, case.reason) for case in far.cases()] == [(name, "unreachable") for name in away]
    assert all("5 tries" in case.message for case in far.cases())
    assert far.n == N - 4
    # One of them comes back; the others are tried again, are still cases, and nothing is doubled.
    del s3.proxy.faults[0]
    again = scanned(url, tmp_path / "ws")
    assert (again.stats.n_new, again.n, len(again.cases())) == (4, N - 3, 3)
    s3.proxy.clear()
    whole = scanned(url, tmp_path / "ws")
    assert (whole.stats.n_new, whole.n, whole.cases()) == (3, N, [])
    assert whole.root() == scanned(folder, tmp_path / "near").root()
    assert scanned(url, tmp_path / "ws").stats.n_new == 0


def test_a_sidecar_out_of_reach_makes_its_image_wait(folder: Path, tmp_path: Path, s3: Store) -> None:
    url = s3.upload(folder)
    s3.proxy.faults.append(Fault("error", r"genepool\.json"))
    far = scanned(url, tmp_path / "ws")
    assert [(case.uri, case.reason) for case in far.cases()] == [("sub/001.jpg", "unreachable")]
    s3.proxy.clear()
    near = scanned(folder, tmp_path / "near")
    assert known(scanned(url, tmp_path / "ws")) == known(near)


def test_a_store_that_is_down_ends_the_scan_and_the_next_one_goes_on(
    tmp_path: Path, s3: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = fill(tmp_path / "data", 24, size=32)
    url = s3.upload(data)
    monkeypatch.setenv("GENEPOOL_PATIENCE", "0.02")
    # The first unit (16 images) is answered; then the store goes away.
    s3.proxy.faults.append(Fault("error", r"/data/sub/"))
    with pytest.raises(
        SourceError, match=r"s3://.*/sub/\d+\.jpg: the store does not answer, \d+ objects in a row"
    ) as caught:
        scanned(url, tmp_path / "ws", workers=1)
    assert "finished parts are kept" in caught.value.hint
    s3.proxy.clear()
    whole = scanned(url, tmp_path / "ws")
    assert (whole.n, whole.cases()) == (24, [])
    assert whole.root() == scanned(data, tmp_path / "near").root()


@pytest.mark.parametrize("form", [as_folder, as_tar, as_parquet])
def test_half_a_listing_is_no_dataset(
    form: Callable[[Path, Path], Path], folder: Path, tmp_path: Path, s3: Store
) -> None:
    url = s3.upload(form(folder, tmp_path / "form"))
    for fault in (
        Fault("error", r"prefix=data%2Fsub|\.tar|\.parquet"),
        Fault("truncated", r"prefix=data%2F|\.tar|\.parquet"),
    ):
        s3.proxy.faults[:] = [fault]
        with pytest.raises(SourceError, match=r"cannot be listed: s3://"):
            scanned(url, tmp_path / "ws")
    s3.proxy.clear()
    assert scanned(url, tmp_path / "ws").n == N


def test_what_needs_every_image_does_not_go_on_without_one(folder: Path, tmp_path: Path, s3: Store) -> None:
    opened = dataset.open(s3.upload(folder))
    s3.proxy.faults.append(Fault("error", r"/data/sub/003\.jpg"))
    for attempt in (
        lambda: dataset.export(opened, None, tmp_path / "out"),
        lambda: provenance.hash_dataset(opened),
    ):
        with pytest.raises(SourceError, match=r"sub/003\.jpg: cannot be fetched now"):
            attempt()
    assert not (tmp_path / "out").exists()
    s3.proxy.clear()
    assert dataset.export(opened, None, tmp_path / "out").n == N


def test_objects_replaced_during_the_scan_are_noticed(folder: Path, tmp_path: Path, s3: Store) -> None:
    url = s3.upload(folder)
    opened = dataset.open(url)
    items = list(opened.items([]))
    other = encoded(picture(77, 64), quality=90)
    s3.fs().pipe_file(f"{s3.bucket}/data/002.jpg", other)
    same = bytearray((folder / "004.jpg").read_bytes())
    same[-3] ^= 1
    s3.fs().pipe_file(f"{s3.bucket}/data/004.jpg", bytes(same))
    told = {s.item.uri: s.case.reason for s in opened.source.read(items) if s.case}
    assert told == {"002.jpg": "changed", "004.jpg": "changed"}
    s3.fs().rm_file(f"{s3.bucket}/data/006.jpg")
    told = {s.item.uri: s.case.reason for s in opened.source.read(items) if s.case}
    assert told["006.jpg"] == "vanished"


def test_a_part_that_cannot_be_put_is_no_part(folder: Path, tmp_path: Path, s3: Store) -> None:
    s3.proxy.faults.append(Fault("error", "catalogue/parts", method="PUT"))
    with pytest.raises(WorkspaceError, match=r"s3://.*/catalogue/parts/.*: cannot be written"):
        scanned(folder, f"{s3.url}/ws")
    s3.proxy.clear()
    far = scanned(folder, f"{s3.url}/ws")
    assert (far.n, far.cases()) == (N, [])
    assert rows(far) == rows(scanned(folder, tmp_path / "near"))
    assert len([name for name in s3.names("ws/catalogue/parts") if "vec" not in name]) == 1


def test_every_kind_of_put_may_fail_for_a_while(folder: Path, tmp_path: Path, s3: Store) -> None:
    for path in ("/locks/", "catalogue/parts", "/files/", "manifests/"):
        s3.proxy.faults += [Fault(kind, path, "PUT", times=1) for kind in ("error", "lost", "slow")]
    s3.proxy.faults += [Fault(kind, "list-type", times=1) for kind in FAULTS]
    far = scanned(folder, f"{s3.url}/ws")
    assert rows(far) == rows(scanned(folder, tmp_path / "near"))
    assert [n.rpartition("/")[2] for n in s3.names("ws/manifests")] == ["0000000001"]


def test_a_manifest_that_cannot_be_put_leaves_the_old_state(
    folder: Path, tmp_path: Path, s3: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"{s3.url}/ws"
    scanned(folder, url)
    fill(tmp_path / "more", 3, size=32)
    s3.proxy.faults.append(Fault("error", "manifests/", method="PUT"))
    with pytest.raises(WorkspaceError, match=r"manifests/0000000002: cannot be written"):
        scanned(tmp_path / "more", url)
    s3.proxy.clear()
    assert [n.rpartition("/")[2] for n in s3.names("ws/manifests")] == ["0000000001"]
    # Another machine sees the old state whole; this one publishes what it kept.
    monkeypatch.setenv("GENEPOOL_HOME", str(tmp_path / "other"))
    assert scanned(folder, url).stats.n_new == 0
    assert store.read_listing(store.Workspace(url), dataset.open(str(tmp_path / "more"))) is None
    monkeypatch.undo()


def test_credentials_reach_no_text(folder: Path, tmp_path: Path, s3: Store) -> None:
    url = s3.upload(folder)
    s3.proxy.faults.append(Fault("reset", r"/data/000\.jpg"))
    s3.proxy.faults.append(Fault("error", r"/data/002\.jpg"))
    far = scanned(url, f"{s3.url}/ws")
    said = repr(far.cases()) + repr(far.table().to_pylist())
    s3.proxy.faults.append(Fault("error", "locks/", method="PUT"))
    other = fill(tmp_path / "x", 1)
    with pytest.raises(WorkspaceError) as caught:
        scanned(other, f"{s3.url}/ws")
    said += repr(caught.value) + caught.value.hint
    s3.proxy.clear()
    objects = b"".join(s3.fs().cat_file(f"{s3.bucket}/{name}") for name in s3.names("ws"))
    for secret in (KEY, SECRET):
        assert secret not in said
        assert secret.encode() not in objects


WRITER = """
import os, sys
import genepool.scan._scan as room
from genepool import dataset
from genepool.config import Config
from genepool.engine import LocalEngine
from support.probes import SlowProbe
room.load_probes = lambda config: [SlowProbe()]
def told(done, total, aside, rate):
    print(done, flush=True)
opened = dataset.open(sys.argv[1], workspace=sys.argv[2])
room.scan(opened, config=Config().with_(scan__unit=4), engine=LocalEngine(1), progress=told)
"""


@pytest.mark.soak
def test_a_killed_writer_s_parts_are_taken_over_by_another_machine(
    tmp_path: Path, s3: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    from support.probes import SlowProbe

    use_probes(monkeypatch, SlowProbe())
    data, url = fill(tmp_path / "data", 40, size=32), f"{s3.url}/ws"
    path = os.pathsep.join((str(Path(__file__).parents[1]), *sys.path))
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(data), url],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": path},
    )
    assert writer.stdout is not None
    assert writer.stdout.readline() == "0\n"
    done = int(writer.stdout.readline())
    writer.send_signal(signal.SIGKILL)
    writer.communicate()
    assert 0 < done < 40
    # Another machine: a home of its own. The dead writer's lock counts until it is known to be dead.
    monkeypatch.setenv("GENEPOOL_HOME", str(tmp_path / "other"))
    far = scanned(data, url)
    assert far.stats.n_new <= 40 - done
    assert (far.n, far.cases()) == (40, [])
    assert rows(far) == rows(scanned(data, tmp_path / "near"))


@pytest.mark.soak
def test_random_faults_never_change_the_result(tmp_path: Path, s3: Store) -> None:
    """Every twentieth request fails in some way, for as long as it takes: folders, shards, a workspace."""
    import random

    data = fill(tmp_path / "data", 60, size=48)
    near = scanned(data, tmp_path / "near")
    chance = random.Random(7)

    class NowAndThen(Fault):
        def takes(self, method: str, path: str) -> bool:
            self.kind = chance.choice(
                FAULTS if method == "GET" and "list" not in path else ("error", "reset")
            )
            return chance.random() < 0.05

    deadline = time.monotonic() + 900
    for run in range(40):
        place = tmp_path / f"form{run}"
        url = s3.upload((as_folder, as_tar, as_parquet)[run % 3](data, place), f"data{run}")
        s3.proxy.faults[:] = [NowAndThen("error")]
        far = scanned(url, f"{s3.url}/ws{run}", workers=2)
        s3.proxy.clear()
        assert far.root() == near.root()
        assert far.n == 60
        if time.monotonic() > deadline:
            break
