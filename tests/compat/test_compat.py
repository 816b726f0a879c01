"""What every release wrote is read by this one: workspace, log, certificate, decision, sidecars."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from genepool import dataset, gate, provenance, store
from genepool.config import Config

FIXTURES = Path(__file__).parent / "fixtures"
RELEASES = sorted(path.name for path in FIXTURES.iterdir() if path.is_dir())


@pytest.fixture(params=RELEASES)
def release(request, tmp_path):
    """A copy of what a release wrote, and what it said must be read from it."""
    copy = tmp_path / "release"
    shutil.copytree(FIXTURES / request.param, copy)
    return copy, json.loads((copy / "expected.json").read_text("utf-8"))


def test_there_is_a_fixture_of_the_first_release():
    assert "0.1.0" in RELEASES


def test_sidecars_in_every_place(release):
    folder, expected = release
    found = {s.item.uri: [s.caption, dict(s.declared or {})] for s in dataset.open(folder / "pictures")}
    assert found == expected["samples"]


def test_the_catalogue_without_a_new_scan(release):
    folder, expected = release
    place = store.Workspace(folder / "workspace")
    opened = dataset.Dataset(expected["uri"], dataset.FolderSource(expected["uri"]))
    listing = store.read_listing(place, opened)
    assert listing is not None, "a newer genepool must know the listings of older ones"
    catalogue = store.Catalogue(opened, place, listing)
    assert catalogue.n == expected["n"]
    assert catalogue.root().hex() == expected["root"]
    assert set(expected["columns"]) <= set(catalogue.columns)
    rows = catalogue.table(["uri", "sha256"]).to_pylist()
    assert {row["uri"]: row["sha256"].hex() for row in rows} == expected["sha256"]
    origins = {row["uri"]: row for row in catalogue.origins().to_pylist()}
    for uri, (origin, tier, human, lo, hi) in expected["origins"].items():
        row = origins[uri]
        assert [row["origin"], row["tier"], row["human"], row["lo"], row["hi"]] == [
            origin,
            tier,
            human,
            lo,
            hi,
        ]


def test_the_log_and_the_verdicts(release):
    folder, expected = release
    place = store.Workspace(folder / "workspace")
    trust = provenance.load_trust(None, None, path=str(folder / "trust.toml"))
    ledger = provenance.Ledger.open(place.ledger, verifiers=trust.verifiers)
    ledger.audit()
    assert (ledger.size, ledger.root.hex(), ledger.origin) == tuple(
        expected["log"][name] for name in ("size", "root", "name")
    )
    config = Config().with_(ledger__trust=str(folder / "trust.toml"))
    trail = provenance.open_trail(place, config)
    attested = bytes.fromhex(expected["sha256"]["04.png"])
    (claims,) = trail.attestations([attested], [bytes.fromhex(expected["pixel"]["04.png"])], None)
    assert [(claim.origin, claim.trusted, claim.cohort) for claim in claims] == [
        ("human_made", True, "studio")
    ]
    assert trail.models["brush-2"].generation == (1, 1)
    with store.Verdicts(place) as verdicts:
        assert [(v.sha256, v.answer) for v in verdicts.all()] == [(expected["sha256"]["04.png"], "human")]


def test_the_decision_as_a_record_and_as_a_baseline(release):
    folder, expected = release
    decision = gate.load_decision(store.Workspace(folder / "workspace"))
    assert (decision.status, decision.n, decision.root) == tuple(
        expected[name] for name in ("status", "n", "root")
    )
    ratio = decision.measures["human_ratio"].to_json()
    assert {name: ratio[name] for name in expected["human_ratio"]} == expected["human_ratio"]
    baseline = gate.load_baseline(folder / "decision.json")
    assert [failure["code"] for failure in baseline["failures"]] == expected["codes"]


def test_the_certificate_still_verifies_with_its_data(release):
    folder, expected = release
    certificate = provenance.read_certificate(folder / "workspace" / "certificate.genepool")
    trust = provenance.load_trust(None, None, path=str(folder / "trust.toml"))
    found = provenance.verify_certificate(certificate, folder / "pictures", trust=trust)
    assert found, found.bad
    assert expected["status"] == "pass"
    (folder / "pictures" / "00.png").write_bytes(b"other bytes")
    assert not provenance.verify_certificate(certificate, folder / "pictures", trust=trust)
