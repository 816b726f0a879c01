"""The scan against a bare loop, the rescan against the scan, memory against size.

    python bench/bench_scan.py [--images 2000] [--repeat 3] [--workers 0]
    python bench/bench_scan.py --memory [--sizes 10000 100000]

All figures of one call come from one machine and one run; ratios are what counts. The bare loop is one
process that does the same work per image with no engine, no store: it lists, reads, computes the same
digests, decodes once and runs the same probes. Each side runs in a fresh process, alternating, several
times; the medians are compared.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))


def cpu() -> float:
    """CPU seconds of this process and of its children that have ended."""
    own, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


def measured(function):
    begun, used = time.perf_counter(), cpu()
    answer = function()
    return {"seconds": time.perf_counter() - begun, "cpu": cpu() - used, **answer}


# ------------------------------------------------------------------------------------ the sides


def side_bare(folder: str, _space: str, _workers: int) -> dict:
    """One process, one loop; set-up (imports, models) is outside the clock, in its favour."""
    from _bare import prepared

    from genepool.scan import examine

    opened, plan = prepared(folder)

    def loop():
        items = list(opened.items([]))
        rows = [examine(sample, plan) for sample in opened.source.read(items)]
        return {"n": len(rows), "aside": sum(row.get("reason") is not None for row in rows)}

    return measured(loop)


def side_scan(folder: str, space: str, workers: int) -> dict:
    """`genepool.scan.scan` into an empty workspace, worker start and writing inside the clock; then again."""
    from genepool import dataset
    from genepool.config import Config
    from genepool.scan import scan

    opened = dataset.open(folder, workspace=space)
    config = Config().with_(engine__workers=workers)

    def first():
        stats = scan(opened, config=config).stats
        return {
            "n": stats.n_new,
            "aside": stats.n_aside,
            "steady": stats.images_per_second,
            "workers": stats.workers,
        }

    def second():
        return {"new": scan(opened, config=config).stats.n_new}

    answer = measured(first)
    answer["rescan"] = min((measured(second) for _ in range(3)), key=lambda a: a["seconds"])
    return answer


def fresh(side: str, folder: Path, workers: int, env: dict | None = None) -> dict:
    """One side in a process of its own, with native libraries held to one thread in the bare loop as well."""
    single = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    space = tempfile.mkdtemp(prefix="bench-workspace-")
    try:
        done = subprocess.run(
            [sys.executable, __file__, "--side", side, str(folder), space, str(workers)],
            env={**os.environ, **single, **(env or {})},
            stdout=subprocess.PIPE,
            check=True,
        )
        return json.loads(done.stdout)
    finally:
        shutil.rmtree(space, ignore_errors=True)


# ------------------------------------------------------------------------------------- speed


def speed(count: int, repeat: int, workers: int) -> dict:
    from _corpus import make

    from genepool.engine import cores

    workers = workers or cores()
    with tempfile.TemporaryDirectory(prefix="bench-corpus-") as place:
        folder = Path(place) / "set"
        size = make(folder, count)
        print(
            f"{count} JPEG, mean {size / count:,.0f} bytes, {workers} workers, load {os.getloadavg()[0]:.1f}"
        )
        fresh("bare", folder, 1)  # warms the file cache
        bare, scans = [], []
        for _ in range(repeat):
            bare.append(fresh("bare", folder, 1))
            scans.append(fresh("scan", folder, workers))
    assert all(run["n"] == count and run["aside"] == 0 for run in bare + scans)

    def median(runs, *path):
        values = []
        for run in runs:
            for key in path:
                run = run[key]
            values.append(run)
        return statistics.median(values)

    bare_rate = count / median(bare, "seconds")
    scan_rate = count / median(scans, "seconds")
    steady = median(scans, "steady")
    figures = {
        "images": count,
        "workers": workers,
        "bare_images_per_second": bare_rate,
        "scan_images_per_second": scan_rate,
        "scan_over_workers_times_bare": scan_rate / (workers * bare_rate),
        "engine_phase_over_workers_times_bare": steady / (workers * bare_rate),
        "bare_cpu_ms": 1000 * median(bare, "cpu") / count,
        "cpu_over_bare": median(scans, "cpu") / median(bare, "cpu"),
        "rescan_seconds": median(scans, "rescan", "seconds"),
        "rescan_times_faster": median(scans, "seconds") / median(scans, "rescan", "seconds"),
    }
    for name, rate, used in (("bare loop", bare_rate, bare), ("scan, all in", scan_rate, scans)):
        print(f"{name:20} {rate:8.1f} images/s  {1000 * median(used, 'cpu') / count:.2f} ms CPU per image")
    verdicts = [
        ("scan / (workers × bare), all in", figures["scan_over_workers_times_bare"], ">=", 0.85),
        ("CPU of scan / CPU of bare", figures["cpu_over_bare"], "<=", 1.15),
        ("first scan / rescan", figures["rescan_times_faster"], ">=", 50),
    ]
    for name, value, sign, bound in verdicts:
        holds = value >= bound if sign == ">=" else value <= bound
        print(f"{name:34} {value:8.3f}  {sign} {bound:<5} {'holds' if holds else 'MISSED'}")
    return figures


# ------------------------------------------------------------------------------------ memory


def tree_memory(pid: int) -> int:
    """Resident bytes of a process and all its descendants; shared pages count in each of them."""
    total, todo = 0, [pid]
    while todo:
        one = todo.pop()
        try:
            for line in Path(f"/proc/{one}/smaps_rollup").read_text().splitlines():
                if line.startswith("Rss:"):
                    total += int(line.split()[1]) * 1024
            for task in Path(f"/proc/{one}/task").iterdir():
                todo += [int(word) for word in (task / "children").read_text().split()]
        except (OSError, ValueError):
            continue
    return total


def memory(sizes: list[int], workers: int) -> dict:
    """Peak resident memory of the whole process tree during scan and reading of the catalogue."""
    from _corpus import make

    found = {}
    for count in sizes:
        with tempfile.TemporaryDirectory(prefix="bench-corpus-") as place:
            folder = Path(place) / "set"
            small(make, folder, count)
            space = Path(place) / "space"
            process = subprocess.Popen(
                [sys.executable, __file__, "--side", "consume", str(folder), str(space), str(workers)],
                stdout=subprocess.PIPE,
            )
            peak = 0
            stop = threading.Event()

            def watch(pid=process.pid, stop=stop):
                nonlocal peak
                while not stop.wait(0.1):
                    peak = max(peak, tree_memory(pid))

            thread = threading.Thread(target=watch)
            thread.start()
            out = json.loads(process.communicate()[0])
            stop.set()
            thread.join()
            found[count] = {"peak_mib": peak / 2**20, **out}
            print(
                f"{count:>9,} small images: peak {peak / 2**20:7.0f} MiB RSS (all processes), "
                f"{out['seconds']:.0f} s, {count / out['seconds']:,.0f} images/s"
            )
    if len(sizes) > 1:
        first, last = found[sizes[0]]["peak_mib"], found[sizes[-1]]["peak_mib"]
        print(f"{'growth':34} {last / first:8.3f}  × for {sizes[-1] / sizes[0]:g} × the images")
        print(f"{'peak under 1 GiB':34} {'holds' if last < 1024 else 'MISSED'}")
    return {str(k): v for k, v in found.items()}


def small(make, folder: Path, count: int) -> None:
    """``count`` different small files from a thousand encoded ones: a comment segment makes each its own."""
    made = folder.parent / "seeds"
    make(made, min(count, 1000), low=0.008, high=0.02, seed=2)
    seeds = [path.read_bytes() for path in sorted(made.rglob("*.jpg"))]
    shutil.rmtree(made)
    for i in range(count):
        data = seeds[i % len(seeds)]
        body = f"{i:08}".encode()
        target = folder / f"{i // 1000:04}" / f"{i:08}.jpg"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data[:2] + b"\xff\xfe\x00\x0a" + body + data[2:])


def side_consume(folder: str, space: str, workers: int) -> dict:
    """Scan, then read everything that a check reads: batches, vectors, root, cases."""
    from genepool import dataset
    from genepool.config import Config
    from genepool.scan import scan

    def work():
        opened = dataset.open(folder, workspace=space)
        catalogue = scan(opened, config=Config().with_(engine__workers=workers))
        n = sum(batch.num_rows for batch in catalogue.batches())
        for name in catalogue.dims:
            assert sum(len(block) for block in catalogue.vectors(name)) == n
        catalogue.cases()
        return {"n": n, "root": catalogue.root().hex(), "own_peak_mib": own_peak()}

    return measured(work)


def own_peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


# ----------------------------------------------------------------------------------- start-up


def startup() -> dict:
    """CPU of ``genepool --help`` and what ``import genepool`` loads."""
    runs = []
    for _ in range(5):
        begun = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, "-m", "genepool", "--help"], stdout=subprocess.DEVNULL, check=True)
        ended = resource.getrusage(resource.RUSAGE_CHILDREN)
        runs.append(ended.ru_utime + ended.ru_stime - begun.ru_utime - begun.ru_stime)
    heavy = ("numpy", "PIL", "pyarrow", "duckdb", "onnxruntime", "torch", "scipy", "matplotlib")
    code = f"import sys, genepool; print([n for n in {heavy!r} if n in sys.modules])"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.strip()
    seconds = statistics.median(runs)
    holds = "holds" if seconds <= 0.15 else "MISSED"
    print(f"{'genepool --help, CPU seconds':34} {seconds:8.3f}  <= 0.15  {holds}")
    print(f"{'import genepool loads':34} {loaded:>8}  {'holds' if loaded == '[]' else 'MISSED'}")
    return {"help_cpu_seconds": seconds, "import_loads": loaded}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--memory", action="store_true")
    parser.add_argument("--sizes", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--json", metavar="FILE", help="write the figures as well")
    parser.add_argument("--side", nargs=4, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.side:
        side, folder, space, workers = arguments.side
        print(json.dumps(globals()[f"side_{side}"](folder, space, int(workers))))
        return
    if arguments.memory:
        figures = memory(arguments.sizes, arguments.workers)
    else:
        figures = {**speed(arguments.images, arguments.repeat, arguments.workers), **startup()}
    if arguments.json:
        Path(arguments.json).write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
