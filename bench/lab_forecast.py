"""Score the forecaster on generations of the laboratory that it has not seen.

    python bench/lab_forecast.py            # docs/lab-forecast.json and docs/lab-forecast.md
    python bench/lab_forecast.py --check    # 1 where the page or the figures are not what the results say

Two questions. *Later*: a user has the first two or three generations of one run; how far off are the ones
that follow? *Other mixes*: b² is fitted to the other arms of a study; how far off is an arm that was
never run, from its generation 1 on? Both beside carrying the last value forward. Only arms whose training
set is a fixed mixture of human pictures and of the model before are the equation's subject; what the
others say stands apart.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from genepool.degradation import Forecaster, backtest, score
from genepool.errors import MeasureError

DOCS = Path(__file__).parents[1] / "docs"
PRESETS = ("table", "policies", "paintings")
MEASURES = (("variance", "variance, share of human work's"), ("diversity", "style diversity index"),
            ("retention_first", "unique feature retention, % of generation 1's"))  # fmt: skip
MIXES = ("schedule", "replace", "mix50", "mix80", "mix95", "random", "ratio")
HEAD = """
# How well the forecast predicts

Written by `bench/lab_forecast.py` from the runs of the [laboratory](lab-results.md), whose generations
were not used to build the forecaster. The equation is v' = h + (1 − h)·b²·v
([degradation](concepts/degradation.md)); errors are root mean squares in the measure's own unit, with
bootstrap intervals over sequences; *carried* is the error of saying that nothing changes. *Better* where
the interval of the difference lies above 0, *worse* where it lies below, else *even*. *Inside* is the
share of held-out values that the 95 % prediction interval holds.
"""
NOTES = """
The equation takes every human picture as fresh. The laboratory deals them from one root again and again,
which teaches a model nothing new, and retention counts what is still reached, which four short
generations hardly move: there saying that nothing changes is hard to beat. Fits of two generations have
wide intervals, as they should.
"""


def sequences(study, plan, arms, measure):
    """(arm, values, shares) of every run that reached the end."""
    found = []
    for chain in study["chains"]:
        if chain["arm"] not in arms or len(chain["generations"]) < plan["generations"]:
            continue
        values = [row[measure][0] for row in chain["measures"]]
        if min(values) > 0:
            found.append((chain["arm"], values, [row["human"] for row in chain["generations"]]))
    return found


def later(rows, least):
    try:
        return backtest([v for _, v, _ in rows], [s for _, _, s in rows], least=least).to_json()
    except MeasureError:
        return None


def elsewhere(rows):
    """Each arm predicted by a forecaster that saw the other arms only."""
    found = {}
    for arm in sorted({arm for arm, _, _ in rows}):
        others = [(v, s) for a, v, s in rows if a != arm]
        mine = [(v, s) for a, v, s in rows if a == arm]
        if not others:
            continue
        made = Forecaster.fit([v for v, _ in others], [s for _, s in others])
        found[arm] = {
            "b2": made.b2.to_json(),
            **score(made, [v for v, _ in mine], [s for _, s in mine]).to_json(),
        }
    return found


def measured():
    found = []
    for preset in PRESETS:
        result = json.loads((DOCS / "lab" / f"{preset}.json").read_text("utf-8"))
        for study, plan in zip(result["studies"], result["config"]["studies"], strict=True):
            if not study["summary"]["admission"]["admitted"]:
                continue
            for measure, _ in MEASURES:
                rows = sequences(study, plan, MIXES, measure)
                rest = sequences(study, plan, set(plan["arms"]) - set(MIXES), measure)
                found.append(
                    {
                        "study": study["name"],
                        "measure": measure,
                        "later": {str(k): later(rows, k) for k in (2, 3)},
                        "elsewhere": elsewhere(rows),
                        "later_other_arms": {"2": later(rest, 2)} if rest else {},
                    }
                )
    return found


def cell(estimate, digits):
    low, high = estimate["lower"], estimate["upper"]
    if low is None or low != low:
        return f"{estimate['value']:.{digits}f}"
    return f"{estimate['value']:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"


def verdict(gain):
    if gain["lower"] is None or gain["lower"] != gain["lower"]:
        return "one sequence"
    return "better" if gain["lower"] > 0 else "worse" if gain["upper"] < 0 else "even"


def line(names, row, digits):
    return "| " + " | ".join(
        [*names, cell(row["rmse"], digits), cell(row["carried"], digits), verdict(row["gain"]),
         f"{row['inside']:.0%}".replace("%", " %"), f"{row['predictions']} of {row['sequences']}"]
    ) + " |"  # fmt: skip


def page(found):
    lines = [HEAD.strip(), ""]
    for measure, title in MEASURES:
        digits = 1 if measure == "retention_first" else 3
        rows = [row for row in found if row["measure"] == measure]
        lines += [f"## {title[0].upper()}{title[1:]}", "", "Later generations of the same run:", ""]
        head = "| error | carried | verdict | inside | predictions, sequences |"
        lines += ["| study | fitted to " + head, "|---|---|---|---|---|---|---|"]
        for row in rows:
            for known, names in (("2", "2 or 3 generations"), ("3", "3 generations")):
                if row["later"][known]:
                    lines.append(line([row["study"], names], row["later"][known], digits))
            if row["later_other_arms"].get("2"):
                lines.append(
                    line([row["study"] + ", arms that choose or accumulate", "2 or 3 generations"],
                         row["later_other_arms"]["2"], digits)
                )  # fmt: skip
        lines += ["", "Mixes that the fit has not seen, from generation 1 on:", ""]
        lines += ["| study | arm | b² of the others " + head, "|---|---|---|---|---|---|---|---|"]
        for row in rows:
            for arm, told in row["elsewhere"].items():
                lines.append(line([row["study"], arm, cell(told["b2"], 2)], told, digits))
        lines.append("")
    return "\n".join([*lines, NOTES.strip()]) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--check", action="store_true", help="change nothing, fail where something differs")
    given = parser.parse_args()
    found = measured()
    text = json.dumps(found, indent=1, allow_nan=True) + "\n"
    places = {DOCS / "lab-forecast.json": text, DOCS / "lab-forecast.md": page(found)}
    stale = [
        path for path, wanted in places.items() if not path.exists() or path.read_text("utf-8") != wanted
    ]
    if given.check:
        for path in stale:
            print(f"{path.name} is not what docs/lab/*.json say: bench/lab_forecast.py", file=sys.stderr)
        return 1 if stale else 0
    for path, wanted in places.items():
        path.write_text(wanted, "utf-8")
    print("docs/lab-forecast.json, docs/lab-forecast.md")
    return 0


if __name__ == "__main__":
    sys.exit(main())
