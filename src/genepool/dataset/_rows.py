"""Reading rows of a Parquet file by number without holding more of it than a page.

Parquet cannot seek inside a row group: what stands before a row has to be decoded. The place that was
reached is therefore kept between two calls in one process, so that consecutive units of work read a file
once and not once per unit.
"""

from __future__ import annotations

import bisect
import contextlib
from collections.abc import Iterator
from typing import Any, NamedTuple

from genepool.dataset._files import Unreachable, open_file, stat_of

__all__ = ["Column", "Rows", "TableProblem", "image_columns", "opened"]

_BATCH = 16
_NAMES = ("image", "img", "images", "jpg", "jpeg", "png", "webp", "bytes", "image_bytes", "content", "data")
_TEXT_COLUMNS = (
    "caption", "text", "prompt", "txt", "genepool", "source", "artist", "style", "license", "origin",
)  # fmt: skip


class TableProblem(Exception):
    """Something that Arrow cannot read, in words. Never leaves this room."""

    def __init__(self, error: Exception) -> None:
        super().__init__(str(error))
        self.message = f"not a readable Parquet file: {str(error).partition(chr(10))[0][:200]}"


class Column(NamedTuple):
    """An image column, its leaf column of bytes, and its leaf column of paths, if any."""

    name: str
    bytes_at: str
    path_at: str


class Rows:
    """One open Parquet file. Close it."""

    def __init__(self, path: str) -> None:
        """Open a file and read its footer.

        Raises:
            OSError: The file cannot be opened.
            TableProblem: It is not Parquet.
        """
        import pyarrow.parquet as pq

        self.path = path
        self.stamp = stat_of(path).stamp
        self._stream = open_file(path)
        try:
            with _explained():
                self._table = pq.ParquetFile(self._stream, buffer_size=1 << 18, pre_buffer=False)
                self.columns = image_columns(self._table.schema_arrow)
                meta = self._table.metadata
                sizes = [meta.row_group(group).num_rows for group in range(meta.num_row_groups)]
        except BaseException:
            self._stream.close()
            raise
        self._ends = [sum(sizes[: group + 1]) for group in range(len(sizes))]
        self.n = self._ends[-1] if sizes else 0
        self._texts = [name for name in _TEXT_COLUMNS if name in self._table.schema_arrow.names]
        self._batches: Iterator[Any] = iter(())
        self._batch: Any = None
        self._start = self._stop = 0
        self._group_end = 0
        self._last = -1

    def close(self) -> None:
        """Let go of the file and of what was read ahead."""
        import pyarrow as pa

        self._batches, self._batch = iter(()), None
        self._table.close()
        self._stream.close()
        # Pages of images are large; without this the allocator keeps them for the worker's lifetime.
        pa.default_memory_pool().release_unused()

    @property
    def unfinished(self) -> bool:
        """Whether a row group has been entered and not yet been read to its end."""
        return self._last + 1 < self._group_end

    def row(self, number: int) -> dict[str, Any] | None:
        """The texts of a row by column, its image under keys with a NUL; None beyond the end.

        Raises:
            TableProblem: The data are damaged there.
        """
        if not 0 <= number < self.n or not self.columns:
            return None
        with _explained():
            if not self._start <= number < self._group_end:
                self._enter(bisect.bisect_right(self._ends, number))
            try:
                while number >= self._stop:
                    self._batch = next(self._batches)
                    self._start, self._stop = self._stop, self._stop + self._batch.num_rows
            except Unreachable:
                self._start = self._stop = self._group_end = 0  # the next row begins the group anew
                raise
            self._last = number
            return self._values(number - self._start)

    def _enter(self, group: int) -> None:
        image = self.columns[0]
        leaves = [image.bytes_at, *([image.path_at] if image.path_at else []), *self._texts]
        self._start = self._stop = self._ends[group - 1] if group else 0
        self._group_end = self._ends[group]
        self._batches = self._table.iter_batches(
            _BATCH, row_groups=[group], columns=leaves, use_threads=False
        )

    def _values(self, at: int) -> dict[str, Any]:
        image = self.columns[0].name
        values: dict[str, Any] = {n: self._batch.column(n)[at].as_py() for n in self._texts if n != image}
        whole = self._batch.column(image)[at].as_py()
        if isinstance(whole, dict):
            values["\0bytes"], values["\0path"] = whole.get("bytes"), whole.get("path")
        else:
            values["\0bytes"] = whole
        return values


@contextlib.contextmanager
def _explained() -> Iterator[None]:
    import pyarrow as pa

    try:
        yield
    except Unreachable:
        raise
    except (pa.ArrowException, OSError, ValueError, KeyError, StopIteration) as error:
        raise TableProblem(error) from None


_kept: list[Rows] = []


@contextlib.contextmanager
def opened(path: str) -> Iterator[Rows]:
    """An open file, at the place where the last call in this process left it.

    Raises:
        OSError: The file cannot be opened.
        TableProblem: It is not Parquet.
    """
    rows = _kept.pop() if _kept else None
    if rows is not None and (rows.path != path or rows.stamp != stat_of(path).stamp):
        rows.close()
        rows = None
    rows = rows or Rows(path)
    try:
        yield rows
    finally:
        if rows.unfinished and not _kept:
            _kept.append(rows)
        else:
            rows.close()


def image_columns(schema: Any) -> list[Column]:
    """The columns of an Arrow schema that hold images, the best first."""
    import orjson

    features: dict[str, Any] = {}
    with contextlib.suppress(orjson.JSONDecodeError, AttributeError, TypeError):
        info = orjson.loads((schema.metadata or {}).get(b"huggingface", b"{}"))
        features = dict(info.get("info", {}).get("features", {}))
    ranked: list[tuple[bool, int, int, Column]] = []
    for index, field in enumerate(schema):
        feature = features.get(field.name)
        named = isinstance(feature, dict) and feature.get("_type") == "Image"
        column = _image_column(field, named=named or field.name.lower() in _NAMES)
        if column is not None:
            name = field.name.lower()
            ranked.append((not named, _NAMES.index(name) if name in _NAMES else 99, index, column))
    if not ranked:
        only = [field.name for field in schema if _is_binary(field.type)]
        return [Column(only[0], only[0], "")] if len(only) == 1 else []
    return [column for *_, column in sorted(ranked)]


def _is_binary(kind: Any) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def _image_column(field: Any, *, named: bool) -> Column | None:
    """A column that can hold images, ``named`` being whether its name or the schema says that it does."""
    import pyarrow as pa

    if pa.types.is_struct(field.type):
        inner = {part.name: part.type for part in field.type}
        if "bytes" in inner and _is_binary(inner["bytes"]):
            path = f"{field.name}.path" if pa.types.is_string(inner.get("path", pa.null())) else ""
            return Column(field.name, f"{field.name}.bytes", path)
    elif named and _is_binary(field.type):
        return Column(field.name, field.name, "")
    return None
