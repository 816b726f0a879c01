"""Write ``docs/peers.md`` from ``bench/peers/results.json``: every figure of the page comes from that file.

python bench/peers/page.py [--check]
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

HERE = Path(__file__).parent
PAGE = HERE.parents[1] / "docs" / "peers.md"

HEAD = """# Beside what one would take instead

Each program does the same task on the same pictures, in an environment of its own, every run a fresh
process, the sides taking turns. CPU seconds are those of the process and its children, memory is the
resident memory of the whole process tree at its peak; each is a median with its least and largest run. A
ratio above 1 means that genepool is the better one, below 1 that it loses. Made by `make peers` and
`bench/peers/compare.py`; the table is written by `bench/peers/page.py` from `bench/peers/results.json`.

"""
NOTES = """
## How to read it

- **Duplicates.** {images} pictures, of which a quarter are planted edits: recompressed, halved,
  brightened, or the file once more. *Other pairs* are pairs between different files; the pictures are
  crops of a few photographs, so that overlapping crops, which one may well call alike, are among them.
  genepool's time holds its whole scan (digests, metadata, evidence, a descriptor), of which the comparison
  is a small part. imagededup runs with its perceptual hash; its neural method needs a torchvision that
  does not load beside torch 2.13.0 (`RuntimeError: operator torchvision::nms does not exist`), so its
  package is imported without it. fastdup runs its own neural features with a cosine of at least 0.96.
  Thresholds are not equal; each is near the program's usual one.
- **Scan.** cleanvision looks for other faults than genepool does (blur, darkness, odd sizes, near
  duplicates); genepool reads provenance marks and computes digests and a descriptor. The figures compare
  what a first look at a folder costs, not what it finds.
- **Pass.** Hugging Face `datasets` maps genepool's own function over the undecoded images: the same work
  an image, so the figures compare the engines. `datasets` writes an Arrow table, genepool its catalogue.
  At 5,200 images, one run: 31.8 against 34.4 CPU seconds, 357 against 588 MiB.
- **Vendi score** and **density, coverage** are computed on arrays in memory, on one thread. Memory is what
  the computation adds to the process. The score's goal of 300 times the speed and a fiftieth of the memory
  is named here so that the table can be held against it.
"""


def number(x: float, digits: int = 2) -> str:
    return f"{x:,.0f}" if x >= 100 else f"{x:.{digits}f}"


def spread(s: dict) -> str:
    return f"{number(s['median'])} [{number(s['low'])}, {number(s['high'])}]"


def row(task: str, program: str, found: dict, base: dict | None, extra: str) -> str:
    if "error" in found:
        return f"| {task} | {program} | not measured: `{found['error']}` | | | | |"
    ratio = [""] * 2
    if base is not None:
        ratio = [f"{found[k]['median'] / base[k]['median']:.2f}" for k in ("cpu", "peak_mib")]
    name = f"{program} {found['version']}" if found.get("version") else program
    cells = task, name, spread(found["cpu"]), ratio[0], spread(found["peak_mib"]), ratio[1], extra
    return "| " + " | ".join(cells) + " |"


def told(task: str, found: dict) -> str:
    if task == "duplicates" and "planted" in found:
        return f"{found['found']} of {found['planted']} planted, {found['others']:,} other pairs"
    if "issues" in found:
        return f"{found['issues']} of {found['n']} with an issue"
    return f"{found['n']:,} images" if "n" in found else ""


def page(results: dict) -> str:
    lines = [
        "| task | program | CPU s | ratio | memory, MiB | ratio | result |",
        "|---|---|---|---|---|---|---|",
    ]
    for task in ("duplicates", "scan", "pass"):
        programs = results[task]["programs"]
        base = programs["genepool"]
        for name, found in programs.items():
            lines.append(row(task, name, found, None if name == "genepool" else base, told(task, found)))
    for task, title, peer in (
        ("vendi", "Vendi score", "vendi-score 0.0.3"),
        ("prdc", "density, coverage", "prdc 0.2"),
    ):
        found = results.get(task, {})
        if "error" in found.get("peer", {}):
            lines.append(row(title, peer, found["peer"], None, ""))
        elif found:
            size = f"n = {found['n']:,}, d = {found['d']}"
            lines.append(row(title, "genepool", found["genepool"], None, size))
            same = f"values differ by {found['differs']:.0e}"
            lines.append(row(title, peer, found["peer"], found["genepool"], same))
    machine = results["duplicates"]["machine"]
    runs = results["duplicates"]["programs"]["genepool"]["cpu"]["n"]
    where = (
        f"\n{machine['cpu']}, {machine['cores']} cores, Python {machine['python']}, {runs} runs each; the "
        f"machine was busy with other work (load {machine['load']:.0f}), so CPU seconds and ratios count, "
        "not wall time.\n"
    )
    return HEAD + "\n".join(lines) + "\n" + where + NOTES.format(images=results["duplicates"]["images"])


def main() -> None:
    text = page(json.loads((HERE / "results.json").read_text()))
    if "--check" in sys.argv:
        sys.exit(0 if PAGE.read_text() == text else f"{PAGE}: not as results.json gives it")
    PAGE.write_text(text)


if __name__ == "__main__":
    main()
