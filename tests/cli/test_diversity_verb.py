"""`genepool diversity`: the numbers, the formats, and a set that has none."""

from __future__ import annotations

import json

import pytest

from support.galleries import crops, write


def test_it_says_how_many_styles_there_are_in_every_format(run, gallery):
    result = run("diversity", gallery, "--workers", 1)
    assert result.code == 0, result
    assert "style diversity 0." in result.out
    assert "near-duplicates that could go" in result.out
    data = json.loads(run("diversity", gallery, "--format", "json").out)
    assert data["schema"] == "genepool.diversity/1"
    for name in ("sdi", "vendi"):
        assert {"value", "lower", "upper", "n", "method"} <= set(data[name])
        assert data[name]["lower"] <= data[name]["value"] <= data[name]["upper"]
    assert data["sdi"]["n"] == data["dataset"]["n"] == 132
    assert 0 < data["on_support"] <= 1
    assert 0 <= data["near_duplicates"] < 1
    assert data["vendi"]["plug_in"] > 1
    github = run("diversity", gallery, "--format", "github").out
    assert github.startswith(("::notice title=style diversity::", "::error title=style diversity::"))
    assert f"{data['sdi']['value']:.2f}" in github


def test_it_is_the_index_of_the_face(run, gallery):
    import genepool

    data = json.loads(run("diversity", gallery, "--workers", 1, "--format", "json").out)
    assert genepool.StyleDiversityIndex().calculate(gallery) == pytest.approx(data["sdi"]["value"], abs=1e-12)


def test_one_image_has_no_diversity_and_it_says_so(run, tmp_path, photos):
    write(tmp_path / "one", crops(photos, 1, seed=1), "x")
    result = run("diversity", tmp_path / "one", "--workers", 1)
    assert result.code == 3
    assert "GP016" in result.err
    assert "at least three" in result.err


def test_a_panel_of_another_embedder_is_refused(run, gallery, tmp_path):
    import dataclasses

    from genepool.diversity import Panel

    dataclasses.replace(Panel.load(), embedder="other@9").save(tmp_path / "other.npz")
    config = tmp_path / "genepool.toml"
    config.write_text(f'[diversity]\npanel = "{tmp_path / "other.npz"}"\n')
    result = run("diversity", gallery, "--workers", 1, "--config", config)
    assert result.code == 3
    assert f"fits embedder other@9, the images were embedded by {Panel.load().embedder}" in result.err


def test_against_a_reference_with_map_and_gallery(run, gallery, tmp_path, photos):
    from PIL import Image

    from support.galleries import computed

    # What a collapsed generator leaves: a few of the pictures, many times over, and smooth nothing.
    late = tmp_path / "late"
    write(late, [*crops(photos, 12, seed=1), *computed(40, seed=5)], "l")
    where = [tmp_path / "map.png", tmp_path / "looks.png"]
    options = ("--reference", gallery, "--plot", where[0], "--gallery", where[1], "--workers", 1)
    result = run("diversity", late, *options)
    assert result.code == 0, result
    assert "against the reference of 132 images:" in result.out
    assert "unique features retained" in result.out
    data = json.loads(run("diversity", late, "--reference", gallery, "--format", "json").out)
    assert data["ufr"] == data["reference"]["ufr"]
    assert data["ufr"]["upper"] < 90
    for name in ("coverage", "density", "frechet", "kernel"):
        assert data["reference"][name]["lower"] <= data["reference"][name]["value"]
    assert data["reference"]["coverage"]["upper"] < 0.8
    assert data["reference"]["frechet"]["lower"] > data["reference"]["frechet"]["floor"]
    assert len(data["rarest"]) == len(set(data["rarest"])) > 0
    assert not set(data["rarest"]) & set(data["commonest"])
    for path in where:
        with Image.open(path) as picture:
            assert min(picture.size) > 100
    lost = run("diversity", late, "--plot", tmp_path / "no" / "map.png", "--workers", 1)
    assert lost.code == 3
    assert "cannot be written" in lost.err


def test_slices_and_groups_by_sidecar(run, tmp_path, photos):
    root = tmp_path / "named"
    write(root, crops(photos, 90, seed=3), "n")
    names = sorted(p.name for p in root.iterdir())
    artists = ["moon" if i < 45 else f"artist {i % 9}" for i in range(90)]
    rows = [{"file": n, "artist": a, "style": "x"} for n, a in zip(names, artists, strict=True)]
    (root / "genepool.jsonl").write_text("\n".join(json.dumps(r) for r in rows))
    data = json.loads(run("diversity", root, "--format", "json", "--workers", 1).out)
    assert set(data["slices"]["artist"]) == {"moon"}
    assert data["slices"]["artist"]["moon"]["n"] == 45
    assert data["groups"]["artist"]["groups"] == 10
    assert data["groups"]["artist"]["largest"][0]["name"] == "moon"
    assert data["sdi_by_artist"]["value"] == pytest.approx(data["sdi"]["value"], abs=1e-9)
    assert "whole groups" in data["sdi_by_artist"]["method"]
    text = run("diversity", root, "--workers", 1).out
    assert "artist moon: 0." in text
    assert "whole artists" in text


def test_nothing_but_copies_is_an_error_that_says_what_to_do(run, tmp_path, photos):
    write(tmp_path / "same", crops(photos, 1, seed=1) * 12, "s")
    result = run("diversity", tmp_path / "same", "--workers", 1)
    assert result.code == 3
    assert "found 1 and 11 copies" in result.err
    assert "add other images" in result.err


def test_a_panel_of_ones_own(run, gallery, tmp_path, photos):
    for i, source in enumerate(("one", "two", "three")):
        write(tmp_path / "art" / source, crops(photos, 80, seed=20 + i), "p")
    panel = tmp_path / "own.npz"
    result = run("panel", tmp_path / "art", "-o", panel, "--name", "mine-1", "--workers", 1)
    assert result.code == 0, result
    assert "held-out half" in result.out
    config = tmp_path / "genepool.toml"
    config.write_text(f'[diversity]\npanel = "{panel}"\n')
    data = json.loads(run("diversity", gallery, "--workers", 1, "--config", config, "--format", "json").out)
    assert data["panel"] == "mine-1"
    assert data["sdi"]["value"] > 0.5
    few = run("panel", gallery, "-o", panel, "--workers", 1)
    assert few.code == 3
    assert "at least 200 human pictures, found 132" in few.err
