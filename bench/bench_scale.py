"""The whole of `genepool check` on 10^4 to 10^6 tiny images: time, memory, report, queries, rescan, queue.

    python bench/bench_scale.py [--sizes 10000 100000] [--models classical|house] [--json FILE]
    python bench/bench_scale.py --grown [--sizes 100000 1000000]    what comes after the scan, alone
    python bench/bench_scale.py --rescan [--sizes 10000]            the same as single files: a second scan

Each step is a process of its own on one workspace, as a user's commands are. Times are wall and CPU seconds
(main process and workers); memory is the resident memory of the whole process tree, sampled ten times a
second, shared pages counted in each process. ``--keep DIR`` leaves sets and workspaces there to use again.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

CONFIGS = {
    "classical": '[detection]\ndetector = "none"\n[diversity]\nembedder = "classical"\n',
    "house": "",
}
PHASES = (
    ("scan", "genepool.scan", "scan"),
    ("settle", "genepool.origin", "settle"),
    ("measure", "genepool.gate", "measure"),
    ("decide", "genepool.gate", "decide"),
    ("seal", "genepool.provenance", "seal"),
    ("save", "genepool.gate", "save"),
    ("report", "genepool.report", "write"),
    # Parts of the above, not to be added to them.
    ("scan: list", "genepool.scan._listed", "Listed.__init__"),
    ("scan: examine", "genepool.scan._scan", "_Run._examine"),
    ("measure: copies", "genepool.diversity", "catalogue_copies"),
    ("measure: index", "genepool.diversity", "portrait"),
)


def cpu() -> float:
    own, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


# ------------------------------------------------------------------------------------ inside a child


class Marks:
    """When each phase began and ended, and its CPU seconds."""

    def __init__(self) -> None:
        self.phases: dict[str, dict] = {}

    def wrap(self, name: str, function):
        """The same function, timed."""

        @functools.wraps(function)
        def timed(*args, **kwargs):
            begun, used = time.time(), cpu()
            try:
                return function(*args, **kwargs)
            finally:
                found = self.phases.setdefault(name, {"cpu": 0.0, "seconds": 0.0, "spans": []})
                found["cpu"] += cpu() - used
                found["seconds"] += time.time() - begun
                found["spans"].append([begun, time.time()])

        return timed

    def install(self) -> None:
        """Time every function that `PHASES` names, where the pipeline looks for it."""
        import importlib

        for name, module, path in PHASES:
            owner = importlib.import_module(module)
            *outer, last = path.split(".")
            for part in outer:
                owner = getattr(owner, part)
            setattr(owner, last, self.wrap(name, getattr(owner, last)))


def side_check(data: str, config: str, workers: int) -> dict:
    """`genepool check`, its phases timed from outside."""
    from genepool.cli import main

    marks = Marks()
    marks.install()
    used = cpu()
    with contextlib.redirect_stdout(sys.stderr):
        try:
            main(
                ["check", data, "--config", config, "--workers", str(workers), "--workspace", space_of(data)]
            )
        except SystemExit as done:
            code = done.code
    return {"code": code, "cpu": cpu() - used, "phases": marks.phases, "main_peak": own_peak()}


def side_judge(data: str, config: str, workers: int) -> dict:
    """All of `check` that comes after the scan, on a catalogue that is there."""
    import dataclasses

    from genepool import gate, origin, provenance, report
    from genepool.config import load

    marks = Marks()
    marks.install()
    settings, used = load(config), cpu()
    catalogue, place = opened(data)
    with place.lock():
        origins = origin.settle(catalogue, place, settings)
        decision = gate.decide(gate.measure(catalogue, origins, place, settings), settings)
        seal = provenance.seal(place, catalogue, origins, decision.to_json(), settings)
        extra = {**decision.extra, "ledger": seal.to_json()}
        decision = dataclasses.replace(decision, extra=extra)
        gate.save(decision, place)
        report.write(decision, catalogue, origins, place.report)
    return {"code": decision.status, "cpu": cpu() - used, "phases": marks.phases, "main_peak": own_peak()}


def side_report(data: str, config: str, workers: int) -> dict:
    """`genepool report`: the page from the catalogue."""
    from genepool.cli import main

    begun, used = time.perf_counter(), cpu()
    with contextlib.redirect_stdout(sys.stderr), contextlib.suppress(SystemExit):
        main(["report", data, "--workspace", space_of(data)])
    seconds = time.perf_counter() - begun
    size = (Path(space_of(data)) / "report.html").stat().st_size
    return {"seconds": seconds, "cpu": cpu() - used, "bytes": size, "main_peak": own_peak()}


QUERIES = {
    "count": "SELECT count(*) FROM assets",
    "filter": "SELECT uri FROM assets WHERE size > 1500 AND width = 32 LIMIT 50",
    "group": "SELECT format, mode, count(*), avg(size) FROM assets GROUP BY ALL",
    "join": "SELECT o.tier, count(*) FROM assets a JOIN origins o USING (uri) GROUP BY ALL",
}


def side_query(data: str, config: str, workers: int) -> dict:
    """Questions to the catalogue in SQL; the best of three each."""
    catalogue, _ = opened(data)
    found = {}
    for name, query in QUERIES.items():
        runs = []
        for _ in range(3):
            begun, used = time.perf_counter(), cpu()
            catalogue.sql(query)
            runs.append((time.perf_counter() - begun, cpu() - used))
        found[name] = {"seconds": min(s for s, _ in runs), "cpu": min(c for _, c in runs)}
    return {"queries": found, "main_peak": own_peak()}


def side_queue(data: str, config: str, workers: int) -> dict:
    """The review queue: opened, eight questions put, then eight to each of twenty more people."""
    from genepool import review

    catalogue, place = opened(data)
    begun, used = time.perf_counter(), cpu()
    queue = review.queue(place, catalogue, catalogue.origins())
    ready = time.perf_counter() - begun, cpu() - used
    begun, used = time.perf_counter(), cpu()
    queue.next("somebody", 8)
    first = time.perf_counter() - begun, cpu() - used
    begun = time.perf_counter()
    for i in range(20):
        queue.next(f"somebody else {i}", 8)
    return {
        "open": dict(zip(("seconds", "cpu"), ready, strict=True)),
        "first": dict(zip(("seconds", "cpu"), first, strict=True)),
        "later_seconds": (time.perf_counter() - begun) / 20,
        "main_peak": own_peak(),
    }


def side_rescan(data: str, config: str, workers: int) -> dict:
    """A second scan of an unchanged set, beside the file times alone."""
    from genepool import dataset
    from genepool.config import load
    from genepool.scan import scan

    settings = load(config).with_(engine__workers=workers)
    found = {}
    for name in ("first", "again"):
        begun, used = time.perf_counter(), cpu()
        stats = scan(dataset.open(data), space_of(data), config=settings).stats
        found[name] = {"seconds": time.perf_counter() - begun, "cpu": cpu() - used, "new": stats.n_new}
    for name, function in (("times", _times), ("list", _list)):
        begun, used = time.perf_counter(), cpu()
        n = function(data)
        found[name] = {"seconds": time.perf_counter() - begun, "cpu": cpu() - used, "n": n}
    return {**found, "main_peak": own_peak()}


def _times(data: str) -> int:
    """What nothing can be faster than: every folder read in its order, every file's times asked once."""
    n, todo = 0, [data]
    while todo:
        with os.scandir(todo.pop()) as entries:
            for entry in sorted(entries, key=lambda e: e.name):
                if entry.is_dir(follow_symlinks=False):
                    todo.append(entry.path)
                else:
                    entry.stat()
                    n += 1
    return n


