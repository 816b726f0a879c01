"""The folder source: what is listed, in which order, what lies beside an image, what is set aside."""

from __future__ import annotations

import os
import pickle
import time
import tracemalloc

import pytest

import genepool
from genepool import dataset
from genepool.dataset import FolderSource, _files
from genepool.errors import SourceError, UsageError
from genepool.records import Case, Source


def listed(root: object) -> tuple[list[str], dict[str, str]]:
    aside: list[Case] = []
    return [item.uri for item in dataset.open(root).items(aside)], {case.uri: case.reason for case in aside}


def test_every_format_is_listed_in_the_order_of_the_uris(gallery):
    uris, aside = listed(gallery)
    assert uris == [
        "a.jpg", "b.PNG", "c.webp", "inner.jpeg", "inner/d.avif", "inner/deep/f.gif", "inner/e.tiff",
    ]  # fmt: skip
    assert uris == sorted(uris)
    assert aside == {}


def test_listing_does_not_depend_on_the_order_in_which_the_system_answers(gallery, monkeypatch):
    before = list(dataset.open(gallery).items([]))
    entries = _files.entries
    monkeypatch.setattr("genepool.dataset._walk.entries", lambda path: entries(path)[::-1])
    assert list(dataset.open(gallery).items([])) == before


def test_captions_and_claims_are_found_and_the_sidecar_has_the_last_word(gallery):
    found = {s.item.uri: (s.caption, s.declared) for s in dataset.open(gallery)}
    assert found["a.jpg"] == ("a caption", None)
    assert found["b.PNG"] == ("first", None)
    assert found["c.webp"] == ("claimed", {"origin": "captured", "artist": "Ada", "caption": "claimed"})
    assert found["inner/e.tiff"] == (None, {"style": "ink"})
    # The nearer table wins key by key.
    assert found["inner/deep/f.gif"][1] == {"origin": "synthetic", "model": "m2", "generation": [1, None]}


def test_bytes_are_read_as_they_are(gallery):
    for sample in dataset.open(gallery):
        assert sample.case is None
        assert sample.data == (gallery / sample.item.uri).read_bytes()


@pytest.mark.parametrize("change", ["image", "caption", "sidecar", "table"])
def test_the_stamp_changes_with_the_image_and_with_what_lies_beside_it(gallery, change):
    target, uri = {
        "image": ("a.jpg", "a.jpg"),
        "caption": ("a.txt", "a.jpg"),
        "sidecar": ("c.webp.genepool.json", "c.webp"),
        "table": ("genepool.jsonl", "inner/e.tiff"),
    }[change]
    before = {item.uri: item.stamp for item in dataset.open(gallery).items([])}
    path = gallery / target
    path.write_bytes(path.read_bytes().replace(b"ink", b"oil").replace(b"Ada", b"Bea") + b" ")
    after = {item.uri: item.stamp for item in dataset.open(gallery).items([])}
    assert {u for u in before if before[u] != after[u]} == {uri}


def test_imagefolder_metadata_in_both_spellings(tmp_path, paint):
    for form in ("csv", "jsonl"):
        root = tmp_path / form
        (root / "train").mkdir(parents=True)
        for name in ("x.jpg", "y.jpg"):
            (root / "train" / name).write_bytes(paint(3))
        if form == "csv":
            text = 'file_name,text,artist,year\nx.jpg,"one, two\nlines",Ada,1990\ny.jpg,,,\n'
        else:
            text = '{"file_name": "x.jpg", "text": "one, two\\nlines", "artist": "Ada", "year": 1990}\n'
        (root / "train" / f"metadata.{form}").write_text(text)
        found = {s.item.uri: (s.caption, s.declared) for s in dataset.open(root)}
        assert found == {"train/x.jpg": ("one, two\nlines", {"artist": "Ada"}), "train/y.jpg": (None, None)}


def test_hidden_files_workspaces_and_unlisted_names(gallery, paint):
    (gallery / ".hidden.jpg").write_bytes(paint())
    (gallery / ".git").mkdir()
    (gallery / ".git" / "x.jpg").write_bytes(paint())
    (gallery / "inner.genepool").mkdir()
    (gallery / "inner.genepool" / "x.jpg").write_bytes(paint())
    for name in ("noextension", "manifest.json", "manifest.jsonl", "jpg", "x.jpg.bak"):
        (gallery / name).write_bytes(paint())
    uris, aside = listed(gallery)
    assert len(uris) == 7
    assert aside == {}


