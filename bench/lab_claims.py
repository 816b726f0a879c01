"""Write docs/claims.md and docs/lab-results.md from the committed results of the laboratory.

    python bench/lab_claims.py            # both pages
    python bench/lab_claims.py --check    # 1 where a page is not what the results say

Nothing is measured here: docs/lab/*.json are copies of ``result.json`` of ``genepool lab run``.
"""

from __future__ import annotations

import argparse
import json
import sys
import textwrap
from pathlib import Path

from genepool.lab import ARTICLE, load_preset, markdown
from genepool.lab._tables import span

DOCS = Path(__file__).parents[1] / "docs"
FEWEST = 3
PRESETS = ("table", "policies", "exchange", "paintings")
CONFIRMED, REFUTED, OPEN, UNTESTABLE = "confirmed", "refuted", "not decided", "not testable here"
INTRODUCTION = """
genepool was built after an article that puts numbers on the degradation of image models trained on their own
output. Each number is listed here with what small real generators did: *confirmed* where the 95 % interval
over seeds contains it and excludes "nothing is lost", *refuted* where it does not contain it, *not decided*
where the intervals are too wide,
*not testable here* where no experiment of this kind can tell. The models are small, the pictures too: a
refutation says that the number is no law, not that no model will ever show it.
"""
ORIGIN = """
Written by `bench/lab_claims.py` from `docs/lab/*.json`, which `genepool lab run` made; methods:
[lab.md](concepts/lab.md); every table and seed: [lab-results.md](lab-results.md). Presets were fixed
before they were run; what was added later says so in its preset. Retention counts prototypes that are
still reached, so a model may lose half of its variance and reach them all: where retention refutes a
number and diversity falls, both are shown.
"""
PREFERENCE = {2: "7.1", 3: "5.4", 4: "3.2"}


def results():
    found = {}
    for name in PRESETS:
        path = DOCS / "lab" / f"{name}.json"
        if path.exists():
            found[name] = json.loads(path.read_text("utf-8"))
    return found


def studies(found):
    """Every study with the article's schedule, in the order of the presets: (study, generations)."""
    rows = []
    for result in found.values():
        for study, plan in zip(result["studies"], result["config"]["studies"], strict=True):
            if "schedule" in study["summary"]["arms"]:
                rows.append((study, plan["generations"]))
    return rows


def admitted(found):
    return [(s, g) for s, g in studies(found) if s["summary"]["admission"]["admitted"]]


def against(interval, claim, nothing):
    """Does an interval over seeds contain what the article says?

    One that also contains ``nothing``, what would be seen if nothing were lost, decides nothing.
    """
    if interval["lower"] is None:
        return OPEN
    if not interval["lower"] <= claim <= interval["upper"]:
        return REFUTED
    return OPEN if interval["lower"] <= nothing <= interval["upper"] else CONFIRMED


def overall(verdicts):
    known = set(verdicts) - {OPEN}
    if not known:
        return OPEN
    return known.pop() if len(known) == 1 else "confirmed on some generators, refuted on others"


def kept(study, generation, name):
    """A generation's share of generation 1's, seed by seed."""
    from genepool.lab._summary import interval

    shares = []
    for chain in study["chains"]:
        rows = chain.get("measures", [])
        if chain["arm"] == "schedule" and len(rows) >= generation:
            shares.append(rows[generation - 1][name][0] / rows[0][name][0])
    return interval(shares)


