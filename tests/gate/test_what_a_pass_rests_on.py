"""A pass never says more than was judged: set-aside images, left-out rules, baselines, rewritten claims."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from genepool import config, dataset, errors, gate, pipeline, provenance, scan, store
from genepool.cli.check import render
from support.galleries import computed, crops, write


@pytest.fixture
def mixed(tmp_path: Path, photos: dict) -> Path:
    """100 attested photographs and 150 outputs of a model of unknown ancestry."""
    root = tmp_path / "mixed"
    write(root / "human", crops(photos, 100, seed=1), "h")
    write(root / "ai", computed(150, seed=2), "a")
    place = store.workspace_for(dataset.open(root))
    c = config.Config()
    provenance.register_human(scan.scan(dataset.open(root / "human"), place), place, config=c)
    provenance.register_model(place, "mj", [("unknown", None)], config=c)
    provenance.register_outputs(scan.scan(dataset.open(root / "ai"), place), place, model="mj", config=c)
    return root


def test_set_aside_images_are_never_covered_by_the_certificate(mixed, tmp_path):
    decision = pipeline.check(mixed)
    assert decision.status == "pass"
    assert decision.extra["approved"]["n"] == 100
    text = render(decision)
    assert "PASS  100 images may train a model, without the 150 that are set aside" in text
    assert "genepool export" in text
    place = store.workspace_for(dataset.open(mixed))
    certificate = provenance.read_certificate(place.root / "certificate.genepool")
    keys = [certificate.log]
    whole = provenance.verify_certificate(certificate, mixed, verifiers=keys)
    assert not whole
    assert "150 of the images were set aside" in whole.bad[0].text
    catalogue = scan.scan(dataset.open(mixed), place)
    gate.export_approved(catalogue, place, decision, tmp_path / "clean")
    assert provenance.verify_certificate(certificate, tmp_path / "clean", verifiers=keys)
    # What is missing is named by what a certificate knows of it: the beginning of its SHA-256.
    lost = next((mixed / "human").glob("*.jpg"))
    digest = hashlib.sha256(lost.read_bytes()).hexdigest()
    lost.unlink()
    texts = [
        finding.text for finding in provenance.verify_certificate(certificate, mixed, verifiers=keys).bad
    ]
    named = next(text for text in texts if text.startswith("1 certified image is missing or changed"))
    assert named.endswith(f"SHA-256 beginning {digest[:16]}")


def test_a_narrowed_check_certifies_nothing(mixed):
    pipeline.check(mixed)
    place = store.workspace_for(dataset.open(mixed))
    assert (place.root / "certificate.genepool").exists()
    decision = pipeline.check(mixed, select=["generation"])
    assert decision
    assert decision.policy["not_applied"]
    assert decision.measures["diversity"].ok is None
    assert "not applied: GP101" in render(decision)
    assert not (place.root / "certificate.genepool").exists()


def test_an_excused_check_certifies_nothing(mixed, tmp_path):
    strict = config.Config().with_(policy__diversity=0.999)
    baseline = tmp_path / "baseline.json"
    baseline.write_text(json.dumps(pipeline.check(mixed, config=strict).to_json()))
    decision = pipeline.check(mixed, config=strict, baseline=baseline)
    assert decision
    assert "by itself this set does not pass" in render(decision)
    place = store.workspace_for(dataset.open(mixed))
    assert not (place.root / "certificate.genepool").exists()


@pytest.mark.parametrize(
    "text",
    [
        '{"schema": "genepool.decision/1", "failures": 5, "measures": {}}',
        '{"schema": "genepool.decision/1", "failures": [{"code": "GP101", "cases": null}], "measures": {}}',
        '{"schema": "genepool.decision/1", "failures": [], "measures": {"human_ratio": 1}}',
        '{"schema": "other"}',
        "[]",
        "{",
    ],
)
def test_a_baseline_that_is_none_is_named(tmp_path, text):
    path = tmp_path / "b.json"
    path.write_text(text)
    with pytest.raises(errors.UsageError, match=r"b\.json"):
        gate.load_baseline(path)


def test_images_attested_as_a_models_cannot_be_attested_as_human(mixed):
    place = store.workspace_for(dataset.open(mixed))
    catalogue = scan.scan(dataset.open(mixed / "ai"), place)
    with pytest.raises(errors.UsageError, match="150 images attested as a model's"):
        provenance.register_human(catalogue, place, config=config.Config())


def test_exports_know_the_logs_that_lie_inside_the_set(tmp_path, photos):
    root = tmp_path / "set"
    write(root / "human", crops(photos, 100, seed=1), "h")
    inner = dataset.open(root / "human")
    place = store.workspace_for(inner)
    provenance.register_human(scan.scan(inner, place), place, config=config.Config())
    decision = pipeline.check(root)
    assert decision
    own = store.workspace_for(dataset.open(root))
    gate.export_approved(scan.scan(dataset.open(root), own), own, decision, tmp_path / "out")
    assert pipeline.check(tmp_path / "out").measures["human_ratio"].lower == 1.0


def test_a_log_that_vanished_is_missed(mixed):
    import shutil

    pipeline.check(mixed)
    shutil.rmtree(store.workspace_for(dataset.open(mixed)).ledger)
    with pytest.raises(errors.LogError, match="of the last check"):
        pipeline.check(mixed)
