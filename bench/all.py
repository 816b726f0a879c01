"""Every bench, one after the other; every ratio that the documentation names, beside its goal.

    python bench/all.py [--quick] [--only scan diversity …] [--no-history]

Each bench is a process of its own. What takes little time is repeated, and shown as median with its least and
largest run. The run is appended, with the machine, the versions and the load, to ``bench/history.jsonl``, one
line a run. ``--quick`` takes a few minutes on a quiet machine: small inputs, for following a change; figures
for the documentation come from a run without it. A bench that fails is named, and the exit code is 1.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

HERE = Path(__file__).parent
HISTORY = HERE / "history.jsonl"
PACKAGES = ("genepool", "numpy", "scipy", "pyarrow", "duckdb", "onnxruntime", "pillow", "simplejpeg")

VERDICT = re.compile(
    r"^(?P<name>\S.*?)\s+(?P<value>-?[\d.,]+)(?P<unit>%| \S+)?\s+(?P<sign><=|>=|<|>)\s+"
    r"(?P<bound>[\d.]+)(?P<pc>%?)\s+(?:holds|MISSED)",
    re.MULTILINE,
)


@dataclass(frozen=True, slots=True)
class Figure:
    """A number that a bench printed, and what it is held to; ``sign`` is empty where nothing was promised."""

    value: float
    sign: str = ""
    bound: float | None = None

    def holds(self) -> bool | None:
        """Whether it keeps the promise."""
        if self.bound is None:
            return None
        return {
            "<=": self.value <= self.bound,
            "<": self.value < self.bound,
            ">=": self.value >= self.bound,
            ">": self.value > self.bound,
        }[self.sign]


Reader = Callable[[str], Mapping[str, Figure]]


def verdict_lines(text: str) -> dict[str, Figure]:
    """Lines of the form ``name  1.23  <= 2  holds``."""
    found = {}
    for m in VERDICT.finditer(text):
        scale = 100.0 if m["unit"] == "%" else 1.0
        bound = float(m["bound"]) / (100.0 if m["pc"] else 1.0)
        found[m["name"]] = Figure(float(m["value"].replace(",", "")) / scale, m["sign"], bound)
    return found


def numbers(text: str) -> dict[str, Figure]:
    """Every number in what was printed as JSON, one object or one a line, by its path."""
    try:
        return dict(_leaves(json.loads(text), ""))
    except json.JSONDecodeError:
        found: dict[str, Figure] = {}
        for i, line in enumerate(text.splitlines()):
            if line.startswith("{"):
                found |= _leaves(json.loads(line), f"{i}.")
        return found


def _leaves(value: object, path: str) -> dict[str, Figure]:
    if isinstance(value, bool):
        return {}
    if isinstance(value, (int, float)):
        return {path.rstrip("."): Figure(float(value))}
    if isinstance(value, dict):
        return {k: f for key, each in value.items() for k, f in _leaves(each, f"{path}{key}.").items()}
    return {}


def matched(*patterns: tuple[str, str, str, float | None]) -> Reader:
    """Figures found by regular expressions: (name, pattern with one group, sign, bound)."""

    def read(text: str) -> dict[str, Figure]:
        found = {}
        for name, pattern, sign, bound in patterns:
            if m := re.search(pattern, text):
                found[name] = Figure(float(m[1].replace(",", "")), sign, bound)
        return found

    return read


@dataclass(frozen=True, slots=True)
class Bench:
    """One program, its small and its full input, and how its answer is read."""

    name: str
    quick: tuple[str, ...] | None
    full: tuple[str, ...]
    read: Reader = verdict_lines
    repeat: int = 1
    environment: Mapping[str, str] = field(default_factory=dict)


SINGLE = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
BENCHES = (
    Bench("scan", ("--images", "200", "--repeat", "1"), ("--images", "2000")),
    Bench(
        "diversity",
        ("--only", "vendi", "prdc", "duplicates"),
        ("--large",),
        matched(
            ("vendi-score's time over ours, n = 5,000", r"vendi-score.*?: ([\d.]+) × faster", ">=", 300),
            ("vendi-score's memory over ours", r"vendi-score.*?, ([\d.]+) × less memory", ">=", 50),
            ("prdc's time over ours, n = 10,000", r"against prdc.*?: ([\d.]+) × faster", ">=", 3),
            ("prdc's memory over ours", r"against prdc.*?, ([\d.]+) × less memory", ">=", 4),
            ("copies among 10^6 hashes, CPU s", r"duplicates n = 1,000,000.*?: +([\d.]+) CPU s", "<", 5),
            ("copies among 10^5 hashes, CPU s", r"duplicates n = +100,000.*?: +([\d.]+) CPU s", "", None),
            ("10^6 × 512 streaming Vendi, CPU s", r"batches apart: ([\d.]+) CPU s", "", None),
            ("index: 10 × the images, × the time", r"10 × the images cost ([\d.]+) ×", "<=", 12),
        ),
        repeat=3,
        environment=SINGLE,
    ),
    Bench(
        "scale",
        ("--grown", "--sizes", "10000", "50000"),
        ("--sizes", "10000", "100000", "1000000"),
    ),
    Bench("scale-files", ("--rescan", "--sizes", "20000"), ("--rescan", "--sizes", "1000000"), matched(
        ("rescan over file times alone, CPU", r"file times alone, [\d,]+: ([\d.]+) × CPU", "", None),
    )),
    Bench("growth", ("--images", "300", "--days", "1"), (), matched(
        ("a set grown by 1 %, of the first scan", r"grown.*?CPU s +([\d.]+) of the first", "", None),
        ("unchanged, of the first scan", r"unchanged.*?CPU s +([\d.]+) of the first", "", None),
    )),
    Bench("bands", ("--sizes", "1000000", "--repeat", "2"), (), matched(
        ("comparing 10^6 hashes, µs CPU a hash", r"1,000,000 hashes.*?: +([\d.]+) µs", "", None),
    )),
    Bench("ray", None, ("--images", "8000"),),
    Bench("sampler", ("--images", "300", "--repeat", "3"), ()),
    Bench("ledger", ("--entries", "20000", "--digests", "20000"), (), numbers),
    Bench("lineage", ("--cohorts", "5000", "--images", "50000", "--large", "0"), (), matched(
        ("pedigree built, CPU s", r"build .*?wall +([\d.]+) s CPU", "", None),
    )),
    Bench("injection", ("--images", "4000"), (), numbers),
    Bench("review", ("ack",), ("ack", "million"), matched(
        ("one verdict kept, median ms", r"median ([\d.]+) ms", "", None),
        ("one verdict kept, p95 ms", r"p95 ([\d.]+) ms", "", None),
        ("queue of 10^6 to the first questions, s", r"queue of 1,000,000 images.*?: ([\d.]+) s", "", None),
    )),
    Bench("provider", ("--providers", "cpu", "--batches", "1", "8", "--repeat", "2"), (), matched(
        ("first model, batch 1, images/s", r"\n +1 +([\d.,]+) ", "", None),
        ("first model, batch 8, images/s", r"\n +8 +([\d.,]+) ", "", None),
    )),
    Bench("certificate", ("slices", "--runs", "60"), ("false", "slices", "--runs", "300"), matched(
        ("sets with a slice decided wrongly, lower limit", r"exact 99 % lower limit ([\d.]+)", "<=", 0.05),
        ("seconds", r"\n(\d+) s on one core", "", None),
    )),
)  # fmt: skip


def run(bench: Bench, arguments: tuple[str, ...]) -> tuple[dict[str, Figure], str]:
    """One run; figures, or what went wrong."""
    script = HERE / f"bench_{bench.name.split('-')[0]}.py"
    with tempfile.TemporaryFile("w+") as sink:
        done = subprocess.run(
            [sys.executable, str(script), *arguments],
            stdout=sink,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **bench.environment},
        )
        sink.seek(0)
        text = sink.read()
    figures = dict(bench.read(text))
    if figures:
        return figures, ""
    last = [line for line in (done.stderr + text).splitlines() if line.strip()]
    return {}, f"exit {done.returncode}: {last[-1][:200] if last else 'printed nothing'}"


def merged(runs: list[dict[str, Figure]]) -> dict[str, dict]:
    """Median, least and largest of each figure over the runs."""
    found = {}
    for name in dict.fromkeys(name for each in runs for name in each):
        own = [each[name] for each in runs if name in each]
        values = [figure.value for figure in own]
        middle = Figure(statistics.median(values), own[0].sign, own[0].bound)
        found[name] = {
            "median": middle.value,
            "low": min(values),
            "high": max(values),
            "n": len(values),
            **({"goal": f"{middle.sign} {middle.bound:g}", "holds": middle.holds()} if middle.sign else {}),
        }
    return found


def peers() -> dict[str, dict]:
    """The ratios of the last comparison with other programs (`peers/compare.py` is run by itself)."""
    path = HERE / "peers" / "results.json"
    if not path.exists():
        return {}
    found = {}
    for task, told in json.loads(path.read_text()).items():
        for name, other in told.get("programs", {}).items():
            mine = told["programs"]["genepool"]
            if name != "genepool" and "cpu" in other:
                for key in ("cpu", "peak_mib"):
                    ratio = other[key]["median"] / mine[key]["median"]
                    found[f"{task}: {name}'s {key} over ours"] = {"median": ratio, "n": other[key]["n"]}
    return found


def machine() -> dict:
    """What the figures were measured on."""
    text = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    model = re.search(r"model name\s*: (.*)", text)
    versions = {}
    for name in PACKAGES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            versions[name] = "absent"
    return {
        "cpu": model[1].strip() if model else platform.processor(),
        "cores": os.cpu_count(),
        "system": platform.system(),
        "python": platform.python_version(),
        "versions": versions,
    }


def commit() -> str:
    done = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=HERE, capture_output=True, text=True)
    return done.stdout.strip()


def show(name: str, figures: Mapping[str, dict]) -> None:
    print(f"\n{name}")
    for label, f in figures.items():
        span = f" [{f['low']:.4g}, {f['high']:.4g}]" if f.get("n", 1) > 1 and "low" in f else ""
        goal = f"  {f['goal']}  {'holds' if f['holds'] else 'MISSED'}" if "goal" in f else ""
        print(f"  {label:56} {f['median']:12.4g}{span}  n = {f['n']}{goal}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", nargs="+", choices=[bench.name for bench in BENCHES])
    parser.add_argument("--no-history", action="store_true")
    options = parser.parse_args()
    begun, load = time.perf_counter(), os.getloadavg()[0]
    here = machine()
    print(
        f"{here['cpu']}, {here['cores']} cores, Python {here['python']}, load {load:.1f}, commit {commit()}"
    )
    print(", ".join(f"{name} {version}" for name, version in here["versions"].items()), flush=True)
    figures: dict[str, dict] = {}
    failed: dict[str, str] = {}
    for bench in BENCHES:
        arguments = bench.quick if options.quick else bench.full
        if arguments is None or (options.only and bench.name not in options.only):
            continue
        runs = []
        for _ in range(bench.repeat):
            found, why = run(bench, arguments)
            if why:
                failed[bench.name] = why
                print(f"\n{bench.name}: {why}", flush=True)
                break
            runs.append(found)
        if runs:
            figures[bench.name] = merged(runs)
            show(bench.name, figures[bench.name])
    if not options.only and (beside := peers()):
        figures["peers"] = beside
        show("peers (bench/peers/results.json)", beside)
    if not options.no_history:
        line = {
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
            "commit": commit(),
            "quick": options.quick,
            "only": options.only,
            "load": round(load, 2),
            "seconds": round(time.perf_counter() - begun),
            "machine": here,
            "figures": figures,
            "failed": failed,
        }
        with HISTORY.open("a") as file:
            file.write(json.dumps(line, sort_keys=True) + "\n")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
