"""Stages that are ready to use: meet by key, join, count."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

__all__ = ["ByKey", "CountRows", "Joined", "SumCounts", "partition_of"]


def partition_of(column: Any, partitions: int) -> NDArray[np.int64]:
    """Partition of each value, the same in every process and on every machine; equal values meet.

    Args:
        column: Arrow array of fixed-size binary, integers, text or bytes, or a NumPy array of integers or of
            shape ``(n, width)`` uint8. Nulls all go to partition 0.
        partitions: How many.
    """
    import numpy as np

    words = _words(column)
    mixed = np.full(len(words), 0x9E3779B97F4A7C15, np.uint64)
    for word in words.T:
        # The finaliser of splitmix64 (Steele, Lea, Flood 2014): every bit of the value moves every bit.
        mixed ^= word
        mixed ^= mixed >> np.uint64(30)
        mixed *= np.uint64(0xBF58476D1CE4E5B9)
        mixed ^= mixed >> np.uint64(27)
        mixed *= np.uint64(0x94D049BB133111EB)
        mixed ^= mixed >> np.uint64(31)
    found: NDArray[np.int64] = (mixed % np.uint64(partitions)).astype(np.int64)
    if not isinstance(column, np.ndarray) and column.null_count:
        found[np.asarray(column.is_null())] = 0
    return found


def fixed(column: Any) -> NDArray[np.uint8]:
    """``(n, width)`` bytes of an Arrow column of fixed-size binary without nulls."""
    import numpy as np
    import pyarrow as pa

    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    width = column.type.byte_width
    data = np.frombuffer(column.buffers()[1] or b"", np.uint8)
    return data[column.offset * width : (column.offset + len(column)) * width].reshape(-1, width)


def _words(column: Any) -> NDArray[np.uint64]:
    """``(n, k)`` words that are equal where the values are."""
    import numpy as np
    import pyarrow as pa

    if isinstance(column, np.ndarray):
        if column.ndim == 1:
            return column.astype(np.int64).view(np.uint64).reshape(-1, 1)
        wide = np.zeros((len(column), -(-column.shape[1] // 8) * 8), np.uint8)
        wide[:, : column.shape[1]] = column
        return wide.view(np.uint64)
    if pa.types.is_integer(column.type):
        return _words(column.fill_null(0).to_numpy())
    if pa.types.is_fixed_size_binary(column.type) and not column.null_count:
        return _words(fixed(column))
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    coded = column.dictionary_encode()
    values = [v.encode("utf-8") if isinstance(v, str) else bytes(v) for v in coded.dictionary.to_pylist()]
    digests = b"".join(hashlib.blake2b(value, digest_size=8).digest() for value in values) or bytes(8)
    table = np.frombuffer(digests, np.uint64).reshape(-1, 1)
    words: NDArray[np.uint64] = table[coded.indices.fill_null(0).to_numpy()]
    return words


class ByKey:
    """Spread by the values of some columns.

    Args:
        keys: Names of columns; rows that agree in all of them meet.
        partitions: How many.
    """

    def __init__(self, keys: Sequence[str], partitions: int) -> None:
        self.keys = tuple(keys)
        self.partitions = partitions

    def __call__(self, name: str, table: pa.Table) -> Iterator[tuple[pa.Table, NDArray[np.int64]]]:
        """See `genepool.engine.Spread`."""
        import numpy as np

        parts = np.zeros(table.num_rows, np.int64)
        for key in self.keys:
            parts = (31 * parts + partition_of(table.column(key), self.partitions)) % self.partitions
        yield table, parts


class Joined:
    """Merge: join of the inputs ``left`` and ``right`` on equal keys, after `ByKey`.

    Args:
        keys: Names of the columns.
        how: ``inner``, ``left outer``, ``left semi``, ``left anti`` …, as Arrow calls them.
        left, right: The inputs' schemas, for partitions in which one has no rows.
    """

    def __init__(self, keys: Sequence[str], how: str, left: pa.Schema, right: pa.Schema) -> None:
        self.keys = list(keys)
        self.how = how
        self.left = left
        self.right = right

    def __call__(self, partition: int, tables: Mapping[str, pa.Table]) -> pa.Table:
        """See `genepool.engine.Merge`."""
        left = tables.get("left", self.left.empty_table())
        right = tables.get("right", self.right.empty_table())
        return left.join(right, keys=self.keys, join_type=self.how, use_threads=False)


class CountRows:
    """Spread of a histogram: rows per value of some columns, counted by file, to be merged by `SumCounts`.

    Args:
        keys: Names of the columns.
        partitions: How many.
    """

    def __init__(self, keys: Sequence[str], partitions: int) -> None:
        self.keys = list(keys)
        self.partitions = partitions

    def __call__(self, name: str, table: pa.Table) -> Iterator[tuple[pa.Table, NDArray[np.int64]]]:
        """See `genepool.engine.Spread`."""
        counted = table.group_by(self.keys, use_threads=False).aggregate([([], "count_all")])
        return ByKey(self.keys, self.partitions)(name, counted.rename_columns([*self.keys, "n"]))


class SumCounts:
    """Merge of a histogram: the keys, sorted, and ``n``.

    Args:
        keys: Names of the columns.
    """

    def __init__(self, keys: Sequence[str]) -> None:
        self.keys = list(keys)

    def __call__(self, partition: int, tables: Mapping[str, pa.Table]) -> pa.Table:
        """See `genepool.engine.Merge`."""
        (table,) = tables.values()
        summed = table.group_by(self.keys, use_threads=False).aggregate([("n", "sum")])
        return summed.rename_columns([*self.keys, "n"]).sort_by([(key, "ascending") for key in self.keys])
