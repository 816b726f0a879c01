"""Relational stages beyond memory: rows hash-partitioned into Parquet files, then one partition at a time.

A stage is two passes of an engine over units like any other: the first reads input files and spreads their
rows over partitions by a hash of what has to meet; the second reads one partition whole, computes, and writes
one file. Memory is that of one input file or one partition per worker, however many rows there are.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from genepool.engine._progress import beat
from genepool.errors import EngineError
from genepool.records import Engine, Item, Unit, UnitResult

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

__all__ = ["Merge", "Spread", "exchange", "write_rows"]


class Spread(Protocol):
    """Which partition each row goes to; picklable."""

    def __call__(self, name: str, table: pa.Table) -> Iterable[tuple[pa.Table, NDArray[np.int64]]]:
        """Rows of an input file, as they are to be kept (changed, left out, repeated), and their partitions.

        Args:
            name: Which input it is.
            table: One of its files.
        """


class Merge(Protocol):
    """What is made of one partition; picklable."""

    def __call__(self, partition: int, tables: Mapping[str, pa.Table]) -> pa.Table:
        """Compute from all rows of a partition, one table per input that has rows there.

        The order of rows depends on nothing but the inputs.
        """


def exchange(
    engine: Engine,
    folder: Path,
    inputs: Mapping[str, Sequence[Path]],
    spread: Spread,
    merge: Merge,
    partitions: int,
) -> list[Path]:
    """Run one stage.

    Args:
        engine: ``local`` or ``ray``; on a cluster all nodes must see ``folder``.
        folder: Where the files of this stage go; made, must not hold another stage.
        inputs: Parquet files by name of input; names are letters. Each is read whole by one worker.
        spread: To which partition each row goes.
        merge: What is made of a partition.
        partitions: How many there are.

    Returns:
        One Parquet file per partition that has rows, in order of the partitions.

    Raises:
        EngineError: A worker dies over a file or a partition again and again, out of memory for instance.
    """
    between, out = folder / "between", folder / "out"
    between.mkdir(parents=True)
    out.mkdir()
    first = (
        Unit(f"{name}{i:06}", (Item(f"{name}/{i}", "", str(path), extra=name),), None)  # type: ignore[arg-type]
        for name, paths in inputs.items()
        for i, path in enumerate(paths)
    )
    for _ in engine.run(_SpreadJob(between, spread, partitions), first):
        pass
    full = sorted(int(path.name) for path in between.iterdir())
    second = (Unit(f"{p:06}", (Item(str(p), "", str(between / f"{p:06}")),), None) for p in full)  # type: ignore[arg-type]
    for _ in engine.run(_MergeJob(out, merge), second):
        pass
    shutil.rmtree(between, ignore_errors=True)
    return [out / f"{p:06}.parquet" for p in full]


class _Stage:
    """What both passes share: a folder to write to, and no row that may be set aside."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def prepare(self) -> None:
        """Load what reads and writes."""
        import pyarrow.parquet  # noqa: F401

    def quarantine(self, unit: Unit, reason: str) -> UnitResult:
        """Rows cannot be left out of a join.

        Raises:
            EngineError: Always.
        """
        raise EngineError(
            f"{unit.items[0].path}: cannot be processed: {reason}",
            hint="if memory ran out, use fewer workers",
        )


class _SpreadJob(_Stage):
    def __init__(self, folder: Path, spread: Spread, partitions: int) -> None:
        super().__init__(folder)
        self.spread = spread
        self.partitions = partitions

    def __call__(self, unit: Unit) -> UnitResult:
        import pyarrow.parquet as pq

        (item,) = unit.items
        beat(0)
        table = pq.read_table(item.path)
        for k, (rows, parts) in enumerate(self.spread(item.extra, table)):
            beat(0)
            self._write(f"{unit.id}-{k:04}", rows, parts)
        return UnitResult(unit.id, 1, 0)

    def _write(self, name: str, rows: pa.Table, parts: NDArray[np.int64]) -> None:
        import numpy as np

        most = self.partitions - 1
        if len(parts) != rows.num_rows or (len(parts) and not 0 <= parts.min() <= parts.max() <= most):
            raise EngineError(f"exchange: {rows.num_rows} rows, {len(parts)} partitions, each 0 to {most}")
        order = np.argsort(parts, kind="stable")
        ordered = rows.take(order)
        numbers, starts = np.unique(parts[order], return_index=True)
        ends = np.append(starts[1:], len(parts))
        for number, start, end in zip(numbers.tolist(), starts.tolist(), ends.tolist(), strict=True):
            place = self.folder / f"{number:06}"
            place.mkdir(exist_ok=True)
            write_rows(place / f"{name}.parquet", ordered.slice(start, end - start))


class _MergeJob(_Stage):
    def __init__(self, folder: Path, merge: Merge) -> None:
        super().__init__(folder)
        self.merge = merge

    def __call__(self, unit: Unit) -> UnitResult:
        import pyarrow as pa
        import pyarrow.parquet as pq

        (item,) = unit.items
        beat(0)
        tables: dict[str, list[pa.Table]] = {}
        for path in sorted(Path(item.path).glob("*.parquet")):
            tables.setdefault(re.split(r"\d", path.name)[0], []).append(pq.read_table(path))
        whole = {name: pa.concat_tables(found) for name, found in tables.items()}
        tables.clear()
        write_rows(self.folder / f"{unit.id}.parquet", self.merge(int(item.uri), whole))
        return UnitResult(unit.id, 1, 0)


def write_rows(path: Path, table: pa.Table) -> None:
    """One Parquet file, whole or not at all; uncompressed: hashes and numbers of rows do not shrink.

    Raises:
        EngineError: It cannot be written.
    """
    import pyarrow.parquet as pq

    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        pq.write_table(table, temporary, compression="none", use_dictionary=False, write_statistics=False)
        temporary.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise EngineError(
            f"{path}: cannot be written: {error.strerror or error}", hint="make room and run it again"
        ) from error