def test_other_images_and_archives_are_named_not_overlooked(gallery, paint):
    (gallery / "x.heic").write_bytes(b"1")
    (gallery / "y.tar").write_bytes(b"1")
    assert listed(gallery)[1] == {"x.heic": "unsupported-format", "y.tar": "archive"}


def test_a_folder_named_like_an_image_is_a_folder(gallery, paint):
    (gallery / "x.jpg").mkdir()
    (gallery / "x.jpg" / "in.jpg").write_bytes(paint())
    assert "x.jpg/in.jpg" in listed(gallery)[0]


def test_symlink_loop_is_a_case(gallery):
    (gallery / "inner" / "deep" / "up").symlink_to(gallery)
    (gallery / "self").symlink_to(gallery / "self")
    uris, aside = listed(gallery)
    assert len(uris) == 7
    assert aside == {"inner/deep/up/": "symlink-loop"}


def test_links_inside_are_followed_once(gallery):
    (gallery / "again.jpg").symlink_to("a.jpg")
    (gallery / "one").symlink_to("inner")
    (gallery / "two").symlink_to("inner")
    uris, aside = listed(gallery)
    assert [u for u in uris if u.startswith(("again", "one", "two"))] == [
        "again.jpg", "one/d.avif", "one/deep/f.gif", "one/e.tiff",
    ]  # fmt: skip
    assert uris == sorted(uris)
    assert aside == {"two/": "symlink-repeated"}


def test_links_that_multiply_are_listed_a_bounded_number_of_times(tmp_path, paint):
    for number in range(12):
        folder = tmp_path / "set" / f"d{number}"
        folder.mkdir(parents=True)
        (folder / "x.jpg").write_bytes(paint())
        for other in range(12):
            (folder / f"l{other}").symlink_to(f"../d{other}")
    uris, aside = listed(tmp_path / "set")
    assert len(uris) <= 24
    assert set(aside.values()) == {"symlink-loop", "symlink-repeated"}


def test_links_outside_are_set_aside(gallery, tmp_path, paint):
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "s.jpg").write_bytes(paint())
    (tmp_path / "secret.txt").write_text("secret")
    (gallery / "out").symlink_to(tmp_path / "secret")
    (gallery / "s.jpg").symlink_to(tmp_path / "secret" / "s.jpg")
    (gallery / "inner.txt").symlink_to(tmp_path / "secret.txt")
    (gallery / "inner" / "metadata.csv").symlink_to(tmp_path / "secret.txt")
    (gallery / "broken.jpg").symlink_to(tmp_path / "nothing.jpg")
    uris, aside = listed(gallery)
    assert len(uris) == 7
    assert aside == {
        "out": "link-outside",
        "s.jpg": "link-outside",
        "broken.jpg": "unreadable",
        "inner/metadata.csv": "bad-sidecar",
    }
    assert {s.item.uri: s.caption for s in dataset.open(gallery)}["inner.jpeg"] is None


def test_a_pipe_named_like_an_image_stalls_nobody(gallery):
    os.mkfifo(gallery / "p.jpg")
    assert listed(gallery)[1] == {"p.jpg": "unreadable"}
    source = FolderSource(str(gallery))
    item = next(iter(source.list([])))
    os.remove(item.path)
    os.mkfifo(item.path)
    (sample,) = source.read([item])
    assert sample.case is not None
    assert sample.case.reason == "unreadable"


def test_an_unreadable_folder_is_a_case(gallery, monkeypatch):
    entries = _files.entries

    def refuse(path):
        if path.endswith("deep"):
            raise PermissionError(13, "Permission denied", path)
        return entries(path)

    monkeypatch.setattr("genepool.dataset._walk.entries", refuse)
    uris, aside = listed(gallery)
    assert len(uris) == 6
    assert aside == {"inner/deep/": "unreadable"}