def table_claims(found):
    rows = [
        (
            "Generation 1 retains 100 % of features",
            UNTESTABLE,
            "True by definition: retention is given relative to generation 1. Against people's own work, "
            + listed(found, lambda s: span(s["summary"]["arms"]["schedule"][0]["retention"], 0) + " %"),
        ),
        (
            "Generation 1 has a style diversity of 0.89",
            UNTESTABLE,
            "The scale is set so that people's own work reads 0.89. Models trained on it read "
            + listed(found, lambda s: span(s["summary"]["arms"]["schedule"][0]["diversity"])),
        ),
    ]
    for generation in (2, 3, 4):
        share, retention, diversity = ARTICLE[generation - 1]
        head = f"Generation {generation}, {100 * share:.0f} % synthetic"
        for what, name, claim, digits in (
            ("features retained", "retention_first", retention / 100, 0),
            ("style diversity", "diversity", diversity / ARTICLE[0][2], 2),
        ):
            got = [kept(s, generation, name) for s, _ in admitted(found)]
            said = (
                f"{retention:.0f} %"
                if digits == 0
                else f"{diversity:.2f}, {100 * claim:.0f} % of generation 1's"
            )
            text = "; ".join(
                f"{s['name']}: {span(scaled(x), 0)} % of generation 1's"
                for (s, _), x in zip(admitted(found), got, strict=True)
            )
            rows.append((f"{head}: {what} {said}", overall([against(x, claim, 1.0) for x in got]), text))
        rows.append(
            (
                f"{head}: human preference {PREFERENCE[generation]} of 10",
                UNTESTABLE,
                "Preference is people's votes, and nobody has voted on these samples: `genepool review` "
                "collects votes, `genepool degradation` shows them.",
            )
        )
    rows.insert(
        2, ("Generation 1: human preference 8.2 of 10", UNTESTABLE, "As below: it takes people's votes.")
    )
    return rows


def scaled(interval, factor=100):
    return {k: v if k == "n" or v is None else v * factor for k, v in interval.items()}


def listed(found, text):
    return "; ".join(f"{s['name']} {text(s)}" for s, _ in admitted(found)) + "."


def fourth(found):
    rows = admitted(found)
    retention = [(s["name"], s["summary"]["arms"]["schedule"][-1]["retention_first"]) for s, _ in rows]
    verdicts = [
        OPEN
        if x["lower"] is None
        else CONFIRMED
        if x["upper"] < 20
        else REFUTED
        if x["lower"] >= 20
        else OPEN
        for _, x in retention
    ]
    drop = [(s["name"], scaled(kept(s, g, "diversity"))) for s, g in rows]
    lost = [
        (n, {"mean": 100 - x["mean"], "lower": minus(x["upper"]), "upper": minus(x["lower"])})
        for n, x in drop
    ]
    return [
        (
            "By the fourth generation less than 20 % of the original features are left",
            overall(verdicts),
            "; ".join(f"{n}: {span(x, 0)} % of generation 1's" for n, x in retention) + ".",
        ),
        (
            "Style diversity drops by 65 % in four generations",
            overall([against(x, 65, 0) for _, x in lost]),
            "; ".join(f"{n}: drops by {span(x, 0)} %" for n, x in lost) + ".",
        ),
    ]


def minus(value):
    return None if value is None else 100 - value


def policy_claims(found):
    if "policies" not in found:
        missing = (
            "The run that would test it (`genepool lab run --preset policies`) is not among the results."
        )
        names = (
            "At least 70 % human work prevents the worst",
            "Generation 3 and beyond is toxic",
            "Below a style diversity of 0.60 a set must be mended",
        )
        return [(name, UNTESTABLE, missing) for name in names]
    study = found["policies"]["studies"][0]
    summary = study["summary"]
    rows = [seventy(summary), toxic(summary), sixty(summary)]
    seeds = len(summary["seeds"])
    if seeds < FEWEST:
        # Two seeds agree by chance often enough: intervals are shown, no verdict is.
        return [(a, OPEN, f"Only {seeds} seeds, {FEWEST} are wanted for a verdict. {c}") for a, _, c in rows]
    return rows


