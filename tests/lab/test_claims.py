"""The page on the article: written from the results, complete, and its verdicts follow the intervals."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def loaded(name):
    spec = importlib.util.spec_from_file_location(name, ROOT / "bench" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def program():
    return loaded("lab_claims")


def test_the_committed_scores_of_the_forecast_are_what_the_results_say():
    forecast = loaded("lab_forecast")
    told = json.loads((ROOT / "docs" / "lab-forecast.json").read_text("utf-8"))
    assert (ROOT / "docs" / "lab-forecast.md").read_text("utf-8") == forecast.page(told)
    result = json.loads((ROOT / "docs" / "lab" / "table.json").read_text("utf-8"))
    study, plan = result["studies"][0], result["config"]["studies"][0]
    rows = forecast.sequences(study, plan, forecast.MIXES, "diversity")
    fresh = forecast.elsewhere(rows)
    kept = next(r for r in told if r["study"] == study["name"] and r["measure"] == "diversity")["elsewhere"]
    assert kept.keys() == fresh.keys()
    for arm, row in fresh.items():
        assert kept[arm]["rmse"]["value"] == pytest.approx(row["rmse"]["value"], rel=1e-6)


def test_the_committed_pages_are_what_the_results_say(program):
    found = program.results()
    assert found, "docs/lab holds no result"
    assert (ROOT / "docs" / "claims.md").read_text("utf-8") == program.claims_page(found)
    assert (ROOT / "docs" / "lab-results.md").read_text("utf-8") == program.results_page(found)


def test_every_number_of_the_article_has_a_row(program):
    page = program.claims_page(program.results())
    rows = [line for line in page.splitlines() if line.startswith("| ") and "**" in line]
    for number in (
        *(
            "60 %",
            "100 %",
            "0.89",
            "8.2",
            "73 %",
            "0.71",
            "7.1",
            "42 %",
            "0.53",
            "5.4",
            "18 %",
            "0.31",
            "3.2",
        ),
        *("94 %", "70 %", "generation 3", "0.60", "100,000", "65 %", "20 %"),
    ):
        assert any(number in row.split("|")[1] for row in rows), number
    words = (program.CONFIRMED, program.REFUTED, program.OPEN, program.UNTESTABLE)
    assert all(any(word in row.split("|")[2] for word in words) for row in rows)


def test_verdicts_follow_the_intervals(program):
    def interval(lower, upper):
        return {"mean": 0.5, "lower": lower, "upper": upper, "n": 5}

    assert program.against(interval(0.4, 0.6), 0.5, 1) == program.CONFIRMED
    assert program.against(interval(0.4, 0.6), 0.7, 1) == program.REFUTED
    assert program.against(interval(0.4, 1.6), 0.5, 1) == program.OPEN  # too wide to tell it from no loss
    assert program.against({"mean": 0.5, "lower": None, "upper": None, "n": 1}, 0.5, 1) == program.OPEN
    both = program.overall([program.CONFIRMED, program.REFUTED])
    assert program.CONFIRMED in both
    assert program.REFUTED in both
    assert program.overall([program.OPEN]) == program.OPEN


def test_committed_results_are_those_of_the_committed_presets(program):
    from genepool.lab import load_preset, summarise, summarise_exchange

    for path in sorted((ROOT / "docs" / "lab").glob("*.json")):
        result = json.loads(path.read_text("utf-8"))
        assert result["schema"] == "genepool.lab/1"
        plan = json.loads(json.dumps(load_preset(path.stem).to_json()))
        # A run may be shorter than its preset, in seeds or in studies; then the page says so.
        short = program.missing(result)
        for kind in ("studies", "exchanges"):
            full = {row["name"]: row for row in plan[kind]}
            for made in result["config"][kind]:
                seeds = full[made["name"]]["seeds"]
                assert {**made, "seeds": seeds} == full[made["name"]], (
                    f"{path.name}: made with another preset"
                )
                assert set(made["seeds"]) <= set(seeds)
                told = any(sentence.startswith(made["name"] + ":") for sentence in short)
                assert told == (made["seeds"] != seeds)
        page = (ROOT / "docs" / "claims.md").read_text("utf-8")
        assert all(sentence in page for sentence in short)
        for study, row in zip(result["studies"], result["config"]["studies"], strict=True):
            again = summarise(study["chains"], row["generations"])
            assert json.loads(json.dumps(again)) == study["summary"]
            assert {c["seed"] for c in study["chains"]} == set(row["seeds"])  # all seeds are shown
        for exchange, row in zip(result["exchanges"], result["config"]["exchanges"], strict=True):
            assert json.loads(json.dumps(summarise_exchange(row, exchange["rows"]))) == exchange["summary"]