def test_what_cannot_be_read_is_a_case_and_the_rest_goes_on(gallery, monkeypatch):
    opened = dataset.open(gallery)
    items = list(opened.items([]))
    (gallery / "a.jpg").unlink()
    (gallery / "b.PNG").write_bytes(b"")
    (gallery / "c.webp").unlink()
    (gallery / "c.webp").mkdir()
    really = os.open

    def refuse(path, *args, **kwargs):
        if str(path).endswith("d.avif"):
            raise PermissionError(13, "Permission denied", path)
        return really(path, *args, **kwargs)

    monkeypatch.setattr(os, "open", refuse)
    found = {s.item.uri: s.case and s.case.reason for s in opened.source.read(items)}
    assert found == {
        "a.jpg": "vanished",
        "b.PNG": "empty",
        "c.webp": "unreadable",
        "inner.jpeg": None,
        "inner/d.avif": "unreadable",
        "inner/deep/f.gif": None,
        "inner/e.tiff": None,
    }


def test_too_large_files_are_refused_unread(gallery):
    source = FolderSource(str(gallery), max_bytes=700)
    for sample in source.read(list(source.list([]))):
        large = (gallery / sample.item.uri).stat().st_size > 700
        assert (sample.case is not None and sample.case.reason == "too-large") == large
        assert (sample.data is None) == large


def test_a_broken_sidecar_is_a_note_and_the_image_goes_on(gallery):
    (gallery / "c.webp.genepool.json").write_text("{")
    (gallery / "genepool.jsonl").write_text(
        '{"file": "a.jpg", "artist": "Ada"}\n'
        "nonsense\n"
        '{"file": "../b.PNG", "artist": "Eve"}\n'
        '{"file": "b.PNG", "origin": "by hand", "style": "ink"}\n'
    )
    aside: list[Case] = []
    samples = {s.item.uri: s for s in dataset.open(gallery).samples(aside)}
    assert [(case.uri, case.reason) for case in aside] == [("genepool.jsonl", "bad-sidecar")]
    assert "line 2" in aside[0].message
    assert "2 more" in aside[0].message
    assert samples["a.jpg"].declared == {"artist": "Ada"}
    assert samples["b.PNG"].declared == {"style": "ink"}
    broken = samples["c.webp"]
    assert broken.data is not None
    assert broken.case is not None
    assert broken.case.reason == "bad-sidecar"


@pytest.mark.parametrize(
    "text", ["[" * 5000 + "]" * 5000, '{"a":' * 40 + "1" + "}" * 40, '"x"', "1e999", '{"parents": 3}', "\xff"]
)
def test_hostile_sidecars_are_bounded(gallery, text):
    (gallery / "a.jpg.genepool.json").write_text(text, "latin-1")
    sample = next(s for s in dataset.open(gallery) if s.item.uri == "a.jpg")
    assert sample.data
    assert sample.case is not None
    assert sample.case.reason == "bad-sidecar"
    assert len(sample.case.message) < 300


def test_a_huge_sidecar_line_and_a_huge_caption_cost_little(gallery):
    with (gallery / "genepool.jsonl").open("ab") as table:
        table.write(
            b'{"file": "a.jpg", "style": "' + b"x" * (3 << 20) + b'"}\n{"file": "a.jpg", "style": "ok"}\n'
        )
    (gallery / "a.txt").write_text("y" * (2 << 20))
    samples = {s.item.uri: s for s in dataset.open(gallery)}
    assert samples["a.jpg"].declared == {"style": "ok"}
    assert samples["a.jpg"].caption is None


def test_a_name_that_is_not_utf8_is_a_case(gallery, paint):
    with open(os.fsencode(gallery) + b"/caf\xe9.jpg", "wb") as file:
        file.write(paint())
    uris, aside = listed(gallery)
    assert len(uris) == 7
    assert aside == {r"caf\xe9.jpg": "bad-name"}


def test_opening(gallery, tmp_path, monkeypatch):
    opened = dataset.open(gallery)
    assert opened.uri == str(gallery)
    assert opened.workspace is None
    assert dataset.open(opened) is opened
    assert dataset.open(opened, workspace=tmp_path / "w").workspace == str(tmp_path / "w")
    assert genepool.open is dataset.open
    assert dataset.open(f"file://{gallery}").uri == str(gallery)
    monkeypatch.chdir(tmp_path)
    assert dataset.open("gallery/").uri == str(gallery)
    assert len(opened) == 7
    assert isinstance(opened.source, Source)
    assert opened
    again = pickle.loads(pickle.dumps(opened.select(["a.jpg", "gone.jpg"])))
    assert [item.uri for item in again.items([])] == ["a.jpg"]
    assert again.select(["b.PNG"]).selection == frozenset()
    with pytest.raises(AttributeError):
        opened.uri = "x"