def seventy(summary):
    verdicts = summary["verdicts"]
    arms = [
        a
        for a in ("random", "ratio", "gate", "mix50", "mix80", "mix95", "schedule", "replace")
        if a in verdicts
    ]
    text = "; ".join(
        f"{a}: {verdicts[a]['verdict']} (UFR kept {span(summary['kept'][a]['retention_first'])}, "
        f"SDI kept {span(summary['kept'][a]['diversity'])})"
        for a in arms
    )
    worst = verdicts["random"]["verdict"]
    verdict = {"no collapse": CONFIRMED, "collapse": REFUTED}.get(worst, OPEN)
    pair = against_other(summary, "random", "schedule")
    text += f". 70 % human at random minus the article's schedule, paired: SDI {span(pair['diversity'], 3)}, "
    text += f"UFR {span(pair['retention_first'], 1)} points."
    if worst == "undecided" and pair["diversity"]["lower"] is not None and pair["diversity"]["lower"] > 0:
        text += (
            " It certainly keeps more diversity than the schedule; whether it keeps 90 % is within the error."
        )
    return ("At least 70 % human work prevents the worst of it", verdict, text)


def against_other(summary, arm, other):
    return next(p for p in summary["paired"] if p["arm"] == arm and p["against"] == other)


def toxic(summary):
    pair = against_other(summary, "cap", "schedule")
    d = pair["diversity"]
    verdict = (
        OPEN if d["lower"] is None else CONFIRMED if d["lower"] > 0 else REFUTED if d["upper"] < 0 else OPEN
    )
    rows = summary["arms"]["schedule"]
    steps = ", ".join(span(row["diversity"]) for row in rows)
    text = (
        "The schedule with pictures of generation 2 at most, minus the schedule as it is, at generation 4: "
        f"SDI {span(d, 3)}, UFR {span(pair['retention_first'], 1)} points. Were 3 a cut, the steps between "
        f"generations would show it; the schedule's SDI by generation: {steps}."
    )
    return ("Synthetic data of generation 3 and beyond is toxic", verdict, text)


def sixty(summary):
    verdicts = summary["verdicts"]
    below, above = [], []
    for arm, rows in summary["arms"].items():
        (below if rows[-1]["diversity"]["mean"] < 0.60 else above).append(arm)
    wrong = [a for a in below if verdicts[a]["verdict"] == "no collapse"]
    missed = [a for a in above if verdicts[a]["verdict"] == "collapse"]
    right = {"collapse": below, "no collapse": above}
    both = all(any(verdicts[a]["verdict"] == word for a in arms) for word, arms in right.items())
    verdict = REFUTED if wrong or missed else CONFIRMED if both else OPEN
    text = (
        f"Models whose SDI ends below 0.60: {', '.join(below) or 'none'}. Certain collapse, yet above it: "
        f"{', '.join(missed) or 'none'}; certainly none, yet below it: {', '.join(wrong) or 'none'}. "
        "The scale is that of one set of pictures and moves with the panel."
    )
    return ("A style diversity below 0.60 marks a set that must be mended", verdict, text)


def exchange_claims(found):
    claim = "100,000 human pictures beat 10 million synthetic ones, and it is not even close"
    if "exchange" not in found:
        missing = (
            "The run that would test it (`genepool lab run --preset exchange`) is not among the results."
        )
        return [(claim, UNTESTABLE, missing)]
    rows = []
    summary = found["exchange"]["exchanges"][0]["summary"]
    for scale in dict.fromkeys(c["scale"] for c in summary["claims"]):
        cases = [c for c in summary["claims"] if c["scale"] == scale]
        held = [c for c in cases if c["verdict"] == "holds"]
        failed = [c for c in cases if c["verdict"] == "fails"]
        verdict = CONFIRMED if held and len(held) == len(cases) else REFUTED if failed else OPEN
        if held and failed:
            verdict = "refuted as a rule: it depends on the root"
        text = "; ".join(
            f"root {c['root']:,}, generation {c['generation']}: {c['verdict']} ({span(c['difference'])})"
            for c in cases
        )
        first = cases[0]
        rows.append(
            (
                f"{claim}: at {scale}, {first['human']:,} against {first['synthetic']:,}",
                verdict,
                "Difference in log-likelihood of unseen human pictures, by the human pictures at the "
                f"generator's root: {text}.",
            )
        )
    return rows


