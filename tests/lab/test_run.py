"""A whole run: written down, resumed, stopped seeds, verdicts, bad input."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest
from click.testing import CliRunner

from genepool.cli.lab import _kept, command
from genepool.errors import ConfigError, MeasureError, MissingExtra, UsageError
from genepool.lab import PRESETS, load_preset, markdown, run
from genepool.lab import _study as study_room
from genepool.lab.generators import Diverged

pytest.importorskip("sklearn")

TOML = """
format = "genepool.lab.preset/1"
name = "tiny"

[[study]]
name = "digits"
data = "digits"
side = 8
grey = true
split = { root = 150, reserve = 90, filter = 120, judge = 300 }
budget = 150
pool = 450
judged = 150
generations = 3
seeds = [1, 2, 3]
arms = ["schedule", "gate"]
generator = { kind = "mixture", components = 3, latent = 6 }

[[exchange]]
name = "rate"
data = "digits"
side = 8
latent = 4
human = [50, 100, 200]
roots = [50, 200]
generations = 2
chain = 300
synthetic = [100, 1000]
claims = [{ scale = "1:20", human = 50, synthetic = 1000 }]
split = { filter = 100, judge = 200 }
seeds = [1, 2, 3]
"""


@pytest.fixture
def preset(tmp_path):
    path = tmp_path / "tiny.toml"
    path.write_text(TOML, "utf-8")
    return str(path)


def without_time(value):
    if isinstance(value, dict):
        return {k: without_time(v) for k, v in value.items() if "seconds" not in k}
    return [without_time(v) for v in value] if isinstance(value, list) else value


def test_a_run_and_its_result(preset, tmp_path):
    seen = []
    result = run(preset, tmp_path / "out", progress=lambda done, total, what: seen.append((done, total)))
    assert seen[-1] == (3 * (1 + 2 * 2) + 3 * 3,) * 2
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    study = result["studies"][0]
    assert {(c["arm"], c["seed"]) for c in study["chains"]} == {
        (a, s) for a in ("schedule", "gate") for s in (1, 2, 3)
    }
    firsts = {c["arm"]: c["measures"][0] for c in study["chains"] if c["seed"] == 2}
    assert firsts["schedule"] == firsts["gate"]  # one generation 1 for all arms of a seed: paired
    assert [row["human"] for row in study["chains"][0]["generations"]] == pytest.approx(
        [1, 0.5, 0.2], abs=0.01
    )
    found = study["summary"]["arms"]["gate"][2]["diversity"]
    last = [c["measures"][2]["diversity"][0] for c in study["chains"] if c["arm"] == "gate"]
    # Student's t by hand: two degrees of freedom, 4.30265.
    reach = 4.30265 * np.std(last, ddof=1) / np.sqrt(3)
    assert found["mean"] == pytest.approx(np.mean(last), rel=1e-3)
    assert found["upper"] - found["mean"] == pytest.approx(reach, rel=1e-3)
    pair = next(p for p in study["summary"]["paired"] if p["arm"] == "schedule" and p["against"] == "gate")
    gaps = (
        np.array([c["measures"][2]["diversity"][0] for c in study["chains"] if c["arm"] == "schedule"]) - last
    )
    assert pair["diversity"]["mean"] == pytest.approx(gaps.mean(), abs=1e-4)
    text = markdown(result)
    assert all(f"seed {s}" in text for s in (1, 2, 3))
    for name in ("result.json", "tables.md", "digits.svg", "rate.svg", "grids/digits-gate.png"):
        assert (tmp_path / "out" / name).stat().st_size > 200
    assert json.loads((tmp_path / "out" / "result.json").read_text())["schema"] == "genepool.lab/1"
    rates = result["exchanges"][0]["summary"]["rates"]
    assert len(rates) == 2 * 2 * 2
    # More human work at the root is worth more.
    worth = {(r["root"], r["synthetic"]): r["worth"]["mean"] for r in rates if r["generation"] == 1}
    assert worth[200, 1000] > worth[50, 1000]


def test_an_interrupted_run_goes_on_and_ends_alike(preset, tmp_path, monkeypatch):
    whole = run(preset, tmp_path / "whole")
    real, calls = study_room.make_generator, []

    def breaks(*args, **options):
        calls.append(args)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return real(*args, **options)

    monkeypatch.setattr(study_room, "make_generator", breaks)
    with pytest.raises(KeyboardInterrupt):
        run(preset, tmp_path / "cut")
    kept = {p for p in (tmp_path / "cut").rglob("*.json") if "seed-1" in str(p)}
    assert kept
    again = run(preset, tmp_path / "cut")
    assert len(calls) == 4 + 15 - 3  # three models were kept, the fourth was lost
    assert without_time(again) == without_time(whole)
    # Finished: nothing is trained again.
    monkeypatch.setattr(study_room, "make_generator", lambda *a, **k: pytest.fail("trained again"))
    assert without_time(run(preset, tmp_path / "cut")) == without_time(whole)


def test_a_seed_that_diverges_is_stopped_and_the_rest_kept(preset, tmp_path, monkeypatch):
    real = study_room.make_generator
    calls = []

    class Lost:
        def fit(self, *_):
            raise Diverged("generator: the loss is nan at step 7")

    def some(*args, **options):
        calls.append(args)
        return Lost() if len(calls) == 3 else real(*args, **options)

    monkeypatch.setattr(study_room, "make_generator", some)
    result = run(preset, tmp_path / "out")
    study = result["studies"][0]
    assert study["summary"]["stopped"] == [
        {"arm": "schedule", "seed": 1, "why": "generation 3: generator: the loss is nan at step 7"}
    ]
    assert study["summary"]["arms"]["schedule"][2]["retention"]["n"] == 2
    assert study["summary"]["arms"]["gate"][2]["retention"]["n"] == 3
    assert "loss is nan" in markdown(result)


def test_no_word_on_collapse_when_generation_1_is_bad(preset, tmp_path):
    plan = load_preset(preset)
    poor = plan.studies[0]
    # So much is added to each covariance that what is drawn is mostly noise.
    from dataclasses import replace

    poor = replace(poor, generator={"kind": "mixture", "components": 1, "latent": 12, "floor": 25.0})
    result = run(replace(plan, studies=(poor,), exchanges=()), tmp_path / "out")
    summary = result["studies"][0]["summary"]
    assert summary["admission"]["coverage"]["mean"] < 0.5
    assert {v["verdict"] for v in summary["verdicts"].values()} == {"refused"}
    assert "refused" in markdown(result)


def test_bad_input(preset, tmp_path, monkeypatch):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "letter.txt").write_text("dear")
    with pytest.raises(UsageError, match="other files"):
        run(preset, tmp_path / "full")
    run(preset, tmp_path / "mine", seeds=1)
    with pytest.raises(UsageError, match="other settings"):
        run(preset, tmp_path / "mine", seeds=2)
    with pytest.raises(UsageError, match="theory, table"):
        load_preset("everything")

    def changed(name, old, new):
        path = tmp_path / name
        path.write_text(TOML.replace(old, new, 1), "utf-8")
        return str(path)

    with pytest.raises(ConfigError, match="colour"):
        load_preset(changed("a.toml", "side = 8", "colour = 8"))
    with pytest.raises(UsageError, match="arms among"):
        load_preset(changed("b.toml", '"gate"', '"gates"'))
    with pytest.raises(MeasureError, match="expected at least"):
        run(changed("c.toml", "root = 150", "root = 1500"), tmp_path / "few")
    with pytest.raises(UsageError, match="folder or catalogue"):
        run(changed("d.toml", 'data = "digits"', 'data = "given"'), tmp_path / "none")


def test_missing_torch_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(MissingExtra, match="torch is not installed") as caught:
        run("table", tmp_path / "out")
    assert "genepool[lab]" in caught.value.hint
    assert not (tmp_path / "out").exists()


def test_pictures_of_any_size_are_cut_alike(tmp_path):
    from PIL import Image

    from genepool.lab._data import load

    rng = np.random.default_rng(0)
    for k, size in enumerate([(40, 30), (64, 64), (25, 90)]):
        Image.fromarray(rng.integers(0, 256, (*size, 3), dtype=np.uint8)).save(tmp_path / f"{k}.png")
    (tmp_path / "broken.png").write_bytes(b"no picture")
    found = load(str(tmp_path), side=16, crops=4)
    assert found.pixels.shape == (12, 16, 16, 3)
    assert sorted(np.bincount(found.groups).tolist()) == [4, 4, 4] or set(found.groups) == {0, 1, 2}
    assert load(str(tmp_path), side=8, grey=True).pixels.shape == (3, 8, 8, 1)


def test_presets_are_sound():
    for name in PRESETS:
        plan = load_preset(name)
        assert plan.name == name
        for study in plan.studies:
            assert study.generations >= 4
            assert len(study.seeds) >= 3
    assert len(load_preset("policies").studies[0].arms) == 15
    assert load_preset("table").with_(seeds=7).studies[0].seeds == (1, 2, 3, 4, 5, 6, 7)


def test_the_command(preset, tmp_path):
    done = CliRunner().invoke(
        command, ["run", "--preset", "theory", "-o", str(tmp_path / "t"), "--format", "json"]
    )
    assert done.exit_code == 0, done.output
    assert all(check["holds"] for check in json.loads(done.output)["theory"])
    # Closed forms alone: no plot, no sample and no processor time is promised.
    assert {path.name for path in (tmp_path / "t").iterdir()} >= {"result.json", "tables.md"}
    assert _kept(tmp_path / "t") == ["result.json", "tables.md"]
    assert "Processor time" not in (tmp_path / "t" / "tables.md").read_text()
    shown = CliRunner().invoke(
        command, ["run", "--preset", preset, "-o", str(tmp_path / "o"), "--seeds", "2"]
    )
    assert "| schedule |" in shown.output
    kept = shown.output.splitlines()[-1].partition(": ")[2].split(", ")
    assert {"result.json", "tables.md"} < set(kept)
    assert all((tmp_path / "o" / name).exists() for name in kept)
    assert "Processor time" in shown.output
