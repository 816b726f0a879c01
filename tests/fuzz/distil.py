"""Keep what a run has learnt: inputs that reach arcs of genepool's code which no kept input reaches.

    python tests/fuzz/distil.py evidence /path/of/atheris/corpus [--most 40] [--largest 2000]

Shortest first; what is chosen is copied to ``corpus/reached/`` and replayed by every test run.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
from collections.abc import Callable
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

import genepool  # noqa: E402
from fuzz.seeds import seeds  # noqa: E402
from fuzz.targets import TARGETS  # noqa: E402
from genepool.errors import GenepoolError  # noqa: E402

SOURCE = str(Path(genepool.__file__).parent)


def arcs(target: Callable[[bytes], None], data: bytes) -> set[tuple[str, int, int]]:
    """Steps from line to line inside genepool while the target reads the input."""
    found: set[tuple[str, int, int]] = set()

    def enter(frame, event, _):
        if not frame.f_code.co_filename.startswith(SOURCE):
            return None
        name, last = frame.f_code.co_filename, frame.f_lineno

        def step(frame, event, _):
            nonlocal last
            if event == "line":
                found.add((name, last, frame.f_lineno))
                last = frame.f_lineno
            return step

        return step

    sys.settrace(enter)
    try:
        target(data)
    except GenepoolError:
        pass
    finally:
        sys.settrace(None)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("target", choices=tuple(TARGETS))
    parser.add_argument("folder", type=Path)
    parser.add_argument("--most", type=int, default=40)
    parser.add_argument("--largest", type=int, default=2000, help="bytes")
    options = parser.parse_args()
    target, place = TARGETS[options.target], HERE / "corpus" / "reached"
    place.mkdir(parents=True, exist_ok=True)
    known: set[tuple[str, int, int]] = set()
    for data in [*seeds(options.target), *(p.read_bytes() for p in place.glob(f"{options.target}-*"))]:
        known |= arcs(target, data)
    before, kept = len(known), 0
    found = [path.read_bytes() for path in options.folder.iterdir() if path.is_file()]
    for data in sorted((d for d in found if len(d) <= options.largest), key=lambda d: (len(d), d)):
        new = arcs(target, data) - known
        if new and kept < options.most:
            known |= new
            kept += 1
            name = f"{options.target}-{hashlib.sha256(data).hexdigest()[:16]}"
            (place / name).write_bytes(data)
    print(f"{options.target}: {kept} of {len(found)} inputs kept; arcs {before:,} → {len(known):,}")


if __name__ == "__main__":
    main()
