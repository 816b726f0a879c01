"""genepool beside what one would take instead: duplicates, the scan, the pass, the Vendi score, density.

    python bench/peers/compare.py [--images 600] [--only duplicates scan pass vendi prdc] [--repeat 3]

Every peer runs in an environment of its own under ``.oracles`` (``make peers`` makes them); each run is a
fresh process, the sides taking turns. CPU seconds are those of the process and all its children; memory is
the resident memory of the whole process tree at its peak. What cannot be installed or run is listed with its
error. Writes ``bench/peers/results.json``; `docs/peers.md` is written from it by ``bench/peers/page.py``.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(HERE.parent))
RESULTS = HERE / "results.json"
PYTHON = {
    "genepool": Path(sys.executable),
    **{
        name: ROOT / ".oracles" / name / "bin" / "python"
        for name in ("imagededup", "fastdup", "cleanvision", "datasets", "vendi", "fidelity")
    },
}
TASKS = {
    "duplicates": ("genepool", "imagededup", "fastdup"),
    "scan": ("genepool", "cleanvision"),
    "pass": ("genepool", "datasets"),
}


# ------------------------------------------------------------------------------------------- corpus


def corpus(folder: Path, count: int) -> dict[str, str]:
    """``count`` photographs and an edit of each third of them; returns edit → original, by relative path."""
    from _corpus import make
    from PIL import Image

    make(folder / "set", count, low=0.1, high=0.5)
    rng, truth = np.random.default_rng(4), {}
    originals = sorted((folder / "set").rglob("*.jpg"))
    for i, path in enumerate(originals[::3]):
        target = path.with_name(path.stem + "-edit.jpg")
        with Image.open(path) as image:
            edited, quality = image.convert("RGB"), 88
            if i % 4 == 0:
                quality = int(rng.integers(35, 60))
            elif i % 4 == 1:
                edited = edited.resize((edited.width // 2, edited.height // 2), Image.Resampling.BICUBIC)
            elif i % 4 == 2:
                gain = float(rng.uniform(1.05, 1.2))
                edited = edited.point(lambda v, gain=gain: min(255, int(v * gain)))
            out = io.BytesIO()
            edited.save(out, "JPEG", quality=quality)
        # The fourth kind is the file itself once more.
        target.write_bytes(path.read_bytes() if i % 4 == 3 else out.getvalue())
        truth[str(target.relative_to(folder / "set"))] = str(path.relative_to(folder / "set"))
    return truth


def judged(pairs: list[list[str]], truth: dict[str, str]) -> dict:
    """Recall of the planted pairs, and pairs between pictures that have nothing to do with each other."""
    found = {frozenset(pair) for pair in pairs if pair[0] != pair[1]}
    planted = {frozenset(pair) for pair in truth.items()}
    return {"planted": len(planted), "found": len(planted & found), "others": len(found - planted)}


# ---------------------------------------------------------------------------------------------- runs


def run(name: str, python: Path, folder: Path, workers: int) -> dict:
    """One side in a fresh process: wall and CPU seconds, peak memory of its process tree, its answer."""
    from bench_scale import tree

    with tempfile.TemporaryDirectory() as place:
        out, log = Path(place) / "out.json", Path(place) / "log"
        command = [str(python), str(HERE / "sides.py"), name, str(folder), str(out), str(workers)]
        single = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
        env = {**os.environ, **single, "HF_HUB_OFFLINE": "1", "PYTHONPATH": str(ROOT / "src")}
        peak, stop = 0, threading.Event()
        with log.open("wb") as sink:
            process = subprocess.Popen(command, stdout=sink, stderr=sink, env=env, cwd=place)

            def watch() -> None:
                nonlocal peak
                while not stop.wait(0.1):
                    peak = max(peak, tree(process.pid)[0])

            thread, begun = threading.Thread(target=watch), time.perf_counter()
            thread.start()
            _, status, used = os.wait4(process.pid, 0)
            wall = time.perf_counter() - begun
            stop.set()
            thread.join()
        if status or not out.exists():
            lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
            return {"error": (lines or [f"ended with {status}"])[-1][:300]}
        found = json.loads(out.read_text())
    return {**found, "wall": wall, "cpu": used.ru_utime + used.ru_stime, "peak_mib": peak / 2**20}


def against(task: str, folder: Path, truth: dict[str, str], repeat: int, workers: int) -> dict:
    """All programs of a task, taking turns."""
    sides: dict[str, list[dict]] = {name: [] for name in TASKS[task]}
    for _ in range(repeat):
        for name, runs in sides.items():
            if not PYTHON[name].exists():
                runs.append({"error": f"no environment {PYTHON[name].parents[1].name}: make peers"})
            elif not (runs and "error" in runs[-1]):
                shutil.rmtree(str(folder) + "-cache", ignore_errors=True)
                runs.append(run(f"{task}-{name}", PYTHON[name], folder, workers))
                print(task, name, {k: v for k, v in runs[-1].items() if k != "pairs"}, flush=True)
    found = {}
    for name, runs in sides.items():
        if "error" in runs[-1]:
            found[name] = {"error": runs[-1]["error"]}
            continue
        found[name] = {key: spread([r[key] for r in runs]) for key in ("wall", "cpu", "peak_mib")}
        found[name] |= {k: v for k, v in runs[0].items() if k in ("version", "n", "aside", "issues")}
        if task == "duplicates":
            found[name] |= judged(runs[0]["pairs"], truth)
    return found


def spread(values: list[float]) -> dict:
    """Median, least and most, and how many."""
    return {"median": statistics.median(values), "low": min(values), "high": max(values), "n": len(values)}


def arrays(which: str, repeat: int) -> dict:
    """Vendi score and density against their packages, on arrays (see `bench_diversity.py`)."""
    import bench_diversity

    mine, theirs, n, python = {
        "vendi": ("ours", "peer", 5000, PYTHON["vendi"]),
        "prdc": ("near", "prdc", 10_000, PYTHON["fidelity"]),
    }[which]
    if not python.exists():
        return {"peer": {"error": f"no environment {python.parents[1].name}: make peers"}}
    os.environ["OMP_NUM_THREADS"] = "1"
    sides: dict[str, list[dict]] = {"genepool": [], "peer": []}
    for _ in range(repeat):
        sides["genepool"].append(bench_diversity.measure(mine, n))
        sides["peer"].append(bench_diversity.measure(theirs, n, python=str(python)))
    found: dict = {
        name: {"cpu": spread([r["seconds"] for r in runs]), "peak_mib": spread([r["grown"] for r in runs])}
        for name, runs in sides.items()
    }
    found["n"], found["d"] = n, 512
    found["differs"] = bench_diversity.differs(sides["genepool"][0]["value"], sides["peer"][0]["value"])
    return found


def machine() -> dict:
    model = next(
        (
            line.split(":")[1].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if "model name" in line
        ),
        platform.processor(),
    )
    return {
        "cpu": model,
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "load": os.getloadavg()[0],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--images", type=int, default=600)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--only", nargs="+", default=[*TASKS, "vendi", "prdc"])
    options = parser.parse_args()
    known = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    with tempfile.TemporaryDirectory(prefix="bench-peers-") as place:
        truth = corpus(Path(place), options.images) if set(options.only) & set(TASKS) else {}
        for task in options.only:
            if task in TASKS:
                found = against(task, Path(place) / "set", truth, options.repeat, options.workers)
                found = {"programs": found, "images": options.images + len(truth), "workers": options.workers}
            else:
                found = arrays(task, options.repeat)
            known[task] = {**found, "machine": machine()}
            RESULTS.write_text(json.dumps(known, indent=1) + "\n")


if __name__ == "__main__":
    main()
