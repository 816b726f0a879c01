"""The conformance kit: passes what is sound, finds each kind of misbehaviour."""

import contextlib
import hashlib
import socket

import numpy as np
import pytest

from genepool.detection import AbstainingDetector, OnnxDetector
from genepool.embedding import ClassicalEmbedder
from genepool.records import Score
from genepool.testing import assert_detector, assert_embedder, check_detector, view_of
from support.onnx_models import model


def test_our_own_detectors_and_embedders_keep_every_rule(tmp_path):
    assert_detector(OnnxDetector(model(tmp_path / "m.onnx", side=128)))
    assert_embedder(ClassicalEmbedder())


def test_the_kit_is_the_scans_own_view():
    pixels = np.random.default_rng(0).integers(0, 256, (30, 40, 3), dtype=np.uint8)
    assert np.array_equal(view_of(pixels, trailing=b"x").pixels, pixels)


class Sound:
    """Keeps the rules; the subclasses break one each."""

    name = "sound"
    digest = hashlib.sha256(b"weights").hexdigest()

    def __init__(self):
        self.seen = 0

    def prepare(self):
        pass

    def score(self, view):
        pixels = view.pixels
        if min(pixels.shape[:2]) < 64 or (pixels == pixels[0, 0]).all():
            return Score(None, "too small or flat")
        return Score(float(pixels.mean()) / 255 - 0.5)


class Remembers(Sound):
    def score(self, view):
        self.seen += 1
        found = super().score(view)
        return found if found.logit is None else Score(found.logit + 1e-9 * self.seen)


class Crashes(Sound):
    def score(self, view):
        return Score(float(np.mean(view.pixels[50:, 50:])))


class Upscales(Sound):
    def score(self, view):
        return Score(float(view.pixels.mean()))


class ReadsBytes(Sound):
    def score(self, view):
        return Score(1.0) if b"Steps:" in view.data else super().score(view)


class PhonesHome(Sound):
    def prepare(self):
        with contextlib.suppress(OSError):
            socket.create_connection(("localhost", 9), timeout=0.1)


class NoDigest(Sound):
    digest = "v1"


class Unpicklable(Sound):
    def __init__(self):
        super().__init__()
        self.lock = lambda: None


class Silent(Sound):
    def score(self, view):
        return Score(None)


class NotANumber(Sound):
    def score(self, view):
        found = super().score(view)
        return found if found.logit is None else Score(float("nan"))


class Mute:
    name = "mute"


@pytest.mark.parametrize(
    ("kind", "rule"),
    [
        (Remembers, "two runs agree"),
        (Crashes, "abstains from one pixel"),
        (Upscales, "abstains from 12 × 12"),
        (Upscales, "abstains from solid black"),
        (ReadsBytes, "pixels, not bytes"),
        (PhonesHome, "network"),
        (NoDigest, "digest"),
        (Unpicklable, "pickled"),
        (Silent, "noise"),
        (NotANumber, "noise"),
        (Mute, "offers what Detector asks for"),
    ],
)
@pytest.mark.filterwarnings("ignore:Mean of empty slice", "ignore:invalid value")
def test_each_misbehaviour_is_found(kind, rule):
    broken = [check for check in check_detector(kind()) if not check.ok]
    assert any(rule in check.rule for check in broken), broken
    with pytest.raises(AssertionError, match=r"breaks \d+ of \d+ rules"):
        assert_detector(kind())


def test_a_sound_detector_is_called_sound():
    assert all(check.ok for check in check_detector(Sound()))


def test_the_one_that_always_abstains_only_lacks_a_digest():
    broken = [check.rule for check in check_detector(AbstainingDetector()) if not check.ok]
    assert broken == ["has a name and the SHA-256 of its model as digest"]
