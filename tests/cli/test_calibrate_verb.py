"""`genepool calibrate`, through the real command, on pictures whose brightness a real ONNX model reads."""

import json
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from onnx import helper
from PIL import Image

from genepool.config import config_directory
from support import onnx_models as models

N = 90


def gallery(root, spread=0.09, n=N, seed=0):
    """human/ is dark and ai/ is bright, with overlap; two groups each."""
    rng = np.random.default_rng(seed)
    for label, level in (("human", 0.3), ("ai", 0.7)):
        for group in ("one", "two"):
            folder = root / label / group / "source"
            folder.mkdir(parents=True)
            for i in range(n):
                shade = float(np.clip(rng.normal(level, spread), 0.12, 0.88))
                Image.fromarray(models.noise(shade, 64, seed=int(rng.integers(2**31)))).save(
                    folder / f"{i}.png"
                )
    return root


@pytest.fixture(scope="module")
def controls(tmp_path_factory):
    return gallery(tmp_path_factory.mktemp("controls") / "set")


@pytest.fixture
def detector(tmp_path):
    return f"onnx:{models.model(tmp_path / 'bright.onnx', side=64, gain=20.0, bias=-10.0)}"


@pytest.fixture
def calibrate(run, tmp_path, monkeypatch, detector):
    monkeypatch.chdir(tmp_path)
    return lambda *args: run("calibrate", *args, "--workers", 1)


def test_calibrate_then_detect_and_check_with_a_vote(calibrate, run, controls, detector, tmp_path):
    done = calibrate(
        controls, "--detector", detector, "--minimum", 60, "--plot", tmp_path / "p" / "curve.svg"
    )
    assert done.code == 0, done.err
    assert f"{4 * N} controls: {2 * N} AI and {2 * N} human scored, 0 abstained" in done.out
    for word in ("AUC", "ECE", "risk–coverage", "Promise: at 95% confidence at least 94%", "one/source"):
        assert word in done.out
    assert ET.parse(tmp_path / "p" / "curve.svg").getroot().tag.endswith("svg")
    digest = next(iter((config_directory() / "calibrations").glob("*.json"))).stem
    # Another set, another workspace: the calibration holds for the model.
    other = gallery(tmp_path / "other", n=4, seed=9)
    lines = run("detect", other, "--detector", detector, "--format", "jsonl", "--workers", 1).out.splitlines()
    rows = [json.loads(line) for line in lines]
    assert {row["model"].split("@")[1] for row in rows} == {digest}
    decided = [row for row in rows if row["verdict"] != "abstain"]
    assert len(decided) > 8
    assert all(0 < abs(row["llr"]) <= 2 for row in decided)
    assert all((row["llr"] > 0) == (row["verdict"] == "ai") for row in decided)
    # A higher accuracy than was promised is not kept.
    (tmp_path / "genepool.toml").write_text("[detection]\nthreshold = 0.99\n")
    lines = run("detect", other, "--detector", detector, "--format", "jsonl", "--workers", 1).out.splitlines()
    assert {json.loads(line)["verdict"] for line in lines} == {"abstain"}


def test_json_and_the_workspace_only(calibrate, controls, detector, tmp_path):
    done = calibrate(
        controls, "--detector", detector, "--minimum", 60, "--format", "json", "--workspace", tmp_path / "w"
    )
    data = json.loads(done.out)
    assert data["schema"] == "genepool.calibration/2"
    assert data["kept"] == str(tmp_path / "w" / "calibration.json")
    assert data["measured"]["auc"]["value"] > 0.95
    assert {row["source"] for row in data["measured"]["sources"]} == {"one/source", "two/source"}
    assert not (config_directory() / "calibrations").exists()
    kept = json.loads((tmp_path / "w" / "calibration.json").read_text())
    assert list(kept["calibrations"]) == [data["detector"].split("@")[0]] or data["model"].endswith(
        next(iter(kept["calibrations"]))
    )


def test_a_csv_names_labels_and_groups(calibrate, controls, detector, tmp_path):
    lines = ["path,label,group"]
    found = sorted(controls.rglob("*.png"))
    lines += [f"{path},{path.relative_to(controls).parts[0]},everything" for path in found]
    (tmp_path / "c.csv").write_text("\n".join(lines))
    done = calibrate(tmp_path / "c.csv", "--detector", detector)
    assert done.code == 0, done.err
    assert "ai: everything" in done.out
    assert "human: everything" in done.out


