"""The detector that ships: abstains where it cannot know, says the same twice, and is calibrated."""

from __future__ import annotations

import io
import shutil
from importlib import resources

import numpy as np
import pytest
from PIL import Image

from genepool.detection import CAP, HouseDetector, load_calibration, opinion
from genepool.errors import PluginError
from genepool.testing import assert_detector, picture, view_of


@pytest.fixture(scope="module")
def judge():
    found = HouseDetector()
    found.prepare()
    return found


@pytest.fixture(scope="module")
def calibration():
    found = load_calibration(None, 0.94, digest=HouseDetector().digest)
    assert found is not None, "the built-in calibration is of another model"
    return found


def test_it_keeps_every_rule_of_the_kit():
    assert_detector(HouseDetector())


def test_it_ships_with_a_calibration_of_exactly_these_weights(calibration):
    assert calibration.accuracy >= 0.94
    assert calibration.n >= 1000
    assert calibration.llr_ai >= 0
    assert calibration.llr_human <= 0
    assert max(calibration.llr_ai, -calibration.llr_human) > 0, "a judge without any vote"


def test_its_vote_is_capped(judge, calibration):
    model = f"house@{judge.digest}"
    for logit in (-50.0, 50.0):
        found = opinion(logit, model, "", calibration, path="x", sha256="00")
        assert abs(found.llr) <= CAP


@pytest.mark.parametrize("shape", [(127, 500), (500, 127), (1, 900)])
def test_below_128_pixels_it_abstains(judge, shape):
    score = judge.score(view_of(picture(*shape)))
    assert score.logit is None
    assert "enlarged" in score.reason


def test_padding_cannot_buy_a_verdict(judge):
    canvas = np.full((900, 900, 3), 255, np.uint8)
    canvas[:40, :40] = picture(40, 40)
    assert judge.score(view_of(canvas)).logit is None or abs(judge.score(view_of(canvas)).logit) < 50


def test_batches_and_runs_agree(judge):
    crops = np.stack([picture(192, 192, seed) for seed in range(5)])
    together = judge.forensic(crops)
    alone = np.concatenate([judge.forensic(crop[None]) for crop in crops])
    assert np.abs(together - alone).max() <= 1e-5
    assert np.array_equal(together, judge.forensic(crops))


def test_no_decided_verdict_turns_when_a_photograph_is_saved_again(judge, calibration, photos):
    model = f"house@{judge.digest}"

    def verdict(image):
        score = judge.score(view_of(np.asarray(image)))
        return opinion(score.logit, model, score.reason, calibration, path="x", sha256="00").verdict

    for photo in map(Image.fromarray, photos.values()):
        out = io.BytesIO()
        photo.save(out, "JPEG", quality=75)
        assert {verdict(photo), verdict(Image.open(out).convert("RGB"))} != {"ai", "human"}


def test_a_missing_or_damaged_file_is_named(tmp_path):
    with pytest.raises(PluginError, match=r"forensic\.onnx cannot be read"):
        HouseDetector(tmp_path)
    place = resources.files("genepool.detection").joinpath("model")
    for name in ("forensic.onnx", "stack.npz"):
        with resources.as_file(place.joinpath(name)) as path:
            shutil.copy(path, tmp_path / name)
    assert HouseDetector(tmp_path).digest == HouseDetector().digest
    (tmp_path / "stack.npz").write_bytes(b"no zip")
    with pytest.raises(PluginError, match="damaged"):
        HouseDetector(tmp_path).prepare()
