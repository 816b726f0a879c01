"""`genepool plugins check` and `fetch-detector`."""

import json
import socket

import pytest

from support import onnx_models as models


def test_a_detector_is_tried_against_every_rule(run, tmp_path):
    path = models.model(tmp_path / "m.onnx", side=128)
    told = run("plugins", "check", "detectors", f"onnx:{path}")
    assert told.code == 0, told.out
    assert "✓ abstains from a flat screenshot: no texture" in told.out
    assert "rules kept" in told.out
    wrong = models.model(tmp_path / "five.onnx", side=128, columns=5)
    told = run("plugins", "check", "detectors", f"onnx:{wrong}", "--format", "json")
    assert told.code == 1
    checks = {check["rule"]: check for check in json.loads(told.out)["checks"]}
    assert not checks["scores an ordinary picture"]["ok"]
    assert "found 5" in checks["scores an ordinary picture"]["found"]


def test_what_is_not_there_is_named(run, tmp_path):
    assert run("plugins", "check", "detectors", "onnx:/no/where.onnx").code == 3
    assert "did you mean 'onnx'" in run("plugins", "check", "detectors", "onx").err


def test_fetching_without_a_network_is_one_line(run, tmp_path, monkeypatch):
    pytest.importorskip("huggingface_hub")

    def refuse(*_, **__):
        raise OSError("no network")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    told = run("plugins", "fetch-detector", "hf:somebody/something")
    assert told.code == 3
    assert "GP015 somebody/something: cannot be fetched" in told.err
    assert "Traceback" not in told.err
