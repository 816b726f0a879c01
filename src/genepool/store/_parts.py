"""Parts: one unit's rows in immutable Parquet files.

``<plan>-<id>.parquet`` holds the core and probe columns (zstd); ``<plan>-<id>.vec.parquet`` beside it the
vectors as float16 in fixed-size binary, uncompressed (lists of half floats are about fifty times slower to
scan). The vector file is written first: a part exists when its core file does. Pages carry checksums, and the
core file's metadata the number of the run that made it: which of two rows is newer never depends on a clock.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from genepool.errors import WorkspaceError
from genepool.store._aside import move_aside
from genepool.store._columns import column as typed
from genepool.store._files import write_atomic

if TYPE_CHECKING:
    import pyarrow as pa

KEY_BYTES = 16

CORE_COLUMNS: Mapping[str, str] = {
    "key": f"binary({KEY_BYTES})",
    "place": "string",
    "stamp": "string",
    "sha256": "binary(32)",
    "pixel": "binary(32)",
    "phash": "binary(32)",
    "width": "int32",
    "height": "int32",
    "format": "string",
    "mode": "string",
    "size": "int64",
    "decoder": "string",
    "caption": "string",
    "declared": "string",
    "note": "string",
    "reason": "string",
    "message": "string",
}
"""Columns that every part has, with their types. ``uri`` is the listing's, since parts are shared."""

PASSING = frozenset({"changed", "unreachable", "unreadable", "vanished"})
"""Reasons that may be gone by the next scan: such a row counts for the scan that wrote it, and not after."""

_RUN = b"genepool.run"


def part_key(place: str, stamp: str, plan: str) -> bytes:
    """The identity of a row: where the bytes lie, what they were stamped with, how they were examined."""
    text = f"{plan}\0{stamp}\0{place}".encode("utf-8", "surrogateescape")
    return hashlib.blake2b(text, digest_size=KEY_BYTES).digest()


class PartWriter:
    """Collects one unit's rows and writes them as one part.

    Args:
        folder: Where parts lie.
        plan: Plan digest, hexadecimal; its first 8 digits begin the file's name.
        columns: Probe columns beside `CORE_COLUMNS`, name → Arrow type name.
        vectors: Vector names → dimension.
        run: Number of the run in the journal; the part with the larger one is the newer.
    """

    def __init__(
        self,
        folder: Path,
        plan: str,
        columns: Mapping[str, str],
        vectors: Mapping[str, int],
        run: int = 0,
    ) -> None:
        self.folder = Path(folder)
        self.plan = plan
        self.columns = {**CORE_COLUMNS, **columns}
        self.vectors = dict(vectors)
        self.run = run
        self._rows: list[Mapping[str, Any]] = []

    def __len__(self) -> int:
        return len(self._rows)

    def add(self, row: Mapping[str, Any]) -> None:
        """Add a row; what it does not name is null. Vectors are 1-D float arrays."""
        self._rows.append(row)

    def finish(self, unit: str) -> str:
        """Write everything, durably and atomically.

        Args:
            unit: Id of the unit; the same id overwrites the same part.

        Returns:
            Name of the part.

        Raises:
            WorkspaceError: The files cannot be written; nothing is left behind.
        """
        import pyarrow as pa

        name = f"{self.plan[:8]}-{unit}"
        notes = [row.get("note") for row in self._rows]
        arrays: dict[str, pa.Array] = {}
        for column, kind in self.columns.items():
            if column != "note":
                # Where a probe broke its contract the value becomes null and the row's note says so.
                faults: dict[int, str] = {}
                arrays[column] = typed([row.get(column) for row in self._rows], kind, faults)
                for i, text in faults.items():
                    notes[i] = f"{notes[i]}; {column}: {text}" if notes[i] else f"{column}: {text}"
        arrays["note"] = typed(notes, "string", {})
        vectors = None
        if self.vectors:
            vectors = pa.table({n: self._vector(n, d) for n, d in self.vectors.items()})
        write_part(self.folder, name, pa.table({c: arrays[c] for c in self.columns}), vectors, self.run)
        self._rows = []
        return name

    def _vector(self, name: str, dim: int) -> pa.Array:
        values = [row.get(name) for row in self._rows]
        packed = [None if v is None else np.asarray(v, dtype="<f2").tobytes() for v in values]
        return typed(packed, f"binary({2 * dim})", {})


def write_part(folder: Path, name: str, core: pa.Table, vectors: pa.Table | None, run: int) -> None:
    """Write a part's files, durably and atomically, vectors first.

    Raises:
        WorkspaceError: They cannot be written; nothing is left behind, save vectors without their part.
    """
    if vectors is not None:
        _write(folder / f"{name}.vec.parquet", vectors, compressed=False)
    marked = core.replace_schema_metadata({_RUN: str(run).encode()})
    _write(folder / f"{name}.parquet", marked, compressed=True)


def _write(path: Path, table: pa.Table, *, compressed: bool) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    sink = pa.BufferOutputStream()
    pq.write_table(
        table,
        sink,
        compression="zstd" if compressed else "none",
        use_dictionary=["format", "mode", "decoder", "reason"] if compressed else False,
        write_statistics=False,
        write_page_checksum=True,
    )
    write_atomic(path, memoryview(sink.getvalue()))


# ---------------------------------------------------------------------------------------- reading


