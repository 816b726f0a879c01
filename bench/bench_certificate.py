"""Simulations of the certificate: false certificates, coverage at every stopping time, labels needed.

    python bench/bench_certificate.py [labels first false coverage redraws slices] [--runs 2000] [--out FILE]

Every run draws a set of 10,000 images with exactly the stated number of human ones, gives each image a
detector score and an answer, shuffles, and plays the audit's own code (`genepool.prevalence.Auditor`, many
runs side by side) for at most 1,500 looks. Qualified reviewers are drawn with their own 100 + 100 controls;
who does not qualify is drawn again, so the rates below are among those who may certify.
"""

from __future__ import annotations

import argparse
import math
import time
from pathlib import Path

import numpy as np

from genepool.prevalence import (
    Auditor,
    Look,
    Population,
    ReviewedSet,
    Reviewer,
    Sample,
    alpha_share,
    audit_share,
    certified_slices,
    panel_rates,
)
from genepool.stats import clopper_pearson

N, LOOKS, FLOOR, ALPHA, CHUNK = 10_000, 1_500, 0.70, 0.05, 250
# (human recall, AI recall) of the detector; None: it knows nothing.
DETECTORS = {"good": (0.9, 0.9), "collapsed": (0.9, 0.3), "adversarial": (0.1, 0.1), "constant": None}
REVIEWERS = {"perfect": None, ".95/.95": (0.95, 0.95), ".95/.75": (0.95, 0.75)}


def qualified(rng, recalls, shown):
    """Controls of a reviewer with these true recalls, drawn again until they qualify; and how often."""
    tries = 0
    while True:
        tries += 1
        human, ai = (int(rng.binomial(shown, p)) for p in recalls)
        one = Reviewer.of(human, shown, ai, shown)
        if not one.refusal(ALPHA):
            return one, tries


def population(rng, runs, h, detector, n=N, looks=LOOKS):
    """(runs, n) scores; and the first `looks` of a random order: truths and scores."""
    order = rng.permuted(np.broadcast_to(np.arange(n, dtype=np.int32), (runs, n)), axis=1)[:, :looks]
    truth = np.arange(n) < round(h * n)
    if detector is None:
        scores = np.full((runs, n), 0.5)
    else:
        seems = np.where(truth, rng.random((runs, n)) < detector[0], rng.random((runs, n)) >= detector[1])
        scores = np.where(seems, 0.9, 0.1)
    return scores, truth[order], np.take_along_axis(scores, order, 1)


def play(h, detector, recalls, runs, seed, *, n=N, looks=LOOKS, shown=100, floor=FLOOR, spend=ALPHA):
    """First look at which each run passes, fails, or loses the truth (inf: never)."""
    rng = np.random.default_rng(seed)
    found = {"pass": [], "fail": [], "lost": []}
    for start in range(0, runs, CHUNK):
        k = min(CHUNK, runs - start)
        scores, truth, shownscores = population(rng, k, h, detector, n, looks)
        rates, human, alpha = None, truth, spend
        if recalls is not None:
            people = [qualified(rng, recalls, shown)[0] for _ in range(k)]
            rates = [panel_rates([one], spend) for one in people]
            wrong = rng.random(truth.shape) >= np.where(truth, *recalls)
            human, alpha = truth ^ wrong, spend * audit_share(people)
        true = round(h * n)
        game = Auditor(scores, Population(n), floor, alpha, rates, starts=[true, true + 1])
        cell = int(np.searchsorted(game.a, true, "right")) - 1
        when = {name: np.full(k, math.inf) for name in found}
        for t in range(truth.shape[1]):
            game.see(shownscores[:, t], human[:, t], ~human[:, t])
            lower, upper = game.bounds()
            events = {"pass": lower >= floor, "fail": upper < floor, "lost": game.fallen()[:, cell]}
            for name, now in events.items():
                when[name][now & np.isinf(when[name])] = t + 1
        for name in found:
            found[name].append(when[name])
    return {name: np.concatenate(values) for name, values in found.items()}


def rate(events):
    """Share of runs, and its exact lower limit at 99 %."""
    k, n = int(np.isfinite(events).sum()), len(events)
    return k / n, clopper_pearson(k, n, 0.02)[0]