@pytest.mark.parametrize(
    ("data", "error"),
    [
        ("", UsageError),
        ("nowhere", SourceError),
        ("no/{0..3}.tar", None),
        ("*.parquet", SourceError),
        (7, UsageError),
        ([], SourceError),
        (["a.jpg"], UsageError),
        (b"x", UsageError),
        ("nosuchprotocol://x", SourceError),
        ("a\0b", SourceError),
    ],
)
def test_what_is_no_dataset_says_so(data, error, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    if error is None:
        with pytest.raises(SourceError, match="set aside: 4 unreadable"):
            dataset.open(data).require_images()
        return
    with pytest.raises(error) as caught:
        dataset.open(data)
    assert "expected" in caught.value.message or "listed" in caught.value.message


def test_a_single_image_is_not_a_dataset(gallery):
    with pytest.raises(SourceError, match="folder") as caught:
        dataset.open(gallery / "a.jpg")
    assert "folder that holds the image" in caught.value.hint


def test_nothing_to_judge(tmp_path):
    (tmp_path / "notes.txt").write_text("x")
    opened = dataset.open(tmp_path)
    with pytest.raises(SourceError) as caught:
        opened.require_images()
    assert caught.value.exit_code == 3
    assert caught.value.hint
    (tmp_path / "x.psd").write_bytes(b"x")
    with pytest.raises(SourceError, match="1 unsupported-format"):
        opened.require_images()


def test_union_keeps_parts_apart_and_selections(gallery, tmp_path, paint):
    other = tmp_path / "other"
    other.mkdir()
    (other / "a.jpg").write_bytes(paint(9))
    (other / "z.bmp").write_bytes(b"x")
    both = dataset.union([dataset.open(gallery).select(["a.jpg", "inner/e.tiff"]), dataset.open(other)])
    aside: list[Case] = []
    found = {s.item.uri: s for s in both.samples(aside)}
    assert list(found) == ["0/a.jpg", "0/inner/e.tiff", "1/a.jpg"]
    assert [case.uri for case in aside] == ["1/z.bmp"]
    assert found["1/a.jpg"].data == paint(9)
    assert found["0/inner/e.tiff"].declared == {"style": "ink"}
    (other / "a.jpg").unlink()
    gone = list(pickle.loads(pickle.dumps(both)).source.read([found["1/a.jpg"].item]))
    assert gone[0].case is not None
    assert (gone[0].case.uri, gone[0].case.reason) == ("1/a.jpg", "vanished")
    assert both.uri == dataset.union([dataset.open(gallery), dataset.open(other)]).uri
    with pytest.raises(UsageError):
        dataset.union([])


def test_listing_many_files_streams(tmp_path, monkeypatch):
    """The parent's memory is that of the names, not of the items."""
    folder = tmp_path / "many"
    folder.mkdir()
    (folder / "x0.jpg").write_bytes(b"x")
    source = folder / "x0.jpg"
    for number in range(1, 5000):
        os.link(source, folder / f"x{number}.jpg")
    begun = time.process_time()
    tracemalloc.start()
    count = sum(1 for _ in dataset.open(folder).items([]))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 5000
    assert peak < 5000 * 500
    assert time.process_time() - begun < 5


def test_a_remote_folder_is_read_through_fsspec(gallery):
    local = {s.item.uri: (s.data, s.caption, s.declared) for s in dataset.open(gallery)}
    remote = dataset.open(f"local://{gallery}")
    assert remote.uri == f"local://{gallery}"
    assert {s.item.uri: (s.data, s.caption, s.declared) for s in remote} == local
    (item, *_) = remote.items([])
    assert item.path == f"local://{gallery}/a.jpg"
    os.remove(gallery / "a.jpg")
    (sample,) = remote.source.read([item])
    assert sample.case is not None
    assert sample.case.reason == "vanished"
