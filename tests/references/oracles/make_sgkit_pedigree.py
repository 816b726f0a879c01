"""Kinship and inbreeding of two-parent pedigrees as sgkit computes them, written as a JSON fixture.

Runs in an environment of its own, which genepool never imports::

    make oracles

The pedigrees are drawn here with a fixed seed, so that the fixture carries its own question: parents by index
(−1: unknown, a founder), then sgkit's coefficients.
"""

import json
import sys
from pathlib import Path

import numpy as np
import sgkit
import xarray as xr

OUT = Path(__file__).parents[1] / "fixtures" / "sgkit_pedigree.json"


def textbook() -> dict[str, list[tuple[int, int]]]:
    founders = [(-1, -1)] * 4
    return {
        "full sibs": [*founders, (0, 1), (0, 1), (4, 5)],
        "half sibs": [*founders, (0, 1), (0, 2), (4, 5)],
        "backcross": [*founders, (0, 1), (0, 4), (0, 5), (0, 6)],
        "repeated full sibs": [*founders, (0, 1), (0, 1), (4, 5), (4, 5), (6, 7), (6, 7), (8, 9)],
        "cousins": [*founders, (0, 1), (0, 1), (2, 4), (3, 5), (6, 7)],
        "selfing": [*founders, (0, 0), (4, 4), (5, 5)],
    }


def drawn(seed: int, founders: int, children: int) -> list[tuple[int, int]]:
    rng = np.random.default_rng(seed)
    parents = [(-1, -1)] * founders
    for i in range(founders, founders + children):
        # Mostly recent parents, so that generations pile up; selfing is allowed.
        low = max(0, i - 12) if rng.random() < 0.7 else 0
        sire, dam = rng.integers(low, i, 2).tolist()
        parents.append((sire, dam))
    return parents


def answer(parents: list[tuple[int, int]]) -> dict[str, object]:
    data = xr.Dataset()
    data["parent"] = ("samples", "parents"), np.array(parents, np.int64)
    kinship = sgkit.pedigree_kinship(data, parent="parent")["stat_pedigree_kinship"].values
    inbreeding = sgkit.pedigree_inbreeding(data, parent="parent")["stat_pedigree_inbreeding"].values
    upper = [kinship[i, : i + 1].tolist() for i in range(len(parents))]
    return {"parents": parents, "kinship": upper, "inbreeding": inbreeding.tolist()}


def main() -> int:
    cases = {name: answer(parents) for name, parents in textbook().items()}
    cases |= {f"drawn {seed}": answer(drawn(seed, 6, 34)) for seed in range(4)}
    OUT.parent.mkdir(exist_ok=True)
    text = json.dumps({"oracle": f"sgkit {sgkit.__version__}", "cases": cases}, separators=(",", ":"))
    OUT.write_text(text + "\n", encoding="utf-8")
    sys.stdout.write(f"{OUT.name}: {len(cases)} pedigrees, {len(text):,} bytes\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
