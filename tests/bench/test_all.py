"""The program that runs every bench: what it reads, what it keeps, what it says of a bench that fails."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path

import pytest

BENCH = Path(__file__).parents[2] / "bench"


@pytest.fixture(scope="module")
def everything():
    spec = importlib.util.spec_from_file_location("bench_all", BENCH / "all.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["bench_all"] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules["bench_all"]


def test_lines_with_a_goal_are_read_as_they_are_printed(everything):
    text = (
        "8 JPEG, mean 1,000 bytes, 2 workers, load 0.1\n"
        "scan / (workers × bare), all in       0.912  >= 0.85  holds\n"
        "peak memory of check, 10,000                    379.879 MiB   <= 2048   holds\n"
        "sampler over plain                    2.10%  < 2%  MISSED\n"
    )
    found = everything.verdict_lines(text)
    assert [(name, f.value, f.sign, f.bound, f.holds()) for name, f in found.items()] == [
        ("scan / (workers × bare), all in", 0.912, ">=", 0.85, True),
        ("peak memory of check, 10,000", 379.879, "<=", 2048.0, True),
        ("sampler over plain", pytest.approx(0.021), "<", 0.02, False),
    ]


def test_every_bench_exists_and_has_a_reader_that_its_own_output_satisfies(everything):
    for bench in everything.BENCHES:
        assert (BENCH / f"bench_{bench.name.split('-')[0]}.py").exists(), bench.name
    by_name = {bench.name: bench for bench in everything.BENCHES}
    printed = (
        "  against vendi-score, n = 5,000, d = 512: 301.5 × faster, 50.1 × less memory, values differ\n"
        "  against prdc, n = 10,000, d = 512: 4.0 × faster, 8.0 × less memory, values differ by 1e-12\n"
        "duplicates n = 1,000,000 d = 512:     2.310 CPU s, memory +  300.0 MiB (peak   400.0), value 0.5\n"
    )
    found = by_name["diversity"].read(printed)
    assert [f.value for f in found.values()] == [301.5, 50.1, 4.0, 8.0, 2.31]
    assert all(f.holds() for f in found.values())
    grown = "unchanged  0.30 CPU s   0.0100 of the first (…)\ngrown by 1%  0.51 CPU s   0.0210 of the first"
    assert [f.value for f in by_name["growth"].read(grown).values()] == [0.021, 0.01]
    decided = (
        "Any slice decided, wrongly: 1 of 60 runs (exact 99 % lower limit 0.0002).\n\n12 s on one core. Fine"
    )
    assert [f.value for f in by_name["certificate"].read(decided).values()] == [0.0002, 12.0]
    shown = "  batch   images/s\n      1       82.5  [80.1, 83.0]\n      8    1,090.1  [1.0, 2.0]\n"
    assert [f.value for f in by_name["provider"].read(shown).values()] == [82.5, 1090.1]
    assert by_name["ledger"].read('{"append": {"per_s": 5.0, "ok": true}}')["append.per_s"].value == 5.0


def test_runs_are_kept_with_spread_machine_and_failures(everything, monkeypatch, tmp_path, capsys):
    answers = iter([3.0, 1.0, 2.0])

    def run(bench, arguments):
        if bench.name == "broken":
            return {}, "exit 1: ModuleNotFoundError: no such thing"
        return {"ratio": everything.Figure(next(answers), ">=", 1.5)}, ""

    benches = [
        everything.Bench("fine", ("--small",), (), repeat=3),
        everything.Bench("broken", (), ()),
        everything.Bench("long", None, ()),
    ]
    monkeypatch.setattr(everything, "BENCHES", benches)
    monkeypatch.setattr(everything, "HISTORY", tmp_path / "history.jsonl")
    monkeypatch.setattr(everything, "run", run)
    monkeypatch.setattr(sys, "argv", ["all.py", "--quick"])
    with pytest.raises(SystemExit) as ended:
        everything.main()
    assert ended.value.code == 1
    (line,) = map(json.loads, (tmp_path / "history.jsonl").read_text().splitlines())
    kept = line["figures"]["fine"]["ratio"]
    assert kept == {"median": 2.0, "low": 1.0, "high": 3.0, "n": 3, "goal": ">= 1.5", "holds": True}
    assert line["failed"] == {"broken": "exit 1: ModuleNotFoundError: no such thing"}
    assert line["machine"]["versions"]["numpy"]
    assert "long" not in line["figures"]
    out = capsys.readouterr().out
    assert "[1, 3]" in out
    assert "broken: exit 1" in out


def test_the_committed_pages_are_what_their_programs_write():
    """Pages with figures are written from the committed results, so neither can be changed by hand alone."""
    import subprocess

    for program in ("peers/page.py", "plan.py"):
        done = subprocess.run(
            [sys.executable, BENCH / program, "--check"], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr


def test_history_is_one_object_a_line():
    for line in (BENCH / "history.jsonl").read_text().splitlines():
        told = json.loads(line)
        assert {"at", "commit", "machine", "figures", "failed", "quick", "load"} <= set(told)
