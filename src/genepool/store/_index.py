"""Which rows are known: keys of all parts of one plan, in memory at 25 bytes a row."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from genepool.errors import WorkspaceError
from genepool.store._parts import KEY_BYTES, check_part, part_files, part_names, read_part, remove_part

_KEY = f"S{KEY_BYTES}"


class PartIndex:
    """Finds rows by key. Where a key occurs twice, the newest part wins.

    Args:
        folder: Where parts lie.
        plan: Only parts of this plan are looked at.
        vectors: Whether parts of this plan have a vector file.

    Attributes:
        names: Parts, oldest first; `find` answers with positions in this list.
        damaged: Parts that could not be read, with the reason; they have been removed.
    """

    def __init__(self, folder: Path, plan: str, *, vectors: bool) -> None:
        self.folder = folder
        self.names: list[str] = []
        self.damaged: dict[str, str] = {}
        self._plan = plan
        self._vectors = vectors
        self._keys: list[NDArray[np.bytes_]] = []
        self._rows: list[int] = []
        self._readable: list[NDArray[np.bool_]] = []
        self._order: NDArray[np.int64] | None = None

    def load(self, trusted: Iterable[str] = (), expected: Iterable[str] = ()) -> None:
        """Read the keys of every part on disk.

        Args:
            expected: Parts that ought to be there; missing ones are remembered in `damaged`.
            trusted: Parts whose files are untouched since they were last read completely; all others are
                read to the end and verified. A damaged part is removed and remembered in `damaged`.
        """
        sound = set(trusted)
        names = part_names(self.folder, self._plan)
        self.damaged.update((name, "missing") for name in sorted(set(expected) - set(names)))
        for name in names:
            fault = "" if name in sound else check_part(self.folder, name)
            if not fault and self._vectors and len(part_files(self.folder, name)) < 2:
                fault = f"{name}.vec.parquet: missing"
            if fault:
                self.damaged[name] = fault
                remove_part(self.folder, name)
            else:
                self.add(name)

    def add(self, name: str) -> None:
        """Take in one part, as the newest."""
        try:
            table = read_part(self.folder, name, ["key", "reason"])
        except WorkspaceError as error:
            self.damaged[name] = error.message
            return
        keys = b"".join(table.column("key").to_pylist())
        self.names.append(name)
        self._keys.append(np.frombuffer(keys, dtype=_KEY))
        self._rows.append(table.num_rows)
        self._readable.append(table.column("reason").is_null().to_numpy())
        self._order = None

    def find(self, keys: bytes | bytearray) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.bool_]]:
        """Where the rows are.

        Args:
            keys: Keys, concatenated.

        Returns:
            For each key: position of its part in `names` (−1: unknown), row in that part, and whether the
            image could be read.
        """
        wanted = np.frombuffer(bytes(keys), dtype=_KEY)
        n = len(wanted)
        part = np.full(n, -1, np.int32)
        row = np.full(n, -1, np.int32)
        readable = np.zeros(n, bool)
        self._sort()
        if n == 0 or not len(self._sorted):
            return part, row, readable
        at = np.searchsorted(self._sorted, wanted, side="right") - 1
        hit = (at >= 0) & (self._sorted[np.maximum(at, 0)] == wanted)
        source = self._order_of(at[hit])
        part[hit] = np.searchsorted(self._starts, source, side="right") - 1
        row[hit] = source - self._starts[part[hit]]
        readable[hit] = self._flags[source]
        return part, row, readable

    def _order_of(self, at: NDArray[np.int64]) -> NDArray[np.int64]:
        assert self._order is not None  # noqa: S101  # set by _sort
        return self._order[at]

    def _sort(self) -> None:
        if self._order is not None:
            return
        keys = np.concatenate(self._keys) if self._keys else np.empty(0, _KEY)
        self._flags = np.concatenate(self._readable) if self._readable else np.empty(0, bool)
        self._starts = (
            np.concatenate([[0], np.cumsum(self._rows)[:-1]]).astype(np.int64)
            if self._rows
            else np.zeros(0, np.int64)
        )
        # Stable: among equal keys the newest part stays last, which is where `find` looks.
        self._order = np.argsort(keys, kind="stable")
        self._sorted = keys[self._order]
