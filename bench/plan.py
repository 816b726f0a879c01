"""Write ``docs/scale.md`` from ``bench/scale.json``: what was measured, and a plan on paper for 10^9 images.

    python bench/plan.py [--check]
    python bench/plan.py --keep FILE …      take in what `bench_scale.py`, `bench_scan.py`,
                                            `bench_ray.py`, `bench_bands.py` or `bench_growth.py`
                                            wrote as JSON

Nothing on the page is typed in: measured figures come from that file, planned ones are computed from them.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import textwrap
from pathlib import Path

HERE = Path(__file__).parent
KEPT = HERE / "scale.json"
PAGE = HERE.parent / "docs" / "scale.md"

PICTURE = 116_000
"""Bytes of a JPEG of 0.44 megapixel, as `bench_scan.py` makes them (mean)."""
EFFICIENCY = 0.85
"""Share of the bare loop that engines are asked to keep on 10^8 images."""
BAND = 2 + 8 + 32
"""Bytes of a row in a band's exchange: band, number, hash."""
PHASES = ("scan", "settle", "measure", "measure: copies", "measure: index", "seal", "report")
WORDS = {"check": "checked", "judge": "judged"}
SIZES = (10**6, 10**8, 10**9)
BUSY = 2.0
"""Load per core at a run's start from which on other work was there too: the step before it leaves one."""

HEAD = """# From a laptop to a cluster: what it costs, measured

Written by `bench/plan.py` from `bench/scale.json`. The pictures are {side} px JPEGs in WebDataset shards,
so that what a catalogue, an index and a report cost is not hidden behind decoding: of a thousand fifty are
near-copies, ten are copies byte by byte, one is cut off; six in ten say whose work they are (400 pictures
an artist), two in ten name a model. Each step is a process of its own. CPU seconds count the main process
and its workers; memory is the resident memory of the whole process tree, sampled ten times a second,
shared pages counted in each process. *Classical* is a descriptor that needs no network, without a detector;
*house* are the detector and the embedder that ship. Phases are in µs CPU an image.

{machine}

"""

GROWN = """
*Judged* rows were not scanned: they are made from the rows of 10,000 scanned pictures (`bench_scale.py
--grown`), and everything that `check` does after the scan runs on them.

"""

GROWTH = """
## A set that grows

JPEGs of 0.44 megapixel, the models that ship, two workers (`bench_growth.py`). Each day is a process of its
own; shares are CPU seconds over those of the first day. What a check measures over the whole set (index,
copies, counts, log) is done anew each day, and two workers start even for a single new image: that is what
an unchanged day costs, and what a day of 1 % costs beyond its images.

"""

PLAN = """
## On paper: 10⁸ and 10⁹ images

Computed from the figures above, not measured. Images of 0.44 megapixel and {picture:.0f} kB, the models
that ship, {ms:.1f} ms CPU an image for reading, decoding, digests, descriptor, detector and embedder
(`bench_ray.py`), engines that keep {efficiency:.0%} of the bare loop. One merged part holds 4,096 images.

"""

LIMITS = """
What the plan rests on, and where it ends:

- The scan is a pure function of each unit, so its core-hours divide by cores; what it writes is listed
  above. Reading from an object store, cold disks and networks were not measured.
{copies}
- After the scan one process settles, measures, seals and reports. Its time is linear in n, its memory too
  ({row:.0f} bytes an image between {basis}): by that {most} images fit in 2 GiB, which has not been tried.
  A larger set is judged in parts of that size, or on a machine with the memory above. The index's state
  and the counts add up over parts exactly; copies across parts need the partitioned stage of the engine.
- The log holds an entry for each image whose origin was settled. At 10⁹ it is the largest thing after the
  vectors.
"""


COPIES = """Copies are found by bands of the perceptual hash, which are sorted, not searched. Sixteen bands
of 16 bits find every pair up to 15 bits apart. Pairs that agree in a band by chance grow with the square of
n, so from {crowd} different hashes on, when more than 4,096 share a band's value, two are compared only where
a second band agrees as well: every pair up to 14 bits apart is still found (sixteen bands, fourteen bits: two
bands stay whole), and of pairs that share the band and differ in {bits} bits elsewhere {share}. What a hash
costs was measured on buckets as full as they would be (`bench_bands.py`: {bands}). Random hashes spread
better than real ones do."""


def cell(x: float, digits: int = 1) -> str:
    return f"{x:,.0f}" if x >= 100 else f"{x:.{digits}f}"


