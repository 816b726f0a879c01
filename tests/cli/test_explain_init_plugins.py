"""`genepool explain`, `init` and `plugins list`: what they print can be read, parsed and used."""

from __future__ import annotations

import json
import tomllib

from genepool import config
from genepool.cli.init import render
from genepool.report import explanations


def test_explain_a_code_a_name_and_nothing(run):
    told = run("explain", "gp101")
    assert told.code == 0
    assert told.out.startswith("GP101 human-ratio · rule · exit code 1 (fail) or 5 (undecided)\n")
    assert "genepool register human FOLDER" in told.out
    assert run("explain", "human-ratio").out == told.out
    listed = run("explain")
    assert all(f"  {code}  {entry.name}" in listed.out for code, entry in explanations().items())


def test_explain_suggests_the_nearest(run):
    missed = run("explain", "humanratio")
    assert missed.code == 2
    assert "did you mean GP101 (human-ratio)" in missed.err
    assert missed.out == ""


def test_explain_as_json(run):
    entry = json.loads(run("explain", "GP401", "--format", "json").out)
    assert (entry["code"], entry["name"]) == ("GP401", "generation")
    assert len(json.loads(run("explain", "--format", "json").out)["codes"]) == len(explanations())


def test_init_writes_exactly_the_defaults_and_explains_each(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run("init").code == 0
    assert config.load("genepool.toml") == config.Config()
    text = (tmp_path / "genepool.toml").read_text("utf-8")
    written = tomllib.loads(text)
    for key, default, meaning in config.describe():
        value: object = written
        for part in key.split("."):
            value = value[part]
        assert (tuple(value) if isinstance(value, list) else value) == default
        assert f"# {meaning}" in text
    assert "(fail, exclude, ignore)" in text
    assert "(0 to 1)" in text


def test_init_overwrites_only_when_told(run, tmp_path):
    target = tmp_path / "genepool.toml"
    target.write_text("mine")
    refused = run("init", target)
    assert refused.code == 2
    assert target.read_text() == "mine"
    assert "--force" in refused.err
    assert run("init", target, "--force").code == 0
    assert target.read_text("utf-8") == render()


def test_init_where_nothing_can_be_written(run, tmp_path):
    assert run("init", tmp_path / "none" / "genepool.toml").code == 3


def test_plugins_are_listed_without_being_loaded(run):
    told = run("plugins", "list")
    assert told.code == 0
    assert "genepool.detection:OnnxDetector" in told.out
    data = json.loads(run("plugins", "list", "probes", "--format", "json").out)
    assert {p["name"] for p in data["plugins"]} == {"detection", "embedding", "evidence"}
    matched = [line.split()[:2] for line in run("plugins", "list", "--match", "onnx*").out.splitlines()[1:]]
    assert ["detectors", "onnx"] in matched
    assert ["preferences", "onnx"] in matched
    assert {name for _, name in matched} == {"onnx"}
    assert run("plugins", "list", "rules").out == "none\n"
    assert run("plugins", "list", "nonsense").code == 2
