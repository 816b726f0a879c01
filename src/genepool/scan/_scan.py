"""The pass: list, find what is known, hand the rest to an engine, put the listing in force."""

from __future__ import annotations

import hashlib
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from genepool import plugins
from genepool.config import Config, load
from genepool.errors import EngineError
from genepool.records import Engine, Unit
from genepool.scan._listed import Listed
from genepool.scan._plan import Plan, load_probes, make_plan
from genepool.scan._unit import ScanJob
from genepool.store import (
    Catalogue,
    Listing,
    ListingWriter,
    PartIndex,
    ScanStats,
    Workspace,
    dataset_folder,
    part_key,
    put_in_force,
    read_listing,
    sweep,
    trusted_parts,
    workspace_for,
)

if TYPE_CHECKING:
    from genepool.dataset import Dataset

Progress = Callable[[int, int, int, float], None]

_SMALLEST = 16
_UNITS_PER_WORKER = 8


def scan(
    dataset: Dataset,
    workspace: Workspace | str | Path | None = None,
    *,
    config: Config | None = None,
    progress: Progress | None = None,
    rescan: bool = False,
    engine: Engine | None = None,
) -> Catalogue:
    """Read every image that is not yet known, once, and return the catalogue of the dataset.

    An unchanged set costs its listing (file times) only. An interrupted scan goes on where it stopped:
    finished units are known. The result does not depend on the number of workers.

    Args:
        dataset: As opened by `genepool.open`.
        workspace: Where results are kept; see `genepool.store.workspace_for`.
        config: Settings; None reads ``genepool.toml`` of the current folder, if any.
        progress: Called in this process as ``progress(done, total, aside, rate)`` with images, images set
            aside and images per second; ``total`` counts only what has to be read.
        rescan: Read everything again, whatever is known.
        engine: Runs the units; None: the one that the configuration names.

    Returns:
        The catalogue; ``.stats`` says what was done, ``.cases()`` what was set aside.

    Raises:
        SourceError: The dataset cannot be listed, or holds no image.
        WorkspaceError: The workspace cannot be written, or another process is writing.
        PluginError: A probe cannot be loaded, or two write the same column.
        EngineError: Workers fail whatever they are given.
    """
    started = time.perf_counter()
    settings = config if config is not None else load()
    space = workspace_for(dataset, workspace)
    plan = make_plan(settings, load_probes(settings))
    with Listed(dataset) as listed:
        if not listed.n:
            dataset.require_images(0, listed.aside)
        known = read_listing(space, dataset)
        if known is not None and not rescan and _in_force(known, listed, plan, space):
            return Catalogue(dataset, space, known, _reused(known, started))
        with space.lock():
            sweep(space.parts)
            runner = engine if engine is not None else _engine(settings)
            run = _Run(dataset, space, plan, listed, runner, settings.scan.unit)
            return run.catalogue(started, progress, None if rescan else known, rescan=rescan)