def cell(events):
    share, low = rate(events)
    return f"{share:.4f} (≥ {low:.4f}){'' if low <= ALPHA else ' **above**'}"


def table(out, head, rows):
    out.append("| " + " | ".join(head) + " |")
    out.append("|" + "---|" * len(head))
    out += ["| " + " | ".join(map(str, row)) + " |" for row in rows]
    out.append("")
    print("\n".join(out[-len(rows) - 3 :]), flush=True)


def false_certificates(runs, out):
    out.append(f"### False certification and coverage ({runs:,} runs a cell)\n")
    rows, worst_pass, worst_lost = [], 0.0, 0.0
    for reviewer, recalls in REVIEWERS.items():
        for h in (0.70, 0.69, 0.60):
            for name, detector in DETECTORS.items():
                found = play(h, detector, recalls, runs, [round(h * 1000), len(rows)])
                rows.append((reviewer, name, f"{h:.2f}", cell(found["pass"]), cell(found["lost"])))
                worst_pass = max(worst_pass, rate(found["pass"])[1])
                worst_lost = max(worst_lost, rate(found["lost"])[1])
    table(
        out,
        (
            "reviewer",
            "detector",
            "true ratio",
            "passes (exact 99 % lower limit)",
            "truth ever left the sequence",
        ),
        rows,
    )
    out.append(
        f"Largest lower limit of a rate of false certificates: {worst_pass:.4f}; of losing the truth: "
        f"{worst_lost:.4f}. Both must be at most {ALPHA}.\n"
    )
    return worst_pass <= ALPHA and worst_lost <= ALPHA


def coverage(runs, out):
    out.append(f"### Coverage at every stopping time, up to a full count ({runs:,} runs a cell)\n")
    rows, worst = [], 0.0
    for n, looks in ((60, 60), (400, 400), (10_000, 1_500)):
        for h in (0.2, 0.5, 0.7, 0.8, 0.95):
            row = [f"{n:,}", f"{h:.2f}"]
            for detector in DETECTORS.values():
                found = play(h, detector, None, runs, [n, round(h * 100)], n=n, looks=looks)
                row.append(f"{1 - rate(found['lost'])[0]:.4f}")
                worst = max(worst, rate(found["lost"])[1])
            rows.append(row)
    table(out, ("images", "true ratio", *DETECTORS), rows)
    return worst <= ALPHA


def labels(runs, out):
    out.append(
        f"### Labels until the floor of 70 % is proven or refuted: median (90th percentile), {runs:,} runs\n"
    )
    head = ("true ratio", *(f"{who}, {d}" for who in REVIEWERS for d in ("detector .90/.90", "no detector")))
    rows, medians = [], {}
    for h in (0.95, 0.90, 0.85, 0.80, 0.75, 0.60, 0.50):
        row = [f"{h:.2f}"]
        for who, recalls in REVIEWERS.items():
            for name in ("good", "constant"):
                found = play(h, DETECTORS[name], recalls, runs, [round(h * 100), 7])
                done = np.minimum(found["pass"], found["fail"])
                middle, high = np.quantile(done, [0.5, 0.9], method="inverted_cdf")
                row.append(" ".join(_looks(x, form) for x, form in ((middle, "{}"), (high, "({})"))))
                medians[h, who, name] = middle
        rows.append(row)
    table(out, head, rows)
    limits = {0.80: 95, 0.75: 285, 0.90: 33}
    good = True
    for h, limit in limits.items():
        median = medians[h, "perfect", "good"]
        good &= median <= limit
        out.append(f"- ratio {h:.2f}, perfect reviewer, detector .90/.90: {median:.0f}, promised ≤ {limit}")
    out.append("")
    return good


