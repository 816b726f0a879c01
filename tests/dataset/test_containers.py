"""Tar shards and Parquet tables: listing by header and footer, reading by place, captions and claims."""

from __future__ import annotations

import io
import json
import pickle
import tarfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from genepool import dataset
from genepool.dataset import ParquetSource
from genepool.dataset._patterns import braces
from genepool.errors import SourceError, UsageError
from genepool.records import Case


def pack(path: Path, members: dict[str, bytes], mode: str = "w", form: int = tarfile.PAX_FORMAT) -> Path:
    with tarfile.open(path, mode, format=form) as tar:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return path


@pytest.fixture
def shards(tmp_path, paint):
    folder = tmp_path / "shards"
    folder.mkdir()
    pack(
        folder / "s-000.tar",
        {
            "./k1.jpg": paint(1),
            "./k1.txt": b"one",
            "sub/k2.png": paint(2, "PNG"),
            "sub/k2.genepool.json": b'{"origin": "synthetic", "parents": ["ab"]}',
            "sub/k2.json": b'{"caption": "two"}',
            "k3.input.webp": paint(3, "WEBP"),
            "k3.cls": b"7",
            "._k1.jpg": b"mac",
        },
    )
    # Companions need not stand beside their image, and long names take their own headers.
    long = "x" * 150
    pack(
        folder / "s-001.tar",
        {f"{long}/é.jpg": paint(4), "z.jpg": b"", f"{long}/é.txt": b"four"},
        form=tarfile.GNU_FORMAT,
    )
    return folder


EXPECTED = {
    "s-000.tar::k1.jpg": ("one", None),
    "s-000.tar::sub/k2.png": ("two", {"origin": "synthetic", "parents": ["ab"]}),
    "s-000.tar::k3.input.webp": (None, None),
    f"s-001.tar::{'x' * 150}/é.jpg": ("four", None),
}


def test_a_folder_of_shards_a_glob_braces_and_one_tar(shards):
    whole = {s.item.uri: (s.caption, s.declared) for s in dataset.open(shards) if s.data}
    assert whole == EXPECTED
    assert dataset.open(shards).source.kind == "webdataset"
    for pattern in ("s-*.tar", "s-{000..001}.tar", "{s-000,s-001}.tar"):
        opened = dataset.open(shards / pattern)
        assert {s.item.uri: (s.caption, s.declared) for s in opened if s.data} == EXPECTED
        assert opened.uri == str(shards / pattern)
    one = dataset.open(shards / "s-000.tar")
    assert [item.uri for item in one.items([])] == list(EXPECTED)[:3]


def test_members_are_read_by_place(shards, paint):
    for item in dataset.open(shards).items([]):
        stat = Path(item.path).stat()
        assert item.stamp == f"{stat.st_size}:{stat.st_mtime_ns}:{item.offset}:{item.length}"
        with open(item.path, "rb") as file:
            file.seek(item.offset)
            (sample,) = dataset.open(shards).source.read([item])
            assert (sample.data or b"") == file.read(item.length)
    samples = {s.item.uri: s for s in dataset.open(shards)}
    assert samples["s-000.tar::sub/k2.png"].data == paint(2, "PNG")
    empty = samples["s-001.tar::z.jpg"].case
    assert empty is not None
    assert empty.reason == "empty"


def test_our_index_agrees_with_tarfile(shards):
    for path in sorted(shards.iterdir()):
        with tarfile.open(path) as tar:
            theirs = {m.name.removeprefix("./"): (m.offset_data, m.size) for m in tar if m.isfile()}
        for item in dataset.open(path).items([]):
            assert (item.offset, item.length) == theirs[item.uri.partition("::")[2]]


def test_a_shard_that_changed_under_the_reader_is_a_case(shards):
    opened = dataset.open(shards)
    items = list(opened.items([]))
    with (shards / "s-000.tar").open("r+b") as file:
        file.truncate(600)
    (shards / "s-001.tar").unlink()
    reasons = {s.item.uri: s.case and s.case.reason for s in opened.source.read(items)}
    assert set(reasons.values()) <= {"vanished", "empty"}
    assert reasons["s-000.tar::sub/k2.png"] == "vanished"
    assert len(reasons) == len(items)


def test_too_large_members_are_refused(shards):
    opened = dataset.open(shards)
    opened.source.max_bytes = 10
    reasons = {s.case.reason for s in opened if s.case}
    assert reasons == {"too-large", "empty"}


