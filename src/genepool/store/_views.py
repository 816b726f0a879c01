"""What a question in SQL sees: the view ``assets`` over parts or over their flat copy, and ``origins``.

Rows lie in parts that several datasets share, so ``assets`` is a join of the listing with many files. From
`LARGE` rows on the first question writes the readable rows once more as one file in the listing's order,
``rows-<listing>``; every later one reads only the columns that it names. Parts stay what counts: the copy can
be removed at any time, and where it cannot be written questions are answered by the join.
"""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from genepool.store._query import quoted
from genepool.store._rownumbers import UNIQUE

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

__all__ = ["LARGE", "ROW_GROUP", "flat_copy", "view_flat", "view_origins", "view_parts"]

LARGE = 50_000
ROW_GROUP = 65_536
_PREFIX = "rows-"


def flat_copy(
    folder: Path, listing: str, batches: Iterable[pa.RecordBatch], schema: pa.Schema
) -> Path | None:
    """The file with all readable rows of a listing, written if need be; None: it cannot be.

    Args:
        folder: The dataset's, which holds the listing.
        listing: File name of the listing; another listing has another name.
        batches: The rows, read only when the file has to be written.
        schema: Of the rows.
    """
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    path = folder / f"{_PREFIX}{listing}"
    if path.is_file():
        return path
    partial = folder / f".{_PREFIX}{secrets.token_hex(4)}.tmp"
    try:
        with pq.ParquetWriter(
            partial, schema, compression="zstd", compression_level=1, write_page_checksum=True
        ) as writer:
            last, unique = None, True
            for batch in batches:
                writer.write_batch(batch)
                uris = batch.column("uri")
                first, *_ = uris[:1].to_pylist()
                unique = unique and first != last and not pc.any(pc.equal(uris[1:], uris[:-1])).as_py()
                last = uris[-1].as_py()
            writer.add_key_value_metadata({UNIQUE: b"yes" if unique else b"no"})
        partial.replace(path)
    except OSError:  # a full disk, a read-only place: the rows can be read all the same
        with contextlib.suppress(OSError):
            partial.unlink()
        return None
    for old in folder.glob(f"{_PREFIX}*"):
        if old != path and not (folder / old.name.removeprefix(_PREFIX)).is_file():
            with contextlib.suppress(OSError):
                old.unlink()
    return path


def view_flat(
    connection: duckdb.DuckDBPyConnection, path: Path, chosen: Iterable[str] | None, *, numbered: bool = False
) -> None:
    """``assets`` over the flat copy; ``numbered``: with the number of the row for the uri."""
    where = _chosen(connection, chosen)
    connection.execute(f"CREATE VIEW assets AS {_rows(path, numbered)} WHERE {where}")


def view_parts(
    connection: duckdb.DuckDBPyConnection,
    listing: Path,
    parts: Sequence[Path],
    columns: Mapping[str, str],
    chosen: Iterable[str] | None,
) -> None:
    """``assets`` over the parts, each row found by the listing."""
    wanted = ", ".join(f'p."{c}"' for c in columns if c != "uri")
    where = _chosen(connection, chosen)
    files = ", ".join(map(quoted, parts))
    connection.execute(
        "CREATE TABLE names AS SELECT unnest(?) AS filename, unnest(?) AS part",
        [[str(p) for p in parts], list(range(len(parts)))],
    )
    connection.execute(
        f"CREATE VIEW assets AS SELECT l.uri, {wanted} FROM "  # noqa: S608
        f"(SELECT * FROM read_parquet({quoted(listing)}) WHERE readable AND {where}) l "
        "JOIN names USING (part) JOIN "
        f"read_parquet([{files}], filename = true, file_row_number = true) p "
        'ON p.filename = names.filename AND p.file_row_number = l."row"'
    )


def view_origins(
    connection: duckdb.DuckDBPyConnection, path: Path, identity: bytes, *, numbered: bool = False
) -> bool:
    """``origins`` over their file; False: they are not there, or of another listing."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        held = pq.read_schema(path).metadata or {}
    except (OSError, pa.ArrowException):
        return False
    if held.get(b"listing") != identity:
        return False
    connection.execute(f"CREATE VIEW origins AS {_rows(path, numbered)}")
    return True


def _rows(path: Path, numbered: bool) -> str:
    if not numbered:
        return f"SELECT * FROM read_parquet({quoted(path)})"  # noqa: S608
    return (
        "SELECT * EXCLUDE (file_row_number) REPLACE (file_row_number AS uri) "  # noqa: S608
        f"FROM read_parquet({quoted(path)}, file_row_number = true)"
    )


def _chosen(connection: duckdb.DuckDBPyConnection, chosen: Iterable[str] | None) -> str:
    if chosen is None:
        return "true"
    connection.execute("CREATE TABLE chosen AS SELECT unnest(?::VARCHAR[]) AS uri", [sorted(chosen)])
    return "uri IN (SELECT uri FROM chosen)"
