"""A stranger's plug-in: every kind of part, installed by pip, used from end to end; and a broken one."""

from __future__ import annotations

import hashlib
import io
import json
import logging
import sqlite3

import numpy as np
import pytest
from PIL import Image

from genepool import dataset, gate, pipeline, plugins, report, scan, store, testing
from genepool.cli import main
from genepool.config import Config
from genepool.errors import PluginError, PolicyError
from genepool.testing import picture

QUICK = {"detection__detector": "none", "engine__name": "atelier", "engine__workers": 1}


def png(seed: int, side: int, tail: bytes = b"") -> bytes:
    out = io.BytesIO()
    Image.fromarray(picture(side, side, seed)).save(out, "PNG", compress_level=1)
    return out.getvalue() + tail


PICTURES = {
    "painted/0.png": png(0, 96),
    "painted/1.png": png(1, 96),
    "rendered/2.png": png(2, 96, b"ATELIER-RENDERER/brush-2;"),
    "rendered/3.png": png(3, 40),
    "rendered/4.png": png(4, 96),
}


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "set"
    for name, data in PICTURES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    return root


@pytest.fixture
def database(tmp_path):
    path = tmp_path / "pictures.sqlite"
    with sqlite3.connect(path) as held:
        held.execute("CREATE TABLE pictures (name TEXT, data BLOB, caption TEXT, changed TEXT)")
        held.executemany(
            "INSERT INTO pictures VALUES (?, ?, ?, ?)",
            [(name, data, f"caption of {name}", "1") for name, data in PICTURES.items()],
        )
    held.close()
    return path


def command(capsys, *arguments):
    with pytest.raises(SystemExit) as ended:
        main([str(a) for a in arguments])
    streams = capsys.readouterr()
    return int(ended.value.code or 0), streams.out, streams.err


def test_every_part_keeps_the_rules_of_its_kind(installed, database):
    def made(group, spec):
        return plugins.create(group, spec)

    testing.assert_detector(made("detectors", "atelier"))
    testing.assert_embedder(made("embedders", "atelier"))
    stamped = testing.view_of(picture(64, 64, 7), trailing=b"ATELIER-RENDERER/brush-2;")
    testing.assert_evidence_reader(made("evidence", "atelier"), speaks=(stamped,))
    testing.assert_evidence_reader(made("evidence", "atelier-hint"))
    testing.assert_source(made("sources", f"atelier-db:{database}"))
    testing.assert_engine(made("engines", "atelier"), isolates=False)
    small = testing.facts_of(4, {"width": [640, 200, 640, 640]})
    testing.assert_rule(made("rules", "atelier"), holds=testing.facts_of(), fails=small)
    testing.assert_preference(made("preferences", "atelier"))


def test_evidence_and_rules_count_and_weaken_nothing(installed, folder, tmp_path, capsys):
    plain = pipeline.check(folder, workspace=tmp_path / "plain", config=Config().with_(**QUICK), record=False)
    config = Config().with_(
        **QUICK, evidence__readers=("atelier", "atelier-hint"), policy__rules=("atelier:64",)
    )
    decision = pipeline.check(folder, workspace=tmp_path / "ws", config=config)
    place = store.Workspace(tmp_path / "ws")
    opened = dataset.open(folder)
    catalogue = store.Catalogue(opened, place, store.read_listing(place, opened))
    rows = {row["uri"]: row for row in catalogue.origins().to_pylist()}
    made = rows["rendered/2.png"]
    assert (made["origin"], made["tier"], made["model"], made["ai"]) == (
        "synthetic",
        "declared",
        "brush-2",
        True,
    )
    assert "reader:atelier-stamp: stamped by the atelier's renderer as brush-2 (+3.0)" in made["reasons"]
    hinted = rows["painted/0.png"]
    assert (hinted["origin"], hinted["human"], hinted["tier"]) == ("unknown", False, "inferred")
    assert hinted["p_human"] == pytest.approx(1 / (1 + np.exp(-1.0)), abs=1e-6)

    # The rule's finding stands beside ours; every finding without it is still there, to the letter.
    found = {failure.code: failure for failure in decision.failures}
    assert [case.uri for case in found["ATL101"].cases] == ["rendered/3.png"]
    assert {case.code for case in found["ATL101"].cases} == {"ATL101"}
    assert decision.status == "fail"
    assert {f.code for f in plain.failures} <= set(found) - {"ATL101"}
    assert decision.policy["rules"] == [rule.code for rule in gate.RULES] + ["ATL101"]
    assert decision.root == plain.root

    # It is chosen and left out like ours, kept with the decision, and its images are not exported.
    measures = gate.measure(catalogue, catalogue.origins(), place, config)
    rules = gate.over(gate.open_rules(config.policy.rules), catalogue, catalogue.origins())
    only = gate.decide(measures, config, select=["ATL"], plugged=rules)
    assert [f.code for f in only.failures] == ["ATL101"]
    ignored = gate.decide(measures, config, ignore=["large-enough"], plugged=rules)
    assert "ATL101" not in {f.code for f in ignored.failures}
    assert ignored.policy["not_applied"] == ["ATL101"]
    with pytest.raises(PolicyError, match="ATL101 large-enough"):
        gate.decide(None, config, select=["XYZ"], plugged=gate.open_rules(("atelier",)))
    kept = gate.load_decision(place)
    gate.export_approved(catalogue, place, kept, tmp_path / "out", config=config)
    assert "rendered/3.png" not in {sample.item.uri for sample in dataset.open(tmp_path / "out")}

    assert "ATL101" in place.report.read_text("utf-8")
    entry = report.find("large-enough")
    assert (entry.code, entry.do) == ("ATL101", ("genepool export PATH -o OUT",))
    assert "genepool-atelier 1.2.0" in entry.why
    code, out, _ = command(capsys, "explain", "ATL101")
    assert code == 0
    assert out.startswith("ATL101 large-enough · rule")


