"""Export: every format is read back with the same bytes, captions and claims; it is whole or not there."""

from __future__ import annotations

import hashlib
import json
import tarfile
from pathlib import Path

import pytest

from genepool import dataset
from genepool.dataset import EXPORT_FORMATS, _indexes, _writers
from genepool.dataset._manifest import root_of
from genepool.errors import CannotFinish, SourceError, UsageError
from genepool.records import Case


def digests(data: object) -> list[bytes]:
    return sorted(hashlib.sha256(s.data).digest() for s in dataset.open(data) if s.data)


def content(data: object) -> set[tuple[bytes, str | None, str]]:
    return {
        (s.data, s.caption, json.dumps(s.declared or {}, sort_keys=True))
        for s in dataset.open(data)
        if s.data
    }


@pytest.mark.parametrize("form", EXPORT_FORMATS)
def test_round_trip(gallery, tmp_path, form):
    opened = dataset.open(gallery)
    manifest = dataset.export(opened, None, tmp_path / "out", format=form)
    back = dataset.open(tmp_path / "out")
    aside: list[Case] = []
    uris = [item.uri for item in back.items(aside)]
    assert aside == []
    assert content(back) == content(gallery)
    assert digests(back) == digests(gallery)
    assert (manifest.n, manifest.format, manifest.path) == (7, form, str(tmp_path / "out"))
    assert manifest.root == root_of(digests(gallery)).hex()
    assert json.loads((tmp_path / "out" / "manifest.json").read_text()) == manifest.to_json()
    lines = [json.loads(line) for line in (tmp_path / "out" / "manifest.jsonl").read_text().splitlines()]
    assert [line["uri"] for line in lines] == uris
    found = {s.item.uri: hashlib.sha256(s.data).hexdigest() for s in back if s.data}
    assert {line["uri"]: line["sha256"] for line in lines} == found
    assert [line["source"] for line in lines] == [item.uri for item in opened.items([])]
    assert sum(line["size"] for line in lines) == manifest.bytes
    assert not (tmp_path / "out" / "dropped.jsonl").exists()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["gallery", "out"]


@pytest.mark.parametrize("first", EXPORT_FORMATS)
@pytest.mark.parametrize("second", ["folder", "webdataset"])
def test_formats_chain(gallery, tmp_path, first, second):
    dataset.export(dataset.open(gallery), None, tmp_path / "one", format=first)
    dataset.export(dataset.open(tmp_path / "one"), None, tmp_path / "two", format=second)
    assert content(tmp_path / "two") == content(gallery)


def test_names_are_kept_in_folders(gallery, tmp_path):
    for form in ("folder", "imagefolder"):
        dataset.export(dataset.open(gallery), None, tmp_path / form, format=form)
        for item in dataset.open(gallery).items([]):
            assert (tmp_path / form / item.uri).read_bytes() == (gallery / item.uri).read_bytes()


@pytest.mark.parametrize("form", EXPORT_FORMATS)
def test_two_exports_are_byte_for_byte_equal(gallery, tmp_path, form):
    for name in ("one", "two"):
        dataset.export(dataset.open(gallery), None, tmp_path / name, format=form)
    one, two = (
        {p.relative_to(root): p.read_bytes() for p in root.rglob("*") if p.is_file()}
        for root in (tmp_path / "one", tmp_path / "two")
    )
    assert one == two


def test_a_subset_says_what_is_missing_and_why(gallery, tmp_path):
    dropped = [Case("b.PNG", "generation", "too far from a person", "GP301", "ab")]
    opened = dataset.open(gallery)
    chosen = {"a.jpg", "inner/e.tiff", "gone.jpg", "c.webp", "inner.jpeg"}
    expected = {"c.webp": b"\0" * 32, "a.jpg": hashlib.sha256((gallery / "a.jpg").read_bytes()).digest()}
    (gallery / "inner.jpeg").write_bytes(b"")
    manifest = dataset.export(opened, chosen, tmp_path / "out", dropped=dropped, sha256=expected)
    assert manifest.n == 2
    assert manifest.dropped == {"generation": 1, "changed": 1, "vanished": 1, "empty": 1}
    lines = [json.loads(line) for line in (tmp_path / "out" / "dropped.jsonl").read_text().splitlines()]
    assert {line["uri"]: line["reason"] for line in lines} == {
        "b.PNG": "generation",
        "c.webp": "changed",
        "gone.jpg": "vanished",
        "inner.jpeg": "empty",
    }
    assert lines[0] == {
        "uri": "b.PNG",
        "reason": "generation",
        "message": "too far from a person",
        "code": "GP301",
        "sha256": "ab",
    }
    assert [item.uri for item in dataset.open(tmp_path / "out").items([])] == ["a.jpg", "inner/e.tiff"]


