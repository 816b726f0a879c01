"""The live rows of one dataset, read in batches in the order of their uris."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from genepool.errors import UsageError, WorkspaceError
from genepool.records import Case
from genepool.store._changes import Changes
from genepool.store._columns import arrow_type, column, positions
from genepool.store._files import write_atomic
from genepool.store._gather import Gather
from genepool.store._listing import Listing, dataset_folder, listing_batches
from genepool.store._merkle import merkle_root
from genepool.store._parts import CORE_COLUMNS
from genepool.store._rownumbers import by_row
from genepool.store._views import LARGE, ROW_GROUP, flat_copy, view_flat, view_origins, view_parts

if TYPE_CHECKING:
    import pyarrow as pa

    from genepool.dataset import Dataset
    from genepool.store._workspace import Workspace


@dataclass(frozen=True, slots=True)
class ScanStats:
    """What the scan that made a catalogue did.

    Attributes:
        n_new: Images read by this scan.
        n_reused: Images known from an earlier scan.
        n_aside: Images set aside, by listing or scan, old and new.
        seconds: Wall time of this scan.
        images_per_second: ``n_new`` over the time from the first unit to the last.
        workers: Processes that worked (0: nothing was pending).
        failures: Probe name → images on which it failed (their columns are null).
        damaged: Parts that were found damaged, moved aside and read anew.
        changes: What became of the dataset since its last listing; None: there was none.
        remarks: What the probes said of how they ran when these rows were made, if anything.
    """

    n_new: int = 0
    n_reused: int = 0
    n_aside: int = 0
    seconds: float = 0.0
    images_per_second: float = 0.0
    workers: int = 0
    failures: Mapping[str, int] = field(default_factory=dict)
    damaged: tuple[str, ...] = ()
    changes: Changes | None = None
    remarks: tuple[str, ...] = ()


class Catalogue:
    """Rows of the readable images of one dataset; made by `genepool.scan.scan`.

    Attributes:
        dataset: The dataset, or the selection of it.
        workspace: Where the rows lie.
        plan: Plan digest under which the images were examined.
        n: Readable images.
        stats: What the scan did.
        columns: Name → Arrow type name of every column, ``uri`` first.
        dims: Vector name → dimension.
    """

    def __init__(
        self,
        dataset: Dataset,
        workspace: Workspace,
        listing: Listing,
        stats: ScanStats | None = None,
        *,
        chosen: frozenset[str] | None = None,
        folder: Path | None = None,
    ) -> None:
        self.dataset = dataset
        self.workspace = workspace
        self.stats = stats or ScanStats()
        self.plan = listing.plan
        self.dims: Mapping[str, int] = dict(listing.vectors)
        core = {name: kind for name, kind in CORE_COLUMNS.items() if name != "key"}
        self.columns: Mapping[str, str] = {"uri": "string", **core, **listing.columns}
        self._listing = listing
        self._chosen = chosen
        self._mask: NDArray[np.bool_] | None = None
        self._parts = Gather(workspace.parts, lambda number: listing.parts[number][0])
        self._folder = folder or dataset_folder(workspace, dataset)
        self.n = (
            listing.n_readable
            if chosen is None
            else sum(len(part) for _, part, _ in self._live(65536, uris=False))
        )

    def __len__(self) -> int:
        return self.n

    def __repr__(self) -> str:
        return f"Catalogue({self.dataset.uri!r}, n={self.n})"

    # ------------------------------------------------------------------------------------ rows

    def table(self, columns: Sequence[str] | None = None) -> pa.Table:
        """Readable rows, ordered by uri, as one table in memory.

        Args:
            columns: Which (default: all but the vectors).

        Raises:
            UsageError: A column does not exist.
            WorkspaceError: A part is damaged (it is moved aside; the next scan reads its images again).
        """
        import pyarrow as pa

        return pa.Table.from_batches(list(self.batches(columns)), schema=self._schema(columns))

    def uris_at(self, rows: Sequence[int]) -> list[str]:
        """Uris of some rows of `table`, by their numbers, in the order asked for; cheaper than the column.

        Raises:
            IndexError: There is no such row.
        """
        wanted, found, at = np.asarray(rows, np.int64), dict[int, str](), 0
        if len(wanted) and not 0 <= int(wanted.min()) <= int(wanted.max()) < self.n:
            raise IndexError(f"rows of a catalogue of {self.n}: found {wanted.min()} to {wanted.max()}")
        for uris, _, _ in self._live(65536):
            here = wanted[(wanted >= at) & (wanted < at + len(uris))]
            found |= {int(row): uris[int(row) - at].as_py() for row in here}
            at += len(uris)
            if not (wanted >= at).any():
                break
        return [found[int(row)] for row in wanted]

    def batches(self, columns: Sequence[str] | None = None, size: int = 65536) -> Iterator[pa.RecordBatch]:
        """The same rows, at most ``size`` at a time; memory does not grow with the dataset."""
        import pyarrow as pa

        schema = self._schema(columns)
        stored = [name for name in schema.names if name != "uri"]
        for uris, part, row in self._live(size, uris="uri" in schema.names):
            gathered = self._parts.rows(part, row, tuple(stored)) if stored else None
            arrays = [uris if name == "uri" else _flat(gathered, name) for name in schema.names]
            yield pa.record_batch(arrays, schema=schema)

    def vectors(self, name: str, size: int = 8192, every: int = 1) -> Iterator[NDArray[np.float32]]:
        """One vector per readable row, in the order of `table`, ``(k, d)`` float32 at a time.

        Rows whose probe gave no vector are NaN.

        Args:
            name: Which vector.
            size: Rows looked at together.
            every: Only rows 0, ``every``, 2·``every`` …: a sample that costs as little as it is small.

        Raises:
            UsageError: There is no such vector.
        """
        if name not in self.dims:
            raise UsageError(
                f"vector {name!r}: expected one of {', '.join(self.dims) or 'none'}",
                hint="genepool plugins list",
            )
        dim, at = self.dims[name], 0
        for _, part, row in self._live(size if every == 1 else 65536, uris=False):
            some = slice(-at % every, None, every)
            at += len(part)
            part, row = part[some], row[some]
            if not len(part):
                continue
            column = _flat(self._parts.rows(part, row, (name,), vectors=True), name)
            out = np.full((len(column), dim), np.nan, np.float32)
            valid = column.is_valid().to_numpy(zero_copy_only=False)
            packed = column.drop_null()
            raw = packed.buffers()[1]
            if raw is not None and len(packed):
                half = np.frombuffer(raw, "<f2", len(packed) * dim, packed.offset * dim * 2)
                out[valid] = half.reshape(-1, dim)
            yield out

    def sql(self, query: str) -> pa.Table:
        """Ask DuckDB; views ``assets`` (the readable rows) and, once settled, ``origins``.

        Extensions, network and files outside the catalogue are out of reach.

        Raises:
            UsageError: The query is wrong.
        """
        flat = self._flat()
        try:
            return self._ask(query, flat)
        except WorkspaceError:
            if flat is None:
                raise
            # The copy can be damaged like any file; the parts are what counts.
            with contextlib.suppress(OSError):
                flat.unlink()
            return self._ask(query, None)

    def _flat(self) -> Path | None:
        if self._listing.n_readable < LARGE:
            return None
        whole = Catalogue(self.dataset, self.workspace, self._listing, folder=self._folder)
        return flat_copy(self._folder, self._listing.file, whole.batches(), self._schema(None))

    def _ask(self, query: str, flat: Path | None) -> pa.Table:
        from genepool.store._query import connect, damage_named, query_assets

        parts = [self.workspace.parts / f"{name}.parquet" for name, _ in self._listing.parts]
        path, identity = self._origins_path(self._chosen), self._identity()
        numbered = self._chosen is None and by_row(query, flat, path, identity)
        with connect(self.workspace.catalogue, [self.workspace.catalogue]) as connection:
            with damage_named():
                if flat is not None:
                    view_flat(connection, flat, self._chosen, numbered=numbered)
                elif parts:
                    listing = self._folder / self._listing.file
                    view_parts(connection, listing, parts, self.columns, self._chosen)
                else:
                    connection.register("assets", self._schema(None).empty_table())
            # Origins are large too: they are looked at only where the question names them.
            held = "origins" not in query.lower()
            held = held or view_origins(connection, path, identity, numbered=numbered)
            if not held and (table := self.origins()) is not None:
                connection.register("origins", table)
            return query_assets(connection, query)

    def root(self) -> bytes:
        """RFC 6962 Merkle root (32 bytes) over the sorted SHA-256 digests, repeated for equal files."""
        return merkle_root([self.digests().tobytes()])

    def digests(self) -> NDArray[np.uint8]:
        """SHA-256 of every readable image, ``(n, 32)``, in the order of `table`."""
        found = [np.zeros((0, 32), np.uint8)]
        for batch in self.batches(["sha256"]):
            digests = batch.column(0)
            raw = digests.buffers()[1]
            found.append(np.frombuffer(raw, np.uint8, 32 * len(digests), 32 * digests.offset).reshape(-1, 32))
        return np.concatenate(found)

    def cases(self) -> list[Case]:
        """Everything that was set aside, by the listing or by the scan, with its reason, ordered by uri."""
        chosen = self._chosen
        found = [c for c in self._listing.aside if chosen is None or c.uri in chosen]
        if self._listing.n_readable < self._listing.n:
            for uris, part, row in self._live(65536, readable=False):
                rows = self._parts.rows(part, row, ("reason", "message", "sha256"))
                for uri, fields in zip(uris.to_pylist(), rows.to_pylist(), strict=True):
                    digest = fields["sha256"]
                    found.append(
                        Case(
                            uri, fields["reason"], fields["message"] or "", "", digest.hex() if digest else ""
                        )
                    )
        return sorted(found, key=lambda case: case.uri)

    # --------------------------------------------------------------------------------- origins

    def origins(self, columns: Sequence[str] | None = None) -> pa.Table | None:
        """The origins settled for exactly this listing, or None: not settled yet, or images changed since.

        Args:
            columns: Which (default: all); a name that the table does not have is passed over.
        """
        import pyarrow as pa
        import pyarrow.compute as pc
        import pyarrow.parquet as pq

        for chosen in dict.fromkeys((self._chosen, None)):
            narrow = self._chosen is not None and chosen is None
            wanted = None if columns is None else [*columns, *(["uri"] if narrow else [])]
            try:
                with pq.ParquetFile(self._origins_path(chosen), page_checksum_verification=True) as file:
                    if (file.schema_arrow.metadata or {}).get(b"listing") != self._identity():
                        continue
                    table = file.read(columns=wanted, use_threads=False)
            except (OSError, pa.ArrowException):
                continue  # missing or damaged: settled again by whoever needs them
            if narrow:
                names = column(list(self._chosen or ()), "string", {})
                table = table.filter(pc.is_in(table.column("uri"), value_set=names))
            kept = [name for name in table.column_names if columns is None or name in columns]
            return table.select(kept)
        return None

    def write_origins(self, table: pa.Table) -> None:
        """Keep settled origins beside the catalogue, bound to this listing.

        Raises:
            UsageError: The table does not hold exactly this catalogue's uris, in its order.
            WorkspaceError: It cannot be written.
        """
        import pyarrow as pa
        import pyarrow.parquet as pq

        own = self.table(["uri"]).column("uri").combine_chunks()
        if "uri" not in table.column_names or not table.column("uri").combine_chunks().cast(
            pa.string()
        ).equals(own):
            raise UsageError(
                f"origins: expected the catalogue's {self.n} uris in its order, found {table.num_rows} others"
            )
        sink = pa.BufferOutputStream()
        metadata = {**(table.schema.metadata or {}), b"listing": self._identity()}
        pq.write_table(
            table.replace_schema_metadata(metadata),
            sink,
            compression="zstd",
            write_page_checksum=True,
            write_statistics=False,
            row_group_size=ROW_GROUP,  # questions are answered by as many threads as there are groups
        )
        write_atomic(self._origins_path(self._chosen), memoryview(sink.getvalue()))

    def select(self, uris: Iterable[str]) -> Catalogue:
        """The catalogue of only these images; unknown uris are ignored."""
        chosen = frozenset(uris)
        if self._chosen is not None:
            chosen &= self._chosen
        return Catalogue(
            self.dataset.select(chosen),
            self.workspace,
            self._listing,
            self.stats,
            chosen=chosen,
            folder=self._folder,
        )

    # --------------------------------------------------------------------------------- private

    def _identity(self) -> bytes:
        return self._listing.identity.encode()

    def _origins_path(self, chosen: frozenset[str] | None) -> Path:
        if chosen is None:
            return self._folder / "origins.parquet"
        digest = hashlib.sha256("\0".join(sorted(chosen)).encode("utf-8", "surrogateescape"))
        return self._folder / f"origins-{digest.hexdigest()[:16]}.parquet"

    def _schema(self, columns: Sequence[str] | None) -> pa.Schema:
        import pyarrow as pa

        names = list(self.columns) if columns is None else list(columns)
        unknown = [name for name in names if name not in self.columns]
        if unknown:
            raise UsageError(
                f"column {unknown[0]!r}: expected one of {', '.join(self.columns)}",
                hint="genepool plugins list",
            )
        return pa.schema([(name, arrow_type(self.columns[name])) for name in names])

    def _live(
        self, size: int, *, readable: bool = True, uris: bool = True
    ) -> Iterator[tuple[Any, NDArray[np.int32], NDArray[np.int32]]]:
        """Uri (None unless ``uris``), number of the part and row in it of the live rows."""
        import pyarrow.compute as pc

        chosen, at = self._selected(), 0
        columns = [*(["uri"] if uris else []), "part", "row", "readable"]
        for batch in listing_batches(self._folder / self._listing.file, size, columns=columns):
            keep = batch.column("readable")
            mask = keep if readable else pc.invert(keep)
            if chosen is not None:
                mask = pc.and_(mask, positions(chosen[at : at + batch.num_rows]))
            at += batch.num_rows
            live = batch.filter(mask)
            if live.num_rows:
                yield (
                    live.column("uri") if uris else None,
                    live.column("part").to_numpy(zero_copy_only=False),
                    live.column("row").to_numpy(zero_copy_only=False),
                )

    def _selected(self) -> NDArray[np.bool_] | None:
        """Which rows of the listing are chosen; None: all. Looked up once, whatever is read how often."""
        import pyarrow.compute as pc

        if self._chosen is None or self._mask is not None:
            return self._mask
        found = [np.zeros(0, np.bool_)]
        # A name that is not UTF-8 becomes null here, and no uri of a listing is.
        names = column(list(self._chosen), "string", {})
        for batch in listing_batches(self._folder / self._listing.file, 65536, columns=["uri"]):
            here = pc.is_in(batch.column("uri"), value_set=names)
            found.append(here.to_numpy(zero_copy_only=False).astype(np.bool_))
        self._mask = np.concatenate(found)
        return self._mask


def _flat(table: pa.Table, name: str) -> pa.Array:
    return table.column(name).combine_chunks()
