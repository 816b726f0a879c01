"""Compaction: many small parts become few, and what no dataset refers to is collected.

In this order, each step atomic: the merged parts are written; every listing that refers to one of their
sources is written anew and put in force; the sources are noted as retired; an hour later, when nobody can be
reading them any more, they go. A crash in between leaves rows that lie in two parts, never a row that lies in
none: the next compaction finds parts of which no row is the newest of its key, and retires them.
"""

from __future__ import annotations

import contextlib
import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from genepool.errors import WorkspaceError
from genepool.store._gather import gathered
from genepool.store._index import PartIndex
from genepool.store._journal import Journal, unfinished
from genepool.store._listing import (
    GRACE,
    Listing,
    ListingWriter,
    all_listings,
    listing_batches,
    trusted_parts,
)
from genepool.store._parts import (
    CORE_COLUMNS,
    KEY_BYTES,
    check_part,
    part_files,
    part_names,
    read_part,
    write_part,
)

if TYPE_CHECKING:
    import pyarrow as pa

    from genepool.store._workspace import Workspace

MERGED_ROWS = 4096
"""Rows of a merged part: few files for a million images, and a few megabytes where one is kept in memory."""
SMALL_ROWS = MERGED_ROWS // 2
"""A part of fewer rows is small."""
_DEAD = 0.25
"""Share of rows that nobody refers to beyond which `drop` writes a large part anew."""
_RETIRED = "catalogue/retired.json"
_CACHE = 128 << 20
"""Bytes of tables that are kept while rows are gathered."""


@dataclass(frozen=True, slots=True)
class Compaction:
    """What a compaction did.

    Attributes:
        merged: Parts that were merged or found superseded.
        made: Parts that they became.
        dropped: Rows that were left out: older ones of the same image and, where asked for, those that no
            dataset refers to.
        listings: Listings that were written anew.
        collected: Files of earlier compactions that went now.
        freed: Their bytes.
    """

    merged: int = 0
    made: int = 0
    dropped: int = 0
    listings: int = 0
    collected: int = 0
    freed: int = 0


def small_parts(workspace: Workspace, plan: str) -> int:
    """How many small parts of a plan there are, by their footers, retired ones left out."""
    import pyarrow.parquet as pq

    gone = unused(workspace)
    count = 0
    for name in part_names(workspace.parts, plan):
        with contextlib.suppress(Exception):  # damage is found, and told, where parts are read
            rows = pq.read_metadata(workspace.parts / f"{name}.parquet").num_rows
            count += name not in gone and rows < SMALL_ROWS
    return count


def compact(workspace: Workspace, plan: str = "", *, drop: bool = False) -> Compaction:
    """Merge small parts; call only under the workspace's lock.

    Args:
        workspace: Whose parts.
        plan: Only parts of this plan digest; empty: of every plan.
        drop: Leave out rows that no dataset of the workspace refers to, save those of runs that were cut
            short. Without it every row is kept that any scan might ask for again.

    Raises:
        WorkspaceError: Something cannot be written; nothing is lost, and the next call goes on.
    """
    collected, freed = collect(workspace)
    merged = made = dropped = listings = 0
    with Journal(workspace).record("compact", plan=plan, drop=drop) as run:
        prefixes = {name[:8] for name in part_names(workspace.parts, plan)}
        for prefix in sorted(prefixes):
            work = _Work(workspace, prefix, drop=drop)
            counts = work.run(run.unit)
            merged, made = merged + counts[0], made + counts[1]
            dropped, listings = dropped + counts[2], listings + counts[3]
        run.facts.update(merged=merged, made=made, dropped=dropped, listings=listings)
    return Compaction(merged, made, dropped, listings, collected, freed)


# --------------------------------------------------------------------------------------- retired


def retired(workspace: Workspace) -> dict[str, float]:
    """Parts that were superseded, and when."""
    try:
        data = workspace.read_json(_RETIRED) or {}
        return {str(name): float(when) for name, when in data.items()}
    except (WorkspaceError, AttributeError, TypeError, ValueError):
        return {}  # then they are found superseded again


def unused(workspace: Workspace) -> dict[str, float]:
    """Retired parts that no listing refers to: whoever looks for rows need not look there."""
    waiting = retired(workspace)
    if not waiting:
        return {}
    used = {name for _, listing in all_listings(workspace) for name, _ in listing.parts}
    return {name: when for name, when in waiting.items() if name not in used}


