"""Near-copies at sizes that do not fit here: buckets of one band as full as among 10^6 to 10^9 hashes.

    OMP_NUM_THREADS=1 python bench/bench_bands.py [--sizes 1000000 …] [--json FILE]

Among n different hashes a band of 16 bits puts about n / 65,536 into each bucket; a bucket of that size,
filled with random hashes, is compared as `genepool.diversity.near_duplicates` does, and its CPU time times 16
bands is what one image costs. Larger buckets than 4,096 must agree in a second band; what is then found for
certain is checked with planted pairs.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from pathlib import Path

import numpy as np

BUCKETS = 1 << 16
HASHES = 60_000
"""Hashes that one timing holds at least: many small buckets, or one large one."""


def bucket(size: int, count: int, rng: np.random.Generator) -> np.ndarray:
    """``(size × count, 4)`` words in ``count`` buckets of band 3."""
    hashes = rng.integers(0, 1 << 64, (size * count, 4), dtype=np.uint64)
    hashes.view(np.uint16)[:, 3] = np.repeat(np.arange(count), size)
    return hashes


def timed(size: int, rng: np.random.Generator, repeat: int) -> list[float]:
    """CPU microseconds a hash for all 16 bands together."""
    from genepool.diversity._duplicates import BANDS, RADIUS, band_links

    count, runs = max(1, HASHES // size), []
    for _ in range(repeat):
        hashes = bucket(size, count, rng)
        begun = time.process_time()
        band_links(hashes, 3, RADIUS)
        runs.append(BANDS * 1e6 * (time.process_time() - begun) / len(hashes))
    return runs


def recalled(size: int, bits: int, rng: np.random.Generator, pairs: int = 400) -> float:
    """Share of planted pairs, ``bits`` apart in bands other than the bucket's, that it finds."""
    from genepool.diversity._duplicates import RADIUS, band_links

    hashes = bucket(size, 1, rng)
    free = np.concatenate((np.arange(48), np.arange(64, 256)))  # the bucket's own band stays equal
    for i in range(pairs):
        flip = np.zeros(256, np.uint8)
        flip[rng.choice(free, bits, replace=False)] = 1
        hashes[pairs + i] = hashes[i] ^ np.packbits(flip, bitorder="little").view(np.uint64)
    first, second = band_links(hashes, 3, RADIUS)
    found = {tuple(sorted(pair)) for pair in zip(first.tolist(), second.tolist(), strict=True)}
    return sum((i, pairs + i) in found for i in range(pairs)) / pairs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[10**6, 10**7, 10**8, 2 * 10**8, 10**9])
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--json", metavar="FILE")
    options = parser.parse_args()
    rng, found = np.random.default_rng(11), []
    timed(100, rng, 1)
    for n in options.sizes:
        size = max(2, round(n / BUCKETS))
        runs = timed(size, rng, options.repeat)
        recall = {bits: recalled(size, bits, rng) for bits in (14, 20, 24)} if size > 1000 else {}
        found.append({"n": n, "bucket": size, "us": statistics.median(runs), "runs": runs, "recall": recall})
        told = "".join(f", {share:.1%} of pairs {bits} bits apart" for bits, share in recall.items())
        print(
            f"{n:>13,} hashes, buckets of {size:>6,}: {statistics.median(runs):7.2f} µs CPU a hash "
            f"[{min(runs):.2f}, {max(runs):.2f}]{told}"
        )
    if options.json:
        Path(options.json).write_text(json.dumps({"bands": found}, indent=1) + "\n")


if __name__ == "__main__":
    main()
