"""What the gate costs a training loader: the sampler, and the digest of every image.

    python bench/bench_sampler.py [--images 1500] [--repeat 7] [--batch 32]

Three loaders over the same JPEG files in one process, no workers, in turn and several times; medians of CPU
seconds are compared. All three decode by the same function (libjpeg-turbo, then area average to 64 pixels):

* plain: ``torch.utils.data.DataLoader`` with ``shuffle=True`` over a list of paths;
* sampler: the same dataset, batches by `HumanShareSampler`;
* gated: `GatedDataset`, which reads through genepool's source and compares every image's SHA-256.

"digest" is the time of SHA-256 alone over the same bytes, relative to the plain loader; "gated" is everything
that `GatedDataset` adds.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))


def settle(folder: Path, home: Path):
    """The whole folder attested as human work and passed (only diversity and repetition are let go)."""
    os.environ["GENEPOOL_HOME"] = str(home)
    import genepool
    from genepool import dataset, provenance, scan, store
    from genepool.config import Config

    config = Config().with_(policy__diversity=0.0, policy__near_duplicates=1.0)
    opened = dataset.open(folder)
    space = store.workspace_for(opened)
    provenance.register_human(scan.scan(opened, space, config=config), space, config=config)
    decision = genepool.check(opened, config=config)
    assert decision, decision.failures
    return opened


class Paths:
    """The plain dataset: paths, decoded as `GatedDataset` decodes."""

    def __init__(self, gated, folder: Path) -> None:
        self.gated = gated
        self.paths = [folder / uri for uri in gated.uris]

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int):
        from genepool.records import Sample

        data = self.paths[index].read_bytes()
        pixels = self.gated._shown(Sample(self.gated._items[index], data))
        return {"pixel_values": pixels, "caption": "", "human": True, "index": index}


def timed(batches) -> tuple[float, int]:
    begun = time.process_time()
    n = sum(len(batch["index"]) for batch in batches)
    return time.process_time() - begun, n


def digests(paths) -> float:
    contents = [path.read_bytes() for path in paths]
    begun = time.process_time()
    for data in contents:
        hashlib.sha256(data).digest()
    return time.process_time() - begun


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=1500)
    parser.add_argument("--repeat", type=int, default=7)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--json", metavar="FILE", help="write the figures as well")
    arguments = parser.parse_args()

    import numpy as np
    import torch
    from _corpus import make
    from torch.utils.data import DataLoader

    from genepool.integrations import GatedDataset, HumanShareSampler

    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory(prefix="bench-sampler-") as place:
        folder = Path(place) / "set"
        size = make(folder, arguments.images)
        gated = GatedDataset(settle(folder, Path(place) / "home"), size=64)
        plain = Paths(gated, folder)
        # A quarter stands for machine-made pictures, so that the sampler has two pools to mix.
        human = np.arange(len(gated)) % 4 != 0
        sampler = HumanShareSampler(human, arguments.batch, seed=1)
        loaders = {
            "plain": lambda: DataLoader(plain, arguments.batch, shuffle=True),
            "sampler": lambda: DataLoader(plain, batch_sampler=sampler),
            "gated": lambda: DataLoader(gated, batch_sampler=sampler),
        }
        seconds: dict[str, list[float]] = {name: [] for name in (*loaders, "digest", "alone")}
        for name in loaders:
            timed(loaders[name]())  # warms the file cache and lazy imports
        for _ in range(arguments.repeat):
            for name, make_loader in loaders.items():
                used, n = timed(make_loader())
                seconds[name].append(used * 1000 / n)
            seconds["digest"].append(digests(plain.paths) * 1000 / len(plain))
            begun = time.process_time()
            n = sum(len(batch) for batch in sampler)
            seconds["alone"].append((time.process_time() - begun) * 1000 / n)
    figures = {name: statistics.median(values) for name, values in seconds.items()}
    base = figures["plain"]
    print(
        f"{arguments.images} JPEG, mean {size / arguments.images:,.0f} bytes, load {os.getloadavg()[0]:.1f}"
    )
    for name, value in figures.items():
        print(f"{name:10} {value:9.4f} ms CPU per image  {value / base:7.2%} of plain")
    verdicts = [
        ("sampler over plain", figures["alone"] / base, 0.02),
        ("digest over plain", figures["digest"] / base, 0.08),
        ("gated loader over plain, all in", figures["gated"] / base - 1, 0.10),
    ]
    for name, value, bound in verdicts:
        print(f"{name:34} {value:8.2%}  < {bound:.0%}  {'holds' if value < bound else 'MISSED'}")
    if arguments.json:
        Path(arguments.json).write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
