"""The SQLite file that holds what people said: opening, versions, durability, errors."""

from __future__ import annotations

import contextlib
import logging
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from genepool.errors import WorkspaceError
from genepool.store._files import make_folder

if TYPE_CHECKING:
    from genepool.store._workspace import Workspace

VERSION = 3
_FRAMES = 1024
_PUBLISHED = 30.0
"""Seconds between two publications of a server's verdicts."""

_FIRST = """
CREATE TABLE IF NOT EXISTS verdicts (
    id INTEGER PRIMARY KEY,
    sha256 TEXT NOT NULL CHECK (length(sha256) = 64),
    answer TEXT NOT NULL CHECK (answer IN ('human', 'ai', 'unsure')),
    reviewer TEXT NOT NULL,
    at REAL NOT NULL,
    control INTEGER NOT NULL,
    comment TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS verdicts_sha256 ON verdicts (sha256);
"""

# Columns that version 2 added; an older file gets them when it is opened.
_ADDED = {
    "session": "TEXT NOT NULL DEFAULT ''",
    "sequence": "INTEGER NOT NULL DEFAULT -1",
    "seconds": "REAL",
    "uncanny": "INTEGER NOT NULL DEFAULT 0",
    "changed": "INTEGER NOT NULL DEFAULT 0",
    "undo": "INTEGER NOT NULL DEFAULT 0",
    "repeat": "INTEGER NOT NULL DEFAULT 0",
    "token": "TEXT NOT NULL DEFAULT ''",
    "nonce": "TEXT NOT NULL DEFAULT ''",
}

_SECOND = """
CREATE UNIQUE INDEX IF NOT EXISTS verdicts_once ON verdicts (nonce) WHERE nonce <> '';
CREATE INDEX IF NOT EXISTS verdicts_reviewer ON verdicts (reviewer);
CREATE TABLE IF NOT EXISTS draws (
    id INTEGER PRIMARY KEY,
    population TEXT NOT NULL,
    seed TEXT NOT NULL,
    n INTEGER NOT NULL,
    at REAL NOT NULL,
    dataset TEXT NOT NULL,
    leaf INTEGER
);
CREATE TABLE IF NOT EXISTS queue (
    id INTEGER PRIMARY KEY,
    draw INTEGER NOT NULL REFERENCES draws (id),
    position INTEGER NOT NULL,
    sha256 TEXT NOT NULL CHECK (length(sha256) = 64),
    kind TEXT NOT NULL CHECK (kind IN ('image', 'control', 'repeat')),
    reviewer TEXT NOT NULL,
    token TEXT NOT NULL,
    at REAL NOT NULL
);
CREATE UNIQUE INDEX IF NOT EXISTS queue_token ON queue (token) WHERE token <> '';
CREATE INDEX IF NOT EXISTS queue_sha256 ON queue (sha256);
CREATE INDEX IF NOT EXISTS verdicts_token ON verdicts (token) WHERE token <> '';
CREATE INDEX IF NOT EXISTS queue_draw ON queue (draw, position);
CREATE TABLE IF NOT EXISTS seen (token TEXT PRIMARY KEY, at REAL NOT NULL);
CREATE TABLE IF NOT EXISTS controls (
    sha256 TEXT PRIMARY KEY CHECK (length(sha256) = 64),
    truth TEXT NOT NULL CHECK (truth IN ('human', 'ai')),
    source TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS standings (
    id INTEGER PRIMARY KEY,
    reviewer TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('counted', 'quarantined')),
    reason TEXT NOT NULL,
    at REAL NOT NULL
);
CREATE TABLE IF NOT EXISTS votes (
    id INTEGER PRIMARY KEY,
    a TEXT NOT NULL,
    b TEXT NOT NULL,
    outcome TEXT NOT NULL CHECK (outcome IN ('a', 'b', 'tie', 'both_bad')),
    reviewer TEXT NOT NULL,
    at REAL NOT NULL,
    seconds REAL,
    session TEXT NOT NULL DEFAULT '',
    nonce TEXT NOT NULL DEFAULT ''
);
CREATE UNIQUE INDEX IF NOT EXISTS votes_once ON votes (nonce) WHERE nonce <> '';
CREATE TABLE IF NOT EXISTS seals (
    id INTEGER PRIMARY KEY,
    last INTEGER NOT NULL,
    size INTEGER NOT NULL,
    leaf INTEGER
);
"""

