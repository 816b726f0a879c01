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

from genepool.config import Config, load
from genepool.engine import configured
from genepool.errors import EngineError
from genepool.records import Engine, Unit
from genepool.scan._crew import crew, unit_size
from genepool.scan._listed import Listed
from genepool.scan._plan import Plan, load_probes, make_plan
from genepool.scan._unit import ScanJob, place_of
from genepool.store import (
    NOTHING,
    Catalogue,
    Changes,
    Journal,
    Listing,
    ListingWriter,
    PartIndex,
    Recording,
    ScanStats,
    Workspace,
    collect,
    compact,
    compare,
    dataset_folder,
    is_sound,
    item_mark,
    part_key,
    put_in_force,
    read_listing,
    small_parts,
    sweep,
    trusted_parts,
    unused,
    workspace_for,
)

if TYPE_CHECKING:
    from genepool.dataset import Dataset

Progress = Callable[[int, int, int, float], None]


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

    An unchanged set costs its listing (file times) only; one that grew costs that and the new images. An
    interrupted scan goes on where it stopped: finished units are known. The result does not depend on the
    number of workers. An image that changes or vanishes while it is read, or that cannot be read at all, is
    set aside and tried again by the next scan. Every scan that had something to do stands in the workspace's
    journal.

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
        if (
            known is not None
            and not rescan
            and _in_force(known, listed, plan, space, dataset_folder(space, dataset))
        ):
            return Catalogue(dataset, space, known, _reused(known, started))
        with space.lock():
            sweep(space.parts)
            collect(space)
            runner = engine if engine is not None else configured(settings)
            run = _Run(dataset, space, plan, listed, runner, settings)
            return run.catalogue(started, progress, known, rescan=rescan)


