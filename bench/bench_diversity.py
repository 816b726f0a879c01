"""Diversity against its peer and against itself: time, memory, growth with n.

    OMP_NUM_THREADS=1 python bench/bench_diversity.py [--large]

Each measurement runs in a process of its own, so that its peak memory is its own. ``--large`` adds
10^6 × 512 streaming and duplicates among 10^6 hashes. Times are CPU seconds; set OMP_NUM_THREADS=1 for one
core. The peers are vendi-score and prdc; prdc is looked for in the environment of ``make oracles``
(``--prdc PYTHON`` names another). ``--only NAME …`` runs some of: vendi, prdc, index, duplicates.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np


def features(n: int, d: int, seed: int = 0) -> np.ndarray:
    """Clusters around 200 centres; another seed draws another set around the same ones."""
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(200, d)).astype(np.float32)
    rng = np.random.default_rng(seed) if seed else rng
    return centres[rng.integers(0, 200, n)] + 0.5 * rng.standard_normal((n, d), dtype=np.float32)


def stream(n: int, d: int, size: int = 8192):
    """Fresh batches every time, never the whole: what a catalogue gives."""
    centres = np.random.default_rng(0).normal(size=(200, d)).astype(np.float32)
    for at in range(0, n, size):
        rng = np.random.default_rng(at)
        k = min(size, n - at)
        yield centres[rng.integers(0, 200, k)] + 0.5 * rng.standard_normal((k, d), dtype=np.float32)


def ours(n: int, d: int):
    from genepool.diversity import vendi_score

    x = features(n, d)
    vendi_score(x[:64])
    return x, lambda: vendi_score(x).plug_in


def peer(n: int, d: int):
    import warnings

    warnings.simplefilter("ignore", DeprecationWarning)
    from vendi_score import vendi

    x = features(n, d)
    vendi.score_X(x[:100])
    unit = x / np.linalg.norm(x, axis=1, keepdims=True)
    return x, lambda: float(vendi.score_K(unit @ unit.T, q=2))


def streamed(n: int, d: int):
    from genepool.diversity import vendi_score

    return None, lambda: float(vendi_score(lambda: stream(n, d)))


def generated(n: int, d: int):
    """What making the batches alone costs, twice as `vendi_score` reads them."""
    return None, lambda: float(sum(part[0, 0] for _ in range(2) for part in stream(n, d)))


def near(n: int, d: int):
    from genepool.diversity import neighbourhood

    x, y = features(n, d), features(n, d, 1)
    neighbourhood(x[:200], y[:200])
    return (x, y), lambda: float(neighbourhood(x, y).density)


def prdc(n: int, d: int):
    from prdc import compute_prdc

    x, y = features(n, d), features(n, d, 1)
    compute_prdc(y[:200], x[:200], nearest_k=5)
    return (x, y), lambda: float(compute_prdc(y, x, nearest_k=5)["density"])


def index(n: int, d: int):
    from genepool.diversity import Panel, style_diversity

    panel = Panel.load()
    rng = np.random.default_rng(1)
    back = np.linalg.pinv(panel.projection).astype(np.float32)

    def batches():
        for at in range(0, n, 8192):
            k = min(8192, n - at)
            rows = panel.prototypes[rng.integers(0, len(panel.prototypes), k)].astype(np.float32)
            yield rows @ back + panel.mean.astype(np.float32)

    return None, lambda: float(style_diversity(batches, panel))


def duplicates(n: int, d: int):
    from genepool.diversity import near_duplicates, redundant_share

    rows = np.random.default_rng(2).integers(0, 256, (n, 32), dtype=np.uint8)
    rows[n // 2 :] = rows[: n - n // 2]
    rows[n // 2 :, 7] ^= 5
    return rows, lambda: redundant_share(near_duplicates(rows))


CASES = {f.__name__: f for f in (ours, peer, near, prdc, streamed, generated, index, duplicates)}


def resident(field: str) -> float:
    """KiB of this process, from /proc."""
    text = Path("/proc/self/status").read_text()
    return float(next(line.split()[1] for line in text.splitlines() if line.startswith(field)))


def child(name: str, n: int, d: int) -> None:
    keep, run = CASES[name](n, d)
    before = resident("VmRSS")
    # The high-water mark starts anew here: making the input is not part of what is measured.
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
    start = time.process_time()
    value = run()
    seconds = time.process_time() - start
    peak = resident("VmHWM")
    del keep
    print(
        json.dumps({"seconds": seconds, "grown": (peak - before) / 1024, "peak": peak / 1024, "value": value})
    )


def measure(name: str, n: int, d: int = 512, python: str = sys.executable) -> dict:
    command = [python, __file__, "--child", name, str(n), str(d)]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True, env=os.environ)
    # prdc says what it was given before our own line comes.
    found = json.loads(done.stdout.splitlines()[-1])
    print(
        f"{name:10s} n = {n:>9,} d = {d}: {found['seconds']:9.3f} CPU s, memory +{found['grown']:7.1f} MiB "
        f"(peak {found['peak']:7.1f}), value {found['value']:.6f}",
        flush=True,
    )
    return found


def differs(a: float, b: float) -> float:
    """Relative difference, 0 where both are 0."""
    return abs(a - b) / max(abs(a), abs(b), 1e-300)


def against(name: str, mine: dict, theirs: dict, what: str) -> None:
    print(
        f"  against {name}, {what}: {theirs['seconds'] / mine['seconds']:.1f} × faster, "
        f"{theirs['grown'] / max(mine['grown'], 0.1):.1f} × less memory, "
        f"values differ by {differs(mine['value'], theirs['value']):.1e}",
        flush=True,
    )


PRDC = Path(__file__).parents[1] / ".oracles" / "fidelity" / "bin" / "python"


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    arguments.add_argument("--large", action="store_true")
    arguments.add_argument("--only", nargs="*", default=["vendi", "prdc", "index", "duplicates"])
    arguments.add_argument("--prdc", default=str(PRDC), help="a Python that has prdc")
    arguments.add_argument("--child", nargs=3)
    options = arguments.parse_args()
    if options.child:
        child(options.child[0], int(options.child[1]), int(options.child[2]))
        return
    if "vendi" in options.only:
        against("vendi-score", measure("ours", 5000), measure("peer", 5000), "n = 5,000, d = 512")
        if options.large:
            streaming, bare = measure("streamed", 1_000_000), measure("generated", 1_000_000)
            print(
                f"  10^6 × 512 streaming, batches apart: {streaming['seconds'] - bare['seconds']:.1f} CPU s"
            )
    if "prdc" in options.only:
        mine = measure("near", 10_000)
        if Path(options.prdc).exists():
            against("prdc", mine, measure("prdc", 10_000, python=options.prdc), "n = 10,000, d = 512")
        else:
            print("  prdc is not here: make oracles")
    if "index" in options.only:
        small, big = measure("index", 10_000), measure("index", 100_000)
        print(f"  index: 10 × the images cost {big['seconds'] / small['seconds']:.1f} × the time")
        if options.large:
            measure("index", 1_000_000)
    if "duplicates" in options.only:
        measure("duplicates", 1_000_000 if options.large else 100_000)


if __name__ == "__main__":
    main()
