"""The gallery is what it says it is."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import tomllib
from pathlib import Path

import c2pa
import numpy as np
import pytest
from PIL import Image

from genepool.demo import ANCHOR, Gallery
from genepool.demo._photos import Photo, cut, load_photos
from genepool.errors import MissingExtra


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def sidecar(gallery: Gallery) -> dict[str, dict[str, object]]:
    lines = (gallery.root / "genepool.jsonl").read_text("utf-8").splitlines()
    records = [json.loads(line) for line in lines]
    assert len({r["file"] for r in records}) == len(records)
    return {r["file"]: r for r in records}


def test_composition(gallery):
    counts = {group: len(files) for group, files in gallery.groups.items()}
    assert counts == {
        "photographs": 213,
        "drawings": 7,
        "copies": 10,
        "signed": 24,
        "tagged": 28,
        "found": 8,
        "third": 60,
        "computed": 8,
        "damaged": 2,
    }
    assert gallery.readable == 358
    assert gallery.size < 15e6
    # Guaranteed by construction under the default policy: too little human work in the whole set even if
    # every picture of unknown origin were human, enough once the third generation has left.
    human, unknown = counts["photographs"] + counts["drawings"], counts["copies"]
    first = human + unknown + counts["computed"] + counts["signed"] + counts["tagged"]
    assert (human + unknown) / (first + counts["third"]) < 0.70 < human / first


def test_every_picture_decodes_and_is_small(gallery):
    for group, files in gallery.groups.items():
        for name in files:
            if group == "damaged":
                with pytest.raises((OSError, SyntaxError)), Image.open(gallery.root / name) as image:
                    image.load()
                continue
            with Image.open(gallery.root / name) as image:
                image.load()
                assert max(image.size) <= 320, name
                assert min(image.size) >= 64, name


def test_every_piece_of_human_work_has_its_licence_and_its_record(gallery):
    licences = tomllib.loads((gallery.root / "licences.toml").read_text("utf-8"))
    photos = {photo.name: photo for photo in load_photos()}
    assert licences.keys() == photos.keys()
    for row in licences.values():
        assert all(row[key] for key in ("title", "artist", "license", "source", "origin", "style"))
        assert row["source"].startswith("http")
    records = sidecar(gallery)
    for name in gallery.groups["photographs"] + gallery.groups["drawings"]:
        record, photo = records[name], photos[Path(name).name.rsplit("-", 1)[0]]
        assert record["license"] == photo.license
        assert record["artist"] == photo.artist
        assert record["origin"] == photo.origin
        assert record["parents"] == [photo.sha256]
        assert photo.sha256 == digest(photo.path)
        assert record["operations"][0]["operation"] == "crop"


def test_a_piece_can_be_made_again_from_its_record(gallery):
    """The first operations are geometry: replaying them on the parent gives the very pixels."""
    photos = {photo.name: photo for photo in load_photos()}
    replayed = 0
    for name, record in sidecar(gallery).items():
        if not name.endswith(".png") or not name.startswith("human/photographs"):
            continue
        image = None
        with Image.open(photos[Path(name).name.rsplit("-", 1)[0]].path) as file:
            image = file.convert("L" if file.mode == "L" else "RGB")
        for step in record["operations"]:
            match step:
                case {"operation": "crop", "box": box}:
                    image = image.crop(box)
                case {"operation": "mirror"}:
                    image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
                case {"operation": "turn", "degrees": 90}:
                    image = image.transpose(Image.Transpose.ROTATE_90)
                case {"operation": "resize", "size": size}:
                    image = image.resize(size, Image.Resampling.LANCZOS, reducing_gap=2.0)
                case {"operation": "monochrome"}:
                    image = image.convert("L")
                case _:
                    image = None
                    break
        if image is not None:
            with Image.open(gallery.root / name) as made:
                assert np.array_equal(np.asarray(made), np.asarray(image)), name
            replayed += 1
    assert replayed >= 10


def test_signed_pictures_verify_with_the_demo_authority_only(gallery):
    anchor = (gallery.root / ANCHOR).read_text("ascii")
    assert "PRIVATE" not in anchor
    assert not any("PRIVATE KEY" in p.read_text("latin-1") for p in gallery.root.rglob("*") if p.is_file())
    trust = {"user_anchors": anchor, "trust_config": "1.3.6.1.5.5.7.3.4"}
    settings = c2pa.Settings.from_dict({"verify": {"verify_trust": True}, "trust": trust})
    with c2pa.Context(settings) as trusting:
        for name in gallery.groups["signed"]:
            with c2pa.Reader(str(gallery.root / name), context=trusting) as reader:
                assert reader.get_validation_state() == "Trusted"
                store = json.loads(reader.json())
            manifest = store["manifests"][store["active_manifest"]]
            assertions = {a["label"]: a["data"] for a in manifest["assertions"]}
            assert assertions["org.genepool.generation"] == {"generation": 1, "model": "demo-1"}
            action = assertions["c2pa.actions.v2"]["actions"][0]
            assert action["digitalSourceType"].endswith("/trainedAlgorithmicMedia")
    with c2pa.Reader(str(gallery.root / gallery.groups["signed"][0])) as stranger:
        assert stranger.get_validation_state() == "Valid"


def test_tagged_pictures_carry_parameters_and_the_third_generation_carries_nothing(gallery):
    for name in gallery.groups["tagged"] + gallery.groups["found"]:
        with Image.open(gallery.root / name) as image:
            assert "Steps: " in image.text["parameters"]
            assert ("Model: demo-1" in image.text["parameters"]) == (name in gallery.groups["tagged"])
    declared = sidecar(gallery)
    assert not any(name in declared for name in gallery.groups["found"] + gallery.groups["third"])
    for name in gallery.groups["third"]:
        with Image.open(gallery.root / name) as image:
            assert image.info == {}


def test_each_generation_is_poorer_than_the_one_before(gallery):
    """Fine detail (mean absolute Laplacian): people's pictures > generation 1 > generation 3."""

    def detail(files: tuple[str, ...]) -> float:
        values = []
        for name in files:
            with Image.open(gallery.root / name) as image:
                grey = np.asarray(image.convert("L").resize((128, 128)), np.float64)
            edges = 4 * grey[1:-1, 1:-1] - grey[:-2, 1:-1] - grey[2:, 1:-1] - grey[1:-1, :-2] - grey[1:-1, 2:]
            values.append(np.abs(edges).mean())
        return float(np.mean(values))

    groups = gallery.groups
    human, first, third = (detail(f) for f in (groups["photographs"], groups["tagged"], groups["third"]))
    assert human > 1.3 * first
    assert first > 1.3 * third