class _Run:
    """One scan that has something to do."""

    def __init__(
        self, dataset: Dataset, space: Workspace, plan: Plan, listed: Listed, engine: Engine, config: Config
    ) -> None:
        self.dataset = dataset
        self.space = space
        self.plan = plan
        self.listed = listed
        self.engine = engine
        self.limits = config.scan
        self.index = PartIndex(space.parts, plan.digest, vectors=bool(plan.vectors))
        self.workers = 0
        self.rate = 0.0
        self.kept = 0
        self.remarks: set[str] = set()

    def catalogue(
        self, started: float, progress: Progress | None, known: Listing | None, *, rescan: bool
    ) -> Catalogue:
        """Examine what is pending, put the new listing in force, and merge parts where they are too many."""
        folder = dataset_folder(self.space, self.dataset)
        with Journal(self.space).record(
            "scan", self.dataset.uri, set=folder.name, plan=self.plan.digest
        ) as recording:
            if not rescan:
                same = known is not None and known.plan == self.plan.digest
                expected = [name for name, _ in known.parts] if known and same else []
                self.index.load(trusted_parts(self.space), expected, unused(self.space))
            pending = np.concatenate(
                [self.index.pending(keys) for _, keys in self.listed.keyed(self.plan.digest)]
            )
            n_new = int(pending.sum())
            self.kept = self.listed.n - n_new
            recording.facts.update(items=self.listed.n, pending=n_new)
            if n_new:
                self._examine(pending, n_new, progress, recording)
            changes = self._write_listing(folder, known, recording.number)
            listing = read_listing(self.space, self.dataset)
            assert listing is not None  # noqa: S101  # it was just put in force
            aside = len(listing.aside) + listing.n - listing.n_readable
            recording.facts.update(aside=aside, passing=listing.passing)
            if listing.remarks:
                recording.facts["remarks"] = list(listing.remarks)
            if changes is not None:
                recording.facts["changes"] = changes.to_json(20)
        if self.limits.merge and small_parts(self.space, self.plan.digest) >= self.limits.merge:
            compact(self.space, self.plan.digest)
            listing = read_listing(self.space, self.dataset) or listing
        stats = ScanStats(
            n_new=n_new,
            n_reused=self.kept,
            n_aside=aside,
            seconds=time.perf_counter() - started,
            images_per_second=self.rate,
            workers=self.workers,
            failures=listing.failures,
            damaged=tuple(f"{name}: {why}" for name, why in self.index.damaged.items()),
            changes=changes,
            remarks=listing.remarks,
        )
        return Catalogue(self.dataset, self.space, listing, stats)

    def _examine(
        self, pending: NDArray[np.bool_], total: int, progress: Progress | None, recording: Recording
    ) -> None:
        workers = max(1, int(getattr(self.engine, "workers", 1)))
        size = unit_size(total, crew(self.listed.chosen(pending), workers), self.limits.unit)
        self.workers = min(workers, -(-total // size))
        job = ScanJob(self.space.parts, self.plan, recording.number)
        done = aside = 0
        begun = time.perf_counter()
        if progress is not None:
            progress(0, total, 0, 0.0)
        for result in self.engine.run(job, self._units(pending, size)):
            done += result.n
            aside += result.n_aside
            self.remarks.update(result.remarks)
            self.rate = done / max(time.perf_counter() - begun, 1e-9)
            part = f"{self.plan.digest[:8]}-{result.id}"
            self.space.keep_part(part)
            self.index.add(part)
            recording.unit(part, result.n, result.n_aside)
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

    def _write_listing(self, folder: Path, known: Listing | None, run: int) -> Changes | None:
        """Put the new listing in force; what became of the dataset since the last one."""
        writer = ListingWriter(self.space, folder, self.dataset.uri, self.plan.digest, self.listed.digest)
        used: list[str] = []
        number = np.full(len(self.index.names) + 1, -1, np.int32)
        passing = 0
        try:
            for items, keys in self.listed.keyed(self.plan.digest):
                part, row, readable = self.index.find(keys)
                if (part < 0).any():
                    raise EngineError(
                        f"scan: expected a row for {items[int(np.argmin(part))].uri}, found none in any part",
                        hint="run the same command again",
                    )
                passing += int(self.index.pending(keys).sum())
                for found in np.unique(part):
                    if number[found] < 0:
                        number[found] = len(used)
                        used.append(self.index.names[found])
                marks = np.array([item_mark(place_of(item), item.stamp) for item in items], np.uint64)
                writer.add([item.uri for item in items], number[part], row, readable, marks)
            listing = writer.finish(
                used, self.plan.columns, self.plan.vectors, self.listed.aside, passing=passing, run=run
            )
        except BaseException:
            writer.discard()
            raise
        failures = _failures(Catalogue(self.dataset, self.space, listing)) if self.plan.probes else {}
        if known is not None and known.plan == self.plan.digest and self.kept:
            self.remarks.update(known.remarks)  # rows that are kept were made under these
        if failures or self.remarks:
            told = replace(listing, failures=failures, remarks=tuple(sorted(self.remarks)))
            put_in_force(self.space, folder, told)
        return compare(folder / known.file, folder / listing.file) if known is not None else None


def _in_force(known: Listing, listed: Listed, plan: Plan, space: Workspace, folder: Path) -> bool:
    """Whether the last listing still describes the dataset, is sound like its parts, and all was settled."""
    return (
        known.passing == 0
        and known.plan == plan.digest
        and known.digest == listed.digest
        and len(known.untouched(space.parts)) == len(known.parts)
        and is_sound(folder, known)
    )


def _reused(known: Listing, started: float) -> ScanStats:
    return ScanStats(
        n_reused=known.n,
        n_aside=len(known.aside) + known.n - known.n_readable,
        seconds=time.perf_counter() - started,
        failures=known.failures,
        changes=NOTHING,
        remarks=known.remarks,
    )


def _failures(catalogue: Catalogue) -> dict[str, int]:
    counts: Counter[str] = Counter()
    for batch in catalogue.batches(["note"]):
        for note in batch.column(0).drop_null().to_pylist():
            counts.update(re.findall(r"(?:^|; )probe (\S+) failed:", note))
    return dict(sorted(counts.items()))