def test_compressed_shards_are_refused_with_the_cure(tmp_path, paint):
    pack(tmp_path / "s.tar.gz", {"a.jpg": paint()}, "w:gz")
    with pytest.raises(SourceError, match="compressed") as caught:
        dataset.open(tmp_path / "s.tar.gz")
    assert "gunzip" in caught.value.hint
    (tmp_path / "s.tar.gz").rename(tmp_path / "s.tar")
    aside: list[Case] = []
    assert list(dataset.open(tmp_path / "s.tar").items(aside)) == []
    assert [(case.uri, case.reason) for case in aside] == [("s.tar", "compressed-archive")]


def test_a_remote_shard(shards):
    remote = dataset.open(f"local://{shards}")
    assert {s.item.uri: (s.caption, s.declared) for s in remote if s.data} == EXPECTED
    one = dataset.open(f"local://{shards}/s-*.tar")
    assert {s.item.uri: (s.caption, s.declared) for s in one if s.data} == EXPECTED


def test_braces_expand_as_in_a_shell():
    assert list(braces("a{08..11}b{x,y}")) == [
        "a08bx", "a08by", "a09bx", "a09by", "a10bx", "a10by", "a11bx", "a11by",
    ]  # fmt: skip
    assert list(braces("{2..0}")) == ["2", "1", "0"]
    assert list(braces("a{b}c{}")) == ["a{b}c{}"]
    with pytest.raises(UsageError, match="at most"):
        list(braces("{0..9999}{0..9999}"))


# -------------------------------------------------------------------------------------- parquet


@pytest.fixture
def table(tmp_path, paint):
    """Seven rows in three row groups, Hugging Face style."""
    path = tmp_path / "data" / "t.parquet"
    path.parent.mkdir()
    (path.parent / "beside.jpg").write_bytes(paint(90))
    images = [{"bytes": paint(i), "path": f"{i}.jpg"} for i in range(4)]
    images += [{"bytes": None, "path": "beside.jpg"}, {"bytes": None, "path": "/etc/hostname"}, None]
    rows = pa.table(
        {
            "id": list(range(7)),
            "thumb": pa.array([b"x"] * 7, pa.binary()),
            "image": pa.array(images, pa.struct([("bytes", pa.binary()), ("path", pa.string())])),
            "text": ["a", None, "c", "", "e", "f", "g"],
            "artist": ["Ada", None, None, None, None, None, None],
            "genepool": ['{"origin": "captured"}', None, "{", None, None, None, None],
        }
    )
    meta = {"huggingface": json.dumps({"info": {"features": {"image": {"_type": "Image"}}}})}
    pq.write_table(rows.replace_schema_metadata(meta), path, row_group_size=3)
    return path


def test_rows_are_items_with_captions_and_claims(table, paint):
    opened = dataset.open(table)
    aside: list[Case] = []
    samples = list(opened.samples(aside))
    assert aside == []
    stat = table.stat()
    assert [s.item.uri for s in samples] == [f"t.parquet#{i}" for i in range(7)]
    assert samples[3].item.stamp == f"{stat.st_size}:{stat.st_mtime_ns}:3"
    assert [s.data for s in samples[:5]] == [paint(0), paint(1), paint(2), paint(3), paint(90)]
    assert [s.caption for s in samples] == ["a", None, "c", None, "e", "f", "g"]
    assert samples[0].declared == {"artist": "Ada", "origin": "captured"}
    assert [s.case and s.case.reason for s in samples[2:]] == [
        "bad-sidecar",
        None,
        None,
        "link-outside",
        "empty",
    ]
    assert "hostname" in samples[5].case.message


def test_rows_are_read_in_any_selection_and_order(table, paint):
    opened = dataset.open(table)
    items = list(opened.items([]))
    for chosen in ([3], [2, 3], [0, 1, 3], [3, 1, 1, 0]):
        samples = list(pickle.loads(pickle.dumps(opened.source)).read([items[i] for i in chosen]))
        assert [s.data for s in samples] == [paint(i) for i in chosen]
        assert [s.item.row for s in samples] == chosen


def test_only_the_row_groups_that_are_needed_are_read(table, monkeypatch):
    groups = []
    really = pq.ParquetFile.iter_batches

    def watch(self, *args, row_groups=None, **kwargs):
        groups.extend(row_groups)
        return really(self, *args, row_groups=row_groups, **kwargs)

    monkeypatch.setattr(pq.ParquetFile, "iter_batches", watch)
    opened = dataset.open(table)
    items = list(opened.items([]))
    assert groups == []
    list(opened.source.read(items[3:5]))
    assert groups == [1]