def collect(workspace: Workspace) -> tuple[int, int]:
    """Remove retired parts after their hour; call only under the lock.

    A part that a listing refers to stays, whatever is noted about it.

    Returns:
        Files removed, and their bytes.
    """
    waiting = retired(workspace)
    if not waiting:
        return 0, 0
    now = time.time()
    count = freed = 0
    left: dict[str, float] = {}
    for name, when in unused(workspace).items():
        files = part_files(workspace.parts, name)
        if not files:
            continue
        if now - when < GRACE:
            # After the clock was set back the hour begins again.
            left[name] = min(when, now)
            continue
        for file in files:
            size = file.stat().st_size
            with contextlib.suppress(OSError):
                file.unlink()
                count, freed = count + 1, freed + size
    if left != waiting:
        workspace.write_json(_RETIRED, left)
    return count, freed


# ------------------------------------------------------------------------------------------ merge


class _Work:
    """The compaction of one plan."""

    def __init__(self, workspace: Workspace, prefix: str, *, drop: bool) -> None:
        self.workspace = workspace
        self.folder = workspace.parts
        self.drop = drop
        self.gone = unused(workspace)
        self.listings = [
            (folder, listing)
            for folder, listing in all_listings(workspace)
            if listing.plan[:8] == prefix and (folder / listing.file).is_file()
        ]
        self.vectors = any(len(part_files(self.folder, n)) > 1 for n in part_names(self.folder, prefix))
        self.index = PartIndex(self.folder, prefix, vectors=self.vectors)
        self.prefix = prefix

    def run(self, told: Callable[[str, int], None]) -> tuple[int, int, int, int]:
        """Merged, made, dropped, listings."""
        self.index.load(trusted_parts(self.workspace), skip=self.gone)
        keep = self._keep()
        sources = [at for at, mask in enumerate(keep) if self._is_source(mask)]
        worth = [at for at in sources if keep[at].any()]
        if len(worth) == 1 and keep[worth[0]].all():
            sources.remove(worth[0])  # one small part alone stays as it is
            worth = []
        if not sources:
            return 0, 0, 0, 0
        rows = sum(len(keep[at]) for at in sources)
        kept = sum(int(keep[at].sum()) for at in sources)
        made = list(self._write(worth, keep, told))
        names = {self.index.names[at] for at in sources}
        replaced = names - set(made)
        after = PartIndex(self.folder, self.prefix, vectors=self.vectors)
        after.load({*self.index.names, *made}, skip={*self.gone, *replaced})
        touched = [
            (folder, listing)
            for folder, listing in self.listings
            # Where a part is missing the next scan makes the listing anew; until then its other parts stay.
            if names & (parts := {name for name, _ in listing.parts}) and parts <= set(self.index.names)
        ]
        for folder, listing in touched:
            self._relist(folder, listing, after)
        now = time.time()
        self.workspace.write_json(_RETIRED, {**self.gone, **dict.fromkeys(sorted(replaced), now)})
        return len(replaced), len(made), rows - kept, len(touched)

    def _keep(self) -> list[NDArray[np.bool_]]:
        """For each part, the rows that live on."""
        keep = [self.index.newest(at) for at in range(len(self.index.names))]
        if not self.drop:
            return keep
        pending = unfinished(Journal(self.workspace).runs())
        wanted = [np.full(len(mask), self.index.run(at) in pending) for at, mask in enumerate(keep)]
        for part, row in self._referred():
            for at in np.unique(part[part >= 0]):
                wanted[at][row[part == at]] = True
        return [mask & want for mask, want in zip(keep, wanted, strict=True)]

    def _referred(self) -> Iterator[tuple[NDArray[np.int32], NDArray[np.int32]]]:
        """Every listed row as the index knows it (a row and its newer twin are the same image)."""
        for folder, listing in self.listings:
            for keys, _ in self._keys(folder, listing):
                yield self.index.find(keys)[:2]

    def _keys(self, folder: Path, listing: Listing) -> Iterator[tuple[bytes, pa.RecordBatch]]:
        """Batches of a listing with the keys of their rows, concatenated; zeros where a part is missing."""
        position = {name: at for at, name in enumerate(self.index.names)}
        known = [position.get(name, -1) for name, _ in listing.parts]
        for batch in listing_batches(folder / listing.file, 65536, keep=True):
            part, row = batch.column("part").to_numpy(), batch.column("row").to_numpy()
            keys = np.zeros(len(part), f"S{KEY_BYTES}")
            for number in np.unique(part):
                if (at := known[number]) >= 0:
                    keys[part == number] = self.index.keys(at)[row[part == number]]
            yield keys.tobytes(), batch

    def _is_source(self, mask: NDArray[np.bool_]) -> bool:
        dead = len(mask) - int(mask.sum())
        small = len(mask) < SMALL_ROWS
        return small or dead == len(mask) or (self.drop and dead > _DEAD * len(mask))

    def _write(
        self, sources: list[int], keep: list[NDArray[np.bool_]], told: Callable[[str, int], None]
    ) -> Iterator[str]:
        """Write the merged parts, rows in the order of their places, and check each before it counts."""
        import pyarrow as pa
        import pyarrow.compute as pc

        if not sources:
            return
        places = [read_part(self.folder, self.index.names[at], ["place"]).column(0) for at in sources]
        masks = [keep[at] for at in sources]
        kept = [column.filter(pa.array(mask)) for column, mask in zip(places, masks, strict=True)]
        joined = pa.chunked_array([chunk for column in kept for chunk in column.chunks], pa.string())
        order = pc.sort_indices(joined).to_numpy()
        part = np.concatenate([np.full(int(m.sum()), i) for i, m in enumerate(masks)])[order]
        row = np.concatenate([np.flatnonzero(mask) for mask in masks])[order]
        reader = _Reader(self.folder, [self.index.names[at] for at in sources])
        newest = max(self.index.run(at) for at in sources)
        for begin in range(0, len(order), MERGED_ROWS):
            chosen = slice(begin, begin + MERGED_ROWS)
            core = reader.take(part[chosen], row[chosen], vectors=False)
            vectors = reader.take(part[chosen], row[chosen], vectors=True) if self.vectors else None
            digest = hashlib.sha256(b"".join(core.column("key").to_pylist())).hexdigest()[:16]
            name = f"{self.prefix}-m{digest}"
            write_part(self.folder, name, core, vectors, newest)
            if fault := check_part(self.folder, name):
                raise WorkspaceError(f"part {fault}: written, and read back damaged", hint="check the disk")
            told(name, core.num_rows)
            yield name

    def _relist(self, folder: Path, listing: Listing, after: PartIndex) -> None:
        """The same listing, its rows found where they lie now."""
        writer = ListingWriter(self.workspace, folder, listing.uri, listing.plan, listing.digest)
        used: dict[int, int] = {}
        passing = 0
        try:
            for keys, batch in self._keys(folder, listing):
                part, row, readable = after.find(keys)
                if (part < 0).any():
                    raise WorkspaceError(f"{folder}: a row was not found again", hint="genepool scan PATH")
                passing += int(after.pending(keys).sum())
                for at in np.unique(part).tolist():
                    used.setdefault(at, len(used))
                number = np.array([used[at] for at in part.tolist()], np.int32)
                mark = batch.column("mark").to_numpy()
                writer.add(batch.column("uri").to_pylist(), number, row, readable, mark)
            writer.finish(
                [after.names[at] for at in used],
                listing.columns,
                listing.vectors,
                listing.aside,
                failures=listing.failures,
                passing=passing,
                remarks=listing.remarks,
                run=listing.run,
            )
        except BaseException:
            writer.discard()
            raise