def measured(kept: dict) -> str:
    """The table of phases: µs CPU an image and peak memory, by size."""
    lines = [
        "| images | how | models | all, µs CPU an image | peak, MiB | " + " | ".join(PHASES) + " |",
        "|---|---|---|" + "---|" * (len(PHASES) + 2),
    ]
    for run in kept["runs"]:
        for side in ("check", "judge"):
            if side not in run:
                continue
            told, n = run[side], run["n"]
            each = [cell(1e6 * told["phases"][p]["cpu"] / n) if p in told["phases"] else "" for p in PHASES]
            lines.append(
                f"| {n:,}{_star(run)} | {WORDS[side]} | {run['models']} "
                f"| {cell(1e6 * told['cpu'] / n)} | {told['peak_mib']:,.0f} | " + " | ".join(each) + " |"
            )
    return "\n".join(lines) + "\n"


def answers(kept: dict) -> str:
    """What is asked of a catalogue that is there."""
    lines = [
        "| images | models | report from the catalogue | its size | questions in SQL "
        "| queue: opened, 8 questions |",
        "|---|---|---|---|---|---|",
    ]
    for run in kept["runs"]:
        if "query" not in run:
            continue
        asked = [q["cpu"] for q in run["query"]["queries"].values()]
        cells = ["", ""]
        if report := run.get("report"):
            cells = [
                f"{report['cpu']:.1f} s CPU, {report['peak_mib']:,.0f} MiB",
                f"{report['bytes'] / 1e6:.2f} MB",
            ]
        cells.append(f"{min(asked):.2f} to {max(asked):.2f} s CPU, {run['query']['peak_mib']:,.0f} MiB")
        queue = run["queue"]
        cells.append(
            f"{queue['open']['cpu']:.1f} s, {queue['first']['cpu']:.3f} s CPU, {queue['peak_mib']:,.0f} MiB"
        )
        lines.append(f"| {run['n']:,}{_star(run)} | {run['models']} | " + " | ".join(cells) + " |")
    for run in kept["runs"]:
        if "rescan" in run:
            again, times, listed = (run["rescan"][k] for k in ("again", "times", "list"))
            lines += [
                "",
                f"A second scan of {run['n']:,}{_star(run)} unchanged files: {again['cpu']:.1f} s CPU "
                f"({1e6 * again['cpu'] / run['n']:.0f} µs a file, {again['new']} read), of which the listing "
                f"with its file times takes {listed['cpu']:.1f} s; asking the file system alone takes "
                f"{times['cpu']:.1f} s, {again['cpu'] / times['cpu']:.1f} times less.",
            ]
    return "\n".join(lines) + "\n"


def goals(kept: dict) -> str:
    """What was asked, and whether it holds."""
    runs = kept["runs"]
    rows = []
    for side, word in WORDS.items():
        same = sorted((r for r in runs if side in r and r["models"] == "classical"), key=lambda r: r["n"])
        if same:
            few, many = same[0], same[-1]
            rows.append((f"peak memory at {many['n']:,}, {word}", many[side]["peak_mib"] / 1024, 2.0, "GiB"))
        if len(same) > 1:
            ratio = many[side]["cpu"] / many["n"] / (few[side]["cpu"] / few["n"])
            rows.append((f"CPU an image at {many['n']:,} over {few['n']:,}, {word}", ratio, 1.2, ""))
    for run in runs:
        if "check" in run and run["models"] != "classical":
            name = f"peak memory at {run['n']:,}, checked with the models that ship"
            rows.append((name, run["check"]["peak_mib"] / 1024, 2.0, "GiB"))
    told = max((r for r in runs if "report" in r), key=lambda r: r["n"])
    asked = max((r for r in runs if "query" in r), key=lambda r: r["n"])
    slowest = max(q["cpu"] for q in asked["query"]["queries"].values())
    rows += [
        (f"report's size at {told['n']:,}", told["report"]["bytes"] / 1e6, 2.0, "MB"),
        (f"report from the catalogue at {told['n']:,}", told["report"]["cpu"], 5.0, "s CPU"),
        (f"slowest question at {asked['n']:,}", slowest, 0.2, "s CPU"),
    ]
    lines = ["| goal | measured | at most | |", "|---|---|---|---|"]
    for name, value, bound, unit in rows:
        word = "holds" if value <= bound else "missed"
        lines.append(f"| {name} | {value:.2f}{f' {unit}' if unit else ''} | {bound:g} | {word} |")
    missing = [f"10^{p}" for p in (4, 5, 6) if not any("check" in r and r["n"] == 10**p for r in runs)]
    text = "\n".join(lines) + "\n"
    if missing:
        text += (
            f"\nNot measured yet: the whole of `check`, scan included, at {' and '.join(missing)} images "
            "(`python bench/bench_scale.py --sizes 10000 100000 1000000`).\n"
        )
    return text