class _Run:
    """One scan that has something to do."""

    def __init__(
        self, dataset: Dataset, space: Workspace, plan: Plan, listed: Listed, engine: Engine, unit: int
    ) -> None:
        self.dataset = dataset
        self.space = space
        self.plan = plan
        self.listed = listed
        self.engine = engine
        self.unit = unit
        self.index = PartIndex(space.parts, plan.digest, vectors=bool(plan.vectors))
        self.workers = 0
        self.rate = 0.0

    def catalogue(
        self, started: float, progress: Progress | None, known: Listing | None, *, rescan: bool
    ) -> Catalogue:
        """Examine what is pending and put the new listing in force."""
        if not rescan:
            expected = [name for name, _ in known.parts] if known and known.plan == self.plan.digest else []
            self.index.load(trusted_parts(self.space), expected)
        pending = self._pending()
        n_new = int(pending.sum())
        if n_new:
            self._examine(pending, n_new, progress)
        listing = self._write_listing()
        catalogue = Catalogue(self.dataset, self.space, listing)
        failures = _failures(catalogue) if self.plan.probes else {}
        if failures:
            listing = replace(listing, failures=failures)
            put_in_force(self.space, dataset_folder(self.space, self.dataset), listing)
        stats = ScanStats(
            n_new=n_new,
            n_reused=self.listed.n - n_new,
            n_aside=len(listing.aside) + listing.n - listing.n_readable,
            seconds=time.perf_counter() - started,
            images_per_second=self.rate,
            workers=self.workers,
            failures=failures,
            damaged=tuple(f"{name}: {why}" for name, why in self.index.damaged.items()),
        )
        return Catalogue(self.dataset, self.space, listing, stats)

    def _pending(self) -> NDArray[np.bool_]:
        flags = [self.index.find(keys)[0] < 0 for _, keys in self.listed.keyed(self.plan.digest)]
        return np.concatenate(flags)

    def _examine(self, pending: NDArray[np.bool_], total: int, progress: Progress | None) -> None:
        workers = max(1, int(getattr(self.engine, "workers", 1)))
        size = _unit_size(total, workers, self.unit)
        self.workers = min(workers, -(-total // size))
        job = ScanJob(self.space.parts, self.plan)
        done = aside = 0
        begun = time.perf_counter()
        if progress is not None:
            progress(0, total, 0, 0.0)
        for result in self.engine.run(job, self._units(pending, size)):
            done += result.n
            aside += result.n_aside
            self.rate = done / max(time.perf_counter() - begun, 1e-9)
            self.index.add(f"{self.plan.digest[:8]}-{result.id}")
            if progress is not None:
                progress(done, total, aside, self.rate)

    def _units(self, pending: NDArray[np.bool_], size: int) -> Iterator[Unit]:
        items = self.listed.chosen(pending)
        source = self.dataset.limited(self.plan.max_bytes).source
        while chunk := tuple(islice(items, size)):
            # The id follows from the work: redoing a unit overwrites its part.
            name = hashlib.sha256()
            for item in chunk:
                name.update(part_key(f"{item.path}\0{item.offset}\0{item.row}", item.stamp, self.plan.digest))
            yield Unit(name.hexdigest()[:16], chunk, source)

    def _write_listing(self) -> Listing:
        writer = ListingWriter(self.space, self.dataset, self.plan.digest, self.listed.digest)
        used: list[str] = []
        number = np.full(len(self.index.names) + 1, -1, np.int32)
        try:
            for items, keys in self.listed.keyed(self.plan.digest):
                part, row, readable = self.index.find(keys)
                if (part < 0).any():
                    raise EngineError(
                        f"scan: expected a row for {items[int(np.argmin(part))].uri}, found none in any part",
                        hint="run the same command again",
                    )
                for found in np.unique(part):
                    if number[found] < 0:
                        number[found] = len(used)
                        used.append(self.index.names[found])
                writer.add([item.uri for item in items], number[part], row, readable)
            return writer.finish(used, self.plan.columns, self.plan.vectors, self.listed.aside)
        except BaseException:
            writer.discard()
            raise


def _in_force(known: Listing, listed: Listed, plan: Plan, space: Workspace) -> bool:
    """Whether the last listing still describes the dataset, and its parts are untouched."""
    return (
        known.plan == plan.digest
        and known.digest == listed.digest
        and len(known.untouched(space.parts)) == len(known.parts)
    )


def _reused(known: Listing, started: float) -> ScanStats:
    return ScanStats(
        n_reused=known.n,
        n_aside=len(known.aside) + known.n - known.n_readable,
        seconds=time.perf_counter() - started,
        failures=known.failures,
    )


def _engine(config: Config) -> Engine:
    engine: Engine = plugins.create(
        "engines", config.engine.name, workers=config.engine.workers, timeout=config.scan.timeout
    )
    return engine


def _unit_size(total: int, workers: int, largest: int) -> int:
    """Small enough that workers end together and progress is seen, large enough that parts stay few."""
    even = -(-total // (workers * _UNITS_PER_WORKER))
    return max(1, min(largest, max(even, min(_SMALLEST, -(-total // workers)))))


def _failures(catalogue: Catalogue) -> dict[str, int]:
    counts: Counter[str] = Counter()
    for batch in catalogue.batches(["note"]):
        for note in batch.column(0).drop_null().to_pylist():
            counts.update(re.findall(r"(?:^|; )probe (\S+) failed:", note))
    return dict(sorted(counts.items()))
