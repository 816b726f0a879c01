"""The certificate on real images: mixed to known ratios, labels hidden and then used as the reviewer.

    python bench/bench_certificate_images.py [--shared ../shared/data] [--n 1500] [--ratios .60 .70 .75 .85]
        [--detector onnx:FILE | --detector none] [--calibrate] [--only FILE]

For each ratio a set is drawn from the labelled images, scanned into a temporary workspace and checked; then
`test:labels` qualifies on controls from the images that are not in the set, answers the real queue until the
certificate decides, and the set is checked again. The reviewer is test data and lives in the temporary
workspace only.

The configured detector looks at the images during the scan. Where it is calibrated, its scores are fixed
with the random order and used by the certificate; the same answers without them, and with *simulated*
scores that are right 90 % of the time, stand beside it. ``--calibrate`` measures it first on images that
are in none of the sets. ``--only FILE`` (one path a line) takes only these images: a detector that was
trained on the others looks better on them than it is. The bounds hold either way.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from genepool import dataset, origin, pipeline, review, scan, store
from genepool.config import Config
from genepool.errors import MeasureError
from genepool.prevalence import ReviewedSet, audit, certify, detector_scores
from genepool.store import ReviewRecord

STEP = 5


def labelled(shared, only):
    """Uri → (label, sha256), pictures whose bytes are there once, and which are no grid of several."""
    found, seen = {}, set()
    wanted = set(only.read_text("utf-8").split("\n")) if only else None
    with (shared / "images.csv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if row["sha256"] in seen or row["tiles"] or not (shared / "images" / row["path"]).is_file():
                continue
            if wanted is not None and row["path"] not in wanted:
                continue
            seen.add(row["sha256"])
            found[row["path"]] = (row["label"], row["sha256"])
    return found


def mix(images, n, h, rng):
    """Uris of a set with exactly this ratio, and controls from the rest: digest → truth."""
    kinds = {
        truth: rng.permutation([u for u, (t, _) in images.items() if t == truth]) for truth in ("human", "ai")
    }
    humans = round(h * n)
    chosen = [*kinds["human"][:humans], *kinds["ai"][: n - humans]]
    rest = {"human": kinds["human"][humans:], "ai": kinds["ai"][n - humans :]}
    controls = {images[u][1]: truth for truth, uris in rest.items() for u in uris[:400]}
    spare = {str(u): truth for truth, uris in rest.items() for u in uris[400:]}
    return [str(u) for u in chosen], controls, spare


def calibrated(shared, spare, config, place):
    """Calibrate the detector for this workspace on images that are neither in the set nor controls."""
    from genepool import detection

    held = dataset.open(str(shared / "images"), workspace=str(place.root)).select(list(spare))
    table = scan.scan(held, place, config=config).table(["uri", "detector", "logit"])
    rows = [row for row in table.to_pylist() if row["logit"] is not None]
    if not rows:
        return "no scores to calibrate"
    truths = [spare[row["uri"]] for row in rows]
    for accuracy in (0.94, 0.85, 0.75, 0.6):
        try:
            found = detection.calibrate(
                [row["logit"] for row in rows],
                truths,
                truths,
                detector=rows[0]["detector"].rpartition("@")[2],
                accuracy=accuracy,
            )
        except MeasureError:
            continue
        # Its temperature and bias are what the audit uses; the accuracy only concerns decisions.
        detection.keep_calibration(found, place)
        return f"calibrated on {found.n} images, selective accuracy {accuracy}"
    return "no threshold keeps any promise: not calibrated"


def answer_all(queue, who, truth, stop):
    """Answer as the labels say, until `stop` says so; how many unverified images were judged."""
    done = 0
    while asked := queue.next(who, STEP):
        for question in asked:
            queue.answer(question.token, truth[question.sha256], who, seconds=4.0)
            done += question.kind == "image"
        if stop():
            break
    return done


def one(given, images, h, seed, config, folder):
    shared, n, rng = given.shared, given.n, np.random.default_rng(seed)
    uris, controls, spare = mix(images, n, h, rng)
    truth = {images[u][1]: images[u][0] for u in uris} | controls
    data = dataset.open(str(shared / "images"), workspace=str(folder)).select(uris)
    place = store.workspace_for(data, folder)
    if given.calibrate:
        print(calibrated(shared, spare, config, place), flush=True)
    options = {"workspace": folder, "config": config, "select": ["GP101"]}
    before = pipeline.check(data, **options)
    print(f"\n{h:.2f}: {before.status.upper()}: {before.failures[0].message}", flush=True)
    catalogue = scan.scan(data, place, config=config)
    origins = origin.settle(catalogue, place, config)
    clock = itertools.count(int(time.time())).__next__
    who = "test:labels"

    def queue(only):
        mixture = review.Mixture(only_controls=only)
        return review.queue(place, catalogue, origins, controls=controls, mixture=mixture, clock=clock)

    answer_all(queue(True), who, truth, lambda: False)

    def decided():
        # With the detector's scores and without them: both are reported.
        found = ReviewedSet.of(catalogue, origins, place)
        return found.certify().plan is None and certify(found.sample, found.human, found.ai).plan is None

    answer_all(queue(False), who, truth, decided)
    with ReviewRecord(place) as record:
        review.record_in_log(place, record, config)
    after = pipeline.check(data, **options)
    told = after.extra["certificate"]
    # The same answers in the same order: without scores, with the detector's, with simulated ones.
    reviewed = ReviewedSet.of(catalogue, origins, place)
    real = detector_scores(catalogue, place)
    digests = [d.hex() for d in origins.column("sha256").to_pylist()]
    human = np.array([truth[d] == "human" for d in digests])
    scores = np.where(rng.random(n) < 0.9, human, ~human) * 0.8 + 0.1
    none = np.full(n, np.nan)
    kinds = {"without": none, "detector": real.values if real.known else None, "simulated": scores}
    labels = {name: None if held is None else first(reviewed, held) for name, held in kinds.items()}
    sure = {
        name: None if held is None else audit(held, lambda i: bool(human[i]), rng=seed).n_labels
        for name, held in kinds.items()
    }
    right = {"pass": h >= 0.70, "fail": h < 0.70, "undecided": True}[after.status]
    ratio = after.measures["human_ratio"]
    return {
        "true": f"{h:.2f}",
        "decision": f"{after.status.upper()} (exit {after.exit_code})",
        "right": "yes" if right else "NO",
        "bounds": f"{ratio.lower:.3f} to {ratio.upper:.3f}",
        "detector": f"{told['detector']} (ρ² {told['detector_power']:.2f})",
        "labels": told["labels"],
        **{f"labels, {name}": _shown(k, told["labels"]) for name, k in labels.items()},
        **{f"sure, {name}": "–" if k is None else k for name, k in sure.items()},
        "verdicts in the log": sum(e == "verdict" for e in _kinds(place)),
    }


def first(reviewed, scores):
    """After how many of these answers the certificate decides with these scores; 0: not at all."""
    from dataclasses import replace

    def decides(k):
        sample = replace(reviewed.sample, looks=reviewed.sample.looks[:k])
        return certify(sample, reviewed.human, reviewed.ai, scores=scores).plan is None

    return next((k for k in range(STEP, len(reviewed.sample.looks) + 1, STEP) if decides(k)), 0)


def _shown(k, asked):
    return "–" if k is None else k if k else f"> {asked}"


def _kinds(place):
    from genepool.provenance import Ledger
    from genepool.provenance._entries import decode

    found = []
    Ledger.open(place.ledger).audit(
        lambda first, entries, hashes: found.extend(decode(e)["kind"] for e in entries)
    )
    return found


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--shared", type=Path, default=Path(__file__).parents[2] / "shared" / "data")
    parser.add_argument("--n", type=int, default=1500)
    parser.add_argument("--ratios", type=float, nargs="+", default=[0.60, 0.70, 0.75, 0.85])
    parser.add_argument(
        "--detector", help="plug-in, as detection.detector; default: the package's own default"
    )
    parser.add_argument("--calibrate", action="store_true")
    parser.add_argument("--only", type=Path)
    given = parser.parse_args()
    if not (given.shared / "images.csv").is_file():
        sys.exit(f"{given.shared}: no labelled images here")
    images, config = labelled(given.shared, given.only), Config()
    if given.detector:
        config = config.with_(detection__detector=given.detector)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for seed, h in enumerate(given.ratios):
            rows.append(one(given, images, h, seed, config, Path(folder) / str(seed)))
            print(rows[-1], flush=True)
    print("| " + " | ".join(rows[0]) + " |\n|" + "---|" * len(rows[0]))
    for row in rows:
        print("| " + " | ".join(map(str, row.values())) + " |")
    sys.exit(any(row["right"] == "NO" for row in rows))


if __name__ == "__main__":
    main()
