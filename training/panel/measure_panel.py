"""Prints the tables of docs/panel.md: what labelled sets read under a panel.

    python training/panel/measure_panel.py features.npz [--panel FILE] [--into docs/panel.md]

Human images were all seen by the panel; the half-and-half figures and the second and third table are held
out. Where one file holds a grid of pictures, the pictures are measured, not the grid.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import sys
from collections import Counter
from pathlib import Path

import numpy as np
from features import load
from make_panel import groups

from genepool.diversity import Panel, Recipe, cluster_weights, make_panel, style_diversity
from genepool.diversity._cluster import cluster
from genepool.diversity._make import _halves

HEAD = "| set | n | index | 95 % interval | styles | on support |\n|---|---|---|---|---|---|"


class Measured:
    """A cache of features under a panel.

    Args:
        path: The cache.
        panel: The panel.
    """

    def __init__(self, path: Path, panel: Panel) -> None:
        self.embedder, self.rows, self.x, _ = load(path)
        self.panel = panel
        self.sets = np.array([r["set"] for r in self.rows])

    def where(self, **want: str) -> np.ndarray:
        """Which rows have these values."""
        return np.array([all(r.get(k) == v for k, v in want.items()) for r in self.rows])

    def line(self, name: str, chosen: np.ndarray, weights: np.ndarray | None = None) -> None:
        """One row of the table."""
        vectors = self.x[chosen] if chosen.dtype == bool else chosen
        e = style_diversity(vectors, self.panel, weights=weights)
        print(
            f"| {name} | {e.n} | {e.value:.3f} | {e.lower:.3f} to {e.upper:.3f} | {e.styles:.0f} | "
            f"{e.on_support:.2f} |"
        )


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    arguments.add_argument("features", type=Path)
    arguments.add_argument("--panel", default="", help="default: the packaged one")
    arguments.add_argument("--into", type=Path, help="replace the tables of this file")
    options = arguments.parse_args()
    embedder = load(options.features)[0].partition("@")[0]
    m = Measured(options.features, Panel.load(options.panel, embedder))
    out = io.StringIO()
    with contextlib.redirect_stdout(out if options.into else sys.stdout):
        everything(m)
    if options.into:
        text = options.into.read_text("utf-8")
        start, end = (f"<!-- {word} {embedder} -->" for word in ("begin", "end"))
        before, _, rest = text.partition(start)
        if end not in rest:
            sys.exit(f"{options.into}: expected the marks {start} and {end}")
        after = rest.partition(end)[2]
        options.into.write_text(f"{before}{start}\n{out.getvalue().strip()}\n{end}{after}", "utf-8")
    return 0


def everything(m: Measured) -> None:
    """Every table, on stdout."""
    human, ai = m.sets == "human", m.sets == "ai"
    about(m)
    print(f"\n### Human sets\n\n{HEAD}")
    m.line("all human", human)
    for kind in sorted({r["kind"] for r in m.rows if r["set"] == "human"}):
        m.line(f"human {kind}", human & m.where(kind=kind))
    artists = [(a, c) for a, c in hands(m).most_common() if c >= 15]
    read = [float(style_diversity(m.x[human & m.where(artist=a)], m.panel)) for a, _ in artists]
    for artist, _ in artists:
        m.line(f"one artist: {artist}", human & m.where(artist=artist))
    print(f"| one artist, mean of {len(read)} with at least 15 images | | {np.mean(read):.3f} | | | |")
    if ai.any():
        print(f"\n### AI sets\n\n{HEAD}")
        m.line("all AI", ai)
        for generator in sorted({r["generator"] for r in m.rows if r["set"] == "ai"}):
            m.line(f"AI {generator}", ai & m.where(generator=generator))
    print(f"\n### What is no diversity\n\n{HEAD}")
    for name in dict.fromkeys(s for s in m.sets if "noise" in s or s.startswith("one photograph")):
        m.line(name, m.sets == name)
    copies(m, human)
    halved(m, human)
    degraded(m)
    collapsed(m, human)
    made = Recipe(**m.panel.notes["recipe"])
    noise = m.x[m.sets == "artefacts"]
    held_out_artists(m, human, noise, made)
    left_out_sources(m, human, noise, made)


def about(m: Measured) -> None:
    """What is in the panel."""
    p, notes = m.panel, m.panel.notes
    made = notes["recipe"]
    held = ", ".join(f"{h['styles']:.0f} styles, {h['on_support']:.1%} on support" for h in notes["held_out"])
    print(
        f"| {p.name} | |\n|---|---|\n| embedder | `{p.embedder}`, {len(p.mean)} numbers |\n"
        f"| images | {notes['images']:,} of {len(notes['sources'])} sources |\n"
        f"| directions of style | {p.frequencies.shape[1]} of {made['before']}, from "
        f"{made['leading'] or 'all'} numbers of the vector, share of artists' names "
        f"{made['hands']:g}, Ledoit–Wolf shrinkage {notes['shrinkage']:.4f} |\n"
        f"| prototypes | {len(p.prototypes)} |\n| reach | {p.reach:.2f} |\n| limit on the artefact axis | "
        f"{p.limit:.2f} standard deviations of human pictures |\n"
        f"| bandwidth | {p.bandwidth:.3f} = {made['width']:g} × the median distance of two panel images; "
        f"{len(p.frequencies)} frequencies |\n"
        f"| reference | {p.reference:.1f} effective styles read 1 |\n| held-out halves | {held} |\n"
        f"| digest | `{p.digest}` |"
    )


def hands(m: Measured) -> Counter[str]:
    return Counter(r["artist"] for r in m.rows if r["set"] == "human" and r["artist"])


def copies(m: Measured, human: np.ndarray) -> None:
    """Every image once, and some of them many times with the weights that copies get."""
    x = m.x[human][::8]
    plain = style_diversity(x, m.panel)
    times = np.ones(len(x), int)
    times[::5] = 20
    rows = np.repeat(np.arange(len(x)), times)
    m.line(f"{len(x)} human images", x)
    m.line("the same, every fifth of them 20 times, copies found", x[rows], cluster_weights(rows))
    found = style_diversity(x[rows], m.panel, weights=cluster_weights(rows))
    print(f"\ncopies change the index by {found - plain:+.4f}")


def halved(m: Measured, human: np.ndarray) -> None:
    """Half of the artists, ten images of each."""
    names = [a for a, c in hands(m).items() if c >= 10]
    print(
        f"\n### Half of the styles ({len(names)} artists with ten images each, then half of them)\n\n{HEAD}"
    )
    rng = np.random.default_rng(0)
    rows = {a: rng.permutation(np.flatnonzero(human & m.where(artist=a)))[:10] for a in names}
    whole = style_diversity(m.x[np.concatenate([rows[a] for a in names])], m.panel)
    m.line("all of them", m.x[np.concatenate([rows[a] for a in names])])
    below = 0
    for i in range(20):
        half = [names[k] for k in rng.permutation(len(names))[: len(names) // 2]]
        x = m.x[np.concatenate([rows[a] for a in half])]
        below += float(style_diversity(x, m.panel)) < whole.lower
        if i < 4:
            m.line(f"half of them, draw {i + 1}", x)
    print(f"\nbelow the interval of the whole in {below} of 20 draws")
    halved_clusters(m, human)


def halved_clusters(m: Measured, human: np.ndarray) -> None:
    """Half of the styles as the embedder sees them: 24 clusters of the human images, 25 of each, then 12."""
    x = m.x[human]
    near = cluster(m.panel.style(m.panel.whiten(x)), np.ones(len(x)), 24, 0)[1]
    rng = np.random.default_rng(0)
    rows = [rng.permutation(np.flatnonzero(near == k))[:25] for k in range(24)]
    whole, below = style_diversity(x[np.concatenate(rows)], m.panel), 0
    print(f"\n{HEAD}")
    m.line("24 clusters of human images, 25 of each", x[np.concatenate(rows)])
    for i in range(20):
        half = x[np.concatenate([rows[k] for k in rng.permutation(24)[:12]])]
        below += float(style_diversity(half, m.panel)) < whole.lower
        if i < 4:
            m.line(f"12 of them, draw {i + 1}", half)
    print(f"\nbelow the interval of the whole in {below} of 20 draws")


def degraded(m: Measured) -> None:
    chosen = m.sets == "degraded"
    if not chosen.any():
        return
    print(f"\n### Paintings, degraded\n\n{HEAD}")
    kinds = np.array([r.get("kind", "") for r in m.rows])
    for kind in dict.fromkeys(kinds[chosen]):
        m.line(kind, chosen & (kinds == kind))


def collapsed(m: Measured, human: np.ndarray) -> None:
    """Human pictures replaced by what a generator draws that was trained on its own output."""
    last = sorted(s for s in set(m.sets) if s.startswith("generation"))
    if not last:
        return
    print(f"\n### A generator that feeds on itself (32 pixels)\n\n{HEAD}")
    m.line("its first training pictures, 32 pixels", m.sets == "small")
    for name in last:
        m.line(name, m.sets == name)
    rng = np.random.default_rng(1)
    made = m.x[m.sets == last[-1]]
    for start, label in ((human, "human pictures"), (m.sets == "small", "human pictures, 32 pixels")):
        x = m.x[start]
        x = x[rng.permutation(len(x))[: len(made)]]
        for share in (0.0, 0.5, 0.8, 0.95):
            count = round(share * len(x))
            m.line(f"{label}, {share:.0%} replaced by {last[-1]}", np.concatenate([x[count:], made[:count]]))


def made_of(x: np.ndarray, named, noise: np.ndarray, made, reference: float) -> Panel:
    """A panel of a part, on the scale of the whole one."""
    found = noise if len(noise) else None
    return make_panel(x, named, found, name="part", embedder="e", recipe=made, reference=reference)


def held_out_artists(m: Measured, human: np.ndarray, noise: np.ndarray, made) -> None:
    """Each artist measured by a panel that was made of the other half of the artists."""
    rows = [r for r in m.rows if r["set"] == "human"]
    named, x = groups(rows), m.x[human]
    first = _halves(named, made.seed)
    print("\n### One artist, by a panel that has not seen him\n")
    print("| artist | n | index | 95 % interval | styles | on support |\n|---|---|---|---|---|---|")
    read = []
    for half in (first, ~first):
        ours = [g for g, h in zip(named, half, strict=True) if h]
        panel = made_of(x[half], ours, noise, made, m.panel.reference)
        for group, count in Counter(g for g, h in zip(named, half, strict=True) if not h).most_common():
            if group[1] and count >= 15:
                e = style_diversity(x[np.array([g == group for g in named])], panel)
                read.append(float(e))
                ends = f"{e.lower:.3f} to {e.upper:.3f} | {e.styles:.0f}"
                print(f"| {group[1]} | {e.n} | {e.value:.3f} | {ends} | {e.on_support:.2f} |")
    high = sum(r > 0.35 for r in read)
    print(f"\nmean of {len(read)}: {np.mean(read):.3f}, highest {np.max(read):.3f}, above 0.35: {high}")


def left_out_sources(m: Measured, human: np.ndarray, noise: np.ndarray, made) -> None:
    """Leave each human source out of the whole panel: which share of it is still on support?"""
    rows = [r for r in m.rows if r["set"] == "human"]
    named, x = groups(rows), m.x[human]
    names = [s for s in dict.fromkeys(m.sets) if "noise" in s]
    print("\n### A source left out of the panel, share on support\n")
    print(f"| source left out | n | itself | {' | '.join(names)} |\n|---|---|---|{'---|' * len(names)}")
    sources = np.array([s for s, _ in named])
    for source in sorted(set(sources)):
        out = sources == source
        ours = [g for g, o in zip(named, out, strict=True) if not o]
        panel = made_of(x[~out], ours, noise, made, m.panel.reference)
        tried = (x[out], *(m.x[m.sets == n] for n in names))
        shares = [panel.supported(panel.whiten(v)).mean() for v in tried]
        print(f"| {source} | {out.sum()} | {' | '.join(f'{s:.2f}' for s in shares)} |", flush=True)


if __name__ == "__main__":
    sys.exit(main())
