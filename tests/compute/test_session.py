"""Where models run: asked for, found, and said aloud where it is not there."""

from __future__ import annotations

import importlib.metadata
from importlib import resources
from types import SimpleNamespace

import numpy as np
import onnxruntime as ort
import pytest

from genepool import dataset, pipeline
from genepool.compute import Placement, open_session, place
from genepool.config import Config
from genepool.detection import HouseDetector, OnnxDetector
from genepool.embedding import HouseEmbedder
from genepool.engine import LocalEngine
from genepool.errors import ConfigError
from genepool.scan import scan
from genepool.store import Journal
from genepool.testing import picture, view_of
from support import onnx_models
from support.scans import fill

NO_CARD = "CUDAExecutionProvider" not in ort.get_available_providers()
needs_none = pytest.mark.skipif(not NO_CARD, reason="this ONNX Runtime has a CUDA provider")


@pytest.fixture(scope="module")
def forensic():
    return resources.files("genepool.detection").joinpath("model", "forensic.onnx").read_bytes()


def test_the_processor_needs_no_words(forensic):
    opened = open_session(forensic)
    assert (opened.provider, opened.warning) == ("cpu", "")
    assert opened.session.get_providers() == ["CPUExecutionProvider"]


@needs_none
def test_a_card_that_is_not_there_is_said(forensic, capfd):
    opened = open_session(forensic, "cuda")
    assert opened.provider == "cpu"
    assert "cuda was asked for" in opened.warning
    assert "onnxruntime-gpu" in opened.warning
    assert open_session(forensic, "auto").warning == ""
    assert capfd.readouterr() == ("", "")


def test_a_card_that_does_not_start_is_said_without_a_word_on_stdout(forensic, monkeypatch, capfd):
    """The provider is listed, its libraries are missing: ONNX Runtime prints that and goes on without."""
    real = ort.InferenceSession

    def start(data, options, providers):
        if providers[0] != "CPUExecutionProvider":
            print("*** EP Error *** libcudnn.so.9: cannot open shared object file ***")
            assert providers[0][1]["use_tf32"] == "0"
        return real(data, options, providers=["CPUExecutionProvider"])

    monkeypatch.setattr(
        ort, "get_available_providers", lambda: ["CUDAExecutionProvider", "CPUExecutionProvider"]
    )
    monkeypatch.setattr(ort, "InferenceSession", start)
    monkeypatch.setattr(ort, "preload_dlls", lambda: print("Failed to load libcudart.so.13"), raising=False)
    opened = open_session(forensic, "cuda")
    assert opened.provider == "cpu"
    assert "libcudart" in opened.warning
    assert open_session(forensic, "auto")[1:] == ("cpu", "")
    assert capfd.readouterr().out == ""


def test_a_card_that_fails_leaves_the_processor(forensic, monkeypatch):
    real = ort.InferenceSession

    def start(data, options, providers):
        if providers[0] != "CPUExecutionProvider":
            raise RuntimeError("CUDA failure 2: out of memory")
        return real(data, options, providers=providers)

    monkeypatch.setattr(ort, "get_available_providers", lambda: ["CUDAExecutionProvider"])
    monkeypatch.setattr(ort, "InferenceSession", start)
    opened = open_session(forensic, "cuda")
    assert opened.provider == "cpu"
    assert "out of memory" in opened.warning


class Card:
    """A session as a card would give it: the processor's answers, a little off, more so in company."""

    def __init__(self, real, off):
        self.real, self.off = real, off

    def get_providers(self):
        return ["CUDAExecutionProvider", "CPUExecutionProvider"]

    def run(self, outputs, feed):
        answers = self.real.run(outputs, feed)
        company = len(next(iter(feed.values()))) > 1
        return [rows * np.float32(1 + self.off * (2 if company else 1)) for rows in answers]

    def __getattr__(self, name):
        return getattr(self.real, name)


@pytest.fixture
def card(monkeypatch):
    """A pretended card whose answers are off by ``card.off``."""
    real, told = ort.InferenceSession, SimpleNamespace(off=1e-6)

    def start(data, options, providers):
        session = real(data, options, providers=["CPUExecutionProvider"])
        return session if providers[0] == "CPUExecutionProvider" else Card(session, told.off)

    monkeypatch.setattr(ort, "get_available_providers", lambda: ["CUDAExecutionProvider"])
    monkeypatch.setattr(ort, "InferenceSession", start)
    monkeypatch.setattr("genepool.embedding._house._MODELS", {})
    monkeypatch.setattr("genepool.compute._batches.SIZES", {"cpu": (1,), "cuda": (1, 4)})
    monkeypatch.setattr("genepool.compute._batches.FIXED", 4)
    return told


def test_a_card_that_agrees_is_used_in_filled_batches(card, views):
    judge, plain = HouseDetector(), HouseDetector()
    judge.place(Placement("cuda"))
    judge.prepare()
    assert judge.remarks == ("detector house ran on cuda",)
    assert judge.batch == 4
    together = judge.score_all([view_of(pixels) for pixels in views])
    for pixels, score in list(zip(views, together, strict=True))[2:6]:
        assert judge.score(view_of(pixels)) == score  # in whatever company
        wanted = plain.score(view_of(pixels))
        assert (score.logit is None) == (wanted.logit is None)
        assert score.logit is None or score.logit == pytest.approx(wanted.logit, rel=1e-3, abs=1e-3)