# Columns that version 3 added to draws: the smallest digests of the population (whether two draws are of one
# set is told by them), the digest of the scores that the audit may use, and how many draws of the set this
# makes.
_DRAWN = {
    "sketch": "BLOB NOT NULL DEFAULT x''",
    "scores": "TEXT NOT NULL DEFAULT ''",
    "attempt": "INTEGER NOT NULL DEFAULT 1",
}

_THIRD = """
CREATE TABLE IF NOT EXISTS carried (
    id INTEGER PRIMARY KEY,
    reviewer TEXT NOT NULL,
    sha256 TEXT NOT NULL CHECK (length(sha256) = 64),
    truth TEXT NOT NULL CHECK (truth IN ('human', 'ai')),
    answer TEXT NOT NULL CHECK (answer IN ('human', 'ai', 'unsure')),
    at REAL NOT NULL,
    log TEXT NOT NULL,
    UNIQUE (reviewer, sha256)
);
"""

_KEPT = ("verdicts", "votes", "queue", "standings", "seen", "carried")
_TRIGGERS = "".join(
    f"CREATE TRIGGER IF NOT EXISTS {table}_{name} BEFORE {event} ON {table}\n"
    f"    BEGIN SELECT RAISE(ABORT, '{table} are append-only'); END;\n"
    for table in _KEPT
    for name, event in (("keep", "UPDATE"), ("stay", "DELETE"))
)