def redraws(runs, out):
    """A set of exactly the floor, or just below, drawn again until it passes."""
    out.append(f"### Ten draws, until one passes; 400 images, 150 looks a draw ({runs:,} runs a cell)\n")
    rows, worst = [], 0.0
    for h in (0.70, 0.69):
        for name in ("constant", "good"):
            free = charged = np.zeros(runs, bool)
            for k in range(1, 11):
                for spend, seed in ((ALPHA, 1), (ALPHA * alpha_share(k), 2)):
                    found = play(h, DETECTORS[name], None, runs, [k, seed], n=400, looks=150, spend=spend)
                    now = np.isfinite(found["pass"])
                    free, charged = (free | now, charged) if seed == 1 else (free, charged | now)
            one, two = (rate(np.where(x, 1.0, math.inf)) for x in (free, charged))
            rows.append((f"{h:.2f}", name, f"{one[0]:.4f}", f"{two[0]:.4f} (≥ {two[1]:.4f})"))
            worst = max(worst, two[1])
    table(
        out,
        ("true ratio", "detector", "passes, not charged", "passes, charged (exact 99 % lower limit)"),
        rows,
    )
    return worst <= ALPHA


def first_draw(runs, out):
    """Labels from the queue: the first draw of a set may spend 0.8 of alpha."""
    out.append(
        f"### Labels along the first draw of a set, which spends 0.8·α: median (90th percentile), "
        f"{runs:,} runs\n"
    )
    rows = []
    for h in (0.90, 0.80, 0.75, 0.60):
        row = [f"{h:.2f}"]
        for who in ("perfect", ".95/.95"):
            found = play(
                h, DETECTORS["good"], REVIEWERS[who], runs, [round(h * 100), 8], spend=ALPHA * alpha_share(1)
            )
            done = np.minimum(found["pass"], found["fail"])
            middle, high = np.quantile(done, [0.5, 0.9], method="inverted_cdf")
            row.append(" ".join(_looks(x, form) for x, form in ((middle, "{}"), (high, "({})"))))
        rows.append(row)
    table(out, ("true ratio", "perfect, detector .90/.90", ".95/.95, detector .90/.90"), rows)
    return True


def slices(runs, out):
    """Twenty slices of exactly the floor: that any of them is called proven or refuted."""
    runs = min(runs, 1000)
    out.append(f"### Slices: 20 of exactly 70 %, 50 images each, 400 answers ({runs:,} runs)\n")
    import pyarrow as pa

    rng, wrong, each = np.random.default_rng(3), 0, 50
    n = 20 * each
    human, none = np.tile(np.arange(each) < 35, 20), np.zeros(n, bool)
    origins = pa.table({"style": np.repeat([f"s{i:02}" for i in range(20)], each)})
    people = {"a": Reviewer.of(400, 400, 400, 400, "a")}
    for _ in range(runs):
        looks = tuple(Look(int(i), {"a": "human" if human[i] else "ai"}) for i in rng.permutation(n)[:400])
        reviewed = ReviewedSet(Sample(looks, people), none, none, np.full(n, np.nan))
        wrong += any(
            s.certificate.ratio.lower >= FLOOR or s.certificate.ratio.upper < FLOOR
            for s in certified_slices(reviewed, origins, ("style",))
        )
    low = clopper_pearson(wrong, runs, 0.02)[0]
    out.append(f"Any slice decided, wrongly: {wrong} of {runs} runs (exact 99 % lower limit {low:.4f}).\n")
    print(out[-1], flush=True)
    return low <= ALPHA


def _looks(x, form):
    return form.format(f"{x:.0f}" if math.isfinite(x) else f"> {LOOKS}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("parts", nargs="*", help="labels first false coverage redraws slices; none: all")
    parser.add_argument("--runs", type=int, default=2000)
    parser.add_argument("--out")
    given = parser.parse_args()
    out, started = [], time.perf_counter()
    parts = {
        "labels": labels,
        "first": first_draw,
        "false": false_certificates,
        "coverage": coverage,
        "redraws": redraws,
        "slices": slices,
    }
    good = [parts[name](given.runs, out) for name in given.parts or parts]
    seconds = time.perf_counter() - started
    out.append(
        f"{seconds:.0f} s on one core. {'All promises hold.' if all(good) else 'A PROMISE IS BROKEN.'}"
    )
    print(out[-1])
    if given.out:
        Path(given.out).write_text("\n".join(out) + "\n", encoding="utf-8")
    raise SystemExit(not all(good))


if __name__ == "__main__":
    main()