def read_part(folder: Path, name: str, columns: Sequence[str], *, vectors: bool = False) -> pa.Table:
    """Some columns of one part, pages verified against their checksums.

    Raises:
        WorkspaceError: The part is missing or damaged. A damaged one is moved aside, so that the next scan
            reads those images again.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = folder / (f"{name}.vec.parquet" if vectors else f"{name}.parquet")
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            return file.read(columns=list(columns), use_threads=False)
    except MemoryError:
        raise
    except (OSError, pa.ArrowException, KeyError) as error:
        if not is_damage(error):
            raise WorkspaceError(
                f"part {path}: cannot be read: {first_line(error)}", hint="nothing was changed; try again"
            ) from error
        what = "is missing"
        if not isinstance(error, FileNotFoundError):
            what = f"was damaged{_away(folder, name)} ({first_line(error)})"
        raise WorkspaceError(
            f"part {path}: expected a readable Parquet file; it {what}",
            hint="run the same command again: the images of this part are read anew",
        ) from error


def is_damage(error: BaseException) -> bool:
    """Whether a library's error is about what a file holds, not about permissions, handles or memory."""
    number = getattr(error, "errno", None)
    return number in (None, 0, errno.ENOENT, errno.EIO, errno.EBADMSG, getattr(errno, "EUCLEAN", -1))


def _away(folder: Path, name: str) -> str:
    """Move a part aside where that is possible, and say so."""
    try:
        remove_part(folder, name)
    except WorkspaceError:
        return ""  # a read-only place: the damage is what has to be told
    return " and has been moved aside"


def check_part(folder: Path, name: str) -> str:
    """Read one part completely.

    Returns:
        An empty string when it is sound, else one sentence saying what is wrong. Nothing is removed.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows: list[int] = []
    for path in part_files(folder, name):
        try:
            with pq.ParquetFile(path, page_checksum_verification=True) as file:
                rows.append(file.read(use_threads=False).num_rows)
        except (OSError, pa.ArrowException) as error:
            if not is_damage(error):
                raise WorkspaceError(f"part {path}: cannot be read: {first_line(error)}") from error
            return f"{path.name}: {first_line(error)}"
    if not rows or not (folder / f"{name}.parquet").exists():
        return f"{name}.parquet: missing"
    if len(set(rows)) > 1:
        return f"{name}: expected as many vectors as rows, found {rows[1]} and {rows[0]}"
    return ""


def part_files(folder: Path, name: str) -> list[Path]:
    """The files of a part that exist: core first, then vectors."""
    return [p for p in (folder / f"{name}.parquet", folder / f"{name}.vec.parquet") if p.exists()]


def part_names(folder: Path, plan: str = "") -> list[str]:
    """Parts on disk (of one plan), oldest first; the order among equals is that of their names."""
    found: list[tuple[int, str]] = []
    with contextlib.suppress(FileNotFoundError):
        found = [
            (path.stat().st_mtime_ns, path.name.removesuffix(".parquet"))
            for path in folder.glob(f"{plan[:8]}*.parquet")
            if not path.name.endswith(".vec.parquet") and not path.name.startswith(".")
        ]
    return [name for _, name in sorted(found)]


def take_parts(folder: Path, plan: str, files: Sequence[tuple[str, bytes]]) -> None:
    """Put parts that a worker wrote on another machine in their place, the core file last, as a writer does.

    Args:
        folder: Where parts lie.
        plan: Plan digest; a name must begin with its first 8 digits.
        files: Name and whole content.

    Raises:
        WorkspaceError: They cannot be written, or one has another name.
    """
    for name, data in sorted(files, key=lambda file: not file[0].endswith(".vec.parquet")):
        if Path(name).name != name or not (name.startswith(plan[:8]) and name.endswith(".parquet")):
            raise WorkspaceError(f"part: expected {plan[:8]}-….parquet, found {name!r}")
        write_atomic(folder / name, data)


def remove_part(folder: Path, name: str) -> list[Path]:
    """Move a part aside, core file first, so that it never counts as finished.

    Returns:
        Where its files lie now.

    Raises:
        WorkspaceError: They cannot be moved.
    """
    return [move_aside(path) for path in part_files(folder, name)]


def part_run(table: pa.Table) -> int:
    """Number of the run that made a part, from its core table; 0: made before there was a journal."""
    try:
        return int((table.schema.metadata or {}).get(_RUN, b"0"))
    except ValueError:
        return 0


def newest_run(folder: Path) -> int:
    """The largest run number of any part; 0 where there is none. Reads every footer."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    newest = 0
    for name in part_names(folder):
        with contextlib.suppress(OSError, pa.ArrowException, ValueError):
            metadata = pq.read_metadata(folder / f"{name}.parquet").metadata or {}
            newest = max(newest, int(metadata.get(_RUN, b"0")))
    return newest


def part_stamp(folder: Path, name: str) -> list[int]:
    """Sizes and modification times of a part's files: equal stamps mean untouched files."""
    stamp: list[int] = []
    for path in (folder / f"{name}.parquet", folder / f"{name}.vec.parquet"):
        with contextlib.suppress(FileNotFoundError):
            status = path.stat()
            stamp += [status.st_size, status.st_mtime_ns]
    return stamp


def first_line(error: BaseException) -> str:
    """What a library said, without its trace."""
    return (str(error).splitlines() or [type(error).__name__])[0]