def _list(data: str) -> int:
    from genepool import dataset

    return sum(1 for _ in dataset.open(data).items([]))


def opened(data: str):
    from genepool import dataset, store

    found = dataset.open(data)
    place = store.workspace_for(found, space_of(data))
    listing = store.read_listing(place, found)
    return store.Catalogue(found, place, listing), place


def space_of(data: str) -> str:
    return data + ".genepool"


def own_peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


# ------------------------------------------------------------------------------------------ outside


def tree(pid: int) -> tuple[int, int]:
    """Resident bytes of a process and all its descendants, and how many there are."""
    total, count, todo = 0, 0, [pid]
    page = os.sysconf("SC_PAGE_SIZE")
    while todo:
        one = todo.pop()
        try:
            total += int(Path(f"/proc/{one}/statm").read_text().split()[1]) * page
            count += 1
            for task in Path(f"/proc/{one}/task").iterdir():
                todo += [int(word) for word in (task / "children").read_text().split()]
        except (OSError, ValueError, IndexError):
            continue
    return total, count


def step(side: str, data: Path, config: Path, workers: int) -> dict:
    """One side in a process of its own, its memory watched."""
    begun = time.perf_counter()
    with tempfile.NamedTemporaryFile("r", suffix=".json") as out:
        command = [sys.executable, __file__, "--side", side, str(data), str(config), str(workers), out.name]
        single = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
        process = subprocess.Popen(command, env={**os.environ, **single})
        samples: list[tuple[float, int]] = []
        stop = threading.Event()

        def watch() -> None:
            while not stop.wait(0.1):
                samples.append((time.time(), tree(process.pid)[0]))

        thread = threading.Thread(target=watch)
        thread.start()
        code = process.wait()
        stop.set()
        thread.join()
        if code:
            raise SystemExit(f"{side}: ended with {code}")
        found = json.load(out)
    found["wall"] = time.perf_counter() - begun
    found["peak_mib"] = max((size for _, size in samples), default=0) / 2**20
    for phase in found.get("phases", {}).values():
        spans = phase.pop("spans")
        inside = [size for at, size in samples if any(a <= at <= b for a, b in spans)]
        phase["peak_mib"] = max(inside, default=0) / 2**20
    return found


