"""One task done by one program, in that program's own environment; prints JSON. Started by `compare.py`.

    PYTHON bench/peers/sides.py TASK-PROGRAM FOLDER OUT [WORKERS]

Nothing of genepool is imported outside its own sides, and nothing of a peer outside the peer's.
"""

from __future__ import annotations

import json
import sys
import time
import types
from pathlib import Path

RADIUS = 24


def pictures(folder: str) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in Path(folder).rglob("*.jpg"))


def pairs_of(groups: list[list[str]]) -> list[list[str]]:
    """Every image with the first of its group."""
    return [[group[0], other] for group in groups for other in group[1:]]


# ---------------------------------------------------------------------------------------- duplicates


def duplicates_genepool(folder: str, workers: int) -> dict:
    from genepool._version import __version__
    from genepool.diversity import catalogue_copies

    catalogue = _scanned(folder, workers)
    copies = catalogue_copies(catalogue)
    groups: dict[int, list[str]] = {}
    uris = catalogue.table(["uri"]).column("uri").to_pylist()
    for uri, label in zip(uris, copies.labels.tolist(), strict=True):
        groups.setdefault(label, []).append(uri)
    return {"pairs": pairs_of([g for g in groups.values() if len(g) > 1]), "version": __version__}


def duplicates_imagededup(folder: str, workers: int) -> dict:
    from importlib.metadata import version

    # Its package imports its neural method first, which wants a torchvision built for this very torch.
    for name in ("imagededup.methods.cnn", "imagededup.utils.models"):
        sys.modules[name] = types.ModuleType(name)
        sys.modules[name].__getattr__ = lambda _: None  # type: ignore[method-assign]
    from imagededup.methods import PHash

    method = PHash(verbose=False)
    codes = method.encode_images(image_dir=folder, recursive=True, num_enc_workers=workers)
    found = method.find_duplicates(
        encoding_map=codes, max_distance_threshold=10, search_method="bktree", num_dist_workers=workers
    )
    return {"pairs": [[a, b] for a, near in found.items() for b in near], "version": version("imagededup")}


def duplicates_fastdup(folder: str, workers: int) -> dict:
    import os
    import tempfile

    import fastdup

    os.environ["FASTDUP_LOCAL"] = "1"
    with tempfile.TemporaryDirectory() as work:
        found = fastdup.create(work_dir=work, input_dir=folder)
        found.run(num_threads=workers, ccthreshold=0.96, threshold=0.96, overwrite=True, print_summary=False)
        table = found.similarity()
        rows = table[["filename_from", "filename_to", "distance"]].values.tolist()
    pairs = [
        [str(Path(a).relative_to(folder)), str(Path(b).relative_to(folder))] for a, b, d in rows if d >= 0.96
    ]
    return {"pairs": pairs, "version": fastdup.__version__}


# ---------------------------------------------------------------------------------------------- scan


def scan_genepool(folder: str, workers: int) -> dict:
    from genepool._version import __version__

    catalogue = _scanned(folder, workers)
    return {"n": catalogue.n, "aside": catalogue.stats.n_aside, "version": __version__}


def scan_cleanvision(folder: str, workers: int) -> dict:
    import contextlib
    from importlib.metadata import version

    with contextlib.redirect_stdout(sys.stderr):
        from cleanvision import Imagelab

        lab = Imagelab(data_path=folder)
        lab.find_issues(n_jobs=workers, verbose=False)
    return {
        "n": len(lab.issues),
        "issues": int(lab.issues.filter(like="is_").any(axis=1).sum()),
        "version": version("cleanvision"),
    }


def _scanned(folder: str, workers: int):
    import tempfile

    from genepool import dataset
    from genepool.config import Config
    from genepool.scan import scan

    settings = Config().with_(
        engine__workers=workers, detection__detector="none", diversity__embedder="classical"
    )
    return scan(dataset.open(folder), tempfile.mkdtemp(dir=Path(folder).parent), config=settings)


# ---------------------------------------------------------------------------------------------- pass


def _plan():
    from genepool.config import Config
    from genepool.scan import load_probes, make_plan

    settings = Config().with_(detection__detector="none", diversity__embedder="classical")
    plan = make_plan(settings, load_probes(settings))
    # Probes are entry points: where genepool is not installed there are none, and nothing to compare.
    if {probe.name for probe in plan.probes} != {"detection", "embedding", "evidence"}:
        raise SystemExit(f"expected genepool's own probes, found {[probe.name for probe in plan.probes]}")
    for probe in plan.probes:
        probe.prepare()
    return plan


_PLAN = None


def _row(example: dict) -> dict:
    """What genepool's scan does to one image, as a function for `map`."""
    global _PLAN
    from genepool.records import Item, Sample
    from genepool.scan import examine

    _PLAN = _PLAN or _plan()
    image = example["image"]
    data = image["bytes"] or Path(image["path"]).read_bytes()
    row = examine(Sample(Item(image["path"] or "", "", image["path"] or ""), data), _PLAN)
    return {key: value for key, value in row.items() if value is not None}


def pass_genepool(folder: str, workers: int) -> dict:
    return scan_genepool(folder, workers)


def pass_datasets(folder: str, workers: int) -> dict:
    import datasets

    found = datasets.load_dataset("imagefolder", data_dir=folder, split="train", cache_dir=folder + "-cache")
    # As it is stored, undecoded: the function decodes once, as genepool's own worker does.
    found = found.cast_column("image", datasets.Image(decode=False))
    rows = found.map(_row, num_proc=workers, remove_columns=found.column_names)
    return {"n": len(rows), "version": datasets.__version__}


def main() -> None:
    name, folder, out = sys.argv[1:4]
    workers = int(sys.argv[4]) if len(sys.argv) > 4 else 2
    begun = time.perf_counter()
    answer = globals()[name.replace("-", "_")](folder, workers)
    answer["inside"] = time.perf_counter() - begun
    Path(out).write_text(json.dumps(answer))


if __name__ == "__main__":
    main()
