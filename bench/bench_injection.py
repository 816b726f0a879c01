"""How long a plan takes and how good it is, for 20,000 candidates; the linear step; facility location.

    OMP_NUM_THREADS=1 python bench/bench_injection.py [--images N] [--peer]

Pictures stand for themselves by their style vectors: 60 % human work in 80 styles of Zipf-like sizes, 40 %
machine work in 15, one third of it a reserve. Times are CPU seconds of this process; reading and embedding
files is the scan's (bench_scan.py), measuring quality is PIQE's (printed apart). ``--peer`` asks apricot too.
"""

from __future__ import annotations

import argparse
import json
import time

import numpy as np

from genepool.diversity import Panel
from genepool.injection._facility import representatives
from genepool.injection._linear import cheapest
from genepool.injection._plan import decide
from genepool.injection._planner import Planner
from genepool.injection._pool import Pool
from genepool.injection._quality import Quality, piqe


def pool(n: int, seed: int = 0, reserve: float = 1 / 3) -> Pool:
    """Pictures at styles of the packaged panel."""
    panel = Panel.load()
    rng = np.random.default_rng(seed)
    human = np.arange(n) < 0.6 * n
    share = 1.0 / np.arange(1, 81)
    styles = np.where(human, rng.choice(80, n, p=share / share.sum()), 100 + rng.integers(0, 15, n))
    order = rng.permutation(n)
    styles, human = styles[order], human[order]
    z = panel.prototypes[styles % len(panel.prototypes)]
    z = z + 0.2 * panel.bandwidth * rng.normal(size=z.shape)
    far = rng.random(n) < reserve
    quality = 6 + rng.normal(size=n) + 0.5 * ~human
    return Pool(
        panel=panel,
        uris=tuple(f"{i:06}" for i in range(n)),
        reserve=far,
        whitened=z,
        on=panel.supported(z) | human,
        human=human,
        ai=~human,
        cluster=np.arange(n),
        alpha=0.05,
        quality=Quality("simulated", 10.0, quality, np.ones(n, bool)),
    )


class Named:
    """A dataset as far as a plan names it."""

    uri = "simulated"


def timed(work):
    start = time.process_time()
    found = work()
    return found, time.process_time() - start


def plan(n: int) -> dict:
    images = pool(n)
    planner = Planner(images, floor=0.95, human_ratio=0.70, drop=0.5)
    (found, _), seconds = timed(lambda: decide(planner, Named(), None, 0.5))
    chosen = np.array(sorted(int(u) for u in (*found.kept, *found.added)))
    rng = np.random.default_rng(1)
    k = len(chosen)
    people, others = np.flatnonzero(images.human), np.flatnonzero(~images.human)
    # As many as were chosen, as far as a small pool has people's work for seven tenths of them.
    m = min(len(chosen), int(len(people) / 0.7), int(len(others) / 0.3))
    drawn = np.concatenate(
        (rng.choice(people, int(0.7 * m), False), rng.choice(others, m - int(0.7 * m), False))
    )
    return {
        "what": "plan",
        "candidates": n,
        "cpu_s": round(seconds, 2),
        "method": found.method,
        "styles_before": round(found.before.styles, 1),
        "styles_after": round(found.after.styles, 1),
        "styles_of_random_70_30": round(images.index(np.sort(drawn)).styles, 1),
        "styles_at_most": round(found.optimum, 1),
        "gap": found.gap,
        "human": [round(x, 4) for x in found.human],
        "quality": None if found.quality is None else round(found.quality.value, 3),
        "images": k,
    }


def step(n: int) -> dict:
    rng = np.random.default_rng(0)
    cost = rng.normal(size=n)
    # What is cheap is bad and made by machines: both bind.
    human = rng.random(n) < 0.65 + 0.2 * np.tanh(cost)
    demands = np.stack((0.7 - human, 0.2 - rng.normal(size=n) - cost))
    (weights, chosen), seconds = timed(lambda: cheapest(cost, n // 4, demands))
    return {
        "what": "linear step, two demands that bind",
        "n": n,
        "cpu_s": round(seconds, 3),
        "largest_excess": float((demands @ weights).max()),
        "rounding": float(cost[chosen].mean() - weights @ cost),
    }


def facility(n: int, count: int, peer: bool) -> dict:
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(n, 16))
    alike = np.exp(-((rows[:, None, :4] - rows[None, :, :4]) ** 2).sum(-1))
    own, seconds = timed(lambda: representatives(alike, count))
    line = {"what": "facility location", "n": n, "count": count, "cpu_s": round(seconds, 2)}
    if peer:
        from apricot import FacilityLocationSelection

        def ask(s: np.ndarray, k: int) -> list[int]:
            return (
                FacilityLocationSelection(k, metric="precomputed", optimizer="lazy").fit(s).ranking.tolist()
            )

        ask(alike[:50, :50], 3)  # compiled before it is timed
        theirs, other = timed(lambda: ask(alike, count))
        reached = [float(alike[pick].max(axis=0).sum()) for pick in (own, theirs)]
        line |= {"apricot_cpu_s": round(other, 2), "value_to_apricots": reached[0] / reached[1]}
    return line


def quality() -> dict:
    picture = np.random.default_rng(0).integers(0, 256, (256, 256, 3)).astype(np.uint8)
    piqe(picture)
    _, seconds = timed(lambda: [piqe(picture) for _ in range(5)])
    return {"what": "PIQE of one image, 256 × 256", "cpu_s": round(seconds / 5, 4)}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, default=20_000)
    parser.add_argument("--peer", action="store_true")
    given = parser.parse_args()
    for line in (
        plan(given.images),
        step(given.images),
        facility(2000, 250, given.peer),
        quality(),
    ):
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