def test_a_source_of_ones_own_gives_the_same_set(installed, database, folder, capsys, monkeypatch):
    monkeypatch.chdir(database.parent)
    opened = dataset.open("atelier-db:pictures.sqlite")
    assert opened.uri == f"atelier-db:{database}"
    assert store.workspace_for(opened).root == database.with_name("pictures.sqlite.genepool")
    config = Config().with_(**{**QUICK, "engine__name": "local"})
    catalogue = scan.scan(opened, store.workspace_for(opened), config=config)
    assert catalogue.n == len(PICTURES)
    digests = [hashlib.sha256(data).digest() for data in PICTURES.values()]
    assert catalogue.root().hex() == dataset.export(dataset.open(folder), None, database.parent / "copy").root
    table = catalogue.table(["sha256", "caption"])
    assert sorted(table.column("sha256").to_pylist()) == sorted(digests)
    assert "caption of painted/0.png" in table.column("caption").to_pylist()
    dataset.export(opened, None, database.parent / "parquet", format="parquet")
    assert len(dataset.open(database.parent / "parquet")) == len(PICTURES)


def test_plugins_are_tried_by_name_on_the_command_line(installed, capsys):
    code, out, _ = command(capsys, "plugins", "check", "rules", "atelier:64", "--format", "json")
    told = json.loads(out)
    assert (code, told["group"], told["plugin"]) == (0, "rules", "atelier:64")
    assert all(check["ok"] for check in told["checks"])
    code, out, _ = command(capsys, "plugins", "check", "evidence", "atelier")
    assert code == 0
    assert "rules kept" in out
    code, out, _ = command(capsys, "plugins", "list", "evidence")
    assert "genepool-atelier 1.2.0" in out


def test_a_broken_plugin_names_itself_and_breaks_nothing_else(
    installed, broken, path_of_plugins, folder, tmp_path, capsys, caplog
):
    path_of_plugins(broken)
    with pytest.raises(PluginError) as found:
        plugins.load("evidence", "broken")
    for word in ("'broken'", "broken-part 9", "no licence found", "pip uninstall broken-part"):
        assert word in str(found.value)
    # It claimed the names of parts of ours: they are still ours.
    assert plugins.load("detectors", "house").__module__.startswith("genepool.")
    assert [e.distribution for e in plugins.entries("embedders", "house")] == ["genepool"]

    # Nobody asked for its parts but the group of probes, whose others go on.
    config = Config().with_(**QUICK, evidence__readers=("atelier",))
    with caplog.at_level(logging.WARNING, "genepool"):
        decision = pipeline.check(folder, workspace=tmp_path / "ws", config=config, record=False)
    assert decision.n == len(PICTURES)
    assert [r.getMessage() for r in caplog.records if "broken-part 9" in r.getMessage()]
    code, out, _ = command(capsys, "doctor")
    assert code == 3
    assert "broken-part" in out
    assert "plug-in 'atelier'" not in out
    # Asked for by name it stops the check before anything is read: a set must not pass without a rule.
    for key in ("policy__rules", "evidence__readers"):
        with pytest.raises(PluginError, match="broken-part 9"):
            pipeline.check(folder, workspace=tmp_path / "ws", config=config.with_(**{key: ("broken",)}))


def test_two_strangers_with_one_name_are_both_named(installed, path_of_plugins, tmp_path):
    info = tmp_path / "site" / "other_part-1.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: other-part\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[genepool.rules]\natelier = other_part:Rule\n")
    path_of_plugins(tmp_path / "site")
    with pytest.raises(PluginError) as found:
        plugins.load("rules", "atelier")
    assert "other-part 1" in str(found.value)
    assert "genepool-atelier 1.2.0" in str(found.value)
