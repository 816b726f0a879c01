"""A set that grows: what the next scan and the next check cost, against the first.

    python bench/bench_growth.py [--images 2000] [--days 3] [--share 0.01] [--check] [--json FILE]

Every step runs in a process of its own, as a user would run it each day; CPU seconds count the process and
its workers. A day adds ``--share`` of the set, and the ratio compares that day with the first scan. What an
unchanged day costs is told apart: the listing of all files, and for a check its measures. Loading
libraries counts, as far as a step does it itself; modules are compiled beforehand, as an installer does it.
The last line merges the parts that the days have left.
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
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

SINGLE = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


def cpu() -> float:
    """CPU seconds of this process and of its children that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def side_scan(folder: str, space: str, workers: int) -> dict:
    from genepool import dataset, scan
    from genepool.config import Config

    opened = dataset.open(folder, workspace=space)
    stats = scan.scan(opened, config=Config().with_(engine__workers=workers, scan__merge=0)).stats
    return {"new": stats.n_new, "changes": stats.changes.to_json(0) if stats.changes else None}


def side_check(folder: str, space: str, workers: int) -> dict:
    from genepool import pipeline
    from genepool.config import Config

    settings = Config().with_(engine__workers=workers, scan__merge=0)
    decision = pipeline.check(folder, workspace=space, config=settings)
    return {"new": decision.extra["timing"]["scanned"], "changes": decision.extra.get("changes")}


def side_compact(_folder: str, space: str, _workers: int) -> dict:
    from genepool.store import Workspace, compact, part_names

    place = Workspace(space)
    before = len(part_names(place.parts))
    with place.lock():
        done = compact(place)
    return {"before": before, "merged": done.merged, "made": done.made, "listings": done.listings}


def fresh(side: str, folder: Path, space: Path, workers: int) -> dict:
    """One step in a process of its own; its CPU seconds are measured inside, imports left out."""
    command = [sys.executable, __file__, "--side", side, str(folder), str(space), str(workers)]
    home = {"GENEPOOL_HOME": str(space) + "-home"}
    env = {**os.environ, **SINGLE, **home}
    env.pop("PYTHONDONTWRITEBYTECODE", None)
    done = subprocess.run(command, env=env, stdout=subprocess.PIPE, check=True)
    return json.loads(done.stdout)


def compile_modules() -> None:
    """What an installer does: else every step compiles the modules that it loads, and that is measured."""
    import compileall

    import genepool

    compileall.compile_dir(Path(genepool.__file__).parent, quiet=2)


def corpus(folder: Path, count: int, seed: int, distinct: int = 300) -> list[Path]:
    """``count`` different files: some encoded pictures, then each of them again with a comment of its own."""
    from _corpus import make

    made = folder.with_name(folder.name + "-seeds")
    make(made, min(count, distinct), low=0.2, high=0.7, seed=seed)
    seeds = [path.read_bytes() for path in sorted(made.rglob("*.jpg"))]
    shutil.rmtree(made)
    files = []
    for i in range(count):
        data, note = seeds[i % len(seeds)], f"{seed:04}{i:08}".encode()
        target = folder / f"{i % 20:02}" / f"{i:06}.jpg"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data[:2] + b"\xff\xfe" + (len(note) + 2).to_bytes(2, "big") + note + data[2:])
        files.append(target)
    return files


def grow(place: Path, count: int, days: int, share: float, workers: int, side: str) -> dict:
    folder, pool, space = place / "set", place / "pool", place / f"space-{side}"
    more = max(1, round(count * share))
    size = sum(path.stat().st_size for path in corpus(folder, count, 1))
    spare = corpus(pool, days * more, 7)
    load = os.getloadavg()[0]
    print(
        f"{side}: {count:,} JPEG, mean {size / count:,.0f} bytes, {workers} workers, load {load:.1f}",
        flush=True,
    )
    first = fresh(side, folder, space, workers)
    unchanged = [fresh(side, folder, space, workers) for _ in range(days)]
    grown = []
    for day in range(days):
        for i, path in enumerate(spare[day * more : (day + 1) * more]):
            path.rename(folder / f"{i % 20:02}" / f"day{day}-{path.name}")
        grown.append(fresh(side, folder, space, workers))
        assert grown[-1]["new"] == more
        assert grown[-1]["changes"]["added"]["n"] == more
    victims = sorted(folder.rglob("*.jpg"))[:: max(1, count // more)][:more]
    for path in victims:
        path.unlink()
    removed = fresh(side, folder, space, workers)
    assert removed["changes"]["removed"]["n"] == len(victims)
    figures = told(first, unchanged, grown, removed, share)
    if side == "scan":
        figures["merge"] = fresh("compact", folder, space, workers)
        merge = figures["merge"]
        print(
            f"merging {merge['merged']} of {merge['before']} parts into {merge['made']}: "
            f"{merge['cpu']:.2f} CPU s"
        )
    return {"images": count, "new": more, "workers": workers, "load": load, **figures}


def told(first: dict, unchanged: list, grown: list, removed: dict, share: float) -> dict:
    still = statistics.median(run["cpu"] for run in unchanged)
    days = [run["cpu"] for run in grown]
    ratios = [one / first["cpu"] for one in days]
    beyond = [(one - still) / first["cpu"] for one in days]
    rows = [
        ("unchanged", still, [run["cpu"] / first["cpu"] for run in unchanged]),
        (f"grown by {share:.0%}", statistics.median(days), ratios),
        ("  beyond an unchanged day", statistics.median(days) - still, beyond),
        ("as many removed", removed["cpu"], [removed["cpu"] / first["cpu"]]),
    ]
    print(f"{'first':28} {first['cpu']:9.2f} CPU s")
    for name, used, shares in rows:
        middle = statistics.median(shares)
        span = f"{min(shares):.4f} to {max(shares):.4f}, n = {len(shares)}"
        print(f"{name:28} {used:9.2f} CPU s   {middle:.4f} of the first ({span})")
    return {
        "first_cpu": first["cpu"],
        "unchanged_over_first": still / first["cpu"],
        "grown_over_first": ratios,
        "grown_beyond_unchanged_over_first": beyond,
        "removed_over_first": removed["cpu"] / first["cpu"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--days", type=int, default=3)
    parser.add_argument("--share", type=float, default=0.01)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--check", action="store_true", help="the whole of check as well")
    parser.add_argument("--json", metavar="FILE", help="write the figures as well")
    parser.add_argument("--side", nargs=4, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.side:
        side, folder, space, workers = arguments.side
        import genepool.pipeline  # noqa: F401  # imports are the command's, not the set's
        from genepool.compute import lean

        begun, used = time.perf_counter(), cpu()
        lean(patient=True)  # as the command does
        answer = globals()[f"side_{side}"](folder, space, int(workers))
        print(json.dumps({"seconds": time.perf_counter() - begun, "cpu": cpu() - used, **answer}))
        return
    compile_modules()
    figures = {}
    for side in ("scan", "check") if arguments.check else ("scan",):
        with tempfile.TemporaryDirectory(prefix="bench-growth-") as place:
            figures[side] = grow(
                Path(place), arguments.images, arguments.days, arguments.share, arguments.workers, side
            )
    if arguments.json:
        Path(arguments.json).write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
