"""The same copies among more images than fit: equal values and near hashes meet in partitions on disk.

The pairs are those of `genepool.diversity.near_duplicates`: different hashes that agree in a band of 16 bits
lie in the same partition of that band, whole, and are compared there by the same code. What stays in memory
here is one label per image.
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from genepool.diversity._duplicates import (
    BANDS,
    BITS,
    RADIUS,
    band_links,
    components,
    every_pair,
    near_duplicates,
    sorted_rows,
    words_of,
)
from genepool.engine import LocalEngine, Unseen, exchange, fixed, partition_of, write_rows
from genepool.errors import MeasureError

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

    from genepool.records import Engine

__all__ = ["Partitioned"]

_ROWS = 500_000
_SLICES = 200
"""Slices of a band at most: files between the two passes grow with the square of it."""
_WIDTH = BITS // 8
_PREFIX = "genepool-copies-"
_STALE = 86_400.0


class Partitioned:
    """Finds copies partition by partition.

    Args:
        engine: Runs the stages. Where its nodes do not see the folder, they run in processes of this machine.
        folder: Where files may lie meanwhile, about 750 bytes per hash; None: the temporary folder.
        rows: Rows per file and, on average, per partition: what a worker holds at a time. More where there
            would be more than 200 partitions (5 million rows, about 1 GB, at 10^9).
    """

    def __init__(self, engine: Engine, folder: Path | None = None, *, rows: int = _ROWS) -> None:
        self.engine = engine
        self.folder = folder
        self.rows = rows

    def near_duplicates(self, phash: Any, radius: int = RADIUS) -> NDArray[np.int64]:
        """As `genepool.diversity.near_duplicates`, same arguments, same labels."""
        if not 0 <= radius <= 64:
            raise MeasureError(f"near-duplicates: expected a radius of 0 to 64 bits, found {radius}")
        return self._anywhere(lambda engine, place: self._near(engine, place, phash, radius))

    def same(self, values: Any) -> NDArray[np.int64]:
        """Pairs that tie every row to the first one of equal value, ``(2, pairs)``, by the later row.

        Args:
            values: ``(n, 32)`` uint8, or n byte strings of 32 bytes.
        """
        return self._anywhere(lambda engine, place: _ties(self._met(engine, place, values)))

    def _anywhere(self, work: Any) -> NDArray[np.int64]:
        _sweep(Path(self.folder or tempfile.gettempdir()))
        engines: list[Engine] = [self.engine]
        if getattr(self.engine, "name", "") != "local":
            engines.append(LocalEngine(timeout=getattr(self.engine, "timeout", 300.0)))
        for engine in engines:
            stack = contextlib.ExitStack()
            place = Path(tempfile.mkdtemp(prefix=_PREFIX, suffix=".tmp", dir=self.folder))
            try:
                if isinstance(engine, contextlib.AbstractContextManager):
                    stack.enter_context(engine)  # one connection for all stages
                found: NDArray[np.int64] = work(engine, place)
            except Unseen:
                if engine is engines[-1]:
                    raise
            else:
                return found
            finally:
                stack.close()
                shutil.rmtree(place, ignore_errors=True)
        raise AssertionError  # the last engine has answered or raised

    def _near(self, engine: Engine, place: Path, phash: Any, radius: int) -> NDArray[np.int64]:
        n = len(phash)
        forest = _Forest(n)
        met = self._met(engine, place, phash)
        forest.link(*_ties(met))
        different = sum(int((first == row).sum()) for first, row in map(_pairs, met))
        if radius and not every_pair(different):
            slices = -(-different // self._held(n))
            found = exchange(
                engine,
                place / "bands",
                {"rows": met},
                _Bands(slices),
                _Near(slices, radius),
                BANDS * slices,
            )
            for path in found:
                forest.link(*_pairs(path))
        elif radius:
            rows, hashes = _firsts(met)
            labels = near_duplicates(hashes, radius)
            forest.link(rows, rows[_roots(labels)])
        return components(n, *forest.links())

    def _held(self, n: int) -> int:
        """Rows per file: every input file leaves one in every partition, so neither may be many."""
        return max(self.rows, -(-n // _SLICES))

    def _met(self, engine: Engine, place: Path, values: Any) -> list[Path]:
        """Files of ``row``, ``first`` (first row of equal value) and ``value``, every row once."""
        inputs = place / "in"
        inputs.mkdir()
        files, held = [], self._held(len(values))
        for at in range(0, len(values), held):
            words = words_of(values[at : at + held])
            files.append(_write(inputs / f"{at // held:06}.parquet", at, words.view(np.uint8)))
        partitions = max(1, -(-len(values) // held))
        return exchange(engine, place / "equal", {"rows": files}, _Equal(partitions), _First(), partitions)


class _Equal:
    """Equal values meet."""

    def __init__(self, partitions: int) -> None:
        self.partitions = partitions

    def __call__(self, name: str, table: pa.Table) -> Iterator[tuple[pa.Table, NDArray[np.int64]]]:
        yield table, partition_of(table.column("value"), self.partitions)


class _First:
    """The first row of each value."""

    def __call__(self, partition: int, tables: Mapping[str, pa.Table]) -> pa.Table:
        table = tables["rows"]
        # By row first: what is sorted keeps that order among equals.
        table = table.take(np.argsort(table.column("row").to_numpy()))
        row = table.column("row").to_numpy()
        order, fresh = sorted_rows(words_of(fixed(table.column("value"))))
        first = np.empty_like(row)
        first[order] = row[order[fresh]][np.cumsum(fresh) - 1]
        return table.append_column("first", [first])


class _Bands:
    """Different hashes that agree in a band meet, band by band."""

    def __init__(self, slices: int) -> None:
        self.slices = slices

    def __call__(self, name: str, table: pa.Table) -> Iterator[tuple[pa.Table, NDArray[np.int64]]]:
        different = table.filter(_is_first(table)).select(["row", "value"])
        bands = fixed(different.column("value")).view(np.uint16)
        for band in range(BANDS):
            slot = partition_of(bands[:, band].astype(np.int64), self.slices)
            yield different, band * self.slices + slot


class _Near:
    """Pairs of near hashes in one partition of one band, as a forest: not more rows than there are hashes."""

    def __init__(self, slices: int, radius: int) -> None:
        self.slices = slices
        self.radius = radius

    def __call__(self, partition: int, tables: Mapping[str, pa.Table]) -> pa.Table:
        import pyarrow as pa

        table = tables["rows"]
        row = table.column("row").to_numpy()
        hashes = words_of(fixed(table.column("value")))
        first, second = band_links(hashes, partition // self.slices, self.radius)
        root = _roots(components(len(row), first, second))
        tied = np.flatnonzero(root != np.arange(len(row)))
        return pa.table({"row": row[tied], "first": row[root[tied]]})


class _Forest:
    """Links between n things, held as at most a few n."""

    def __init__(self, n: int) -> None:
        self.n = n
        self.waiting: list[tuple[NDArray[np.int64], NDArray[np.int64]]] = []
        self.count = 0

    def link(self, first: NDArray[np.int64], second: NDArray[np.int64]) -> None:
        self.waiting.append((first, second))
        self.count += len(first)
        if self.count > 2 * self.n + 1_000_000:
            root = _roots(components(self.n, *self.links()))
            tied = np.flatnonzero(root != np.arange(self.n))
            self.waiting, self.count = [(tied, root[tied])], len(tied)

    def links(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        if not self.waiting:
            return np.zeros(0, np.int64), np.zeros(0, np.int64)
        first, second = zip(*self.waiting, strict=True)
        return np.concatenate(first), np.concatenate(second)


def _sweep(folder: Path) -> None:
    """What a killed process left: nothing was written there for a day."""
    for path in folder.glob(f"{_PREFIX}*.tmp"):
        with contextlib.suppress(OSError):
            if time.time() - max(p.stat().st_mtime for p in (path, *path.glob("*/*"))) > _STALE:
                shutil.rmtree(path, ignore_errors=True)


def _roots(labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """The first thing of each thing's component."""
    roots: NDArray[np.int64] = np.unique(labels, return_index=True)[1][labels]
    return roots


