"""Datasets that are objects: PIL images, `datasets.Dataset`, `webdataset.WebDataset`, ``memory://`` files."""

from __future__ import annotations

import io
import os
import pickle
import subprocess
import sys
import tarfile

import numpy as np
import pytest
from PIL import Image, ImageOps, PngImagePlugin

from genepool import dataset
from genepool.errors import CannotFinish, SourceError, UsageError


def reopened(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


def modes() -> list[Image.Image]:
    noise = np.random.default_rng(7).integers(0, 256, (9, 13, 4), dtype=np.uint8)
    rgba = Image.fromarray(noise)
    palette = rgba.convert("RGB").quantize(16)
    palette.info["transparency"] = 3
    sixteen = Image.fromarray(noise[..., 0].astype(np.uint16) * 257)
    wide = Image.fromarray(noise[..., 0].astype(np.int32) * 70000 - 5)
    keyed = rgba.convert("RGB")
    keyed.info["transparency"] = keyed.getpixel((0, 0))
    return [
        rgba, rgba.convert("RGB"), rgba.convert("L"), rgba.convert("LA"), rgba.convert("1"),
        palette, sixteen, wide,
        rgba.convert("RGB").convert("CMYK"), rgba.convert("RGB").convert("YCbCr"), keyed,
        rgba.convert("L").convert("F"),
    ]  # fmt: skip


def test_images_of_every_mode_keep_their_pixels():
    images = modes()
    samples = list(dataset.open(images))
    assert len(samples) == len(images)
    for image, sample in zip(images, samples, strict=True):
        assert sample.data is not None
        back = reopened(sample.data)
        assert back.size == image.size
        if image.mode not in ("F", "I", "I;16"):
            assert np.array_equal(np.asarray(back.convert("RGBA")), np.asarray(image.convert("RGBA"))), (
                image.mode
            )
        else:
            assert np.array_equal(np.asarray(back), np.asarray(image)), image.mode


def test_orientation_profile_and_generator_text_travel(tmp_path):
    image = Image.linear_gradient("L").resize((20, 10)).convert("RGB")
    exif = Image.Exif()
    exif[0x0112] = 6
    image.save(tmp_path / "x.jpg", exif=exif, icc_profile=b"not really a profile")
    text = PngImagePlugin.PngInfo()
    text.add_text("parameters", "a cat\nSteps: 20")
    image.save(tmp_path / "y.png", pnginfo=text)
    with Image.open(tmp_path / "x.jpg") as x, Image.open(tmp_path / "y.png") as y:
        turned, told = (reopened(s.data or b"") for s in dataset.open([x, y]))
        assert turned.getexif()[0x0112] == 6
        assert turned.info["icc_profile"] == b"not really a profile"
        assert np.array_equal(
            np.asarray(ImageOps.exif_transpose(turned)), np.asarray(ImageOps.exif_transpose(x))
        )
        assert told.text == {"parameters": "a cat\nSteps: 20"}


def test_same_images_same_uri_other_images_another(paint):
    def load(*seeds: int) -> list[Image.Image]:
        return [reopened(paint(seed)) for seed in seeds]

    one = dataset.open(load(1, 2, 2))
    assert one.uri.startswith("memory:")
    assert one.uri == dataset.open(tuple(load(1, 2, 2))).uri
    assert len({one.uri, dataset.open(load(2, 1, 2)).uri, dataset.open(load(1, 2)).uri}) == 3
    items = list(one.items([]))
    assert [item.uri[:8] for item in items] == ["0000000-", "0000001-", "0000002-"]
    # Equal images have equal stamps and stay two images.
    assert items[1].stamp == items[2].stamp != items[0].stamp
    assert len({item.path for item in items}) == 3


def test_images_are_written_once(paint, monkeypatch):
    images = [reopened(paint(41)), reopened(paint(42))]
    dataset.open(images)
    monkeypatch.setattr(Image.Image, "save", lambda *a, **k: pytest.fail("written twice"))
    dataset.open(images)


def test_another_process_reads_the_images_and_leaves_them(paint):
    opened = dataset.open([reopened(paint(5))])
    script = (
        "import pickle, sys; d = pickle.load(sys.stdin.buffer);"
        "s = list(d); assert s[0].data, s; sys.stdout.buffer.write(s[0].data)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], input=pickle.dumps(opened), capture_output=True, check=True
    )
    (sample,) = opened
    assert done.stdout == sample.data


def test_the_images_go_with_their_process(paint, tmp_path):
    script = (
        "import io, sys; from PIL import Image; from genepool import dataset;"
        "d = dataset.open([Image.new('RGB', (4, 4))]); print(next(d.items([])).path)"
    )
    env = {**os.environ, "TMPDIR": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True, text=True, env=env)
    assert done.stdout.startswith(str(tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_a_list_that_is_not_of_images(paint):
    with pytest.raises(UsageError, match=r"images\[1\]: expected a PIL image, found str"):
        dataset.open([reopened(paint()), "a.jpg"])
    cut = Image.open(io.BytesIO(paint(form="PNG")[:-60]))
    with pytest.raises(SourceError, match=r"images\[0\]: cannot be loaded"):
        dataset.open([cut])


def test_no_room_for_images_is_said(paint, monkeypatch):
    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.write_bytes", full)
    with pytest.raises(CannotFinish, match="No space") as caught:
        dataset.open([reopened(paint(77))])
    assert "TMPDIR" in caught.value.hint


# --------------------------------------------------------------------------------- hugging face


@pytest.fixture
def hf(monkeypatch, tmp_path):
    monkeypatch.setenv("HF_DATASETS_OFFLINE", "1")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    datasets = pytest.importorskip("datasets")
    datasets.disable_progress_bars()
    return datasets


def test_a_hugging_face_dataset_of_bytes(hf, paint):
    features = hf.Features({"image": hf.Image(), "text": hf.Value("string"), "artist": hf.Value("string")})
    rows = {
        "image": [{"bytes": paint(i), "path": None} for i in range(70)],
        "text": [f"t{i}" for i in range(70)],
        "artist": ["Ada"] * 70,
    }
    data = hf.Dataset.from_dict(rows, features=features)
    opened = dataset.open(data)
    assert opened.uri == dataset.open(data).uri
    samples = list(pickle.loads(pickle.dumps(opened)))
    assert [s.data for s in samples] == [row["bytes"] for row in rows["image"]]
    assert samples[3].caption == "t3"
    assert samples[3].declared == {"artist": "Ada"}
    fewer = data.shuffle(seed=1).select(range(9))
    assert dataset.open(fewer).uri != opened.uri
    assert [s.caption for s in dataset.open(fewer)] == fewer["text"]


def test_a_hugging_face_dataset_of_paths(hf, gallery):
    data = hf.Dataset.from_dict({"picture": [str(gallery / "a.jpg"), str(gallery / "none.jpg")]})
    data = data.cast_column("picture", hf.Image())
    first, second = dataset.open(data)
    assert first.data == (gallery / "a.jpg").read_bytes()
    assert second.case is not None
    assert second.case.reason == "vanished"


def test_a_row_that_names_a_url_is_not_fetched(hf):
    features = hf.Features({"image": hf.Image()})
    rows = {"image": [{"bytes": None, "path": "http://127.0.0.1:9/x.jpg"}]}
    (sample,) = dataset.open(hf.Dataset.from_dict(rows, features=features))
    assert sample.case is not None
    assert sample.case.reason == "link-outside"


def test_hugging_face_objects_that_are_no_single_table(hf, paint):
    data = hf.Dataset.from_dict({"text": ["a"]})
    with pytest.raises(SourceError, match="column of images"):
        dataset.open(data)
    with pytest.raises(UsageError) as caught:
        dataset.open(hf.DatasetDict({"train": data}))
    assert "train" in caught.value.hint
    with pytest.raises(UsageError, match="IterableDataset"):
        dataset.open(data.to_iterable_dataset())


# ----------------------------------------------------------------------------------- webdataset


def test_a_webdataset_object(tmp_path, paint):
    wds = pytest.importorskip("webdataset")
    for number in range(3):
        with tarfile.open(tmp_path / f"s{number}.tar", "w") as tar:
            info = tarfile.TarInfo("k.jpg")
            info.size = len(paint(number))
            tar.addfile(info, io.BytesIO(paint(number)))
    pattern = str(tmp_path / "s{0..2}.tar")
    expected = [paint(number) for number in range(3)]
    for data in (
        wds.WebDataset(pattern, shardshuffle=False),
        wds.WebDataset(pattern, shardshuffle=10),
        wds.WebDataset([str(tmp_path / f"s{n}.tar") for n in range(3)], shardshuffle=False).decode("pil"),
        wds.WebDataset(pattern, resampled=True, shardshuffle=False).shuffle(5),
        wds.DataPipeline(wds.SimpleShardList(pattern), wds.tarfile_to_samples()),
    ):
        assert [s.data for s in dataset.open(data)] == expected
    one = dataset.open(wds.WebDataset(str(tmp_path / "s1.tar"), shardshuffle=False))
    assert one.uri == str(tmp_path / "s1.tar")
    with pytest.raises(UsageError, match="command"):
        dataset.open(wds.WebDataset("pipe:cat x.tar", shardshuffle=False))


# --------------------------------------------------------------------------------------- memory


def test_files_in_memory_reach_the_workers(gallery, paint):
    import fsspec

    memory = fsspec.filesystem("memory")
    for path in gallery.rglob("*"):
        if path.is_file():
            memory.pipe(f"/set-one/{path.relative_to(gallery)}", path.read_bytes())
    try:
        local = {s.item.uri: (s.data, s.caption, s.declared) for s in dataset.open(gallery)}
        opened = dataset.open("memory://set-one")
        assert opened.uri == "memory://set-one"
        assert {
            s.item.uri: (s.data, s.caption, s.declared) for s in pickle.loads(pickle.dumps(opened))
        } == local
        before = {item.uri: (item.path, item.stamp) for item in opened.items([])}
        assert before == {
            item.uri: (item.path, item.stamp) for item in dataset.open("memory://set-one").items([])
        }
        memory.pipe("/set-one/a.jpg", paint(88))
        assert {s.item.uri: s.data for s in dataset.open("memory://set-one")}["a.jpg"] == paint(88)
        with pytest.raises(SourceError):
            dataset.open("memory://nothing-there")
    finally:
        memory.rm("/set-one", recursive=True)
