"""The engines side by side: `local` and `ray` against workers × the bare loop: speed, CPU seconds, memory.

    python bench/bench_ray.py                    8,000 JPEGs of 0.44 megapixel, two workers, one run of each
    python bench/bench_ray.py --images 400       smaller
    python bench/bench_ray.py --sizes 2000 8000  memory per worker at two sizes

Each side runs in a fresh process, watched from outside twice a second through /proc: CPU seconds are those of
the whole process tree from the moment the scan begins (Ray's own processes, which idle meanwhile, included).
"MB per worker" is proportional set size (PSS): that of all worker processes, on Ray also of the actors that
hold them, summed at one moment, the largest of those sums divided by the number of workers. The scan phase is
that of the engine: the start of workers and the loading of models are inside, the start of Ray itself is not,
as on a cluster that stands already.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

TICKS = os.sysconf("SC_CLK_TCK")


# ------------------------------------------------------------------------------------ the sides


def side_bare(folder: str, _space: str, _workers: int) -> dict:
    """One process, one loop over the same work per image; set-up is outside the clock, in its favour."""
    from _bare import prepared

    from genepool.scan import examine

    opened, plan = prepared(folder)
    begin()
    begun = time.perf_counter()
    n = sum(1 for sample in opened.source.read(list(opened.items([]))) if examine(sample, plan))
    return {"n": n, "phase": n / (time.perf_counter() - begun)}


def side_local(folder: str, space: str, workers: int) -> dict:
    from genepool.engine import LocalEngine

    return scanned(folder, space, LocalEngine(workers))


def side_ray(folder: str, space: str, workers: int) -> dict:
    from genepool.engine import RayEngine

    with RayEngine("local", workers) as engine:
        engine.connect()
        return scanned(folder, space, engine)


def scanned(folder: str, space: str, engine) -> dict:
    from genepool import dataset
    from genepool.config import Config
    from genepool.scan import scan

    opened = dataset.open(folder, workspace=space)
    marks: list[tuple[int, float]] = []
    begin()
    catalogue = scan(
        opened,
        config=Config(),
        engine=engine,
        progress=lambda done, *_: marks.append((done, time.perf_counter())),
    )
    stats = catalogue.stats
    (first, began), (last, ended) = marks[1], marks[-1]
    return {
        "n": stats.n_new,
        "phase": stats.images_per_second,
        "steady": (last - first) / (ended - began) if last > first else None,
        "root": catalogue.root().hex(),
    }


def begin() -> None:
    print("begin", flush=True)
    sys.stdin.readline()


# ------------------------------------------------------------------------------------ watching


def tree(pid: int) -> list[int]:
    found, todo = [], [pid]
    while todo:
        one = todo.pop()
        try:
            for task in Path(f"/proc/{one}/task").iterdir():
                todo += [int(word) for word in (task / "children").read_text().split()]
        except OSError:
            continue
        found.append(one)
    return found


def seconds(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / TICKS


def pss(pid: int) -> int:
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return 0


def role(pid: int) -> str:
    try:
        line = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
    except OSError:
        return ""
    if "genepool.engine._worker" in line:
        return "worker"
    return "actor" if line.startswith("ray::Supervisor") else "other"


def watched(side: str, folder: Path, workers: int) -> dict:
    """Run one side in a fresh process and watch its tree."""
    single = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    space = tempfile.mkdtemp(prefix="bench-workspace-")
    process = subprocess.Popen(
        [sys.executable, __file__, "--side", side, str(folder), space, str(workers)],
        env={**os.environ, **single},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdin is not None
    try:
        while (line := process.stdout.readline().strip()) != "begin":
            if not line:
                raise SystemExit(f"{side}: ended with status {process.wait()}")
        base = {pid: seconds(pid) for pid in tree(process.pid)}
        used: dict[int, float] = {}
        memory: dict[str, int] = {}
        counts: dict[str, int] = {}
        process.stdin.write("\n")
        process.stdin.flush()
        while process.poll() is None:
            now: dict[str, list[int]] = {}
            for pid in tree(process.pid):
                used[pid] = max(used.get(pid, 0.0), seconds(pid) - base.get(pid, 0.0))
                now.setdefault(role(pid), []).append(pss(pid))
            for name, sizes in now.items():
                memory[name] = max(memory.get(name, 0), max(sizes))
                counts[name] = max(counts.get(name, 0), len(sizes))
            held = sum(now.get("worker", [])) + sum(now.get("actor", []))
            memory["held"] = max(memory.get("held", 0), held)
            memory["all"] = max(memory.get("all", 0), sum(map(sum, now.values())))
            time.sleep(0.5)
        answer = json.loads(process.stdout.read().strip().splitlines()[-1])
    finally:
        if process.poll() is None:
            process.kill()
        shutil.rmtree(space, ignore_errors=True)
    cpu, sizes = sum(used.values()), {k: v / 1e6 for k, v in memory.items()}
    return {**answer, "cpu": cpu, "memory": sizes, "processes": counts}


# ------------------------------------------------------------------------------------- figures


def compare(count: int, workers: int, repeat: int, sides: list[str]) -> dict:
    from _corpus import make

    with tempfile.TemporaryDirectory(prefix="bench-corpus-") as place:
        folder = Path(place) / "set"
        size = make(folder, count, low=0.44, high=0.44)
        print(f"{count} JPEG of 0.44 MP, mean {size / count:,.0f} bytes, {workers} workers")
        runs: dict[str, list[dict]] = {side: [] for side in sides}
        for _ in range(repeat):
            for side in sides:
                load = os.getloadavg()[0]
                run = watched(side, folder, workers)
                assert run["n"] == count, run
                runs[side].append(run)
                each = f"{1000 * run['cpu'] / count:6.2f} ms CPU an image"
                print(f"{side:6} {run['phase']:7.1f} images/s in the phase, {each}, load {load:.1f}")
    figures: dict = {"images": count, "workers": workers, "repeat": repeat}
    bare = runs.pop("bare")
    figures["bare_cpu_ms"] = 1000 * min(run["cpu"] for run in bare) / count
    roots = {run["root"] for found in runs.values() for run in found}
    assert len(roots) == 1, roots
    best = max(run["phase"] for run in bare)
    cheap = min(run["cpu"] for run in bare)
    for side, found in runs.items():
        aim = {"local": 0.85, "ray": 0.80}[side]
        speed = [run["phase"] / (workers * best) for run in found]
        steady = [run["steady"] / (workers * best) for run in found if run["steady"]]
        cpu = [run["cpu"] / cheap for run in found]
        held = max(run["memory"]["held"] for run in found) / workers
        figures[side] = {
            "of_bare": speed,
            "steady_of_bare": steady,
            "cpu_over_bare": cpu,
            "mb_per_worker": held,
        }
        verdict("images/s over workers × bare", side, speed, ">=", aim)
        if steady:
            verdict("  from the first unit to the last", side, steady, ">=", aim)
        verdict("CPU seconds over bare", side, cpu, "<=", 1.15)
        verdict("MB per worker (PSS)", side, [held], "<=", 250)
        for name in ("worker", "actor", "all"):
            sizes = [run["memory"][name] for run in found if name in run["memory"]]
            if sizes:
                n = max(run["processes"].get(name, 0) for run in found)
                each = f", at most {n} at once" if n else ""
                print(f"  {side:6} largest {name:30} {max(sizes):8.0f} MB{each}")
    return figures


def verdict(name: str, side: str, values: list[float], sign: str, bound: float) -> None:
    middle = sorted(values)[len(values) // 2]
    holds = middle >= bound if sign == ">=" else middle <= bound
    spread = f"{min(values):.3f} to {max(values):.3f}" if len(values) > 1 else "one run"
    print(f"{side:6} {name:36} {middle:8.3f}  {sign} {bound:<5} {'holds' if holds else 'MISSED'}  ({spread})")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=8000)
    parser.add_argument("--sizes", type=int, nargs="+", help="several sizes, for memory that does not grow")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--repeat", type=int, default=1)
    parser.add_argument("--sides", nargs="+", default=["bare", "local", "ray"])
    parser.add_argument("--json", metavar="FILE", help="write the figures as well")
    parser.add_argument("--side", nargs=4, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.side:
        side, folder, space, workers = arguments.side
        print(json.dumps(globals()[f"side_{side}"](folder, space, int(workers))))
        return
    figures = [
        compare(count, arguments.workers, arguments.repeat, arguments.sides)
        for count in arguments.sizes or [arguments.images]
    ]
    if arguments.json:
        Path(arguments.json).write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
