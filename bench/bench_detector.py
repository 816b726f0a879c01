"""The embedded detector in figures: strict folds, calibration, deliveries, speed.

    python bench/bench_detector.py [--images ../shared/data] [--speed-only]

The scores are those of `training/detector/results` (made by `training/detector/stack.py` and `robust.py`):
each picture was judged by experts that had seen neither its generator nor its human source. Speed and
repeatability are measured now, on the weights that ship. With ``--images`` the baseline that reads file
properties only is run on the same folds.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "training"))
from common.folds import FOLDS, GENERATORS, QUARTERS, group, quarter

from genepool.detection import Calibration, HouseDetector, load_calibration
from genepool.detection._metrics import area_under_roc, balance, calibration_error
from genepool.detection._temperature import held_out_probabilities
from genepool.embedding import SIDE, HouseEmbedder
from genepool.stats import clopper_pearson

RESULTS = Path(__file__).parents[1] / "training" / "detector" / "results"
REPEATS = 400


def balanced(score, label, source, human, ai) -> tuple[float, float]:
    """Balanced accuracy (human sources weigh alike) and AUC of one cell."""
    names = np.unique(source[human])
    keep = np.mean([(score[human & (source == n)] <= 0).mean() for n in names])
    both = human | ai
    return (keep + (score[ai] > 0).mean()) / 2, area_under_roc(score[both], label[both] == 1).value


def cells(score, label, source, fold):
    rows = {}
    for k in range(FOLDS):
        human = (fold == k) & (label == 0) & np.isin(source, QUARTERS[k])
        for generator in GENERATORS[k]:
            ai = (fold == k) & (source == generator)
            if ai.any() and human.any():
                rows[generator] = balanced(score, label, source, human, ai)
    return rows


def interval(score, label, source, fold, rng) -> tuple[list[float], list[float], list[float]]:
    """Bootstrap over pictures within each source: 95 % intervals of mean, worst and AUC."""
    draws = []
    groups = [np.flatnonzero(source == s) for s in np.unique(source)]
    for _ in range(REPEATS):
        at = np.concatenate([rng.choice(g, len(g)) for g in groups])
        rows = cells(score[at], label[at], source[at], fold[at])
        b, a = zip(*rows.values(), strict=True)
        draws.append((np.mean(b), min(b), np.mean(a)))
    low, high = np.quantile(np.array(draws), [0.025, 0.975], axis=0)
    return list(low), list(high), []


def folds(data) -> None:
    print("## Strict folds: generator and human source both held out\n")
    print("| delivery | judge | balanced accuracy, mean | worst generator | AUC | n |")
    print("|---|---|---|---|---|---|")
    rng = np.random.default_rng(1)
    first = ~data["extra"]
    for variant, name in ((0, "raw"), (1, "equalised")):
        keep = (data["variant"] == variant) & first
        label, source, fold = (data[k][keep] for k in ("label", "source", "fold"))
        for judge, key in (("forensic expert", "forensic"), ("probe", "probe"), ("both", "first")):
            score = data[key][keep].astype(np.float64)
            rows = cells(score, label, source, fold)
            b, a = zip(*rows.values(), strict=True)
            low, high, _ = interval(score, label, source, fold, rng)
            worst = min(rows, key=lambda k: rows[k][0])
            print(
                f"| {name} | {judge} | {np.mean(b):.3f} [{low[0]:.3f}, {high[0]:.3f}] "
                f"| {min(b):.3f} [{low[1]:.3f}, {high[1]:.3f}] {worst} "
                f"| {np.mean(a):.3f} [{low[2]:.3f}, {high[2]:.3f}] | {keep.sum()} |"
            )
    keep = (data["variant"] == 1) & first
    rows = cells(data["first"][keep], data["label"][keep], data["source"][keep], data["fold"][keep])
    print("\nBy generator, equalised (balanced accuracy / AUC): ", end="")
    print(" · ".join(f"{k} {b:.2f}/{a:.2f}" for k, (b, a) in rows.items()))


def verdicts(data, calibration: Calibration) -> np.ndarray:
    """1 AI, −1 human, 0 abstained, by the two looks and the calibration's thresholds."""
    first, second = data["first"].astype(np.float64), data["second"].astype(np.float64)
    score = np.where(np.sign(first) != np.sign(second), 0, np.where(abs(first) < abs(second), first, second))
    value = score / calibration.temperature + calibration.bias
    return np.where(value >= calibration.ai_above, 1, np.where(value <= calibration.human_below, -1, 0))


