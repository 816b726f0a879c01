"""From chains to statements: means over seeds, paired differences, verdicts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

__all__ = ["KEEP", "LEAST_COVERAGE", "MEASURES", "interval", "summarise", "summarise_exchange"]

MEASURES = (
    "retention_first",
    "retention",
    "tail",
    "diversity",
    "support",
    "coverage",
    "density",
    "frechet",
    "variance",
)
LEAST_COVERAGE = 0.5
"""Generation 1 must cover this share of human work, or nothing is said about collapse."""
KEEP = 0.9
"""Collapse: less than this share of generation 1's retention or diversity, for certain."""
_OPPONENTS = ("gate", "random", "schedule")


def interval(values: Sequence[float | None], alpha: float = 0.05) -> dict[str, Any]:
    """Mean of independent replicates with Student's t interval; none below two replicates."""
    from scipy.special import stdtrit

    found = np.array([v for v in values if v is not None], np.float64)
    n = len(found)
    if not n:
        return {"mean": None, "lower": None, "upper": None, "n": 0}
    mean = float(found.mean())
    if n < 2:
        return {"mean": _short(mean), "lower": None, "upper": None, "n": n}
    reach = float(stdtrit(n - 1, 1 - alpha / 2)) * float(found.std(ddof=1)) / math.sqrt(n)
    return {"mean": _short(mean), "lower": _short(mean - reach), "upper": _short(mean + reach), "n": n}


def _short(value: float) -> float:
    return float(f"{value:.5g}")


def summarise(chains: Sequence[dict[str, Any]], generations: int) -> dict[str, Any]:
    """What the chains of one study say.

    Returns:
        ``admission`` (generation 1's coverage), ``arms`` (arm → generation → measure → mean and interval over
        seeds), ``kept`` (arm → measure → last generation's share of generation 1's), ``paired`` (differences
        between arms of the same seed at the last generation), ``verdicts`` and ``stopped``.
    """
    arms = list(dict.fromkeys(chain["arm"] for chain in chains))
    seeds = {chain["seed"] for chain in chains}
    whole = {
        (c["arm"], c["seed"]): c["measures"] for c in chains if len(c.get("measures", ())) == generations
    }
    first = {c["seed"]: c["measures"][0] for c in chains if c.get("measures")}
    coverage = interval([m["coverage"][0] for m in first.values()])
    admitted = coverage["mean"] is not None and coverage["mean"] >= LEAST_COVERAGE
    table = {
        arm: [
            {
                name: interval([_value(m[g], name) for (a, _), m in whole.items() if a == arm])
                for name in MEASURES
            }
            for g in range(generations)
        ]
        for arm in arms
    }
    kept = {
        arm: {
            name: interval(_shares(whole, arm, name), 0.05)
            for name in ("retention_first", "diversity", "variance", "coverage")
        }
        for arm in arms
    }
    return {
        "seeds": sorted(seeds),
        "admission": {"coverage": coverage, "least": LEAST_COVERAGE, "admitted": admitted},
        "human_work": _human(chains),
        "arms": table,
        "kept": kept,
        "paired": _paired(whole, arms),
        "verdicts": {arm: _verdict(whole, arm, admitted, coverage) for arm in arms},
        "stopped": [
            {"arm": c["arm"], "seed": c["seed"], "why": c["stopped"]} for c in chains if c.get("stopped")
        ],
    }


def _value(row: dict[str, Any], name: str) -> float | None:
    found = row.get(name)
    return None if found is None else float(found[0]) if isinstance(found, list) else float(found)


def _shares(whole: dict[tuple[str, int], Any], arm: str, name: str) -> list[float]:
    """Each seed's last generation as a share of its generation 1."""
    found = []
    for (a, _), rows in whole.items():
        first, last = _value(rows[0], name), _value(rows[-1], name)
        if a == arm and first and last is not None:
            found.append(last / first)
    return found


def _human(chains: Sequence[dict[str, Any]]) -> dict[str, Any]:
    rows = {c["seed"]: c["human_work"] for c in chains if c.get("human_work")}
    return {name: interval([_value(r, name) for r in rows.values() if name in r]) for name in MEASURES[1:]}


def _paired(whole: dict[tuple[str, int], Any], arms: Sequence[str]) -> list[dict[str, Any]]:
    found = []
    for other in _OPPONENTS:
        for arm in arms if other in arms else ():
            seeds = [s for (a, s) in whole if a == arm and (other, s) in whole]
            if arm == other or not seeds:
                continue
            row: dict[str, Any] = {"arm": arm, "against": other}
            for name in ("retention_first", "diversity", "coverage", "variance", "frechet"):
                gaps = [
                    float(_value(whole[arm, s][-1], name) or 0)
                    - float(_value(whole[other, s][-1], name) or 0)
                    for s in seeds
                ]
                row[name] = interval(gaps)
            found.append(row)
    return found