def test_images_that_share_a_stem_keep_their_own_captions(tmp_path, paint):
    with tarfile.open(tmp_path / "s.tar", "w") as tar:
        import io

        for name, data in (("one/k.jpg", paint(1)), ("one/k.txt", b"first"), ("one-k.jpg", paint(3))):
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    other = tmp_path / "two" / "s" / "one"
    other.mkdir(parents=True)
    (other / "k.png").write_bytes(paint(2, "PNG"))
    (other / "k.txt").write_text("second")
    both = dataset.union([dataset.open(tmp_path / "s.tar"), dataset.open(tmp_path / "two")])
    dataset.export(both, None, tmp_path / "out")
    found = {s.item.uri: s.caption for s in dataset.open(tmp_path / "out")}
    assert found == {"0/s/one/k.jpg": "first", "0/s/one-k.jpg": None, "1/s/one/k.png": "second"}
    flat = tmp_path / "flat"
    flat.mkdir()
    for name, seed in (("k.jpg", 1), ("k.png", 2)):
        (flat / name).write_bytes(paint(seed))
        (flat / f"{name}.genepool.json").write_text(json.dumps({"caption": name}))
    dataset.export(dataset.open(flat), None, tmp_path / "flat-out")
    assert {s.item.uri: s.caption for s in dataset.open(tmp_path / "flat-out")} == {
        "k.jpg": "k.jpg",
        "k.png": "k.png",
    }


@pytest.mark.parametrize("form", EXPORT_FORMATS)
def test_names_that_collide_stay_apart(tmp_path, paint, form):
    root = tmp_path / "set"
    root.mkdir()
    for seed, name in enumerate(("a.b.jpg", "a_b.jpg", "A.B.jpg", "a.b.c.jpg", "ä b.jpg", "x.jpg")):
        (root / name).write_bytes(paint(seed))
    (root / "wrong.png").write_bytes(paint(9))
    dataset.export(dataset.open(root), None, tmp_path / "out", format=form)
    assert digests(tmp_path / "out") == digests(root)


def test_shards_and_parts_are_bounded(tmp_path, paint, monkeypatch):
    root = tmp_path / "set"
    root.mkdir()
    for seed in range(11):
        (root / f"{seed:02d}.jpg").write_bytes(paint(seed))
    monkeypatch.setattr(_writers, "_SHARD_SAMPLES", 4)
    dataset.export(dataset.open(root), None, tmp_path / "tars", format="webdataset")
    assert [p.name for p in sorted((tmp_path / "tars").glob("*.tar"))] == [
        f"shard-00000{i}.tar" for i in range(3)
    ]
    monkeypatch.setattr(_writers, "_SHARD_BYTES", 5 * len(paint(0)))
    monkeypatch.setattr(_writers, "_GROUP_ROWS", 2)
    dataset.export(dataset.open(root), None, tmp_path / "tables", format="parquet")
    names = [p.name for p in sorted((tmp_path / "tables" / "data").iterdir())]
    assert len(names) >= 3
    assert names == [f"train-{i:05d}.parquet" for i in range(len(names))]
    for out in ("tars", "tables"):
        assert digests(tmp_path / out) == digests(root)
        lines = [
            json.loads(line)["uri"] for line in (tmp_path / out / "manifest.jsonl").read_text().splitlines()
        ]
        assert lines == [item.uri for item in dataset.open(tmp_path / out).items([])]