def selective(data, calibration: Calibration) -> None:
    verdict = verdicts(data, calibration)
    print("\n## What it decides, held out\n")
    print("| group | n | decided | right of decided, 95 % interval | wrong of all |\n|---|---|---|---|---|")
    half = data["variant"] == data["picture"] % 2
    for label, name in ((1, "AI"), (0, "human")):
        side = half & (data["label"] == label)
        for kind in (None, *np.unique(data["kind"][side])):
            part = side if kind is None else side & (data["kind"] == kind)
            wrong = int((verdict[part] == (-1 if label else 1)).sum())
            decided = int((verdict[part] != 0).sum())
            low, high = clopper_pearson(decided - wrong, decided, 0.05) if decided else (0.0, 1.0)
            share = f"{1 - wrong / decided:.3f} [{low:.3f}, {high:.3f}]" if decided else "nothing decided"
            who = name if kind is None else f"{name}, {kind}"
            n = int(part.sum())
            low, high = clopper_pearson(wrong, n, 0.05)
            print(f"| {who} | {n} | {decided / n:.2f} | {share} | {wrong / n:.3f} [{low:.3f}, {high:.3f}] |")
    decided = half & (verdict != 0)
    right = int((verdict[decided] == np.where(data["label"][decided] == 1, 1, -1)).sum())
    low, high = clopper_pearson(right, int(decided.sum()), 0.05)
    print(
        f"\nAll: coverage {decided.sum() / half.sum():.3f}, selective accuracy "
        f"{right / decided.sum():.3f} [{low:.3f}, {high:.3f}], n = {half.sum()}"
    )
    first, second = data["first"][half].astype(np.float64), data["second"][half].astype(np.float64)
    score = np.where(np.sign(first) != np.sign(second), 0, np.where(abs(first) < abs(second), first, second))
    ai, kind = data["label"][half] == 1, data["kind"][half]
    p = held_out_probabilities(score, ai, kind, "pooled")
    rng = np.random.default_rng(2)
    groups = [np.flatnonzero(kind == k) for k in np.unique(kind)]
    draws = []
    for _ in range(REPEATS):
        at = np.concatenate([rng.choice(g, len(g)) for g in groups])
        draws.append(calibration_error(p[at], ai[at], balance(ai[at], kind[at])))
    low, high = np.quantile(draws, [0.025, 0.975])
    error = calibration_error(p, ai, balance(ai, kind))
    print(f"ECE, each family and kind under a scale fitted without it: {error:.3f} [{low:.3f}, {high:.3f}]")


def placebo(data) -> None:
    print("\n## Placebo: human source against human source (AUC of the score, folded at .5)\n")
    rows = []
    for k in range(FOLDS):
        keep = (data["variant"] == 1) & (data["fold"] == k) & (data["label"] == 0)
        names, counts = np.unique(data["source"][keep], return_counts=True)
        for a, b in itertools.combinations(names[counts >= 40], 2):
            both = keep & np.isin(data["source"], (a, b))
            value = area_under_roc(data["first"][both].astype(np.float64), data["source"][both] == a).value
            rows.append((max(value, 1 - value), a, b))
    rows.sort(reverse=True)
    values = np.array([r[0] for r in rows])
    print(
        f"{len(rows)} pairs within a fold, sources of 40 pictures and more: median {np.median(values):.3f}, "
        f"above .75: {(values > 0.75).sum()}"
    )
    for value, a, b in rows[:8]:
        print(f"  {a} / {b}: {value:.3f}")


def deliveries(calibration: Calibration) -> None:
    with np.load(RESULTS / "robust.npz") as file:
        logit, names = file["logit"].astype(np.float64), [str(n) for n in file["names"]]
    value = logit / calibration.temperature + calibration.bias
    verdict = np.where(value >= calibration.ai_above, 1, np.where(value <= calibration.human_below, -1, 0))
    print("\n## Deliveries: verdict as it came against verdict delivered\n")
    print("| delivery | both decided | flips of those, upper 95 % |\n|---|---|---|")
    for column, name in list(enumerate(names))[1:]:
        both = (verdict[:, 0] != 0) & (verdict[:, column] != 0)
        flips = int((verdict[both, 0] != verdict[both, column]).sum())
        upper = clopper_pearson(flips, int(both.sum()), 0.1)[1] if both.any() else 1.0
        print(
            f"| {name} | {both.mean():.2f} of {len(both)} | {flips / max(1, both.sum()):.4f} ({upper:.4f}) |"
        )