def test_copies_name_their_parents_and_look_like_them(gallery):
    records = sidecar(gallery)
    for name in gallery.groups["copies"]:
        (parent,) = records[name]["parents"]
        with Image.open(gallery.root / name) as copy, Image.open(gallery.root / parent) as original:
            a, b = (np.asarray(i.convert("L").resize((64, 64)), float).ravel() for i in (copy, original))
        assert np.corrcoef(a, b)[0, 1] > 0.98
        assert digest(gallery.root / name) != digest(gallery.root / parent)


def test_cutting_depends_on_the_seed_and_on_nothing_else():
    photo = load_photos()[0]
    once, again, other = ([p.operations for p in cut(photo, seed)] for seed in (7, 7, 8))
    assert once == again != other
    assert len({json.dumps(o[0]["box"]) for o in once}) == photo.pieces


def test_a_missing_package_is_one_line_with_its_cure(monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda n: None if n == "skimage" else find(n))
    with pytest.raises(MissingExtra) as caught:
        load_photos()
    assert caught.value.message == "scikit-image is not installed"
    assert caught.value.hint == "pip install 'genepool[demo]'"


def test_a_package_without_the_picture_says_so(monkeypatch, tmp_path):
    monkeypatch.setattr("genepool.demo._photos._package_root", lambda package: tmp_path)
    with pytest.raises(MissingExtra, match=r"does not ship astronaut\.png"):
        load_photos()


def test_photo_records_are_frozen():
    with pytest.raises(AttributeError):
        load_photos()[0].title = "mine"
    assert all(isinstance(p, Photo) for p in load_photos())