def test_consecutive_units_read_a_row_group_once(tmp_path, paint, monkeypatch):
    rows = pa.table({"image": [paint(i) for i in range(64)]})
    pq.write_table(rows, tmp_path / "x.parquet", row_group_size=64)
    entered = []
    really = pq.ParquetFile.iter_batches

    def watch(self, *args, row_groups=None, **kwargs):
        entered.extend(row_groups)
        return really(self, *args, row_groups=row_groups, **kwargs)

    monkeypatch.setattr(pq.ParquetFile, "iter_batches", watch)
    opened = dataset.open(tmp_path / "x.parquet")
    items = list(opened.items([]))
    found = [s.data for at in range(0, 64, 10) for s in opened.source.read(items[at : at + 10])]
    assert found == [paint(i) for i in range(64)]
    assert entered == [0]
    # A file that has changed is not read from where the old one was left.
    list(opened.source.read(items[:5]))
    pq.write_table(rows.slice(1), tmp_path / "x.parquet", row_group_size=64)
    assert [s.data for s in opened.source.read(items[5:7])] == [paint(6), paint(7)]


def test_a_damaged_row_group_does_not_take_the_others_along(table, paint):
    opened = dataset.open(table)
    items = list(opened.items([]))
    data = table.read_bytes()
    at = data.index(paint(1)[:200])
    column = pq.ParquetFile(table).metadata.row_group(0).column(2)
    start = column.dictionary_page_offset or column.data_page_offset
    assert start < at
    table.write_bytes(data[:start] + bytes(at - start) + data[at:])
    samples = list(opened.source.read(items))
    assert [s.case and s.case.reason for s in samples[:3]] == ["unreadable"] * 3
    assert samples[3].data == paint(3)


@pytest.mark.parametrize("name", ["jpg", "image_bytes", "only"])
def test_a_plain_binary_column_is_recognised(tmp_path, paint, name):
    pq.write_table(
        pa.table({"n": [1, 2], name: pa.array([paint(1), b""], pa.large_binary())}), tmp_path / "x.parquet"
    )
    samples = list(dataset.open(tmp_path / "x.parquet"))
    assert samples[0].data == paint(1)
    assert samples[1].case is not None
    assert samples[1].case.reason == "empty"


def test_further_image_columns_are_named(tmp_path, paint):
    pq.write_table(pa.table({"png": [paint(1, "PNG")], "image": [paint(2)]}), tmp_path / "x.parquet")
    aside: list[Case] = []
    (sample,) = dataset.open(tmp_path / "x.parquet").samples(aside)
    assert sample.data == paint(2)
    assert [(case.uri, case.reason) for case in aside] == [("x.parquet#png", "column-ignored")]


def test_what_is_no_table_of_images_is_a_case(tmp_path, table):
    (table.parent / "beside.jpg").unlink()
    (table.parent / "u.parquet").write_bytes(table.read_bytes()[:-20])
    (table.parent / "v.parquet").write_bytes(b"")
    pq.write_table(pa.table({"text": ["a"]}), table.parent / "w.parquet")
    aside: list[Case] = []
    uris = [item.uri for item in dataset.open(table.parent).items(aside)]
    assert len(uris) == 7
    assert {case.uri: case.reason for case in aside} == {
        "u.parquet": "unreadable",
        "v.parquet": "unreadable",
        "w.parquet": "no-image-column",
    }
    with pytest.raises(SourceError, match="1 no-image-column"):
        dataset.open(table.parent / "w.parquet").require_images()


def test_a_table_damaged_after_listing_loses_no_row(table):
    opened = dataset.open(table)
    items = list(opened.items([]))
    data = bytearray(table.read_bytes())
    data[4:2000] = bytes(1996)
    table.write_bytes(data)
    samples = list(opened.source.read(items))
    assert [s.item.uri for s in samples] == [item.uri for item in items]
    assert all(s.data is None and s.case is not None for s in samples[:3])
    pq.write_table(pa.table({"image": [b"x"]}), table)
    assert [s.case and s.case.reason for s in opened.source.read(items)] == [None] + ["vanished"] * 6
    table.unlink()
    assert {s.case and s.case.reason for s in opened.source.read(items)} == {"vanished"}


def test_too_large_rows_are_refused(table):
    source = ParquetSource((str(table),), max_bytes=10)
    assert "too-large" in {s.case.reason for s in source.read(list(source.list([]))) if s.case}


def test_a_remote_table(table, paint):
    remote = dataset.open(f"local://{table}")
    assert [s.data for s in remote][:4] == [paint(i) for i in range(4)]
