"""DuckDB over the catalogue's files: no extensions, no network, bounded memory."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genepool.errors import UsageError, WorkspaceError

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

MEMORY = "512MB"


@contextlib.contextmanager
def connect(scratch: Path, readable: Sequence[Path] = ()) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection that can read these folders and write nothing but its own spill files.

    Args:
        scratch: Folder for spilling; a sub-folder of it is made when memory is short.
        readable: Folders that queries may read.
    """
    import duckdb

    connection = duckdb.connect(":memory:")
    try:
        # Values with quotes are doubled; these are our own folders, not a stranger's text.
        connection.execute(f"SET temp_directory = {quoted(scratch / '.duckdb.tmp')}")
        connection.execute(f"SET memory_limit = '{MEMORY}'")
        connection.execute("SET autoinstall_known_extensions = false")
        connection.execute("SET autoload_known_extensions = false")
        connection.execute("SET enable_progress_bar = false")
        folders = ", ".join(quoted(folder) for folder in readable)
        connection.execute(f"SET allowed_directories = [{folders}]")
        connection.execute("SET enable_external_access = false")
        connection.execute("SET lock_configuration = true")
        yield connection
    finally:
        connection.close()


def quoted(value: Any) -> str:
    """A string literal of SQL."""
    return "'" + str(value).replace("'", "''") + "'"


def query_assets(connection: duckdb.DuckDBPyConnection, query: str, where: str = "sql") -> pa.Table:
    """Run one query and fetch its result as an Arrow table.

    Raises:
        UsageError: The query is wrong, or asks for what it may not read.
        WorkspaceError: A file behind the view is damaged.
    """
    import duckdb

    try:
        with damage_named(where):
            statements = connection.extract_statements(query)
            if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
                raise UsageError(f"{where}: expected one SELECT, found {query[:80]!r}")
            return connection.sql(query).to_arrow_table()
    except duckdb.Error as error:
        raise UsageError(
            f"{where}: {error}", hint="views: assets, and origins once they are settled"
        ) from error


@contextlib.contextmanager
def damage_named(where: str = "sql") -> Iterator[None]:
    """Say of a file behind a view that it cannot be read.

    Raises:
        WorkspaceError: It cannot.
    """
    import duckdb

    try:
        yield
    except (duckdb.IOException, duckdb.InvalidInputException) as error:
        raise WorkspaceError(
            f"{where}: the catalogue cannot be read: {error}", hint="genepool doctor PATH"
        ) from error


def sort_parquet(path: Path, column: str, scratch: Path) -> None:
    """Sort a Parquet file by one column, in place, spilling to ``scratch`` beyond the memory limit."""
    import duckdb

    target = path.with_name(path.name + ".sorted.tmp")
    try:
        with connect(scratch, [path.parent]) as connection:
            connection.execute(
                f"COPY (SELECT * FROM read_parquet({quoted(path)}) ORDER BY {column}) "  # noqa: S608
                f"TO {quoted(target)} (FORMAT parquet, COMPRESSION zstd)"
            )
        target.replace(path)
    except (duckdb.Error, OSError) as error:
        with contextlib.suppress(OSError):
            target.unlink()
        raise WorkspaceError(
            f"{path}: cannot be sorted: {error}", hint="make room on the disk and run the same command again"
        ) from error
