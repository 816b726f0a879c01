"""Does the index's 95 % interval hold the truth 95 times in 100? Under a packaged panel, on real pictures.

    python training/panel/coverage.py features.npz [--panel FILE] [--rounds 500] [--into docs/panel.md]

The pictures of a set stand for a population; samples are drawn from it with replacement, so that the index
of the population can be computed: the purity of two independent draws is (1 + (N − 1) · p) / N with the
unbiased p of the N pictures. A sample's interval is right when it holds that index. Wilson's interval of the
share says how sure 500 rounds make it.
"""

from __future__ import annotations

import argparse
import math
import sys
from pathlib import Path

import numpy as np
from measure_panel import Measured

from genepool.diversity import Panel, style_diversity
from genepool.stats import wilson

SIZES = (50, 200, 1000)
HEAD = (
    "| population | pictures | its index | sample | intervals that hold it | half width |\n"
    "|---|---|---|---|---|---|"
)


def truth(x: np.ndarray, panel: Panel) -> float:
    """The index of independent draws from these pictures."""
    purity = style_diversity(x, panel).purity
    drawn = (1 + (len(x) - 1) * purity) / len(x)
    return min(1.0, max(0.0, -math.log(drawn) / math.log(panel.reference)))


def covered(x: np.ndarray, panel: Panel, size: int, rounds: int, seed: int) -> tuple[int, float]:
    """How many of the samples' intervals hold the truth, and their mean half width."""
    rng, wanted = np.random.default_rng([seed, size]), truth(x, panel)
    held, width = 0, 0.0
    for _ in range(rounds):
        found = style_diversity(x[rng.integers(len(x), size=size)], panel)
        held += found.lower <= wanted <= found.upper
        width += (found.upper - found.lower) / 2
    return held, width / rounds


def populations(m: Measured) -> dict[str, np.ndarray]:
    """Broad and narrow, people's and machines'."""
    human, ai = m.sets == "human", m.sets == "ai"
    found = {"all human": human}
    found |= {f"human {kind}": human & m.where(kind=kind) for kind in ("painting", "photo")}
    found["all AI"] = ai
    found["human and AI"] = human | ai
    generators = sorted({r["generator"] for r in m.rows if r["set"] == "ai"})
    largest = max(generators, key=lambda name: int((ai & m.where(generator=name)).sum()))
    found[f"AI {largest}"] = ai & m.where(generator=largest)
    return {name: rows for name, rows in found.items() if rows.sum() >= 100}


def table(m: Measured, rounds: int) -> str:
    """The table as Markdown."""
    lines = [HEAD]
    for name, rows in populations(m).items():
        x = m.x[rows]
        for size in SIZES:
            held, width = covered(x, m.panel, size, rounds, 7)
            low, high = wilson(held, rounds, 0.05)
            share = f"{held / rounds:.1%} of {rounds} [{low:.1%}, {high:.1%}]".replace("%", " %")
            index = truth(x, m.panel)
            lines.append(f"| {name} | {len(x):,} | {index:.3f} | {size:,} | {share} | {width:.3f} |")
            print(lines[-1], file=sys.stderr, flush=True)
    return "\n".join(lines)


def main() -> int:
    """The command line."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    arguments.add_argument("features", type=Path)
    arguments.add_argument("--panel", default="", help="default: the packaged one")
    arguments.add_argument("--rounds", type=int, default=500)
    arguments.add_argument("--into", type=Path, help="replace the table of this file")
    options = arguments.parse_args()
    from features import load

    embedder = load(options.features)[0].partition("@")[0]
    found = table(Measured(options.features, Panel.load(options.panel, embedder)), options.rounds)
    if not options.into:
        print(found)
        return 0
    text = options.into.read_text("utf-8")
    start, end = (f"<!-- {word} coverage {embedder} -->" for word in ("begin", "end"))
    before, _, rest = text.partition(start)
    if end not in rest:
        sys.exit(f"{options.into}: expected the marks {start} and {end}")
    options.into.write_text(f"{before}{start}\n{found}\n{end}{rest.partition(end)[2]}", "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