def properties(images: Path) -> None:
    """What format, size, bytes per pixel and JPEG quality alone tell, on the same folds."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    rows = list(csv.DictReader((images / "images.csv").open(newline="")))
    label = np.array([int(r["label"] == "ai") for r in rows])
    source = np.array([r["generator"] if r["label"] == "ai" else r["source"] for r in rows])
    fold = np.array([group(s) if a else quarter(s) for a, s in zip(label, source, strict=True)])
    formats = sorted({r["format"] for r in rows})
    facts = np.array(
        [
            (
                float(r["width"]),
                float(r["height"]),
                formats.index(r["format"]),
                float(r["jpeg_q"] or 0),
                (images / "images" / r["path"]).stat().st_size / float(r["width"]) / float(r["height"]),
            )
            for r in rows
        ]
    )
    score = np.zeros(len(rows))
    for k in range(FOLDS):
        model = HistGradientBoostingClassifier(random_state=0).fit(facts[fold != k], label[fold != k])
        score[fold == k] = model.decision_function(facts[fold == k])
    b, a = zip(*cells(score, label, source, fold).values(), strict=True)
    rng = np.random.default_rng(0)
    mixed = rng.integers(0, FOLDS, len(rows))
    easy = np.zeros(len(rows))
    for k in range(FOLDS):
        model = HistGradientBoostingClassifier(random_state=0).fit(facts[mixed != k], label[mixed != k])
        easy[mixed == k] = model.decision_function(facts[mixed == k])
    print(
        f"\nFile properties only (no pixel): strict folds balanced {np.mean(b):.3f}, worst {min(b):.3f}, "
        f"AUC {np.mean(a):.3f}; ",
        end="",
    )
    print(f"random split AUC {area_under_roc(easy, label == 1).value:.3f}")


def speed() -> None:
    """Images a second on one core, decode and every view included, on drawn photographs of 0.2 megapixel."""
    import io

    from _corpus import photographs
    from PIL import Image

    from genepool.records import Item, Sample
    from genepool.scan._view import View

    rng, files = np.random.default_rng(0), []
    photos = [p for p in photographs() if min(p.size) >= 300]
    for _ in range(120):
        photo = photos[int(rng.integers(len(photos)))]
        left, top = int(rng.integers(0, photo.width - 256)), int(rng.integers(0, photo.height - 256))
        cut = photo.crop((left, top, min(photo.width, left + 512), min(photo.height, top + 448)))
        buffer = io.BytesIO()
        cut.resize((448, 448), Image.Resampling.BICUBIC).save(buffer, "JPEG", quality=90)
        files.append(buffer.getvalue())
    judge = HouseDetector()
    judge.prepare()

    def run():
        return [judge.score(View(Sample(Item("x", "x", "x"), f), max_pixels=10**8)).logit for f in files]

    first = run()
    start = time.process_time()
    again = run()
    seconds = time.process_time() - start
    crops = rng.integers(0, 256, (5, 192, 192, 3), dtype=np.uint8)
    together = judge.forensic(crops)
    alone = np.concatenate([judge.forensic(c[None]) for c in crops])
    pictures = rng.integers(0, 256, (60, 1, SIDE, SIDE, 3), dtype=np.uint8)
    embedder = HouseEmbedder()
    embedder.look_at(pictures[0])
    begun = time.process_time()
    for rgb in pictures:
        embedder.look_at(rgb)
    print("\n## Speed and repeatability, now\n")
    print(f"embedder: {len(pictures) / (time.process_time() - begun):.0f} images of {SIDE} px per CPU second")
    print(
        f"{len(files) / seconds:.0f} images per CPU second (448 × 448 JPEG: decode, 2 crops, whole, "
        "and the second look where it is taken)"
    )
    print(
        f"bit-equal across two runs: {first == again}; "
        f"batch of 5 against 1: {np.abs(together - alone).max():.1e}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=Path)
    parser.add_argument("--speed-only", action="store_true")
    args = parser.parse_args()
    if not args.speed_only:
        with np.load(RESULTS / "held-out.npz") as file:
            data = {key: file[key] for key in file.files}
        found = load_calibration(None, 0.5, digest=HouseDetector().digest)
        folds(data)
        if found is not None:
            selective(data, found)
            deliveries(found)
        placebo(data)
        if args.images:
            properties(args.images)
    speed()


if __name__ == "__main__":
    main()
