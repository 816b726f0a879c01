"""`genepool detect`, through the real command."""

import json

import pytest
from PIL import Image

from genepool.detection import Calibration
from genepool.store import Workspace
from support import onnx_models as models


@pytest.fixture
def gallery(tmp_path):
    folder = tmp_path / "set"
    folder.mkdir()
    Image.fromarray(models.noise(0.85, 128)).save(folder / "bright.png")
    Image.fromarray(models.noise(0.15, 128)).save(folder / "dark.png")
    Image.fromarray(models.noise(0.5, 128)).save(folder / "middle.png")
    Image.fromarray(models.noise(0.5, 32)).save(folder / "tiny.png")
    return folder


@pytest.fixture
def detect(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: run("detect", *arguments, "--workers", 1)


def test_without_a_detector_everything_abstains(detect, gallery, tmp_path):
    done = detect(gallery, "--workspace", tmp_path / "w")
    assert done.code == 0, done.err
    assert "4 images: 0 ai, 0 human, 4 abstained" in done.out
    assert "no calibrated detector" in done.out
    assert "genepool check" in done.out


def test_a_calibrated_model_decides_and_says_why(detect, gallery, tmp_path):
    path = models.model(tmp_path / "bright.onnx", side=64, gain=20.0, bias=-10.0)
    options = (gallery, "--workspace", tmp_path / "w", "--detector", f"onnx:{path}", "--format")
    before = json.loads(detect(*options, "json").out)
    assert before["schema"] == "genepool.detect/1"
    assert {image["verdict"] for image in before["images"]} == {"abstain"}
    assert {image["llr"] for image in before["images"]} == {0.0}
    digest = before["images"][0]["model"].split("@")[1]
    calibration = Calibration(digest, 1.0, 0.0, 3.0, -3.0, 1.5, -1.0, 0.95, 500, {"all": 500})
    Workspace(tmp_path / "w").write_json("calibration.json", calibration.to_json())
    done = detect(*options, "jsonl")
    rows = {row["path"]: row for row in map(json.loads, done.out.splitlines())}
    assert list(rows["bright.png"]) == ["path", "sha256", "p_ai", "verdict", "llr", "model", "reason"]
    assert {name: row["verdict"] for name, row in rows.items()} == {
        "bright.png": "ai",
        "dark.png": "human",
        "middle.png": "abstain",
        "tiny.png": "abstain",
    }
    assert rows["bright.png"]["llr"] == 1.5
    assert rows["bright.png"]["p_ai"] > 0.99
    assert rows["middle.png"]["llr"] == 0.0
    assert "64-pixel crop" in rows["tiny.png"]["reason"]
    assert len(rows["dark.png"]["sha256"]) == 64


def test_a_broken_model_is_named_and_costs_only_its_vote(detect, gallery, tmp_path):
    (tmp_path / "broken.onnx").write_bytes(b"nothing")
    options = (gallery, "--workspace", tmp_path / "w", "--detector", f"onnx:{tmp_path / 'broken.onnx'}")
    done = detect(*options)
    assert done.code == 0, done.err
    assert "broken.onnx" in done.out
    missing = detect(
        gallery,
        "--workspace",
        tmp_path / "w",
        "--detector",
        "onnx:/no/where.onnx",
    )
    assert missing.code == 3
    assert "GP015" in missing.err
    assert "Traceback" not in missing.err


def test_nothing_to_look_at(detect, tmp_path):
    (tmp_path / "empty").mkdir()
    done = detect(tmp_path / "empty")
    assert done.code == 3
    assert "GP012" in done.err