class ReviewFile:
    """One connection to a workspace's ``reviews.sqlite``, shared by threads.

    Args:
        where: The workspace, or the file itself (created by the first write).
        keep: Keep the file open between calls, for a server; otherwise every read closes it again.

    Write-ahead logging, ``synchronous = FULL``: what was committed survives a power cut. Writers of other
    processes are waited for, up to 30 seconds.
    """

    def __init__(self, where: Workspace | Path | str, *, keep: bool = False) -> None:
        self.path = Path(where) if isinstance(where, (str, Path)) else where.reviews
        # A workspace in an object store hears of what was committed when the file is closed.
        self._remote = None if isinstance(where, (str, Path)) or not where.url else where
        self._unpublished = False
        self._published = time.monotonic()
        self._keep = keep
        self._lock = threading.RLock()
        self._connection: sqlite3.Connection | None = None

    def rows(self, query: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Read; a file that is not there yet holds no rows.

        Raises:
            WorkspaceError: The file is damaged, or a newer genepool's.
        """
        if self._connection is None and not self.path.exists():
            return []
        with self._lock:
            try:
                return self._open(create=False).execute(query, values).fetchall()
            except sqlite3.Error as error:
                raise self._damage(error) from error
            finally:
                # Readers keep no handle: a leaked connection would be reported by the interpreter.
                if not self._keep and not self._writing():
                    self._shut()

    @contextlib.contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Write; everything inside is durable when the block ends, or nothing of it is there.

        Raises:
            WorkspaceError: The file cannot be written.
        """
        with self._lock:
            try:
                connection = self._open(create=True)
                if connection.in_transaction:
                    yield connection
                    return
                connection.execute("BEGIN IMMEDIATE")
                try:
                    yield connection
                except BaseException:
                    connection.rollback()
                    raise
                connection.commit()
                self._unpublished = True
            except sqlite3.Error as error:
                raise self._damage(error) from error

    def check(self) -> list[str]:
        """What SQLite's own integrity check finds; empty when the file is sound or absent."""
        return [f"{self.path}: {row[0]}" for row in self.rows("PRAGMA integrity_check") if row[0] != "ok"]

    def checkpoint(self) -> None:
        """Move what the write-ahead log holds into the file, if nobody is in the way; for servers, often.

        In an object store what was committed is published, twice a minute at most.
        """
        if time.monotonic() - self._published > _PUBLISHED:
            self._publish()
        with self._lock:
            if self._connection is not None and not self._writing():
                try:
                    self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
                except sqlite3.Error as error:
                    raise self._damage(error) from error

    def close(self) -> None:
        """Close the file; the next call opens it again. In an object store what is new is published."""
        self._shut()
        self._publish()

    def _publish(self) -> None:
        if self._remote is None or not self._unpublished:
            return
        self._published = time.monotonic()
        try:
            self._remote.publish()
            self._unpublished = False
        except WorkspaceError as error:
            # The verdicts are safe on this machine; whoever writes here next publishes them.
            logging.getLogger("genepool").warning("verdicts are not in the store yet: %s", error.message)

    def _shut(self) -> None:
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _writing(self) -> bool:
        return self._connection is not None and self._connection.in_transaction

    def _open(self, *, create: bool) -> sqlite3.Connection:
        if self._connection is None:
            if create:
                make_folder(self.path.parent)
            connection = sqlite3.connect(
                self.path, timeout=30.0, check_same_thread=False, isolation_level=None
            )
            self._connection = connection
            connection.execute("PRAGMA journal_mode = WAL")
            # FULL: a committed verdict survives a power cut, not only a crash of the program.
            connection.execute("PRAGMA synchronous = FULL")
            self._migrate(connection)
            if self._keep:
                _lay_out(connection)
        return self._connection

    def _migrate(self, connection: sqlite3.Connection) -> None:
        if self._version(connection) == VERSION:
            return
        connection.execute("BEGIN IMMEDIATE")
        try:
            if self._version(connection) != VERSION:  # another process may have been faster
                for statement in _statements(_FIRST):
                    connection.execute(statement)
                known = {row[1] for row in connection.execute("PRAGMA table_info(verdicts)")}
                for name, kind in _ADDED.items():
                    if name not in known:
                        connection.execute(f"ALTER TABLE verdicts ADD COLUMN {name} {kind}")
                for statement in _statements(_SECOND):
                    connection.execute(statement)
                known = {row[1] for row in connection.execute("PRAGMA table_info(draws)")}
                for name, kind in _DRAWN.items():
                    if name not in known:
                        connection.execute(f"ALTER TABLE draws ADD COLUMN {name} {kind}")
                for statement in _statements(_THIRD + _TRIGGERS):
                    connection.execute(statement)
                connection.execute(f"PRAGMA user_version = {VERSION}")
            connection.commit()
        except BaseException:
            connection.rollback()
            raise

    def _version(self, connection: sqlite3.Connection) -> int:
        found = int(connection.execute("PRAGMA user_version").fetchone()[0])
        if found > VERSION:
            self.close()
            raise WorkspaceError(
                f"{self.path}: expected verdicts of format {VERSION} or older, found {found}",
                hint="a newer genepool wrote it: upgrade, or set --workspace",
            )
        return found

    def _damage(self, error: sqlite3.Error) -> WorkspaceError:
        return WorkspaceError(
            f"{self.path}: verdicts cannot be read or written: {error}",
            hint="genepool doctor PATH looks at it",
        )

    def __del__(self) -> None:
        if getattr(self, "_connection", None) is not None:
            self._connection.close()  # type: ignore[union-attr]  # just checked


def _lay_out(connection: sqlite3.Connection) -> None:
    """Give the write-ahead log its full length once, so that commits overwrite it instead of extending it.

    To flush a file that grew, the file system commits its own journal first: 4 ms against 0.4 ms measured on
    ext4. The frames written here only repeat the version number. Checkpoints are then the server's business
    (`ReviewFile.checkpoint`), never a reviewer's.
    """
    connection.execute("PRAGMA wal_autocheckpoint = 0")
    connection.execute("PRAGMA synchronous = OFF")
    for _ in range(_FRAMES):
        connection.execute(f"PRAGMA user_version = {VERSION}")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA wal_checkpoint(RESTART)").fetchall()


def _statements(script: str) -> list[str]:
    """The statements of a script one by one: ``executescript`` would commit behind our back."""
    found, held = [], ""
    for line in script.splitlines(keepends=True):
        held += line
        if sqlite3.complete_statement(held):
            found.append(held)
            held = ""
    return found
