"""Personal detail beside the log (artists, file names, looks): erasable, bound to entries by salted hashes.

An entry holds ``det`` = SHA-256(32-byte salt ‖ detail). The salt and the detail lie in ``detail.sqlite`` of
the workspace. Once both are deleted, what stays in the log says nothing and cannot be guessed at. The
perceptual hash lies here too (``phash``): it says what a picture looks like, and must be erasable with it.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

import orjson

from genepool.errors import LogError, WorkspaceError

__all__ = ["Sidecar", "commit_details"]

NAME = "detail.sqlite"
_SALT = 32


def commit_details(details: Sequence[Mapping[str, Any]]) -> list[tuple[str, bytes, bytes]]:
    """Salt and hash details.

    Returns:
        ``(det as 64 hex digits, salt, canonical JSON)`` for each.
    """
    salts = os.urandom(_SALT * len(details))
    rows = []
    for number, detail in enumerate(details):
        salt = salts[number * _SALT : (number + 1) * _SALT]
        body = orjson.dumps(detail, option=orjson.OPT_SORT_KEYS)
        rows.append((sha256(salt + body).hexdigest(), salt, body))
    return rows


class Sidecar:
    """The details of one workspace's log.

    Args:
        folder: The workspace's folder (the log lies in ``ledger`` inside it).
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / NAME

    @contextmanager
    def _open(self, write: bool) -> Iterator[sqlite3.Connection]:
        # A writer that was killed leaves a journal; only a connection that may write can roll it back.
        torn = Path(f"{self.path}-journal").exists()
        mode = "rwc" if write else "rw" if torn else "ro"
        try:
            uri = f"{self.path.absolute().as_uri()}?mode={mode}"
            with closing(sqlite3.connect(uri, uri=True, timeout=30)) as connection, connection:
                if write:
                    # Erased means erased: freed pages are overwritten.
                    connection.execute("PRAGMA secure_delete = ON")
                    connection.execute("PRAGMA synchronous = FULL")
                    connection.execute(
                        "CREATE TABLE IF NOT EXISTS detail (det BLOB PRIMARY KEY, salt BLOB NOT NULL, "
                        "body BLOB NOT NULL) WITHOUT ROWID"
                    )
                yield connection
        except sqlite3.Error as error:
            if not write and not isinstance(error, sqlite3.OperationalError):
                raise LogError(
                    f"{self.path}: damaged: {error}", hint="restore it, or remove it to go on without"
                ) from None
            raise WorkspaceError(
                f"{self.path}: the details cannot be {'written' if write else 'read'}: {error}"
            ) from None

    def add(self, rows: Iterable[tuple[str, bytes, bytes]]) -> None:
        """Keep details, durably, as `commit_details` made them.

        Raises:
            WorkspaceError: The file is not writable.
        """
        with self._open(write=True) as connection:
            connection.executemany(
                "INSERT OR IGNORE INTO detail VALUES (?, ?, ?)",
                ((bytes.fromhex(det), salt, body) for det, salt, body in rows),
            )

    def erase(self, dets: Iterable[bytes]) -> int:
        """Delete details for good; returns how many there were.

        Raises:
            WorkspaceError: The file is not writable.
        """
        if not self.path.exists():
            return 0
        with self._open(write=True) as connection:
            return sum(
                connection.execute("DELETE FROM detail WHERE det = ?", (det,)).rowcount for det in dets
            )

    def get(self, det: bytes) -> dict[str, Any] | None:
        """One detail, checked against its commitment; None: erased, or never there.

        Raises:
            LogError: It was changed.
            WorkspaceError: The file cannot be read.
        """
        if not self.path.exists():
            return None
        with self._open(write=False) as connection:
            row = connection.execute("SELECT salt, body FROM detail WHERE det = ?", (det,)).fetchone()
        if row is None:
            return None
        if sha256(row[0] + row[1]).digest() != det:
            raise LogError(f"{self.path}: detail {det.hex()}: does not have the hash that the log holds")
        found: dict[str, Any] = orjson.loads(row[1])
        return found

    def load(self) -> dict[bytes, dict[str, Any]]:
        """Every detail that is still there, by its 32-byte commitment, each checked against it.

        Raises:
            LogError: A detail was changed.
            WorkspaceError: The file cannot be read.
        """
        if not self.path.exists():
            return {}
        found: dict[bytes, dict[str, Any]] = {}
        with self._open(write=False) as connection:
            for det, salt, body in connection.execute("SELECT det, salt, body FROM detail"):
                whole = type(det) is type(salt) is type(body) is bytes
                if not whole or sha256(salt + body).digest() != det:
                    name = det.hex() if whole else repr(det)[:80]
                    raise LogError(f"{self.path}: detail {name}: does not have the hash that the log holds")
                found[det] = orjson.loads(body)
        return found