class _Reader:
    """Rows out of several parts; the last tables are kept, since neighbours lie together."""

    def __init__(self, folder: Path, names: list[str]) -> None:
        self.folder = folder
        self.names = names
        self._kept: OrderedDict[tuple[int, bool], tuple[pa.Table, int]] = OrderedDict()
        self._held = 0

    def take(self, part: NDArray[np.int64], row: NDArray[np.int64], *, vectors: bool) -> pa.Table:
        """These rows, in this order."""
        return gathered(part, row, lambda number: self._table(number, vectors)).combine_chunks()

    def _table(self, number: int, vectors: bool) -> pa.Table:
        key = (number, vectors)
        if key not in self._kept:
            table = _whole(self.folder, self.names[number], vectors).replace_schema_metadata(None)
            size = table.nbytes  # asked once: counting buffers takes longer than copying rows
            self._kept[key] = table, size
            self._held += size
            while len(self._kept) > 1 and self._held > _CACHE:
                self._held -= self._kept.popitem(last=False)[1][1]
        self._kept.move_to_end(key)
        return self._kept[key][0]


def _whole(folder: Path, name: str, vectors: bool) -> pa.Table:
    import pyarrow.parquet as pq

    path = folder / (f"{name}.vec.parquet" if vectors else f"{name}.parquet")
    columns = list(pq.read_schema(path).names)
    if not vectors and columns[: len(CORE_COLUMNS)] != list(CORE_COLUMNS):
        raise WorkspaceError(f"part {path}: expected the core columns, found {columns[:3]} …")
    return read_part(folder, name, columns, vectors=vectors)
