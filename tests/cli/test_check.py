"""`genepool check`: every exit code, every output format, on real folders."""

from __future__ import annotations

import json

import pytest

from genepool.cli.check import workflow_commands
from genepool.records import Case, Decision, Failure


def test_an_unverified_set_is_undecided_and_says_what_to_do(run, gallery):
    result = run("check", gallery, "--workers", 1)
    assert result.code == 5
    assert "UNDECIDED" in result.out
    assert "GP101 ? human share lies between 0.0% and 100.0%" in result.out
    assert f"genepool register human FOLDER --workspace {gallery}.genepool" in result.out


def test_a_registered_majority_passes_and_every_format_agrees(run, gallery):
    registered = run("register", "human", gallery / "human", "--workspace", f"{gallery}.genepool")
    assert registered.code == 0, registered
    text = run("check", gallery, "--workers", 1)
    assert text.code == 0, text
    assert "PASS" in text.out
    assert "Report: " in text.out

    data = json.loads(run("check", gallery, "--format", "json").out)
    assert data["schema"] == "genepool.decision/1"
    assert data["status"] == "pass"
    assert data["dataset"]["n"] == 132
    assert len(data["dataset"]["root"]) == 64
    for measure in data["measures"].values():
        assert {"value", "lower", "upper", "n", "method"} <= set(measure)
    assert data["measures"]["human_ratio"]["lower"] == pytest.approx(120 / 132)
    assert data["failures"] == []
    assert data["set_aside"] == {"n": 0, "cases": {}}

    github = run("check", gallery, "--format", "github")
    assert github.code == 0
    assert "::notice title=genepool::PASS" in github.out


def test_a_stricter_policy_fails_without_a_new_scan(run, gallery):
    run("register", "human", gallery / "human", "--workspace", f"{gallery}.genepool")
    run("check", gallery, "--workers", 1)
    entries = run("ledger", "show", "--workspace", f"{gallery}.genepool", "--format", "json").out
    result = run("gate", gallery, "--diversity", "0.999", "--format", "json")
    assert result.code == 1
    data = json.loads(result.out)
    assert [f["code"] for f in data["failures"]] == ["GP301"]
    assert data["timing"]["scanned"] == 0
    # The gate writes nothing into the log.
    assert run("ledger", "show", "--workspace", f"{gallery}.genepool", "--format", "json").out == entries


def test_a_tampered_log_ends_with_four_and_nothing_masks_it(run, gallery):
    workspace = f"{gallery}.genepool"
    run("register", "human", gallery / "human", "--workspace", workspace)
    bundle = next(
        p for p in (gallery.parent / "set.genepool" / "ledger" / "tile" / "entries").rglob("*") if p.is_file()
    )
    damaged = bytearray(bundle.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    bundle.chmod(0o644)
    bundle.write_bytes(damaged)
    for verb in (["check", gallery], ["check", gallery, "--ignore", "GP1"], ["verify", gallery]):
        result = run(*verb)
        assert result.code == 4, result
        assert "GP02" in result.err


def test_an_empty_folder_could_not_finish(run, tmp_path):
    (tmp_path / "empty").mkdir()
    result = run("check", tmp_path / "empty")
    assert result.code == 3
    assert "GP012" in result.err


def test_a_missing_path_could_not_finish(run, tmp_path):
    assert run("check", tmp_path / "nowhere").code == 3


def test_an_unknown_configuration_key_is_wrong_usage(run, gallery, tmp_path):
    config = tmp_path / "genepool.toml"
    config.write_text("[policy]\nhuman_ration = 0.7\n")
    result = run("check", gallery, "--config", config)
    assert result.code == 2
    assert "GP002" in result.err
    assert "did you mean `policy.human_ratio`?" in result.err


def test_wrong_options_are_wrong_usage(run, gallery):
    assert run("check").code == 2
    assert run("chekc", gallery).code == 2
    assert "genepool check" in run("chekc", gallery).err
    assert run("check", gallery, "--human-ratio", "7").code == 2
    assert run("check", gallery, "--select", "GP999").code == 2


def test_a_baseline_passes_an_unchanged_set_and_fails_a_worse_one(run, gallery, tmp_path):
    workspace = f"{gallery}.genepool"
    run("register", "human", gallery / "human", "--workspace", workspace)
    before = run("check", gallery, "--diversity", "0.999", "--format", "json", "--workers", 1)
    assert before.code == 1
    baseline = tmp_path / "baseline.json"
    baseline.write_text(before.out)
    assert run("check", gallery, "--diversity", "0.999", "--baseline", baseline).code == 0
    for path in sorted((gallery / "human").iterdir())[:40]:
        path.unlink()
    worse = run("check", gallery, "--human-ratio", "0.95", "--baseline", baseline)
    assert worse.code in (1, 5)
    assert run("check", gallery, "--baseline", tmp_path / "none.json").code == 2


def test_annotations_escape_what_a_file_name_may_hold():
    case = Case("a,b:c%\n.jpg", "generation", "100% wrong\nreally", "GP401")
    failure = Failure("GP401", "fail", "one image", "do this", (case,) * 25)
    lines = workflow_commands(Decision("fail", "set", 1, "00", {}, (failure,)))
    assert lines[1].startswith("::error file=set/a%2Cb%3Ac%25%0A.jpg,title=GP401::100%25 wrong%0Areally")
    assert sum(line.startswith("::error file=") for line in lines) == 20
    assert "5 more" in lines[-2]