def _star(run: dict) -> str:
    return "\\*" if run["busy"] else ""


def growth(kept: dict) -> str:
    """What a later day costs, by size."""
    if not (runs := kept.get("growth")):
        return ""
    lines = [
        "| images | what | first day, CPU s | unchanged | 1 % more | of it beyond unchanged | 1 % removed |",
        "|---|---|---|---|---|---|---|",
    ]
    for told in runs:
        for side in ("scan", "check"):
            if run := told.get(side):
                beyond = run["grown_beyond_unchanged_over_first"]
                lines.append(
                    f"| {run['images']:,}{_star(run)} | {side} | {run['first_cpu']:,.0f} "
                    f"| {run['unchanged_over_first']:.2%} | {_between(run['grown_over_first'])} "
                    f"| {_between(beyond)} | {run['removed_over_first']:.2%} |"
                )
    return GROWTH + "\n".join(lines) + "\n"


def _between(shares: list[float]) -> str:
    return f"{min(shares):.2%} to {max(shares):.2%} (n = {len(shares)})"


def whole(kept: dict) -> list[tuple[dict, dict]]:
    """Runs of all that `check` does, or, as long as there are fewer than two, of what follows the scan."""
    for side in WORDS:
        found = [(r, r[side]) for r in kept["runs"] if side in r and r["models"] == "classical"]
        if len(found) > 1:
            break
    return sorted(found, key=lambda each: each[0]["n"])


def slope(kept: dict) -> float:
    """Bytes of memory that the largest set takes for each further image."""
    (few, small), (many, large) = whole(kept)[0], whole(kept)[-1]
    return (large["peak_mib"] - small["peak_mib"]) * 2**20 / (many["n"] - few["n"])


def planned(kept: dict) -> str:
    """Cores, hours, bytes and shuffle for each size."""
    largest, told = whole(kept)[-1]
    n, phases = largest["n"], told["phases"]
    after = sum(phases[p]["cpu"] for p in ("settle", "measure", "decide", "seal", "save", "report")) / n
    each = {kind: size / n for kind, size in largest["bytes"].items()}
    ms = kept["scan"]["bare_cpu_ms"]
    rows: list[tuple[str, list[str]]] = [
        ("input", [_bytes(m * PICTURE) for m in SIZES]),
        ("scan, core-hours", [cell(m * ms / 3.6e6 / EFFICIENCY) for m in SIZES]),
        ("scan, hours on 64 cores", [cell(m * ms / 3.6e6 / EFFICIENCY / 64, 2) for m in SIZES]),
        ("reading for 64 cores", [_bytes(64 / (ms / 1e3 / EFFICIENCY) * PICTURE) + "/s"] * len(SIZES)),
        ("parts", [f"{-(-m // 4096):,}" for m in SIZES]),
        (
            "rows on disk, for an hour twice after parts are merged",
            [_bytes(m * (each["core"] + each["listing"])) for m in SIZES],
        ),
        ("vectors on disk (256 + 128 half floats)", [_bytes(m * 768) for m in SIZES]),
        (
            "origins, log, members",
            [_bytes(m * (each["origins"] + each["log"] + each["members"])) for m in SIZES],
        ),
        ("after the scan, hours of one core", [cell(m * after / 3600, 2) for m in SIZES]),
        ("after the scan, memory of one process", [_bytes(m * slope(kept)) for m in SIZES]),
        ("shuffle, 16 bands of 16 bits", [_bytes(m * 16 * BAND) for m in SIZES]),
        ("comparing within bands, core-hours", [cell(m * _bands(kept)[m]["us"] / 3.6e9, 2) for m in SIZES]),
    ]
    lines = ["| | 10⁶ | 10⁸ | 10⁹ |", "|---|---|---|---|"]
    lines += [f"| {name} | " + " | ".join(cells) + " |" for name, cells in rows]
    return "\n".join(lines) + "\n"


def _bands(kept: dict) -> dict[int, dict]:
    return {told["n"]: told for told in kept["bands"]}


def _bytes(x: float) -> str:
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if x < 1000:
            return f"{x:.3g} {unit}"
        x /= 1000
    return f"{x:.3g} PB"


