"""Probe, stack and calibration: how far the experts can be trusted where they have seen nothing alike.

    python training/detector/stack.py -o DIR --embedder embedder.onnx --views T CACHE EXAMINED [--views … … …]

``T`` holds the cached training views (`common.teacher`), ``EXAMINED`` the experts' looks
(`detector.examine`; several parts by a glob). Every number printed is of pictures whose generator and
whose human source no part of the judge was trained on; the stack that scores a fold is fitted on the other
folds. Writes ``stack.npz``, ``calibration.json`` and ``held-out.npz`` (picture by picture, for the tables).
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))
from common.folds import FOLDS, GENERATORS, QUARTERS, group, quarter, weights
from common.pictures import Cache

STRENGTH = 3e-5


def trunks(views: Path, embedder: Path):
    """Trunk features of all cached views, kept beside them under the embedder's version."""
    from PIL import Image

    from genepool.embedding import SIDE, HouseEmbedder

    model = HouseEmbedder(embedder)
    out = []
    for table in sorted(views.glob("teacher-*.npz")):
        kept = table.with_name(f"trunk-{model.version}-{table.stem.split('-')[1]}.npy")
        if not kept.exists():
            name = table.stem.replace("teacher", "views") + ".rgb"
            pixels = np.memmap(views / name, np.uint8, "r").reshape(-1, 224, 224, 3)
            found = [
                model.look_at(
                    np.asarray(Image.fromarray(p).resize((SIDE, SIDE), Image.Resampling.BOX))[None]
                )[0].trunk
                for p in pixels
            ]
            np.save(kept, np.array(found, np.float16))
        data = np.load(table)
        out.append((data["picture"], np.load(kept), data["embedding"]))
    return tuple(np.concatenate(v) for v in zip(*out, strict=True))


def logistic(x, y, w, strength=STRENGTH):
    """Weights and bias of a ridge logistic regression on standardised features."""
    from sklearn.linear_model import LogisticRegression

    mean, spread = x.mean(0), x.std(0) + 1e-4
    model = LogisticRegression(C=strength, max_iter=400).fit((x - mean) / spread, y, w)
    weight = model.coef_[0] / spread
    return weight, float(model.intercept_[0] - mean @ weight)


def auc(score, label):
    """Area under the ROC curve."""
    from scipy.stats import rankdata

    ranks = rankdata(score)
    ai = label == 1
    return (ranks[ai].sum() - ai.sum() * (ai.sum() + 1) / 2) / (ai.sum() * (~ai).sum())


def cells(score, label, source, fold):
    """Balanced accuracy and AUC of each held-out generator against its fold's held-out human sources."""
    rows = {}
    for k in range(FOLDS):
        human = (fold == k) & (label == 0) & np.isin(source, QUARTERS[k])
        for generator in GENERATORS[k]:
            ai = (fold == k) & (source == generator)
            names = np.unique(source[human])
            keep = np.mean([(score[human & (source == n)] <= 0).mean() for n in names])
            both = human | ai
            rows[generator] = (
                (keep + (score[ai] > 0).mean()) / 2,
                auc(score[both], label[both]),
                int(ai.sum()),
            )
    return rows


def show(name, rows):
    """One line: mean and worst."""
    balanced, area, _ = zip(*rows.values(), strict=True)
    worst = min(rows, key=lambda k: rows[k][0])
    mean, least, ranked = np.mean(balanced), min(balanced), np.mean(area)
    print(f"{name}: balanced {mean:.3f}, worst {least:.3f} ({worst}), AUC {ranked:.3f}")
    print("   " + " ".join(f"{k} {v[0]:.2f}/{v[1]:.2f}" for k, v in rows.items()), flush=True)


def surer(first, second):
    """The less sure of two looks; 0 where they disagree: what `HouseDetector.score` returns."""
    smaller = np.where(np.abs(first) < np.abs(second), first, second)
    return np.where(np.sign(first) != np.sign(second), 0.0, smaller)


def keep(folder: Path, stack, probe, sure: float = 0.0) -> None:
    """Write a stack as the detector reads it."""
    folder.mkdir(parents=True, exist_ok=True)
    np.savez(
        folder / "stack.npz",
        weight=stack[0],
        bias=np.float64(stack[1]),
        probe_weight=probe[0].astype(np.float32),
        probe_bias=np.float32(probe[1]),
        sure=np.float64(sure),
    )


def gather(given):
    """Pictures, training views and looks of all collections, with indices into one list."""
    pictures, train, looks = [], [], []
    for views, cache_folder, pattern, embedder in given:
        cache = Cache(Path(cache_folder))
        base = len(pictures)
        pictures += cache.pictures
        index, trunk, _ = trunks(Path(views), embedder)
        train.append((index + base, trunk.astype(np.float32)))
        place = Path(pattern)
        for path in sorted(place.parent.glob(place.name)):
            data = np.load(path)
            found = [data[k] for k in ("picture", "variant", "forensic", "trunk", "again", "trunk_again")]
            looks.append([found[0] + base, *found[1:]])
    return (
        pictures,
        [np.concatenate(v) for v in zip(*train, strict=True)],
        [np.concatenate(v) for v in zip(*looks, strict=True)],
    )


def heads(student: Path):
    """Weights and bias of what the student answers in the teacher's place: its end and three stops before."""
    import torch

    model = torch.load(student, weights_only=True)["model"]
    names = ("teacher", "deep")
    weight = np.concatenate([model[f"{n}.weight"].float().numpy() for n in names])
    return weight, np.concatenate([model[f"{n}.bias"].float().numpy() for n in names])


