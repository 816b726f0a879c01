"""The certificate on real images: mixed to known ratios, labels hidden and then used as the reviewer.

    python bench/bench_certificate_images.py [--shared ../shared/data] [--n 1500] [--ratios .60 .70 .75 .85]

For each ratio a set is drawn from the labelled images, scanned into a temporary workspace and checked; then
`test:labels` qualifies on controls from the images that are not in the set, answers the real queue until the
certificate decides, and the set is checked again. The reviewer is test data and lives in the temporary
workspace only. There is no calibrated detector yet: the column "with" uses *simulated* scores of a detector
that is right about 90 % of either kind, handed to the same certificate.
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
from genepool.prevalence import ReviewedSet, audit, certify
from genepool.store import ReviewRecord

STEP = 5


def labelled(shared):
    """Uri → (label, sha256), pictures whose bytes are there once, and which are no grid of several."""
    found, seen = {}, set()
    with (shared / "images.csv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if row["sha256"] in seen or row["tiles"] or not (shared / "images" / row["path"]).is_file():
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
    rest = {"human": kinds["human"][humans:][:400], "ai": kinds["ai"][n - humans :][:400]}
    return [str(u) for u in chosen], {images[u][1]: truth for truth, uris in rest.items() for u in uris}


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


def one(shared, images, n, h, seed, config, folder):
    rng = np.random.default_rng(seed)
    uris, controls = mix(images, n, h, rng)
    truth = {images[u][1]: images[u][0] for u in uris} | controls
    data = dataset.open(str(shared / "images"), workspace=str(folder)).select(uris)
    place = store.workspace_for(data, folder)
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
        found = ReviewedSet.of(catalogue, origins, place).certify()
        return found.plan is None

    answer_all(queue(False), who, truth, decided)
    with ReviewRecord(place) as record:
        review.record_in_log(place, record, config)
    after = pipeline.check(data, **options)
    told = after.extra["certificate"]
    # The same answers' order, with simulated scores beside them.
    reviewed = ReviewedSet.of(catalogue, origins, place)
    digests = [d.hex() for d in origins.column("sha256").to_pylist()]
    human = np.array([truth[d] == "human" for d in digests])
    scores = np.where(rng.random(n) < 0.9, human, ~human) * 0.8 + 0.1
    helped = next(
        (
            k
            for k in range(STEP, len(reviewed.sample.looks) + 1, STEP)
            if certify(_first(reviewed.sample, k), reviewed.human, reviewed.ai, scores=scores).plan is None
        ),
        None,
    )
    plain = [audit(s, lambda i: bool(human[i]), rng=seed).n_labels for s in (np.full(n, 0.5), scores)]
    right = {"pass": h >= 0.70, "fail": h < 0.70, "undecided": True}[after.status]
    ratio = after.measures["human_ratio"]
    return {
        "true": f"{h:.2f}",
        "decision": f"{after.status.upper()} (exit {after.exit_code})",
        "right": "yes" if right else "NO",
        "bounds": f"{ratio.lower:.3f} to {ratio.upper:.3f}",
        "labels": told["labels"],
        "with": helped if helped else f"> {told['labels']}",
        "sure": plain[0],
        "sure, with": plain[1],
        "verdicts in the log": sum(e == "verdict" for e in _kinds(place)),
    }


def _first(sample, k):
    from dataclasses import replace

    return replace(sample, looks=sample.looks[:k])


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
    given = parser.parse_args()
    if not (given.shared / "images.csv").is_file():
        sys.exit(f"{given.shared}: no labelled images here")
    images, config = labelled(given.shared), Config()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for seed, h in enumerate(given.ratios):
            rows.append(one(given.shared, images, given.n, h, seed, config, Path(folder) / str(seed)))
            print(rows[-1], flush=True)
    print("| " + " | ".join(rows[0]) + " |\n|" + "---|" * len(rows[0]))
    for row in rows:
        print("| " + " | ".join(map(str, row.values())) + " |")
    sys.exit(any(row["right"] == "NO" for row in rows))


if __name__ == "__main__":
    main()
