"""Real ONNX models through the real runtime: layouts, types, abstentions, broken files."""

import hashlib
import math
import pickle

import numpy as np
import pytest
from onnx import TensorProto, helper

from genepool import plugins
from genepool.config import Config
from genepool.detection import AbstainingDetector, DetectionProbe, OnnxDetector
from genepool.errors import PluginError
from genepool.records import Detector, Probe, Score
from support.onnx_models import View, model, noise


def expected(pixels, gain=8.0, bias=-4.0, scale=255.0):
    return gain * float(np.mean(pixels, dtype=np.float64)) / scale + bias


@pytest.mark.parametrize("layout", ["nchw", "nhwc"])
@pytest.mark.parametrize(
    ("dtype", "scale", "gain"),
    [(TensorProto.FLOAT, 255.0, 8.0), (TensorProto.FLOAT16, 255.0, 8.0), (TensorProto.UINT8, 1.0, 8 / 255)],
)
def test_layouts_and_types_give_the_same_logit(tmp_path, layout, dtype, scale, gain):
    path = model(tmp_path / "m.onnx", layout=layout, dtype=dtype, gain=gain, side=64)
    picture = noise(0.7)
    score = OnnxDetector(path).score(View(picture))
    tolerance = 5e-2 if dtype == TensorProto.FLOAT16 else 1e-3
    assert score.logit == pytest.approx(expected(picture, gain=gain, scale=scale), abs=tolerance)
    assert score.reason == ""


@pytest.mark.parametrize("batch", [None, 1, 3, 4, 7])
def test_mean_logit_over_crops_for_every_batch_size(tmp_path, batch):
    path = model(tmp_path / "m.onnx", side=32, batch=batch)
    picture = noise(0.4, side=80)
    view = View(picture)
    score = OnnxDetector(path).score(view)
    crops = View(picture).crops(4, 32)
    assert view.asked == [(4, 32)]
    assert score.logit == pytest.approx(np.mean([expected(c) for c in crops]), abs=1e-4)


def test_free_size_uses_the_metadata_and_normalisation(tmp_path):
    meta = {"genepool.crop": "48", "genepool.mean": "0.5,0.5,0.5", "genepool.std": "0.25,0.25,0.25"}
    view = View(noise(0.7, side=48))
    score = OnnxDetector(model(tmp_path / "m.onnx", metadata=meta)).score(view)
    assert view.asked == [(4, 48)]
    assert score.logit == pytest.approx(8 * (np.mean(view.pixels) / 255 - 0.5) / 0.25 - 4, abs=1e-3)


def test_two_columns_are_human_and_ai(tmp_path):
    picture = noise(0.9)
    score = OnnxDetector(model(tmp_path / "m.onnx", columns=2, side=64)).score(View(picture))
    assert score.logit == pytest.approx(expected(picture), abs=1e-3)
    meta = {"genepool.ai_index": "0"}
    score = OnnxDetector(model(tmp_path / "n.onnx", columns=2, side=64, metadata=meta)).score(View(picture))
    assert score.logit == pytest.approx(-expected(picture), abs=1e-3)


def test_probability_outputs_become_logits(tmp_path):
    tail = [helper.make_node("Sigmoid", ["logits"], ["p"])]
    meta = {"genepool.output": "probability"}
    picture = noise(0.3)
    score = OnnxDetector(model(tmp_path / "m.onnx", tail=tail, metadata=meta, side=64)).score(View(picture))
    assert score.logit == pytest.approx(expected(picture), abs=1e-3)
    # Raw logits mislabelled as probabilities are caught, not clipped.
    wrong = OnnxDetector(model(tmp_path / "w.onnx", metadata=meta, side=64))
    assert wrong.score(View(noise(0.9))).logit is None


def test_identity_is_the_digest_of_the_file(tmp_path):
    path = model(tmp_path / "m.onnx")
    detector = OnnxDetector(path)
    assert isinstance(detector, Detector)
    assert detector.digest == hashlib.sha256(path.read_bytes()).hexdigest()
    assert detector.name == "onnx:m.onnx"
    detector.prepare()
    copy = pickle.loads(pickle.dumps(detector))
    picture = noise(0.6, side=300)
    assert copy.score(View(picture)) == detector.score(View(picture))


def test_a_file_changed_under_the_scan_is_named(tmp_path):
    path = model(tmp_path / "m.onnx")
    detector = OnnxDetector(path)
    model(path, gain=-8.0)
    with pytest.raises(PluginError, match=r"m\.onnx.*changed"):
        detector.prepare()


@pytest.mark.parametrize("size", [(1, 400), (400, 1), (255, 256), (1, 1)])
def test_small_pictures_and_strips_are_abstained_from(tmp_path, size):
    view = View(np.random.default_rng(1).integers(0, 255, (*size, 3)))
    score = OnnxDetector(model(tmp_path / "m.onnx")).score(view)
    assert score == Score(None, "smaller than the detector's 256-pixel crop")


def test_flat_colour_is_abstained_from(tmp_path):
    detector = OnnxDetector(model(tmp_path / "m.onnx", side=64))
    assert "flat" in detector.score(View(np.full((300, 300, 3), 77))).reason
    # Padding around a picture: only the textured crop is judged.
    padded = np.full((200, 200, 3), 255, np.uint8)
    padded[:64, :64] = noise(0.5)
    assert detector.score(View(padded)).logit == pytest.approx(expected(padded[:64, :64]), abs=1e-3)