def page(kept: dict) -> str:
    row = slope(kept)
    (few, small), (many, _) = whole(kept)[0], whole(kept)[-1]
    base = small["peak_mib"] * 2**20 - few["n"] * row
    most = f"{int((2**31 - base) / row / 1e5) / 10:g} million"
    basis = f"{few['n']:,} and {many['n']:,}"
    ms = kept["scan"]["bare_cpu_ms"]
    return (
        HEAD.format(side=32, machine=textwrap.fill(kept["machine"], 107))
        + measured(kept)
        + (GROWN if any("judge" in run for run in kept["runs"]) else "\n")
        + answers(kept)
        + "\n## Goals\n\n"
        + goals(kept)
        + growth(kept)
        + PLAN.format(picture=PICTURE / 1000, ms=ms, efficiency=EFFICIENCY)
        + planned(kept)
        + LIMITS.format(row=row, most=most, basis=basis, copies=_copies(kept))
    )


def _copies(kept: dict) -> str:
    """What the page says of buckets as full as at 10^9."""
    full = _bands(kept)[SIZES[-1]]
    bits, share = max(full["recall"].items(), key=lambda each: int(each[0]))
    told = {
        "crowd": f"about {4096 * 2**16 / 1e8:.1f} × 10⁸",
        "bits": bits,
        "share": f"{share:.1%}",
        "bands": ", ".join(f"{each['us']:.1f} µs at {each['n']:,}" for each in kept["bands"]),
    }
    return textwrap.fill(COPIES.format(**told), 107, initial_indent="- ", subsequent_indent="  ")


def _marked(run: dict) -> dict:
    """With whether other work was using the machine, as far as its load tells; to be called where it ran."""
    return {**run, "busy": run["load"] >= BUSY * (os.cpu_count() or 1)}


def keep(files: list[Path]) -> None:
    """Take runs in; a run of the same kind and size replaces the older one."""
    kept = json.loads(KEPT.read_text()) if KEPT.exists() else {"runs": []}
    for file in files:
        told = json.loads(file.read_text())
        if isinstance(told, dict) and "bands" in told:
            kept["bands"] = told["bands"]
            continue
        if isinstance(told, dict) and "first_cpu" in told.get("scan", {}):
            told = {side: _marked(run) for side, run in told.items()}
            n = told["scan"]["images"]
            same = [run for run in kept.get("growth", []) if run["scan"]["images"] != n]
            kept["growth"] = sorted([*same, told], key=lambda run: run["scan"]["images"])
            continue
        if isinstance(told, dict):
            kept["scan"] = {"bare_cpu_ms": told["bare_cpu_ms"], "images": told["images"]}
            continue
        if "bare_cpu_ms" in told[-1]:  # `bench_ray.py`: the largest set
            kept["scan"] = {"bare_cpu_ms": told[-1]["bare_cpu_ms"], "images": told[-1]["images"]}
            continue
        for run in map(_marked, told):
            kind = _kind(run)
            if kind == "query":  # answers alone: of a catalogue whose check stands here already
                for known in kept["runs"]:
                    same = (known["n"], known["models"]) == (run["n"], run["models"])
                    if same and _kind(known) == ("judge" if run.get("grown") else "check"):
                        known |= {side: run[side] for side in ("report", "query", "queue") if side in run}
                continue
            kept["runs"] = [
                r for r in kept["runs"] if (r["n"], r["models"], _kind(r)) != (run["n"], run["models"], kind)
            ]
            kept["runs"].append(run)
    kept["runs"].sort(key=lambda r: (_kind(r), r["models"], r["n"]))
    model = next(
        (
            line.split(":")[1].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if "model name" in line
        ),
        platform.processor(),
    )
    kept["machine"] = (
        f"{model}, {os.cpu_count()} cores, Python {platform.python_version()}. A star marks what was "
        "measured while other work used the machine: CPU seconds are longer then, wall times mean nothing."
    )
    KEPT.write_text(json.dumps(kept, indent=1) + "\n")


def _kind(run: dict) -> str:
    return next(side for side in ("check", "judge", "rescan", "query") if side in run)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--keep", nargs="+", type=Path, default=[])
    options = parser.parse_args()
    if options.keep:
        keep(options.keep)
    text = page(json.loads(KEPT.read_text()))
    if options.check:
        sys.exit(0 if PAGE.read_text() == text else f"{PAGE}: not as scale.json gives it")
    PAGE.write_text(text)


if __name__ == "__main__":
    main()
