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
    assert "fits embedder other@9, the images were embedded by classical@1" in result.err