def test_numbers_that_are_not_finite_are_abstained_from(tmp_path):
    tail = [
        helper.make_node("Sub", ["logits", "logits"], ["zero"]),
        helper.make_node("Log", ["neg"], ["out"]),
    ]
    tail.insert(1, helper.make_node("Sub", ["zero", "offsets"], ["pos"]))
    tail.insert(2, helper.make_node("Neg", ["pos"], ["neg"]))
    detector = OnnxDetector(model(tmp_path / "m.onnx", tail=tail, side=64))
    score = detector.score(View(noise(0.5)))
    assert score.logit is None
    assert "not finite" in score.reason


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"shape": ["n", 4, 64, 64]}, "RGB input"),
        ({"shape": ["n", 3, 64, 32]}, "square"),
        ({"shape": ["n", 3, 4, 4]}, "8 to 4096"),
        ({"dtype": TensorProto.DOUBLE}, "float16 or uint8"),
        ({"metadata": {"genepool.crop": "big"}}, "genepool.crop"),
        ({"metadata": {"genepool.std": "0,1,1"}}, "genepool.std"),
        ({"metadata": {"genepool.mean": "0,1"}}, "genepool.mean"),
        ({"metadata": {"genepool.output": "class"}}, "genepool.output"),
        ({"external": True}, "cannot|can load"),
    ],
)
def test_models_of_the_wrong_shape_are_named(tmp_path, options, words, monkeypatch):
    path = model(tmp_path / "m.onnx", **options)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(PluginError, match=rf"m\.onnx.*({words})"):
        OnnxDetector(path).prepare()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"columns": 5}, "output columns, found 5"),
        ({"tail": [helper.make_node("ReduceSum", ["logits"], ["total"], keepdims=0)]}, "one row"),
        ({"tail": [helper.make_node("Concat", ["logits", "logits"], ["twice"], axis=0)]}, "one row"),
    ],
)
def test_answers_of_the_wrong_shape_are_named(tmp_path, options, words):
    detector = OnnxDetector(model(tmp_path / "m.onnx", side=64, **options))
    with pytest.raises(PluginError, match=words):
        detector.score(View(noise(0.5)))


@pytest.mark.parametrize("content", [b"", b"garbage", b"\x08\x08" + bytes(range(256)), b"PK\x03\x04"])
def test_corrupt_files_cost_the_vote_not_the_scan(tmp_path, content):
    path = tmp_path / "broken.onnx"
    path.write_bytes(content)
    with pytest.raises(PluginError, match=r"broken\.onnx"):
        OnnxDetector(path).prepare()
    probe = DetectionProbe.from_config(Config().with_(detection__detector=f"onnx:{path}"))
    probe = pickle.loads(pickle.dumps(probe))
    probe.prepare()
    row = probe.examine(View(noise(0.5)))
    assert row["logit"] is None
    assert "broken.onnx" in row["abstained"]


def test_a_truncated_model_is_named(tmp_path):
    path = model(tmp_path / "m.onnx")
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(PluginError, match=r"m\.onnx"):
        OnnxDetector(path).prepare()


def test_a_missing_file_is_an_error_before_the_scan(tmp_path):
    with pytest.raises(PluginError, match=r"nowhere\.onnx.*No such file"):
        DetectionProbe.from_config(Config().with_(detection__detector=f"onnx:{tmp_path}/nowhere.onnx"))
    with pytest.raises(PluginError, match="no detector is called 'onx'"):
        DetectionProbe.from_config(Config().with_(detection__detector="onx:/m.onnx"))


def test_two_runs_are_bit_identical(tmp_path):
    path = model(tmp_path / "m.onnx", side=64)
    picture = noise(0.53, side=200)
    first, second = (OnnxDetector(path).score(View(picture)).logit for _ in range(2))
    assert first.hex() == second.hex()


def test_the_one_that_always_abstains_says_so():
    probe = DetectionProbe.from_config(Config().with_(detection__detector="none"))
    assert isinstance(probe, Probe)
    probe.prepare()
    row = probe.examine(View(noise(0.5)))
    assert row == {"detector": "none", "logit": None, "abstained": "no calibrated detector"}
    assert set(row) == set(probe.columns)
    assert isinstance(AbstainingDetector(), Detector)


def test_the_entry_points_name_these_classes():
    assert plugins.load("detectors", "none") is AbstainingDetector
    assert plugins.load("detectors", "onnx") is OnnxDetector
    assert plugins.load("probes", "detection") is DetectionProbe


class Rogue:
    """A plug-in that misbehaves in a chosen way."""

    name = "rogue"
    digest = "00"

    def __init__(self, answer):
        self.answer = answer

    def prepare(self):
        if self.answer == "prepare":
            raise RuntimeError("no weights")

    def score(self, view):
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ("prepare", "RuntimeError: no weights"),
        (ZeroDivisionError("x"), "rogue: ZeroDivisionError"),
        (0.5, "expected a Score, found float"),
        (Score(math.nan), "not finite"),
        (Score(math.inf), "not finite"),
        (Score(None), "without a reason"),
    ],
)
def test_a_plug_in_that_misbehaves_is_named_and_silenced(answer, words):
    probe = DetectionProbe(Rogue(answer))
    probe.prepare()
    row = probe.examine(View(noise(0.5)))
    assert row["logit"] is None
    assert words in row["abstained"]
    assert row["detector"] == "rogue@00"


def test_the_model_is_part_of_the_scan_identity(tmp_path):
    a = DetectionProbe(OnnxDetector(model(tmp_path / "m.onnx")))
    b = DetectionProbe(OnnxDetector(model(tmp_path / "m.onnx", gain=1.0)))
    assert a.version != b.version
