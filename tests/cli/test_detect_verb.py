"""`genepool detect`, through the real command."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage import data as skimage_data

from genepool.detection import Calibration, OnnxDetector, calibrate, keep_calibration, model_card
from genepool.store import Workspace
from support import onnx_models as models
from support.controls import draw


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


def test_a_model_that_raises_is_named_in_detect_check_and_report(detect, run, gallery, tmp_path):
    path = models.model(tmp_path / "five.onnx", side=32, columns=5)
    (tmp_path / "genepool.toml").write_text(f'[detection]\ndetector = "onnx:{path}"\n')
    done = detect(gallery, "--workspace", tmp_path / "w")
    assert done.code == 0, done.err
    assert "failed: detector onnx:five.onnx: expected 1 or 2 output columns, found 5" in done.out
    told = run("check", gallery, "--workspace", tmp_path / "w", "--workers", 1)
    assert told.code in (1, 5), told.err
    assert "pixel judge 0 decided · 4 abstained" in " ".join(told.out.split())
    assert "failed on 4: its vote is removed: failed on 4 of 4 images; detector onnx:five.onnx" in told.out
    page = (tmp_path / "w" / "report.html").read_text()
    assert "It failed on 4 images:" in page
    again = run("check", gallery, "--workspace", tmp_path / "w", "--workers", 1, "--format", "json")
    judge = json.loads(again.out)["detector"]
    assert (judge["failed"], judge["decided"]) == (4, 0)
    assert "its vote is removed" in judge["failure"]


def test_the_card_is_printed_without_reading_an_image(detect, tmp_path, own_home):
    page = Path(__file__).parents[2] / "docs" / "model-card-detector.md"
    assert model_card(type("House", (), {"name": "house"})()) == page.read_text("utf-8")
    path = models.model(tmp_path / "m.onnx", side=64)
    done = detect("--card", "--detector", f"onnx:{path}")
    assert done.code == 0, done.err
    assert "ships no model card" in done.out
    assert f"genepool calibrate CONTROLS --detector onnx:{path}" in done.out
    keep_calibration(calibrate(*draw(7, 2.0), detector=OnnxDetector(path).digest))
    done = detect("--card", "--detector", f"onnx:{path}")
    assert "Promise: at 95% confidence at least 94% of its decisions are right" in done.out
    data = json.loads(detect("--card", "--detector", f"onnx:{path}", "--format", "json").out)
    assert data["calibration"]["accuracy"] == 0.94
    assert detect().code == 2


def test_watermarks_are_looked_for_when_asked(detect, tmp_path):
    folder = tmp_path / "set"
    folder.mkdir()
    place = Path(__file__).parents[1] / "references" / "fixtures" / "watermarks.npz"
    with np.load(place) as data:
        change = data["flux_change"]
    clean = skimage_data.astronaut()[:256, 90:346]
    Image.fromarray(clean).save(folder / "clean.png")
    Image.fromarray((clean.astype(np.int16) + change).astype(np.uint8)).save(folder / "marked.png")
    done = detect(folder, "--watermarks", "--format", "jsonl")
    rows = {row["path"]: row for row in map(json.loads, done.out.splitlines())}
    assert rows["marked.png"]["watermark"] == "FLUX"
    assert rows["clean.png"]["watermark"] is None
    assert "1 watermarked" in detect(folder, "--watermarks").out
    assert "watermark" not in detect(folder, "--format", "jsonl").out


def test_nothing_to_look_at(detect, tmp_path):
    (tmp_path / "empty").mkdir()
    done = detect(tmp_path / "empty")
    assert done.code == 3
    assert "GP012" in done.err