def test_a_card_that_does_not_agree_is_not_used(card, tmp_path, views):
    card.off = 0.01
    onnx = OnnxDetector(str(onnx_models.model(tmp_path / "m.onnx", side=64)))
    for model in (HouseDetector(), HouseEmbedder(), onnx):
        model.place(Placement("cuda"))
        model.prepare()
        assert "away from the processor" in model.remarks[0]
        assert model.batch == 1
    assert onnx.score(view_of(views[0])) == OnnxDetector(onnx.path).score(view_of(views[0]))


def test_an_unknown_provider_is_refused(forensic):
    with pytest.raises(ValueError, match="expected one of cpu, cuda, auto"):
        open_session(forensic, "tpu")
    with pytest.raises(ConfigError, match=r"compute\.provider"):
        Config().with_(compute__provider="tpu")


def test_plug_ins_that_cannot_choose_are_left_alone():
    place(SimpleNamespace(), Placement("cuda"))


# ------------------------------------------------------------------------------- the models that ship


@pytest.fixture(scope="module")
def views():
    """Pictures of several sizes, one too small to be judged, one without texture."""
    shapes = [(200, 260), (300, 220), (130, 400), (90, 300), (512, 384), (177, 176), (200, 260)]
    found = [picture(*shape, seed=k) for k, shape in enumerate(shapes)]
    return [*found, np.full((240, 240, 3), 90, np.uint8)]


def test_the_detector_says_the_same_of_many_as_of_each(views):
    alone, together = HouseDetector(), HouseDetector()
    together.place(Placement("cpu", 3))
    together.prepare()
    assert (alone.batch, together.batch) == (1, 3)
    wanted = [alone.score(view_of(pixels)) for pixels in views]
    assert together.score_all([view_of(pixels) for pixels in views]) == wanted
    assert sum(score.logit is None for score in wanted) == 2


def test_the_embedder_sees_the_same_in_many_as_in_each(views):
    alone, together = HouseEmbedder(), HouseEmbedder()
    together.place(Placement("cpu", 3))
    together.prepare()
    shown = [view_of(pixels) for pixels in views]
    once = together.look(shown[1])
    together.foresee(shown)
    assert together.look(shown[1]) is once
    for view, pixels in zip(shown, views, strict=True):
        for got, wanted in zip(together.look(view), alone.look(view_of(pixels)), strict=True):
            assert np.array_equal(got, wanted)


@pytest.mark.parametrize("options", [{}, {"batch": 4, "side": 64}, {"metadata": {"genepool.view": "whole"}}])
def test_any_onnx_model_says_the_same_of_many_as_of_each(tmp_path, views, options):
    path = onnx_models.model(tmp_path / "m.onnx", **options)
    alone, together = OnnxDetector(str(path)), OnnxDetector(str(path))
    together.place(Placement("cpu", 5))
    together.prepare()
    wanted = [alone.score(view_of(pixels)) for pixels in views]
    assert together.score_all([view_of(pixels) for pixels in views]) == wanted
    assert any(score.logit is not None for score in wanted)


# ----------------------------------------------------------------------------------------- the record


@needs_none
def test_the_record_says_where_the_models_ran(tmp_path):
    folder = fill(tmp_path / "set", 3, size=140)
    config = Config().with_(compute__provider="cuda")
    opened = dataset.open(str(folder), workspace=str(tmp_path / "w"))
    first = scan(opened, config=config, engine=LocalEngine(inline=True))
    (remark,) = first.stats.remarks
    assert "cuda was asked for" in remark
    assert scan(opened, config=config).stats.remarks == (remark,)
    assert Journal(first.workspace).runs()[-1].facts["remarks"] == [remark]
    (folder / "new.jpg").write_bytes((folder / "000.jpg").read_bytes())
    grown = scan(opened, config=Config(), engine=LocalEngine(inline=True))
    assert (grown.stats.n_new, grown.stats.remarks) == (1, (remark,))  # rows made without the card are kept
    decision = pipeline.check(opened, config=config, record=False)
    assert decision.to_json()["remarks"] == [remark]
    assert decision.to_json()["config"]["compute"] == {"provider": "cuda", "batch": 0}
    anew = scan(opened, config=Config(), engine=LocalEngine(inline=True), rescan=True)
    assert anew.stats.remarks == ()


def test_an_ordinary_scan_has_no_remarks(tmp_path):
    folder = fill(tmp_path / "set", 2, size=140)
    opened = dataset.open(str(folder), workspace=str(tmp_path / "w"))
    assert scan(opened, config=Config(), engine=LocalEngine(inline=True)).stats.remarks == ()


def test_the_cure_is_a_real_package():
    """The sentence names what the user has now, so that replacing it works."""
    assert importlib.metadata.version("onnxruntime")