def probe_of(trunk, label, weight, head, strength):
    """A probe on the student's answers, as weights on the trunk; its spread on the training views is 1."""
    w, b = logistic(trunk @ head[0].T + head[1], label, weight, strength)
    w, b = head[0].T @ w, float(head[1] @ w + b)
    score = trunk @ w + b
    spread = np.sqrt(np.average((score - np.average(score, weights=weight)) ** 2, weights=weight))
    return w / spread, b / spread


def calibrated(args: argparse.Namespace, score, ai, kinds, source):
    """The calibration, printed; None where no thresholds keep the promise: such a detector has no vote."""
    from genepool.detection import calibrate
    from genepool.errors import MeasureError

    try:
        found = calibrate(
            score,
            ai,
            kinds,
            source=source,
            detector="0" * 64,
            accuracy=args.accuracy,
            minimum=args.minimum,
        )
    except MeasureError as error:
        print(f"no calibration, so no vote: {error}")
        return None
    print(f"human below {found.human_below:.3f}, AI above {found.ai_above:.3f} (calibrated logits)")
    print(f"log likelihood ratios {found.llr_human:.2f} {found.llr_ai:.2f}")
    for key in ("coverage", "coverage_ai", "coverage_human", "ece", "ece_held_out"):
        print(key, found.measured[key])
    for row in found.measured["tested"]["groups"]:
        print(row)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-o", "--out", type=Path, required=True)
    parser.add_argument("--embedder", type=Path, required=True)
    parser.add_argument("--student", type=Path, required=True)
    parser.add_argument("--views", nargs=3, action="append", required=True)
    parser.add_argument("--folds", nargs=FOLDS, type=Path, help="folders of the experts of each fold")
    parser.add_argument("--forensic", type=Path, help="the expert that ships, trained on everything")
    parser.add_argument("--strength", type=float, default=STRENGTH)
    parser.add_argument("--accuracy", type=float, default=0.94)
    parser.add_argument("--minimum", type=int, default=150)
    args = parser.parse_args()
    given = [(*view, args.embedder) for view in args.views]
    pictures, (at, trunk), (who, variant, forensic, whole, forensic2, whole2) = gather(given)
    label = np.array([p.label for p in pictures])
    source = np.array([p.source for p in pictures])
    extra = np.array([p.extra for p in pictures])
    fold = np.array([group(p.source) if p.label else quarter(p.source) for p in pictures])
    whole, whole2, head = whole.astype(np.float32), whole2.astype(np.float32), heads(args.student)
    weight = weights(label[at], source[at], extra[at])
    probes, probe, probe2 = [], np.zeros(len(who)), np.zeros(len(who))
    for k in range(FOLDS):
        seen = fold[at] != k
        w, b = probe_of(trunk[seen], label[at][seen], weight[seen], head, args.strength)
        probes.append((w, b))
        mine = fold[who] == k
        probe[mine], probe2[mine] = whole[mine] @ w + b, whole2[mine] @ w + b
    ai, src, part = label[who], source[who], fold[who]
    facts, facts2 = np.column_stack((forensic[:, 0], probe)), np.column_stack((forensic2[:, 0], probe2))
    # Three numbers, fitted on what both experts said of pictures alike to none they had seen.
    stack = logistic(facts, ai, weights(ai, src, extra[who]), 1.0)
    print("stack: forensic, probe:", stack)
    first, second = facts @ stack[0] + stack[1], facts2 @ stack[0] + stack[1]
    score = surer(first, second)
    for name, v in (("raw", variant == 0), ("equalised", variant == 1)):
        for what, values in (
            ("forensic", forensic[:, 0]),
            ("probe", probe),
            ("stack", first),
            ("sure", score),
        ):
            show(f"{name} {what}", cells(values[v], ai[v], src[v], part[v]))
    # One row is one image: half of them are judged as they came, half equalised.
    half = variant == (who % 2)
    kinds = np.array([p.family or p.kind for p in pictures])[who]
    args.out.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(
        args.out / "held-out.npz",
        picture=who.astype(np.int32),
        variant=variant.astype(np.int8),
        label=ai.astype(np.int8),
        source=src,
        kind=kinds,
        fold=part.astype(np.int8),
        forensic=forensic[:, 0].astype(np.float32),
        probe=probe.astype(np.float32),
        first=first.astype(np.float32),
        second=second.astype(np.float32),
        extra=extra[who],
    )
    final = probe_of(trunk, label[at], weight, head, args.strength)
    keep(args.out, stack, final)
    found = calibrated(args, score[half], ai[half], kinds[half], src[half])
    edges = (
        [0.0]
        if found is None
        else [(v - found.bias) * found.temperature for v in (found.human_below, found.ai_above)]
    )
    # A first look nearer to even than this is an abstention whatever the second one says.
    sure = 0.95 * min(abs(v) for v in edges)
    keep(args.out, stack, final, sure)
    for k, folder in enumerate(args.folds or ()):
        keep(args.out / f"fold-{k}", stack, probes[k], sure)
        for name, origin in (("forensic.onnx", folder / "forensic.onnx"), ("embedder.onnx", args.embedder)):
            (args.out / f"fold-{k}" / name).write_bytes(origin.read_bytes())
    if args.forensic:
        from dataclasses import replace

        from genepool.detection import HouseDetector

        for name, origin in (("forensic.onnx", args.forensic), ("embedder.onnx", args.embedder)):
            (args.out / name).write_bytes(origin.read_bytes())
        if found is not None:
            found = replace(found, detector=HouseDetector(args.out).digest)
    if found is not None:
        (args.out / "calibration.json").write_text(json.dumps(found.to_json(), indent=1))


if __name__ == "__main__":
    main()