def test_too_few_controls_say_how_many(calibrate, detector, tmp_path):
    done = calibrate(gallery(tmp_path / "few", n=10), "--detector", detector)
    assert done.code == 3
    assert "GP016" in done.err
    assert "49 decided test controls without an error" in done.err
    assert not (config_directory() / "calibrations").exists()


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda root: None, "no detector is configured"),
        (
            lambda root: (root / "human" / "one" / "source" / "0.png").rename(root / "stray.png"),
            "human/ and ai/",
        ),
        (lambda root: [p.unlink() for p in (root / "ai").rglob("*.png")], "found no ai image"),
    ],
)
def test_controls_of_another_shape_are_refused(calibrate, detector, tmp_path, make, words):
    root = gallery(tmp_path / "odd", n=2)
    make(root)
    options = ("--detector", "none" if "configured" in words else detector)
    done = calibrate(root, *options)
    assert done.code in (2, 3)
    assert words in done.err


def test_the_same_file_under_both_labels_is_refused(calibrate, detector, tmp_path):
    root = gallery(tmp_path / "twice", n=2)
    copy = root / "human" / "one" / "source" / "copy.png"
    copy.write_bytes((root / "ai" / "one" / "source" / "0.png").read_bytes())
    done = calibrate(root, "--detector", detector)
    assert done.code == 2
    assert "the same file, labelled ai and human" in done.err


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a,b\n1,2\n", "expected columns path, label"),
        ("path,label\nx.png,robot\n", "line 2: expected a path and human or ai"),
        ("path,label\nnowhere/x.png,ai\nnowhere/y.png,human\n", "nowhere"),
    ],
)
def test_csv_files_that_say_something_else(calibrate, detector, tmp_path, text, words):
    (tmp_path / "c.csv").write_text(text)
    done = calibrate(tmp_path / "c.csv", "--detector", detector)
    assert done.code in (2, 3)
    assert words in done.err


@pytest.fixture
def tower(tmp_path):
    """An image tower of two features whose direction turns with brightness."""
    tail = [helper.make_node("Exp", ["logits"], ["features"])]
    return f"onnx:{models.model(tmp_path / 'tower.onnx', side=64, columns=2, gain=4.0, bias=-2.0, tail=tail)}"


def test_a_probe_on_a_frozen_backbone_is_trained_kept_and_used(calibrate, run, controls, tower, tmp_path):
    place = tmp_path / "probes" / "p.npz"
    done = calibrate(controls, "--backbone", tower, "--out", place, "--minimum", 60)
    assert done.code == 0, done.err
    assert f'detection.detector = "probe:{place}"' in done.out
    other = gallery(tmp_path / "other", n=4, seed=9)
    told = run("detect", other, "--detector", f"probe:{place}", "--format", "jsonl", "--workers", 1)
    rows = [json.loads(line) for line in told.out.splitlines()]
    decided = [row for row in rows if row["verdict"] != "abstain"]
    assert len(decided) > 8
    right = [row["path"].startswith(row["verdict"]) for row in decided]
    assert all(right)


def test_a_backbone_that_is_not_there_and_options_that_contradict(calibrate, controls, detector, tower):
    assert "no backbone is called" in calibrate(controls, "--backbone", "resnet").err
    assert calibrate(controls, "--backbone", tower, "--detector", detector).code == 2
    assert calibrate(controls, "--detector", detector, "--out", "p.npz").code == 2


def test_a_probe_of_one_group_says_what_it_does_not_know(calibrate, tower, tmp_path):
    root = gallery(tmp_path / "narrow", n=80)
    for path in (root / "ai" / "two").rglob("*.png"):
        path.rename(root / "ai" / "one" / "source" / f"two-{path.name}")
    done = calibrate(root, "--backbone", tower, "--minimum", 60)
    assert done.code == 0, done.err
    assert "one AI group only: nothing is known about AI images of other kinds" in done.out
    assert list((config_directory() / "probes").glob("*.npz"))