# The webdataset library leaves its shards to the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_hugging_face_and_webdataset_read_what_we_write(gallery, tmp_path, monkeypatch):
    for name in ("HF_DATASETS_OFFLINE", "HF_HUB_OFFLINE"):
        monkeypatch.setenv(name, "1")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    datasets = pytest.importorskip("datasets")
    wds = pytest.importorskip("webdataset")
    datasets.disable_progress_bars()
    for form in ("parquet", "imagefolder", "webdataset"):
        dataset.export(dataset.open(gallery), None, tmp_path / form, format=form)
    expected = digests(gallery)
    cache = str(tmp_path / "cache")
    table = datasets.load_dataset(str(tmp_path / "parquet"), split="train", cache_dir=cache)
    assert isinstance(table.features["image"], datasets.Image)
    raw = table.cast_column("image", datasets.Image(decode=False))["image"]
    assert sorted(hashlib.sha256(row["bytes"]).digest() for row in raw) == expected
    assert table[0]["image"].size == (24, 16)
    assert table["caption"][0] == "a caption"
    folder = datasets.load_dataset(
        "imagefolder", data_dir=str(tmp_path / "imagefolder"), split="train", cache_dir=cache
    )
    assert len(folder) == 7
    assert "a caption" in list(folder["text"])
    samples = list(wds.WebDataset(str(tmp_path / "webdataset" / "shard-000000.tar"), shardshuffle=False))
    assert len(samples) == 7
    assert samples[0]["txt"] == b"a caption"


def test_where_an_export_may_not_go(gallery, tmp_path):
    opened = dataset.open(gallery)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").touch()
    (tmp_path / "file").touch()
    for out, word in (
        ("full", "files in it"),
        ("file", "found a file"),
        ("gallery/out", "inside"),
        ("s3://x", "URL"),
    ):
        with pytest.raises(UsageError, match=word):
            dataset.export(opened, None, tmp_path / out if "://" not in out else out)
    with pytest.raises(UsageError, match="format"):
        dataset.export(opened, None, tmp_path / "out", format="zip")
    with pytest.raises(SourceError, match="at least one image"):
        dataset.export(opened, ["gone.jpg"], tmp_path / "out")
    (tmp_path / "out.partial").mkdir()
    (tmp_path / "out.partial" / "mine").touch()
    with pytest.raises(UsageError, match="something else"):
        dataset.export(opened, None, tmp_path / "out")
    assert (tmp_path / "out.partial" / "mine").exists()
    assert not (tmp_path / "out").exists()
    (tmp_path / "empty").mkdir()
    assert dataset.export(opened, None, tmp_path / "empty").n == 7


@pytest.mark.parametrize("form", EXPORT_FORMATS)
def test_a_full_disk_leaves_nothing_behind(gallery, tmp_path, monkeypatch, form):
    really = _indexes.WRITERS[form].add
    count = 0

    def full(self, picture):
        nonlocal count
        count += 1
        if count == 4:
            raise OSError(28, "No space left on device")
        return really(self, picture)

    monkeypatch.setattr(_indexes.WRITERS[form], "add", full)
    with pytest.raises(CannotFinish, match="No space left"):
        dataset.export(dataset.open(gallery), None, tmp_path / "out", format=form)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["gallery"]


def test_an_interrupted_export_is_cleared_and_may_be_repeated(gallery, tmp_path, monkeypatch):
    def stop(self, picture):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(_writers.FolderWriter, "add", stop)
        with pytest.raises(KeyboardInterrupt):
            dataset.export(dataset.open(gallery), None, tmp_path / "out")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["gallery"]
    # A killed process leaves its unfinished folder; the next export replaces it.
    (tmp_path / "out.partial").mkdir()
    (tmp_path / "out.partial" / ".genepool-export").touch()
    (tmp_path / "out.partial" / "half.jpg").touch()
    assert dataset.export(dataset.open(gallery), None, tmp_path / "out").n == 7
    assert not (tmp_path / "out" / "half.jpg").exists()


def test_the_root_is_that_of_the_catalogue(gallery):
    from genepool.store._merkle import merkle_root

    many = digests(gallery)
    for n in range(len(many) + 1):
        assert root_of(many[:n] * 2) == merkle_root(many[:n] * 2)


def test_exported_images_of_memory_have_names(tmp_path, paint):
    import io

    from PIL import Image

    images = [Image.open(io.BytesIO(paint(seed))) for seed in range(3)]
    dataset.export(dataset.open(images), None, tmp_path / "out")
    names = sorted(p.name for p in (tmp_path / "out").glob("*.png"))
    assert [name[:8] for name in names] == ["0000000-", "0000001-", "0000002-"]
    assert Path(tmp_path / "out" / "manifest.json").exists()
