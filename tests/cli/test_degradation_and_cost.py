"""`genepool degradation` and `genepool cost`, from folders to files."""

from __future__ import annotations

import json

import pytest

from support.galleries import crops, write


@pytest.fixture
def folders(tmp_path, photos):
    write(tmp_path / "human", crops(photos, 70, 1, side=64), "h")
    write(tmp_path / "v1", crops(photos, 45, 2, side=64), "g")
    few = {name: photos[name] for name in sorted(photos)[:2]}
    write(tmp_path / "v2", crops(few, 45, 3, side=64), "g")
    return tmp_path


def test_from_folders_to_a_forecast_and_its_price(run, folders):
    sets = (folders / "v1", folders / "v2")
    out, kept = folders / "out", folders / "work"
    result = run(
        *("degradation", *sets, "--reference", folders / "human", "--human", "1,20%", "--predict", "0.7"),
        *("-o", out, "--workspace", kept),
    )
    assert result.code == 0, result
    assert "unique feature retention, of generation 1" in result.out
    assert "beside the article's table" in result.out
    assert "needs people: genepool review" in result.out
    assert "predicted unique feature retention" in result.out
    data = json.loads((out / "degradation.json").read_text())
    assert data["schema"] == "genepool.degradation/1"
    assert data["predictions"]["retention_first"][0]["generation"] == 3
    assert (kept / "degradation.json").is_file()
    assert {p.name for p in out.glob("*.svg")} == {
        f"{n}.svg" for n in ("generations", "mechanisms", "spectrum", "forecast")
    }

    cost = run(
        "cost", "--degradation", out / "degradation.json", "--draws", 100, "-o", out, "--format", "json"
    )
    assert cost.code == 0, cost
    found = json.loads(cost.out)
    assert not found["from_article"]
    assert found["forecast"]["b2"]["value"] == data["forecast"]["retention_first"]["b2"]["value"]
    assert (out / "cost.csv").read_text().startswith("strategy,month,retention,acquire")
    assert len(list(out.glob("cost-*.svg"))) == 4


def test_degradation_refuses_with_a_reason(run, folders):
    assert run("degradation", folders / "v1", "--human", "1,x").code == 2
    assert run("degradation", folders / "v1", "--predict", "0.7").code == 2
    few = run("degradation", folders / "v1", "--reference", folders / "v2")
    assert few.code == 3
    assert "at least 60 reference pictures, found 45" in few.err
    half = run("degradation", folders / "v1", folders / "v2")
    assert half.code == 3
    assert "--reference HUMAN" in half.err


def test_cost_writes_its_assumptions_and_reads_them_back(run, tmp_path):
    file = tmp_path / "mine.toml"
    assert "next: change" in run("cost", "--init-assumptions", file).out
    again = run("cost", "--init-assumptions", file)
    assert again.code == 2
    assert "is there already" in again.err
    file.write_text(
        file.read_text().replace(
            "value = 1.00\nlow = 0.20\nhigh = 5.00", "value = 9.00\nlow = 9.00\nhigh = 9.00"
        )
    )
    dear = run("cost", "--assumptions", file, "--draws", 100, "--compare", "human_only,hybrid")
    assert dear.code == 0, dear
    assert "human only against hybrid 70/30, gated: -" in dear.out
    assert "below floor in month" in dear.out
    github = run("cost", "--draws", 100, "--months", 6, "--format", "github")
    assert github.out.startswith("::notice title=genepool cost::")


def test_cost_refuses_with_a_reason(run, tmp_path):
    assert run("cost", "--assumptions", tmp_path / "none.toml").code == 2
    (tmp_path / "bad.toml").write_text("[data]\nhuman_imag = 1\n")
    bad = run("cost", "--assumptions", tmp_path / "bad.toml")
    assert bad.code == 2
    assert "did you mean `data.human_image`?" in bad.err
    (tmp_path / "no.json").write_text('{"schema": "genepool.decision/1"}')
    other = run("cost", "--degradation", tmp_path / "no.json")
    assert other.code == 3
    assert "genepool.degradation/1" in other.err
    assert run("cost", "--compare", "one").code == 2
    assert run("cost", "--trace", "nobody", "--workspace", tmp_path / "w").code == 2
