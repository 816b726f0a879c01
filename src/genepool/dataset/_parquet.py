"""Parquet tables that hold images: row groups are streamed, a file is never held whole.

The image column is the one that the Hugging Face schema calls ``Image``, else a ``struct<bytes, path>``,
else a binary column with a telling name, else the only binary column.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from genepool.dataset._files import MAX_BYTES, Refused, is_url, join, open_file, read_file, refusal, stat_of
from genepool.dataset._patterns import expand
from genepool.dataset._sidecar import caption_text, flat_claims
from genepool.records import Case, Item, Sample

__all__ = ["ParquetSource", "image_columns"]

_BATCH = 16
_NAMES = ("image", "img", "images", "jpg", "jpeg", "png", "webp", "bytes", "image_bytes", "content", "data")
_TEXT_COLUMNS = (
    "caption", "text", "prompt", "txt", "genepool", "source", "artist", "style", "license", "origin",
)  # fmt: skip


class _Column(NamedTuple):
    """An image column, its leaf column of bytes, and its leaf column of paths, if any."""

    name: str
    bytes_at: str
    path_at: str


@dataclass(slots=True, unsafe_hash=True)
class ParquetSource:
    """Parquet files with image bytes in a column.

    Attributes:
        patterns: Paths or URLs of files, brace or glob patterns, or folders that are searched for
        ``.parquet``.
        uri: The dataset's name; empty = the only pattern.
        anywhere: Whether a row may name its image by an absolute path (tables that this process wrote
        itself).
        max_bytes: Images larger than this are refused.
        kind: ``parquet``.
    """

    patterns: tuple[str, ...]
    uri: str = ""
    anywhere: bool = False
    max_bytes: int = MAX_BYTES
    kind: str = "parquet"

    def __post_init__(self) -> None:
        self.uri = self.uri or ",".join(self.patterns)

    def list(self, aside: list[Case]) -> Iterator[Item]:
        """One item per row, in file and row order, from the files' footers alone; see `Source.list`.

        Raises:
            SourceError: A pattern names nothing.
        """
        for name, path in expand(self.patterns, (".parquet",)):
            try:
                stamp = stat_of(path).stamp
                with _open(path) as table:
                    columns = image_columns(table.schema_arrow)
                    rows = table.metadata.num_rows
            except _Unreadable as error:
                aside.append(Case(name, "unreadable", error.message))
                continue
            except OSError as error:
                aside.append(Case(name, "unreadable", refusal(error)[1]))
                continue
            if not columns:
                aside.append(Case(name, "no-image-column", "expected a column of image bytes, found none"))
                continue
            for other in columns[1:]:
                message = f"only column `{columns[0].name}` is read; the images of `{other.name}` are not"
                aside.append(Case(f"{name}#{other.name}", "column-ignored", message))
            for row in range(rows):
                yield Item(f"{name}#{row}", f"{stamp}:{row}", path, row=row)

    def read(self, items: Sequence[Item]) -> Iterator[Sample]:
        """The images of these rows with captions and claims, in order; see `Source.read`."""
        start = 0
        while start < len(items):
            stop = start + 1
            while (
                stop < len(items)
                and items[stop].path == items[start].path
                and items[stop].row > items[stop - 1].row
            ):
                stop += 1
            yield from self._rows(items[start:stop])
            start = stop

    def _rows(self, items: Sequence[Item]) -> Iterator[Sample]:
        """Items of one file in ascending row order."""
        done = 0
        try:
            with _open(items[0].path) as table:
                for row, values in _stream(table, [item.row for item in items]):
                    item = items[done]
                    while item.row < row:
                        yield _gone(item)
                        done += 1
                        item = items[done]
                    done += 1
                    yield self._sample(item, values)
            for item in items[done:]:
                done += 1
                yield _gone(item)
        except _Unreadable as error:
            problem = ("unreadable", error.message)
        except OSError as error:
            problem = refusal(error)
        else:
            return
        for item in items[done:]:
            yield Sample(item, None, case=Case(item.uri, *problem))

    def _sample(self, item: Item, values: dict[str, Any]) -> Sample:
        declared, caption, wrong = flat_claims(values)
        if caption is None:
            caption = caption_text(values.get("txt"))
        caption = caption_text(declared.get("caption")) or caption
        try:
            data = self._image(item, values)
        except Refused as refused:
            return Sample(
                item, None, caption, declared or None, Case(item.uri, refused.reason, refused.message)
            )
        except (OSError, ValueError) as error:
            reason, message = refusal(error if isinstance(error, OSError) else OSError(str(error)))
            return Sample(item, None, caption, declared or None, Case(item.uri, reason, message))
        case = Case(item.uri, "bad-sidecar", f"column `genepool`: {wrong[0]}") if wrong else None
        return Sample(item, data, caption, declared or None, case)

    def _image(self, item: Item, values: dict[str, Any]) -> bytes:
        data, path = values.get("\0bytes"), values.get("\0path")
        if data is not None:
            if not data:
                raise Refused("empty", "expected an image, found 0 bytes")
            if len(data) > self.max_bytes:
                raise Refused("too-large", f"expected at most {self.max_bytes} bytes, found {len(data)}")
            return bytes(data)
        if not path:
            raise Refused("empty", "expected an image, found null")
        return read_file(self._place(item.path, path), self.max_bytes)

    def _place(self, table: str, path: str) -> str:
        """Where an image lies that a row only names. A stranger's table may not reach outside its folder."""
        if self.anywhere and not is_url(path):
            return path
        folder = table.rpartition("/")[0]
        place = join(folder, path)
        inside = not is_url(path) and not path.startswith("/") and ".." not in path.split("/")
        if inside and not is_url(table):
            real = os.path.realpath(folder)
            inside = os.path.realpath(place).startswith(real.rstrip("/") + "/")
        if not inside:
            raise Refused(
                "link-outside", f"expected a file in the table's folder, the row names {path[:200]!r}"
            )
        return place


