"""Every kind of dataset, scanned: the same images give the same digests however they are held."""

from __future__ import annotations

import io

import pytest
from PIL import Image

from genepool import dataset, plugins
from genepool.config import Config
from genepool.engine import LocalEngine
from genepool.scan import scan


@pytest.fixture(autouse=True)
def bare(monkeypatch):
    """Core digests only: the probes have tests of their own."""
    really = plugins.entries
    monkeypatch.setattr(plugins, "entries", lambda group, *a: [] if group == "probes" else really(group, *a))


def columns(data: object, workspace: object, *, inline: bool = True) -> tuple[bytes, list[bytes], list[str]]:
    engine = LocalEngine(inline=True) if inline else LocalEngine(workers=1)
    catalogue = scan(dataset.open(data), str(workspace), config=Config(), engine=engine)
    table = catalogue.table(["pixel"])
    return catalogue.root(), sorted(table["pixel"].to_pylist()), [case.reason for case in catalogue.cases()]


def test_one_root_in_every_format(gallery, tmp_path):
    expected = columns(gallery, tmp_path / "w")
    assert len(expected[1]) == 7
    for form in dataset.EXPORT_FORMATS:
        dataset.export(dataset.open(gallery), None, tmp_path / form, format=form)
        assert columns(tmp_path / form, tmp_path / f"w-{form}") == expected


def test_images_in_memory_have_the_pixels_of_their_files_also_in_workers(tmp_path):
    root = tmp_path / "set"
    root.mkdir()
    base = Image.linear_gradient("L").resize((40, 30))
    turned = Image.Exif()
    turned[0x0112] = 8
    base.convert("RGB").save(root / "a.jpg", exif=turned)
    base.convert("CMYK").save(root / "b.jpg")
    base.convert("RGB").quantize(9).save(root / "c.png", transparency=2)
    base.convert("I;16").point(lambda v: v * 200).save(root / "d.png")
    base.convert("LA").save(root / "e.png")
    base.convert("RGB").save(root / "f.webp", lossless=True, exif=turned)
    base.convert("RGB").rotate(90).save(root / "g.gif")
    base.convert("1").save(root / "h.tif")
    images = [Image.open(io.BytesIO(path.read_bytes())) for path in sorted(root.iterdir())]
    _, pixels, aside = columns(root, tmp_path / "w")
    assert aside == []
    assert len(pixels) == 8
    _, memory, aside = columns(images, tmp_path / "w2", inline=False)
    assert aside == []
    assert memory == pixels


def test_a_limit_of_the_configuration_holds_before_reading(gallery, tmp_path, monkeypatch):
    limit = 700
    config = Config().with_(scan__max_bytes=limit)
    large = [
        p for p in gallery.rglob("*.*") if p.stat().st_size > limit and p.suffix[1:] in "jpg PNG webp avif"
    ]
    assert large
    opened = dataset.union([dataset.open(gallery)])
    catalogue = scan(opened, str(tmp_path / "w"), config=config, engine=LocalEngine(inline=True))
    cases = {case.uri for case in catalogue.cases() if case.reason == "too-large"}
    assert {f"0/{path.relative_to(gallery)}" for path in large} <= cases
    table = catalogue.sql("SELECT count(*) AS n FROM assets WHERE size > 700")
    assert table["n"].to_pylist() == [0]
