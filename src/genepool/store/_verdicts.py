"""People's decisions: appended to SQLite, never changed, on the disk before `add` returns."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from genepool.errors import UsageError, WorkspaceError
from genepool.records import Verdict
from genepool.store._files import make_folder

if TYPE_CHECKING:
    from genepool.store._workspace import Workspace

_FIELDS = "sha256, answer, reviewer, at, control, comment"
_SCHEMA = """
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
CREATE TRIGGER IF NOT EXISTS verdicts_keep BEFORE UPDATE ON verdicts
    BEGIN SELECT RAISE(ABORT, 'verdicts are append-only'); END;
CREATE TRIGGER IF NOT EXISTS verdicts_stay BEFORE DELETE ON verdicts
    BEGIN SELECT RAISE(ABORT, 'verdicts are append-only'); END;
"""


class Verdicts:
    """All verdicts of a workspace, in the order in which they were given.

    Args:
        where: The workspace, or the SQLite file itself (created when the first verdict is added).

    Safe to use from several threads and processes (write-ahead logging; writers wait for each other up to
    30 seconds).
    """

    def __init__(self, where: Workspace | Path | str) -> None:
        self.path = Path(where) if isinstance(where, (str, Path)) else where.reviews
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None

    def add(self, verdict: Verdict) -> None:
        """Append one verdict; it is on the disk when this returns.

        Raises:
            UsageError: Not a 64-digit lower-case hex digest, an unknown answer, or no reviewer named.
            WorkspaceError: The file cannot be written.
        """
        digest = verdict.sha256
        if len(digest) != 64 or set(digest) - set("0123456789abcdef"):
            raise UsageError(f"verdict: expected a SHA-256 of 64 lower-case hex digits, found {digest!r}")
        if verdict.answer not in ("human", "ai", "unsure"):
            raise UsageError(f"verdict: expected human, ai or unsure, found {verdict.answer!r}")
        if not verdict.reviewer:
            raise UsageError("verdict: expected the reviewer's name, found an empty one")
        row = (digest, verdict.answer, verdict.reviewer, verdict.at, verdict.control, verdict.comment)
        try:
            with self._lock, self._open(create=True) as connection:
                connection.execute(
                    f"INSERT INTO verdicts ({_FIELDS}) VALUES (?,?,?,?,?,?)",  # noqa: S608  # a constant
                    row,
                )
        except sqlite3.Error as error:
            raise self._damage(error) from error

    def all(self) -> list[Verdict]:
        """Every verdict, oldest first."""
        rows = self._rows(f"SELECT {_FIELDS} FROM verdicts ORDER BY id")  # noqa: S608  # a constant
        return [Verdict(r[0], r[1], r[2], r[3], bool(r[4]), r[5]) for r in rows]

    def count(self, sha256s: Iterable[str] | None = None) -> int:
        """How many verdicts there are, or how many concern these images (64 hex digits each)."""
        if sha256s is None:
            rows = self._rows("SELECT count(*) FROM verdicts")
            return int(rows[0][0]) if rows else 0
        wanted = set(sha256s)
        per_image = self._rows("SELECT sha256, count(*) FROM verdicts GROUP BY sha256")
        return sum(int(n) for digest, n in per_image if digest in wanted)

    def check(self) -> list[str]:
        """What SQLite's own integrity check finds; empty when the file is sound or absent."""
        return [f"{self.path}: {row[0]}" for row in self._rows("PRAGMA integrity_check") if row[0] != "ok"]

    def close(self) -> None:
        """Close the file; the next call opens it again."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _rows(self, query: str) -> list[tuple[Any, ...]]:
        if self._connection is None and not self.path.exists():
            return []
        try:
            with self._lock:
                return self._open(create=False).execute(query).fetchall()
        except sqlite3.Error as error:
            raise self._damage(error) from error
        finally:
            # Readers keep no handle: a leaked connection would be reported by the interpreter.
            self.close()

    def _open(self, *, create: bool) -> sqlite3.Connection:
        if self._connection is None:
            if create:
                make_folder(self.path.parent)
            connection = sqlite3.connect(self.path, timeout=30.0, check_same_thread=False)
            self._connection = connection
            connection.execute("PRAGMA journal_mode = WAL")
            # FULL: a committed verdict survives a power cut, not only a crash of the program.
            connection.execute("PRAGMA synchronous = FULL")
            connection.executescript(_SCHEMA)
        return self._connection

    def _damage(self, error: sqlite3.Error) -> WorkspaceError:
        return WorkspaceError(
            f"{self.path}: verdicts cannot be read or written: {error}",
            hint="genepool doctor PATH looks at it",
        )

    def __del__(self) -> None:
        if self._connection is not None:
            self._connection.close()
