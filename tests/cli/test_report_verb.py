"""`genepool report` on a real workspace: the same page as the check wrote, elsewhere, and after a change."""

from __future__ import annotations

import json

import pytest

from genepool import config, dataset, gate, origin, report, scan, store
from support.galleries import crops, write


@pytest.fixture
def judged(tmp_path, photos):
    """A folder that was scanned, settled and decided about, with one broken file of a hostile name."""
    root = tmp_path / "a set"
    write(root, crops(photos, 24, seed=3), "p")
    (root / "<img src=x onerror=alert(1)>.jpg").write_bytes(b"")
    settings = config.Config().with_(engine__workers=1)
    opened = dataset.open(root)
    place = store.workspace_for(opened)
    catalogue = scan.scan(opened, place, config=settings)
    origins = origin.settle(catalogue, place, settings)
    decision = gate.decide(gate.measure(catalogue, origins, place, settings), settings)
    gate.save(decision, place)
    report.write(decision, catalogue, origins, place.report)
    return root, place


def test_the_page_is_written_again_byte_for_byte(run, judged):
    root, place = judged
    before = place.report.read_bytes()
    assert before.count(b"data:image/webp") >= 24
    assert b"&lt;img src=x onerror=alert(1)&gt;.jpg" in before
    place.report.unlink()
    told = run("report", root)
    assert told.code == 0, told
    assert str(place.report) in told.out
    assert told.err == ""
    assert place.report.read_bytes() == before


def test_elsewhere_and_as_json(run, judged, tmp_path):
    root, place = judged
    target = tmp_path / "out" / "page.html"
    data = json.loads(run("report", root, "-o", target, "--format", "json").out)
    assert data["bytes"] == target.stat().st_size
    assert data["status"] in ("fail", "undecided")
    assert target.read_bytes() == place.report.read_bytes()


def test_a_set_that_changed_is_named(run, judged):
    root, _ = judged
    (root / "p000.jpg").unlink()
    scan.scan(dataset.open(root), config=config.Config().with_(engine__workers=1))
    told = run("report", root)
    assert told.code == 0
    assert "changed since this decision" in told.err


def test_without_a_decision_it_says_how_to_get_one(run, tmp_path, photos):
    write(tmp_path / "set", crops(photos, 2, seed=1), "p")
    told = run("report", tmp_path / "set")
    assert told.code == 3
    assert "genepool check PATH makes one" in told.err
