"""Embeds what panels are made from and measured on, once, so that panels can be tried in seconds.

    python training/panel/features.py ../shared/data/images.csv features.npz --embedder house

Reads every image that the CSV lists (columns: path, label, kind, source, artist, style, generator, tiles;
files lie in ``images/`` beside it), computes noises, variations, degraded paintings and, with torch, four
generations of a small generator that feeds on itself, and writes what the embedder says of each: ``style``
(and ``copy`` where the embedder has one) at the precision of a catalogue (float16), and a JSON row a
picture. ``--embedder`` is a plug-in's name, or ``FILE.py:CLASS``. Run again with the same file, it only
adds the sets that are missing. Nothing of a picture but its vector is kept.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import sys
import time
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pictures as sets

from genepool.diversity import artefact_pictures


def embedder(spec: str):
    """A plug-in by name, or a class of a file; ready to embed."""
    if ":" in spec:
        place, _, name = spec.rpartition(":")
        module = importlib.util.module_from_spec(
            found := importlib.util.spec_from_file_location("embedder_file", place)
        )
        found.loader.exec_module(module)
        made = getattr(module, name)()
    else:
        from genepool import plugins

        made = plugins.create("embedders", spec)
    made.prepare()
    return made


STEPS = 500
"""Training steps of each generation of the small generator."""


class Cache:
    """Vectors and a row for each, on disk as one ``.npz``."""

    def __init__(self, path: Path, spec: str) -> None:
        self.path = path
        self.made = embedder(spec)
        self.identity = f"{self.made.name}@{self.made.version}"
        self.rows: list[dict[str, str]] = []
        self.style: list[np.ndarray] = []
        self.copy: list[np.ndarray] = []
        if path.exists():
            with np.load(path, allow_pickle=False) as file:
                meta = json.loads(file["meta"].tobytes())
                if meta["embedder"] != self.identity:
                    sys.exit(f"{path} holds vectors of {meta['embedder']}, not of {self.identity}: remove it")
                self.rows, self.style = meta["rows"], list(file["style"])
                self.copy = list(file["copy"]) if "copy" in file else []

    def has(self, name: str) -> bool:
        """Whether a set is there."""
        return any(r["set"] == name for r in self.rows)

    def add(self, name: str, files: Iterable[tuple[dict[str, str], bytes]]) -> None:
        """Embed a set, unless it is there."""
        from genepool.records import Item, Sample
        from genepool.scan import Refusal, View

        if self.has(name):
            return
        start, count = time.process_time(), 0
        for row, data in files:
            view = View(Sample(Item("x", "", "x"), data), max_pixels=100_000_000)
            try:
                if getattr(self.made, "copy_dim", 0):
                    both = self.made.embed_all(view)
                    style, copy = both["style"], both["copy"]
                    self.copy.append(np.asarray(copy, np.float16))
                else:
                    style = self.made.embed(view)
            except Refusal as error:
                print(f"  not read: {row}: {error}", file=sys.stderr)
                continue
            self.style.append(np.asarray(style, np.float16))
            self.rows.append({**row, "set": name})
            count += 1
        self.save()
        print(f"  {name}: {count} pictures, {time.process_time() - start:.1f} CPU s", flush=True)

    def save(self) -> None:
        """Write everything, whole or not at all."""
        text = json.dumps({"embedder": self.identity, "rows": self.rows}).encode()
        arrays = {"style": np.array(self.style)}
        if self.copy:
            arrays["copy"] = np.array(self.copy)
        partial = self.path.with_suffix(".partial.npz")
        np.savez(partial, meta=np.frombuffer(text, np.uint8), **arrays)
        partial.replace(self.path)


def labelled(rows: list[dict[str, str]], root: Path) -> Iterable[tuple[dict[str, str], bytes]]:
    keep = ("path", "label", "kind", "source", "artist", "style", "generator")
    for row in rows:
        for data in sets.tiles((root / row["path"]).read_bytes(), row["tiles"]):
            yield {k: row[k] for k in keep}, data


def load(path: Path) -> tuple[str, list[dict[str, str]], np.ndarray, np.ndarray | None]:
    """Embedder, rows, style vectors (float32) and copy vectors of a cache."""
    with np.load(path, allow_pickle=False) as file:
        meta = json.loads(file["meta"].tobytes())
        copy = file["copy"].astype(np.float32) if "copy" in file else None
        return meta["embedder"], meta["rows"], file["style"].astype(np.float32), copy


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    arguments.add_argument("table", type=Path, help="images.csv")
    arguments.add_argument("out", type=Path, help="features.npz")
    arguments.add_argument("--embedder", default="house")
    arguments.add_argument("--collapse", type=Path, help="keep the small generator's pictures here (.npz)")
    arguments.add_argument(
        "--every", type=int, default=1, help="only every so-manieth AI and degraded picture"
    )
    options = arguments.parse_args()
    rows = sets.table(options.table)
    root = options.table.parent / "images"
    cache = Cache(options.out, options.embedder)
    human = [r for r in rows if r["label"] == "human"]
    cache.add("human", labelled(human, root))
    cache.add("artefacts", (({"kind": kind}, data) for kind, data in artefact_pictures()))
    for kind in (*sets.NOISES, sets.VARIED, sets.REPEATED):
        cache.add(kind, (({}, data) for data in sets.computed(kind)))
    paintings = [root / r["path"] for r in human if r["kind"] == "painting"][:: 4 * options.every]
    cache.add("degraded", (({"kind": name}, data) for name, data in sets.degraded(paintings)))
    ai = [r for r in rows if r["label"] == "ai"][:: options.every]
    cache.add("ai", labelled(ai, root))
    small, *generations = _collapsed(options.collapse, [root / r["path"] for r in human])
    chosen = slice(None, None, max(1, len(small) // 500))
    cache.add("small", (({**r}, d) for r, d in zip(human[chosen], sets.stretch(small[chosen]), strict=True)))
    for i, made in enumerate(generations, 1):
        cache.add(f"generation {i}", (({}, d) for d in sets.stretch(made[:500])))
    print(f"{options.out}: {len(cache.rows)} vectors of {cache.identity}, {len(cache.style[0])} numbers")
    return 0


def _collapsed(place: Path | None, paths: list[Path]) -> list[np.ndarray]:
    """The human pictures at 32 pixels and what each generation draws; none where torch is absent."""
    if place is not None and place.exists():
        with np.load(place) as file:
            return [file[name] for name in sorted(file.files)]
    small = np.stack([sets.small(path) for path in paths])
    try:
        found = [small, *sets.collapse(small, steps=STEPS)]
    except ImportError:
        print("  torch is absent: no collapsed generator", file=sys.stderr)
        return [small]
    if place is not None:
        np.savez(place, **{f"g{i}": x for i, x in enumerate(found)})
    return found


if __name__ == "__main__":
    sys.exit(main())
