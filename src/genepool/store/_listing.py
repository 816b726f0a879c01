"""Listings: which rows are live in one dataset, in the order of their uris.

``catalogue/sets/<id>/state.json`` names the listing file, the plan, the parts and what was set aside; it is
replaced last, so a crash leaves the old listing or the new one. Each row carries a mark of the image's place
and stamp: two listings of one dataset tell what was added, removed and changed between them.
"""

from __future__ import annotations

import contextlib
import hashlib
import secrets
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from genepool.records import Case
from genepool.store._aside import move_aside
from genepool.store._files import make_folder, replace_atomic, sweep, wrapped
from genepool.store._parts import first_line, is_damage, part_stamp

if TYPE_CHECKING:
    import pyarrow as pa

    from genepool.dataset import Dataset
    from genepool.store._workspace import Workspace

_SCHEMA = "genepool.listing/2"
_PLAIN = ("uri", "plan", "digest", "file", "n", "n_readable", "passing")
GRACE = 3600.0
"""Seconds for which a superseded listing or part is kept for whoever is reading it."""


@dataclass(frozen=True, slots=True)
class Listing:
    """What is known about one dataset since its last complete scan.

    Attributes:
        uri: The dataset.
        plan: Plan digest under which it was scanned.
        digest: Over every listed (uri, place, stamp) and every refusal: equal digests, unchanged files.
        file: Name of the listing's Parquet file, sorted by uri: ``uri``, ``part``, ``row``, ``readable``,
            ``mark``.
        n: Items listed.
        n_readable: Items whose image could be read.
        columns, vectors: What each row has, beside the core columns.
        parts: Part names with the stamp of their files; ``part`` counts in this order.
        aside: What the source refused to list.
        failures: Probe name → images on which it failed.
        passing: Items set aside for a reason that may be gone next time, so that they are tried again.
        run: Number of the scan, in the journal, that wrote it.
        remarks: What the probes said of how they ran, where that is worth telling (a missing card, say).
    """

    uri: str
    plan: str
    digest: str
    file: str
    n: int
    n_readable: int
    columns: Mapping[str, str]
    vectors: Mapping[str, int]
    parts: tuple[tuple[str, tuple[int, ...]], ...]
    aside: tuple[Case, ...] = ()
    failures: Mapping[str, int] = field(default_factory=dict)
    passing: int = 0
    remarks: tuple[str, ...] = ()
    run: int = 0

    @property
    def identity(self) -> str:
        """Equal for listings of the same rows; what is settled about the rows is bound to it."""
        # What is tried again may come out otherwise although no file changed: then the very file counts.
        return f"{self.digest}/{self.plan}" + (f"/{self.file}" if self.passing else "")

    def untouched(self, folder: Path) -> set[str]:
        """Names of the parts whose files are exactly as they were when this listing was written."""
        return {name for name, stamp in self.parts if part_stamp(folder, name) == list(stamp)}

    def to_json(self) -> dict[str, Any]:
        """Plain data for ``state.json``."""
        return {
            "schema": _SCHEMA,
            **{k: getattr(self, k) for k in _PLAIN},
            "columns": dict(self.columns),
            "vectors": dict(self.vectors),
            "parts": [[name, list(stamp)] for name, stamp in self.parts],
            "aside": [[c.uri, c.reason, c.message, c.code, c.sha256] for c in self.aside],
            "failures": dict(self.failures),
            "remarks": list(self.remarks),
            "run": self.run,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Listing:
        """Inverse of `to_json`."""
        return cls(
            **{k: data[k] for k in (*_PLAIN, "columns", "vectors")},
            parts=tuple((name, tuple(stamp)) for name, stamp in data["parts"]),
            aside=tuple(Case(*fields) for fields in data["aside"]),
            failures=data["failures"],
            remarks=tuple(data.get("remarks", ())),
            run=int(data.get("run", 0)),
        )


def dataset_folder(workspace: Workspace, dataset: Dataset) -> Path:
    """Where a dataset's listing lies; a selection has a folder of its own."""
    text = dataset.uri.encode("utf-8", "surrogateescape")
    digest = hashlib.sha256(text)
    if dataset.selection is not None:
        for uri in sorted(dataset.selection):
            digest.update(b"\0" + uri.encode("utf-8", "surrogateescape"))
    folder: Path = workspace.catalogue / "sets" / digest.hexdigest()[:16]
    return folder


def read_listing(workspace: Workspace, dataset: Dataset) -> Listing | None:
    """The last complete listing, or None: never scanned, or unreadable (then the next scan makes it anew)."""
    from genepool.errors import WorkspaceError

    folder = dataset_folder(workspace, dataset)
    try:
        data = workspace.read_json(str(folder.relative_to(workspace.root) / "state.json"))
        if data is None or data.get("schema") != _SCHEMA:
            return None
        listing = Listing.from_json(data)
    except (WorkspaceError, KeyError, TypeError, ValueError, AttributeError):
        return None
    return listing if (folder / listing.file).is_file() else None


def trusted_parts(workspace: Workspace) -> set[str]:
    """Parts whose files are as some listing of the workspace recorded them, so need not be verified again."""
    sound: set[str] = set()
    for _, listing in all_listings(workspace):
        sound |= listing.untouched(workspace.parts)
    return sound


def all_listings(workspace: Workspace) -> Iterator[tuple[Path, Listing]]:
    """Every listing in force with its folder; what cannot be read is passed over (`inspect` tells it)."""
    from genepool.errors import WorkspaceError

    for state in sorted(workspace.catalogue.glob("sets/*/state.json")):
        with contextlib.suppress(WorkspaceError, KeyError, TypeError, ValueError, AttributeError):
            data = workspace.read_json(str(state.relative_to(workspace.root)))
            yield state.parent, Listing.from_json(data)


def put_in_force(workspace: Workspace, folder: Path, listing: Listing) -> None:
    """Make a listing the dataset's current one, atomically."""
    workspace.write_json(str(folder.relative_to(workspace.root) / "state.json"), listing.to_json())


class ListingWriter:
    """Writes a listing in batches and puts it in force at the end.

    Args:
        workspace: Where.
        folder: The dataset's, see `dataset_folder`.
        uri: Of the dataset.
        plan, digest: See `Listing`.
    """

    def __init__(self, workspace: Workspace, folder: Path, uri: str, plan: str, digest: str) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        self.workspace = workspace
        self.folder = folder
        self.uri = uri
        self.plan = plan
        self.digest = digest
        self.n = 0
        self.n_readable = 0
        self._last = ""
        self._sorted = True
        make_folder(self.folder)
        sweep(self.folder)
        # A name of its own each time: catalogues that are open on an older listing stay readable.
        self.file = f"listing-{digest[:16]}-{secrets.token_hex(4)}.parquet"
        self._temporary = self.folder / f".{self.file}.tmp"
        self._schema = pa.schema(
            [
                ("uri", pa.string()),
                ("part", pa.int32()),
                ("row", pa.int32()),
                ("readable", pa.bool_()),
                ("mark", pa.uint64()),
            ]
        )
        with wrapped(self._temporary, "written"):
            try:
                self._writer = pq.ParquetWriter(
                    self._temporary,
                    self._schema,
                    compression="zstd",
                    write_page_checksum=True,
                    # No checksum covers the footer: a flipped bound there would mislead queries.
                    write_statistics=False,
                )
            except OSError:
                self._temporary.unlink(missing_ok=True)
                raise

    def add(
        self,
        uris: list[str],
        part: NDArray[np.int32],
        row: NDArray[np.int32],
        readable: NDArray[np.bool_],
        mark: NDArray[np.uint64],
    ) -> None:
        """Append items; the order is free, but the uris' own order spares a sort."""
        import pyarrow as pa

        if not uris:
            return
        for uri in uris:
            if uri < self._last:
                self._sorted = False
            self._last = uri
        batch = pa.record_batch([pa.array(uris, pa.string()), part, row, readable, mark], schema=self._schema)
        with wrapped(self._temporary, "written"):
            self._writer.write_batch(batch)
        self.n += len(uris)
        self.n_readable += int(readable.sum())

    def finish(
        self,
        parts: list[str],
        columns: Mapping[str, str],
        vectors: Mapping[str, int],
        aside: Iterable[Case],
        *,
        failures: Mapping[str, int] | None = None,
        passing: int = 0,
        remarks: Iterable[str] = (),
        run: int = 0,
    ) -> Listing:
        """Sort if needed, make durable, put in force, remove outdated listings of this dataset."""
        with wrapped(self._temporary, "written"):
            self._writer.close()
        if not self._sorted:
            from genepool.store._query import sort_parquet

            sort_parquet(self._temporary, "uri", self.folder)
        replace_atomic(self._temporary, self.folder / self.file)
        listing = Listing(
            self.uri,
            self.plan,
            self.digest,
            self.file,
            self.n,
            self.n_readable,
            dict(columns),
            dict(vectors),
            tuple((name, tuple(part_stamp(self.workspace.parts, name))) for name in parts),
            tuple(aside),
            dict(failures or {}),
            passing,
            tuple(remarks),
            run,
        )
        put_in_force(self.workspace, self.folder, listing)
        self._retire()
        return listing

    def _retire(self) -> None:
        """Remove listings that nobody can be reading any more."""
        for old in self.folder.glob("listing-*.parquet"):
            with contextlib.suppress(OSError):
                if old.name != self.file and old.stat().st_mtime < time.time() - GRACE:
                    old.unlink()

    def discard(self) -> None:
        """Give up: close and remove what was written so far."""
        with contextlib.suppress(OSError):
            self._writer.close()
        with contextlib.suppress(OSError):
            self._temporary.unlink()


def is_sound(folder: Path, listing: Listing) -> bool:
    """Whether a listing's file can be read to its end and holds the rows that it should."""
    from genepool.errors import WorkspaceError

    try:
        rows: int = sum(batch.num_rows for batch in listing_batches(folder / listing.file, 65536))
    except WorkspaceError:
        return False
    return rows == listing.n


def listing_batches(
    path: Path, size: int, *, keep: bool = False, columns: list[str] | None = None
) -> Iterator[pa.RecordBatch]:
    """The rows of a listing file, ``size`` at a time.

    Args:
        path: The file.
        size: Rows per batch at most.
        keep: Leave a damaged file where it is.
        columns: Which (default: all).

    Raises:
        WorkspaceError: It is damaged; unless ``keep``, it has been moved aside.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    from genepool.errors import WorkspaceError

    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            yield from file.iter_batches(batch_size=size, columns=columns, use_threads=False)
    except MemoryError:
        raise
    except (OSError, pa.ArrowException) as error:
        if not is_damage(error):
            raise WorkspaceError(
                f"listing {path}: cannot be read: {first_line(error)}", hint="nothing was changed; try again"
            ) from error
        if not keep:
            with contextlib.suppress(WorkspaceError):
                move_aside(path)
        raise WorkspaceError(
            f"listing {path}: expected a readable Parquet file, found damage: {first_line(error)}",
            hint="run the same command again: the listing is made anew from the finished parts",
        ) from error
