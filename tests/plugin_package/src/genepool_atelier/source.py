"""A source: pictures of a SQLite table ``pictures(name TEXT, data BLOB, caption TEXT, changed TEXT)``."""

import contextlib
import sqlite3
from dataclasses import dataclass

from genepool.errors import SourceError
from genepool.records import Case, Item, Sample


@dataclass(slots=True)
class DatabaseSource:
    """``atelier-db:/path/pictures.sqlite``."""

    path: str
    kind: str = "atelier-db"
    uri: str = ""

    def __post_init__(self):
        self.uri = self.uri or f"atelier-db:{self.path}"
        with self._open() as database:
            try:
                database.execute("SELECT count(*) FROM pictures")
            except sqlite3.Error as error:
                raise SourceError(f"{self.path}: expected a table `pictures`: {error}") from None

    @contextlib.contextmanager
    def _open(self):
        database = sqlite3.connect(f"file:{self.path}?mode=ro", uri=True)
        try:
            yield database
        finally:
            database.close()

    def list(self, aside):
        with self._open() as database:
            query = "SELECT rowid, name, changed FROM pictures ORDER BY rowid"
            for row, name, changed in database.execute(query):
                yield Item(name, changed or "0", self.path, row=row)

    def read(self, items):
        with self._open() as database:
            for item in items:
                query = "SELECT data, caption FROM pictures WHERE rowid = ?"
                found = database.execute(query, (item.row,)).fetchone() if item.path == self.path else None
                if found is None or found[0] is None:
                    case = Case(item.uri, "vanished", "expected a row of the table, found none")
                    yield Sample(item, None, case=case)
                else:
                    yield Sample(item, bytes(found[0]), found[1])
