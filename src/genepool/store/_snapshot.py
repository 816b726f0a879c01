"""The verdicts' SQLite file as bytes, and back, whoever else has it open."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

from genepool.errors import WorkspaceError
from genepool.store._files import make_folder

__all__ = ["restore", "snapshot"]

_SAME = {18: b"\x01\x01", 24: b"\0\0\0\x01", 40: b"\0\0\0\x01", 92: b"\0\0\0\x01"}
"""Fields of the header that differ between copies of equal content (SQLite file format, section 1.3): the
versions for reading and writing (1: no write-ahead log, which a copy in memory cannot have), the counters of
changes to the file and to the schema, and the change for which the size in the header is valid."""


def snapshot(path: Path) -> bytes:
    """The committed content of a database, write-ahead log included; empty where there is no file.

    Equal contents of one file give equal bytes.

    Raises:
        WorkspaceError: It cannot be read.
    """
    if not path.exists():
        return b""
    try:
        with contextlib.closing(sqlite3.connect(path, timeout=30.0)) as connection:
            data = bytearray(connection.serialize())
    except sqlite3.Error as error:
        raise WorkspaceError(
            f"{path}: verdicts cannot be read: {error}", hint="genepool doctor PATH"
        ) from error
    for offset, value in _SAME.items():
        data[offset : offset + len(value)] = value
    return bytes(data)


def restore(path: Path, data: bytes) -> None:
    """Give a database the content of a snapshot, in one transaction.

    Raises:
        WorkspaceError: It cannot be written, or ``data`` is no database.
    """
    make_folder(path.parent)
    try:
        with (
            contextlib.closing(sqlite3.connect(":memory:")) as source,
            contextlib.closing(sqlite3.connect(path, timeout=30.0)) as target,
        ):
            source.deserialize(data)
            source.backup(target)
    except sqlite3.Error as error:
        raise WorkspaceError(f"{path}: verdicts cannot be written: {error}") from error
