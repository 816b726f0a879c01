"""Coefficients of a hundred thousand cohorts, generations of a million images.

    python bench/bench_lineage.py [--cohorts 100000] [--models 1000] [--images 1000000] [--large 20000]

The pedigree: human cohorts, and model runs each trained on a mixture of some hundred cohorts of human work
and the outputs of earlier models, every third one fine-tuned from an earlier model; each training set is a
dataset of its own, and one in ten holds a collection of everything that is human. Peak memory is that of the
process.
"""

from __future__ import annotations

import argparse
import resource
import time

import numpy as np

from genepool.lineage import Pedigree, settle_generations


def clock(label, function):
    start, cpu = time.perf_counter(), time.process_time()
    result = function()
    wall, used = time.perf_counter() - start, time.process_time() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(f"{label:58} {wall:8.2f} s wall {used:8.2f} s CPU   peak {peak:.2f} GB", flush=True)
    return result


def build(cohorts: int, models: int, seed: int = 0) -> Pedigree:
    rng = np.random.default_rng(seed)
    p = Pedigree()
    founders = cohorts - 2 * models - 1
    sizes = rng.integers(1, 5000, founders).tolist()
    for i, size in enumerate(sizes):
        p.add_founders(f"h{i}", size)
    p.add_dataset("everything", {f"h{i}": 1.0 / founders for i in range(founders)})
    for k in range(models):
        picked = rng.choice(founders, 100, replace=False)
        mixture = {f"h{i}": 1.0 for i in picked}
        for j in rng.integers(max(0, k - 200), k, 3) if k else ():
            mixture[f"m{j}"] = mixture.get(f"m{j}", 0.0) + 25.0
        if k % 10 == 0:
            mixture["everything"] = 20.0
        total = sum(mixture.values())
        mixture = {name: weight / total for name, weight in mixture.items()}
        p.add_dataset(f"d{k}", mixture)
        base = f"m{k - 1}" if k and k % 3 == 0 else None
        p.add_model(f"m{k}", f"d{k}", base, float(rng.integers(1, 50)))
    return p


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--cohorts", type=int, default=100_000)
    options.add_argument("--models", type=int, default=1_000)
    options.add_argument("--images", type=int, default=1_000_000)
    options.add_argument("--large", type=int, default=20_000, help="models of the pedigree that is sampled")
    given = options.parse_args()

    p = clock(
        f"build {given.cohorts:,} cohorts, {given.models:,} models",
        lambda: build(given.cohorts, given.models),
    )
    last = f"m{given.models - 1}"
    clock("generation of every cohort", lambda: [p.generation(n) for n in p.names])
    f = clock("exact F of every model", lambda: [p.inbreeding(f"m{k}") for k in range(given.models)])
    fge = clock(
        "exact founder genome equivalents of the last set",
        lambda: p.founder_genome_equivalents(f"d{given.models - 1}"),
    )
    print(f"  F of {last} {f[-1]:.4f}, highest {max(f):.4f}; FGE of its set {fge:.1f}")
    drop = clock("the same F by 100,000 gene drops", lambda: p.estimate(last, drops=100_000))
    inside = drop.lower <= f[-1] <= drop.upper
    print(f"  F of {last} {drop:.4f} [{drop.lower:.4f}, {drop.upper:.4f}]; exact value inside: {inside}")

    if given.large:
        big = clock(f"build {given.large:,} models", lambda: build(given.cohorts, given.large, 1))
        name = f"m{given.large - 1}"
        drop = clock("F of its last model, sampled (beyond the exact limit)", lambda: big.estimate(name))
        print(f"  exact {big.exact}; F {drop:.4f} [{drop.lower:.4f}, {drop.upper:.4f}]")

    n = given.images
    rng = np.random.default_rng(0)
    lo = rng.integers(0, 3, n)
    child = rng.permutation(n)[: n // 2]
    parent = (child * rng.random(len(child))).astype(np.int64)
    keep = parent < child
    child, parent = child[keep], parent[keep]
    low, _, looped = clock(
        f"generations of {n:,} images along {len(child):,} edges",
        lambda: settle_generations(lo, lo.copy(), child, parent),
    )
    print(f"  highest {low.max()}, loops {int(looped.sum())}")


if __name__ == "__main__":
    main()