def rows_of(found):
    none = (
        "Over 60 % of new models train primarily on synthetic data",
        UNTESTABLE,
        "A statement about the market; no experiment with models can confirm or refute it, and the article "
        "names no source.",
    )
    detector = (
        "Detectors reach 94 % accuracy",
        UNTESTABLE,
        "Not a question for this laboratory: a detector's accuracy depends on generators and sources it has "
        "not seen. `genepool calibrate` measures it on images whose origin is known.",
    )
    return [
        none,
        *table_claims(found),
        *fourth(found),
        detector,
        *policy_claims(found),
        *exchange_claims(found),
    ]


def claims_page(found):
    lines = [
        "# What the article claims, what we measured",
        "",
        *textwrap.wrap(INTRODUCTION.strip(), 110),
        "",
        *textwrap.wrap(ORIGIN.strip(), 110),
        "",
        "| the article says | verdict | experiment |",
        "|---|---|---|",
    ]
    lines += [f"| {a} | **{b}** | {c} |" for a, b, c in rows_of(found)]
    refused = [s["name"] for s, _ in studies(found) if not s["summary"]["admission"]["admitted"]]
    if refused:
        why = "Left out, because generation 1 covers too little of human work to say anything"
        lines += ["", f"{why}: {', '.join(refused)}."]
    absent = [name for name in PRESETS if name not in found]
    if absent:
        lines += ["", f"Presets without a committed result: {', '.join(absent)}."]
    short = [sentence for result in found.values() for sentence in missing(result)]
    if short:
        lines += [
            "",
            "Shorter than their preset, for want of processor time:",
            "",
            *(f"* {one}" for one in short),
        ]
    return "\n".join(lines) + "\n"


def missing(result):
    """Sentences on what the preset asks for and the result does not hold."""
    plan = load_preset(result["preset"])
    lines = []
    for kind, full in (("studies", plan.studies), ("exchanges", plan.exchanges)):
        made = {row["name"]: row for row in result["config"][kind]}
        for part in full:
            if part.name not in made:
                lines.append(f"{part.name} of the preset {result['preset']} has not been run.")
            elif len(made[part.name]["seeds"]) < len(part.seeds):
                seeds = ", ".join(map(str, made[part.name]["seeds"]))
                lines.append(
                    f"{part.name}: {len(made[part.name]['seeds'])} of {len(part.seeds)} seeds ({seeds})."
                )
    return lines


def results_page(found):
    lines = [
        "# Results of the laboratory",
        "",
        "Written by `bench/lab_claims.py` from `docs/lab/*.json`. How to read it: [lab.md](concepts/lab.md).",
        "",
    ]
    for name, result in found.items():
        text = markdown(result).split("\n", 2)[2]
        lines += [f"# Preset {name}", "", text.strip(), ""]
        given = {plan["name"] for plan in result["config"]["studies"] if plan["data"] == "given"}
        for study in result["studies"]:
            lines += [f"![{study['name']}](lab/{study['name']}.svg)", ""]
            for arm in study["summary"]["arms"]:
                grid = f"lab/{study['name']}-{arm}.png"
                if (DOCS / grid).exists():
                    # What was given may not be shown: those grids hold what the models drew.
                    rows = "Generations" if study["name"] in given else "People's work, then generations"
                    lines += [
                        f"{rows} 1 to 4, {study['name']}, {arm}, first seed:",
                        "",
                        f"![{arm}]({grid})",
                        "",
                    ]
        lines += [f"![{exchange['name']}](lab/{exchange['name']}.svg)\n" for exchange in result["exchanges"]]
    return "\n".join(lines).rstrip() + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--check", action="store_true", help="change nothing, fail where a page differs")
    given = parser.parse_args()
    found = results()
    pages = {"claims.md": claims_page(found), "lab-results.md": results_page(found)}
    stale = [
        name
        for name, text in pages.items()
        if not (DOCS / name).exists() or (DOCS / name).read_text("utf-8") != text
    ]
    if given.check:
        for name in stale:
            print(f"docs/{name} is not what docs/lab/*.json say: python bench/lab_claims.py", file=sys.stderr)
        return 1 if stale else 0
    for name, text in pages.items():
        (DOCS / name).write_text(text, "utf-8")
        print(f"docs/{name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