def _write(path: Path, at: int, values: NDArray[np.uint8]) -> Path:
    import pyarrow as pa

    column = pa.FixedSizeBinaryArray.from_buffers(
        pa.binary(values.shape[1]), len(values), [None, pa.py_buffer(values)]
    )
    write_rows(path, pa.table({"row": np.arange(at, at + len(values)), "value": column}))
    return path


def _is_first(table: pa.Table) -> Any:
    import pyarrow.compute as pc

    return pc.equal(table.column("row"), table.column("first"))


def _pairs(path: Path) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    import pyarrow.parquet as pq

    table = pq.read_table(path, columns=["first", "row"])
    return table.column("first").to_numpy(), table.column("row").to_numpy()


def _ties(paths: Sequence[Path]) -> NDArray[np.int64]:
    found = [np.zeros((2, 0), np.int64)]
    for first, row in map(_pairs, paths):
        later = first != row
        found.append(np.stack((first[later], row[later])))
    ties = np.concatenate(found, axis=1)
    return ties[:, np.argsort(ties[1], kind="stable")]


def _firsts(paths: Iterable[Path]) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
    """The first row of each value, and its bytes."""
    import pyarrow.parquet as pq

    rows, hashes = [np.zeros(0, np.int64)], [np.zeros((0, _WIDTH), np.uint8)]
    for path in paths:
        table = pq.read_table(path)
        table = table.filter(_is_first(table))
        rows.append(table.column("row").to_numpy())
        hashes.append(fixed(table.column("value")))
    return np.concatenate(rows), np.concatenate(hashes)