def one_size(n: int, models: str, workers: int, keep: str, sides: list[str], grown: bool) -> dict:
    import _rows
    import _tiny

    with contextlib.ExitStack() as stack:
        place = Path(keep or stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-scale-")))
        place.mkdir(parents=True, exist_ok=True)
        data = place / f"{models}-{n}{'-files' if sides == ['rescan'] else '-grown' if grown else ''}"
        config = place / f"{models}.toml"
        config.write_text(CONFIGS[models])
        if grown and not data.exists():
            small = place / f"{models}-{_tiny.SHARD}"
            if not small.exists():
                _tiny.shards(small, _tiny.SHARD)
            if not Path(space_of(str(small))).exists():
                step("check", small, config, workers)
            _rows.grow(str(small), str(data), n)
        if not data.exists():
            (_tiny.files if sides == ["rescan"] else _tiny.shards)(data, n)
        if "check" in sides or "rescan" in sides:
            shutil.rmtree(space_of(str(data)), ignore_errors=True)
        found: dict = {"n": n, "models": models, "grown": grown, "load": os.getloadavg()[0]}
        for side in sides:
            found[side] = step(side, data, config, workers)
            show(n, side, found[side])
        found["bytes"] = weights(Path(space_of(str(data))))
        return found


def weights(space: Path) -> dict:
    """Bytes of a workspace by what they are."""
    kinds = {
        "core": "catalogue/parts/*.parquet",
        "vectors": "catalogue/parts/*.vec.parquet",
        "listing": "catalogue/sets/*/listing-*",
        "origins": "catalogue/sets/*/origins*",
        "flat": "catalogue/sets/*/rows-*",
        "log": "ledger/**/*",
        "members": "members/*",
    }
    found = {
        kind: sum(path.stat().st_size for path in space.glob(pattern) if path.is_file())
        for kind, pattern in kinds.items()
    }
    found["core"] -= found["vectors"]
    return found


def show(n: int, side: str, found: dict) -> None:
    head = f"{n:>9,} {side:7}"
    if side in ("check", "judge"):
        print(
            f"{head} {found['wall']:8.1f} s wall {found['cpu']:8.1f} s CPU = "
            f"{1000 * found['cpu'] / n:.3f} ms an image; peak {found['peak_mib']:,.0f} MiB "
            f"(main {found['main_peak']:,.0f}); exit {found['code']}"
        )
        for name, phase in found["phases"].items():
            print(
                f"          {name:18} {phase['seconds']:8.1f} s wall {phase['cpu']:8.1f} s CPU "
                f"{1e6 * phase['cpu'] / n:8.1f} µs an image, peak {phase['peak_mib']:6,.0f} MiB"
            )
        return
    flat = {k: v for k, v in found.items() if k not in ("main_peak", "wall")}
    print(f"{head} {json.dumps(flat, default=lambda v: round(v, 3))}", flush=True)


def verdicts(runs: list[dict]) -> None:
    """What was asked, and whether it holds."""

    def line(name: str, value: float, bound: float, unit: str = "") -> None:
        print(f"{name:52} {value:10.3f} {unit:5} <= {bound:<6g} {'holds' if value <= bound else 'MISSED'}")

    for run in runs:
        n = run["n"]
        if "check" in run:
            line(f"peak memory of check, {n:,}", run["check"]["peak_mib"], 2048, "MiB")
        if "report" in run:
            line(f"report from the catalogue, {n:,}", run["report"]["seconds"], 5, "s")
            line(f"report's size, {n:,}", run["report"]["bytes"] / 1e6, 2, "MB")
        for name, q in run.get("query", {}).get("queries", {}).items():
            line(f"query {name}, {n:,}", q["seconds"], 0.2, "s")
        if "rescan" in run:
            again, times = run["rescan"]["again"], run["rescan"]["times"]
            print(f"rescan over file times alone, {n:,}: {again['cpu'] / times['cpu']:.2f} × CPU")
    checks = [run for run in runs if "check" in run]
    for run in checks[1:]:
        ratio = run["check"]["cpu"] / run["n"] / (checks[0]["check"]["cpu"] / checks[0]["n"])
        line(f"CPU per image at {run['n']:,} over {checks[0]['n']:,}", ratio, 1.2)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--models", choices=sorted(CONFIGS), default="classical")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--rescan", action="store_true")
    parser.add_argument(
        "--grown", action="store_true", help="without scanning: rows made from those of 10,000 pictures"
    )
    parser.add_argument("--sides", nargs="+", default=["check", "report", "query", "queue"])
    parser.add_argument("--keep", default="")
    parser.add_argument("--json", metavar="FILE")
    parser.add_argument("--side", nargs=5, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.side:
        side, data, config, workers, out = options.side
        answer = globals()[f"side_{side}"](data, config, int(workers))
        Path(out).write_text(json.dumps(answer))
        return
    sides = ["rescan"] if options.rescan else options.sides
    if options.grown:
        sides = ["judge" if side == "check" else side for side in sides]
    runs = [
        one_size(n, options.models, options.workers, options.keep, sides, options.grown)
        for n in options.sizes
    ]
    verdicts(runs)
    if options.json:
        Path(options.json).write_text(json.dumps(runs, indent=2) + "\n")


if __name__ == "__main__":
    main()