class _Unreadable(Exception):
    """Something that Arrow cannot read, in words."""

    def __init__(self, error: Exception) -> None:
        super().__init__(str(error))
        self.message = f"not a readable Parquet file: {str(error).partition(chr(10))[0][:200]}"


@contextlib.contextmanager
def _open(path: str) -> Iterator[Any]:
    """A `pyarrow.parquet.ParquetFile` that reads ahead by little.

    Raises:
        OSError: The file cannot be opened.
        _Unreadable: Arrow cannot make sense of it, also later, inside the block.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    with open_file(path) as stream:
        try:
            with pq.ParquetFile(stream, buffer_size=1 << 18, pre_buffer=False) as table:
                yield table
        except (pa.ArrowException, OSError, ValueError, KeyError) as error:
            raise _Unreadable(error) from None


def image_columns(schema: Any) -> list[_Column]:
    """The columns of an Arrow schema that hold images, the best first."""
    import orjson

    features: dict[str, Any] = {}
    with contextlib.suppress(orjson.JSONDecodeError, AttributeError, TypeError):
        info = orjson.loads((schema.metadata or {}).get(b"huggingface", b"{}"))
        features = dict(info.get("info", {}).get("features", {}))
    ranked: list[tuple[bool, int, int, _Column]] = []
    for index, field in enumerate(schema):
        feature = features.get(field.name)
        named = isinstance(feature, dict) and feature.get("_type") == "Image"
        column = _image_column(field, named=named or field.name.lower() in _NAMES)
        if column is not None:
            name = field.name.lower()
            ranked.append((not named, _NAMES.index(name) if name in _NAMES else 99, index, column))
    if not ranked:
        only = [field.name for field in schema if _is_binary(field.type)]
        return [_Column(only[0], only[0], "")] if len(only) == 1 else []
    return [column for *_, column in sorted(ranked)]


def _is_binary(kind: Any) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def _image_column(field: Any, *, named: bool) -> _Column | None:
    """A column that can hold images, ``named`` being whether its name or the schema says that it does."""
    import pyarrow as pa

    if pa.types.is_struct(field.type):
        inner = {part.name: part.type for part in field.type}
        if "bytes" in inner and _is_binary(inner["bytes"]):
            path = f"{field.name}.path" if pa.types.is_string(inner.get("path", pa.null())) else ""
            return _Column(field.name, f"{field.name}.bytes", path)
    elif named and _is_binary(field.type):
        return _Column(field.name, field.name, "")
    return None


def _stream(table: Any, rows: Sequence[int]) -> Iterator[tuple[int, dict[str, Any]]]:
    """The wanted rows (ascending) of a table, as (row, values); the image itself under keys with a NUL."""
    schema = table.schema_arrow
    columns = image_columns(schema)
    if not columns:
        return
    image = columns[0]
    texts = [name for name in _TEXT_COLUMNS if name in schema.names and name != image.name]
    leaves = [image.bytes_at, *([image.path_at] if image.path_at else []), *texts]
    first, wanted = 0, 0
    for group in range(table.metadata.num_row_groups):
        n = table.metadata.row_group(group).num_rows
        if wanted < len(rows) and rows[wanted] < first + n:
            position = first
            for batch in table.iter_batches(_BATCH, row_groups=[group], columns=leaves, use_threads=False):
                while wanted < len(rows) and rows[wanted] < position + batch.num_rows:
                    yield rows[wanted], _values(batch, rows[wanted] - position, image, texts)
                    wanted += 1
                position += batch.num_rows
                if wanted >= len(rows) or rows[wanted] >= first + n:
                    break
        first += n


def _values(batch: Any, at: int, image: _Column, texts: Sequence[str]) -> dict[str, Any]:
    values: dict[str, Any] = {name: batch.column(name)[at].as_py() for name in texts}
    whole = batch.column(image.name)[at].as_py()
    if isinstance(whole, dict):
        values["\0bytes"], values["\0path"] = whole.get("bytes"), whole.get("path")
    else:
        values["\0bytes"] = whole
    return values


def _gone(item: Item) -> Sample:
    return Sample(
        item, None, case=Case(item.uri, "vanished", f"expected row {item.row}, the table has become shorter")
    )
