"""Parquet tables that hold images: row groups are streamed, a file is never held whole.

The image column is the one that the Hugging Face schema calls ``Image``, else a ``struct<bytes, path>``,
else a binary column with a telling name, else the only binary column.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from genepool.dataset._files import (
    MAX_BYTES,
    Refused,
    Unreachable,
    is_url,
    join,
    read_file,
    refusal,
    unlisted,
    watched,
)
from genepool.dataset._patterns import expand
from genepool.dataset._rows import Rows, TableProblem, opened
from genepool.dataset._sidecar import caption_text, flat_claims
from genepool.records import Case, Item, Sample

__all__ = ["ParquetSource"]


@dataclass(slots=True, unsafe_hash=True)
class ParquetSource:
    """Parquet files with image bytes in a column.

    Attributes:
        patterns: Paths or URLs of files, brace or glob patterns, or one folder that is searched.
        uri: The dataset's name; empty = the only pattern.
        anywhere: Whether a row may name its image by any local path (tables that this process wrote).
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
        try:
            yield from _listed(self.patterns, aside)
        except Unreachable as error:
            raise unlisted(self.uri, error) from None

    def read(self, items: Sequence[Item]) -> Iterator[Sample]:
        """The images of these rows with captions and claims, in order; see `Source.read`."""
        for path, group in itertools.groupby(items, key=lambda item: item.path):
            yield from self._rows(path, list(group))

    def _rows(self, path: str, items: Sequence[Item]) -> Iterator[Sample]:
        done = 0
        try:
            with opened(path) as table:
                for item in items:
                    done += 1
                    yield self._one(table, item)
            return
        except TableProblem as error:
            problem = ("unreadable", error.message)
        except OSError as error:
            problem = refusal(error)
        for item in items[done:]:
            yield Sample(item, None, case=Case(item.uri, *problem))

    def _one(self, table: Rows, item: Item) -> Sample:
        if is_url(item.path) and not item.stamp.startswith(f"{table.stamp}:"):
            message = "expected the table as it was listed; it was replaced since"
            return Sample(item, None, case=Case(item.uri, "changed", message))
        try:
            with watched():
                values = table.row(item.row)
        except Unreachable as error:
            return Sample(item, None, case=Case(item.uri, *refusal(error)))
        except TableProblem as error:
            # Other row groups may be whole.
            return Sample(item, None, case=Case(item.uri, "unreadable", error.message))
        return _gone(item) if values is None else self._sample(item, values)

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


def _listed(patterns: tuple[str, ...], aside: list[Case]) -> Iterator[Item]:
    for name, path in expand(patterns, (".parquet",)):
        try:
            table = Rows(path)
            table.close()
        except TableProblem as problem:
            aside.append(Case(name, "unreadable", problem.message))
            continue
        except Unreachable:
            raise
        except OSError as error:
            aside.append(Case(name, "unreadable", refusal(error)[1]))
            continue
        columns = table.columns
        if not columns:
            aside.append(Case(name, "no-image-column", "expected a column of image bytes, found none"))
            continue
        for other in columns[1:]:
            message = f"only column `{columns[0].name}` is read; the images of `{other.name}` are not"
            aside.append(Case(f"{name}#{other.name}", "column-ignored", message))
        for row in range(table.n):
            yield Item(f"{name}#{row}", f"{table.stamp}:{row}", path, row=row)


def _gone(item: Item) -> Sample:
    message = f"expected row {item.row}, the table has become shorter"
    return Sample(item, None, case=Case(item.uri, "vanished", message))