def _verdict(
    whole: dict[tuple[str, int], Any], arm: str, admitted: bool, coverage: dict[str, Any]
) -> dict[str, Any]:
    """Collapse, no collapse, undecided or refused; two measures are looked at, so each at half of 5 %."""
    if not admitted:
        mean = "nothing" if coverage["mean"] is None else f"{coverage['mean']:.0%}"
        why = f"generation 1 covers {mean} of human work, at least {LEAST_COVERAGE:.0%} are needed"
        return {"verdict": "refused", "why": why}
    looked = {name: interval(_shares(whole, arm, name), 0.025) for name in ("retention_first", "diversity")}
    if any(found["lower"] is None for found in looked.values()):
        return {"verdict": "undecided", "why": "fewer than two seeds ran to the end", **looked}
    lost = [name for name, found in looked.items() if found["upper"] < KEEP]
    if lost:
        words = " and ".join("retention" if name == "retention_first" else name for name in lost)
        return {
            "verdict": "collapse",
            "why": f"{words} below {KEEP:.0%} of generation 1's for certain",
            **looked,
        }
    if all(found["lower"] >= KEEP for found in looked.values()):
        why = f"retention and diversity at least {KEEP:.0%} of generation 1's for certain"
        return {"verdict": "no collapse", "why": why, **looked}
    return {"verdict": "undecided", "why": f"an interval contains {KEEP:.0%}", **looked}


# ---------------------------------------------------------------------------------------- exchange


def summarise_exchange(plan: dict[str, Any], rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Human equivalents of machine-made pictures, and the verdict on each claim.

    Returns:
        ``human`` (the yardstick), ``rates`` (for each root, generation and size: how many human pictures it
        is worth, per machine-made picture and per picture of the root), ``claims``.
    """
    sizes = [int(n) for n in plan["human"]]
    human = {str(n): interval([r["human"][str(n)] for r in rows]) for n in sizes}
    teachers = [(root, g) for root in plan["roots"] for g in range(1, plan["generations"] + 1)]
    rates = [_rate(rows, sizes, *teacher, size) for teacher in teachers for size in plan["synthetic"]]
    claims = [_claim(rows, claim, *teacher) for teacher in teachers for claim in plan["claims"]]
    return {"human": human, "rates": rates, "claims": claims}


def _score(row: dict[str, Any], root: int, generation: int, size: int) -> float:
    teacher = next(t for t in row["teachers"] if t["root"] == root)
    found = next(g for g in teacher["generations"] if g["generation"] == generation)
    return float(found["scores"][str(size)])


def _rate(
    rows: Sequence[dict[str, Any]], sizes: Sequence[int], root: int, generation: int, size: int
) -> dict[str, Any]:
    logs, below, above = [], 0, 0
    grid = np.log([float(n) for n in sizes])
    for row in rows:
        # More human work never hurts: the yardstick is made to rise, so that it can be read backwards.
        curve = np.maximum.accumulate([row["human"][str(n)] for n in sizes])
        curve = curve + 1e-9 * np.arange(len(curve))
        score = _score(row, root, generation, size)
        below += score < curve[0]
        above += score > curve[-1]
        logs.append(float(np.interp(score, curve, grid)))
    found = interval(logs)
    worth = {k: None if found[k] is None else _short(math.exp(found[k])) for k in ("mean", "lower", "upper")}
    return {
        "root": root,
        "generation": generation,
        "synthetic": size,
        "worth": {**worth, "n": found["n"]},
        "per_synthetic": None if worth["mean"] is None else _short(worth["mean"] / size),
        "per_root": None if worth["mean"] is None else _short(worth["mean"] / root),
        "below_yardstick": int(below),
        "above_yardstick": int(above),
    }


def _claim(
    rows: Sequence[dict[str, Any]], claim: dict[str, Any], root: int, generation: int
) -> dict[str, Any]:
    gaps = [
        float(row["human"][str(claim["human"])]) - _score(row, root, generation, int(claim["synthetic"]))
        for row in rows
    ]
    found = interval(gaps)
    verdict = "undecided"
    if found["lower"] is not None:
        verdict = "holds" if found["lower"] > 0 else "fails" if found["upper"] < 0 else "undecided"
    return {**claim, "root": root, "generation": generation, "difference": found, "verdict": verdict}
