"""Rows out of many parts, in the order asked for; each part is opened once for a batch."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from genepool.store._columns import positions
from genepool.store._parts import read_part

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Gather", "gathered"]

_CACHE = 16


class Gather:
    """Reads columns of parts and remembers the last few: consecutive batches share one.

    Args:
        folder: Where parts lie.
        name: Number of a part in the listing → its name.
    """

    def __init__(self, folder: Path, name: Callable[[int], str]) -> None:
        self._folder = folder
        self._name = name
        self._cache: OrderedDict[tuple[Any, ...], pa.Table] = OrderedDict()

    def rows(
        self,
        part: NDArray[np.int32],
        row: NDArray[np.int32],
        names: tuple[str, ...],
        *,
        vectors: bool = False,
    ) -> pa.Table:
        """The columns ``names`` of these rows.

        Args:
            part: ``(k,)``, numbers of their parts.
            row: ``(k,)``, where they are in those.
            names: Columns, or vectors.
            vectors: ``names`` are vectors.

        Raises:
            WorkspaceError: A part is missing or damaged.
        """
        return gathered(part, row, lambda number: self._part(number, names, vectors))

    def _part(self, number: int, names: tuple[str, ...], vectors: bool) -> pa.Table:
        key = (number, names, vectors)
        if key in self._cache:
            self._cache.move_to_end(key)
            return self._cache[key]
        table = read_part(self._folder, self._name(number), names, vectors=vectors)
        self._cache[key] = table
        while len(self._cache) > _CACHE:
            self._cache.popitem(last=False)
        return table


def gathered(part: NDArray[Any], row: NDArray[Any], table: Callable[[int], pa.Table]) -> pa.Table:
    """Rows ``(k,)`` of parts ``(k,)``, in the order asked for; ``table`` is asked once for each part."""
    import pyarrow as pa

    order = np.argsort(part, kind="stable")
    groups = np.split(order, np.flatnonzero(np.diff(part[order])) + 1)
    joined = pa.concat_tables([_taken(table(int(part[group[0]])), row[group]) for group in groups])
    if np.array_equal(order, np.arange(len(order))):
        return joined
    back = np.empty_like(order)
    back[order] = np.arange(len(order))
    return joined.take(positions(back))


def _taken(table: pa.Table, rows: NDArray[Any]) -> pa.Table:
    first, count = int(rows[0]), len(rows)
    # After the scan's compaction the rows of a part lie as the listing wants them: nothing need be copied.
    if first + count <= table.num_rows and np.array_equal(rows, np.arange(first, first + count)):
        return table.slice(first, count)
    return table.take(positions(rows))
