"""``genepool export``: the approved subset after a real check."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from PIL import Image

from genepool import dataset, gate, pipeline, store
from genepool.cli import export
from genepool.config import Config
from genepool.errors import WorkspaceError

CONFIG = Config().with_(engine__workers=1)


@pytest.fixture
def checked(tmp_path, monkeypatch):
    """Five pictures, one of them cut short, checked once."""
    monkeypatch.setenv("GENEPOOL_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("GENEPOOL_WORKSPACE", raising=False)
    monkeypatch.chdir(tmp_path)
    root = tmp_path / "set"
    root.mkdir()
    for seed in range(5):
        image = Image.linear_gradient("L").resize((64, 48)).rotate(17 * seed).convert("RGB")
        image.save(root / f"{seed}.jpg", quality=90)
    (root / "0.txt").write_text("a caption")
    (root / "4.jpg").write_bytes((root / "4.jpg").read_bytes()[:700])
    pipeline.check(root, config=CONFIG)
    return root


def run(*arguments: object) -> Result:
    return CliRunner().invoke(export.command, [*map(str, arguments), "--workers", "1"])


def test_an_undecided_set_is_exported_with_a_warning(checked, tmp_path):
    lenient = CONFIG.with_(policy__diversity=0.0, policy__near_duplicates=1.0)
    assert pipeline.check(checked, config=lenient).status == "undecided"
    done = run(checked, "-o", tmp_path / "out")
    assert done.exit_code == 0, done.output
    assert "warning     4 images of no verified origin among them" in done.output
    everything = run(checked, "-o", tmp_path / "all", "--all")
    assert "warning" not in everything.output, "nobody asked for a decision"


def test_the_approved_subset_after_a_check(checked, tmp_path):
    done = run(checked, "-o", tmp_path / "out")
    assert done.exit_code == 0, done.output
    assert sorted(p.name for p in (tmp_path / "out").glob("*.jpg")) == ["0.jpg", "1.jpg", "2.jpg", "3.jpg"]
    assert (tmp_path / "out" / "0.txt").read_text() == "a caption"
    assert "4 images written" in done.output
    assert "1 truncated" in done.output
    assert f"genepool check {tmp_path / 'out'}" in done.output
    opened = dataset.open(checked)
    place = store.workspace_for(opened)
    listing = store.read_listing(place, opened)
    assert listing is not None
    root = store.Catalogue(opened, place, listing).root().hex()
    assert json.loads((tmp_path / "out" / "manifest.json").read_text())["root"] == root
    assert store.workspace_for(dataset.open(tmp_path / "out")).links() == [str(place.ledger)]

    # What the decision names as a case stays out, in every format.
    decision = gate.load_decision(place)
    cases = [
        {
            "uri": "1.jpg",
            "reason": "generation",
            "message": "m",
            "code": "GP203",
            "role": "fail",
            "sha256": "",
        }
    ]
    _add_failure(place, cases)
    assert len(gate.load_decision(place).failures) == len(decision.failures) + 1
    for form in export.FORMATS:
        done = run(checked, "-o", tmp_path / form, "--format", form)
        assert done.exit_code == 0, done.output
        assert len(dataset.open(tmp_path / form)) == 3
        assert "1 generation, 1 truncated" in done.output
    done = run(checked, "-o", tmp_path / "all", "--all")
    assert done.exit_code == 0, done.output
    assert len(dataset.open(tmp_path / "all")) == 4

    # A decision does not speak for images that came later.
    (checked / "new.jpg").write_bytes((checked / "0.jpg").read_bytes())
    done = run(checked, "-o", tmp_path / "late")
    assert isinstance(done.exception, WorkspaceError)
    assert "genepool check" in done.exception.hint
    assert not (tmp_path / "late").exists()


def _add_failure(place: store.Workspace, cases: list[dict[str, str]]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pq.read_table(place.cases)
    pq.write_table(pa.concat_tables([table, pa.Table.from_pylist(cases, schema=table.schema)]), place.cases)
    data = place.read_json("decision.json")
    data["failures"].append({"code": "GP203", "status": "fail", "message": "m", "hint": "h", "cases": 1})
    place.write_json("decision.json", data)


def test_without_a_decision_it_says_how_to_get_one(tmp_path, monkeypatch):
    monkeypatch.setenv("GENEPOOL_HOME", str(tmp_path / "home"))
    root = tmp_path / "set"
    root.mkdir()
    Image.new("RGB", (8, 8)).save(root / "a.png")
    done = run(root, "-o", tmp_path / "out")
    assert isinstance(done.exception, WorkspaceError)
    assert "genepool check" in done.exception.hint
    assert not Path(tmp_path / "out").exists()


def test_the_choices_are_the_formats():
    assert set(export.FORMATS) == set(dataset.EXPORT_FORMATS)
