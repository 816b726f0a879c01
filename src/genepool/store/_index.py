"""Which rows are known: keys of all parts of one plan, in memory at 25 bytes a row."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from genepool.errors import WorkspaceError
from genepool.store._parts import (
    KEY_BYTES,
    PASSING,
    check_part,
    part_files,
    part_names,
    part_run,
    read_part,
    remove_part,
)

_KEY = f"S{KEY_BYTES}"
_READABLE, _PASSING = 1, 2


@dataclass(frozen=True, slots=True)
class _Known:
    """The keys of one part."""

    name: str
    run: int
    keys: NDArray[np.bytes_]
    flags: NDArray[np.uint8]


class PartIndex:
    """Finds rows by key. Where a key occurs twice, the part of the newest run wins.

    Args:
        folder: Where parts lie.
        plan: Only parts of this plan are looked at.
        vectors: Whether parts of this plan have a vector file.

    Attributes:
        names: Parts, oldest first; `find` answers with positions in this list.
        damaged: Parts that could not be read, with the reason; they have been moved aside.
    """

    def __init__(self, folder: Path, plan: str, *, vectors: bool) -> None:
        self.folder = folder
        self.names: list[str] = []
        self.damaged: dict[str, str] = {}
        self._plan = plan
        self._vectors = vectors
        self._known: list[_Known] = []
        self._order: NDArray[np.int64] | None = None

    def load(
        self, trusted: Iterable[str] = (), expected: Iterable[str] = (), skip: Collection[str] = ()
    ) -> None:
        """Read the keys of every part on disk.

        Args:
            expected: Parts that ought to be there; missing ones are remembered in `damaged`.
            trusted: Parts whose files are untouched since they were last read completely; all others are
                read to the end and verified. A damaged part is moved aside and remembered in `damaged`.
            skip: Parts that are not to be looked at.
        """
        sound = set(trusted)
        names = part_names(self.folder, self._plan)
        self.damaged.update((name, "missing") for name in sorted(set(expected) - set(names)))
        for name in names:
            if name in skip:
                continue
            fault = "" if name in sound else check_part(self.folder, name)
            if not fault and self._vectors and len(part_files(self.folder, name)) < 2:
                fault = f"{name}.vec.parquet: missing"
            if fault:
                self.damaged[name] = fault
                remove_part(self.folder, name)
            else:
                self.add(name)
        # Within one run no key occurs twice; the files' times, which a clock may have got wrong, only order
        # parts that were made before runs had numbers.
        self._known.sort(key=lambda part: part.run)
        self.names = [part.name for part in self._known]

    def add(self, name: str) -> None:
        """Take in one part, as the newest."""
        try:
            table = read_part(self.folder, name, ["key", "reason"])
        except WorkspaceError as error:
            self.damaged[name] = error.message
            return
        keys = np.frombuffer(b"".join(table.column("key").to_pylist()), dtype=_KEY)
        self.names.append(name)
        self._known.append(_Known(name, part_run(table), keys, _flags(table.column("reason"))))
        self._order = None

    def find(self, keys: bytes | bytearray) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.bool_]]:
        """Where the rows are.

        Args:
            keys: Keys, concatenated.

        Returns:
            For each key: position of its part in `names` (−1: unknown), row in that part, and whether the
            image could be read.
        """
        part, row, source = self._locate(np.frombuffer(bytes(keys), dtype=_KEY))
        readable = np.zeros(len(part), bool)
        hit = part >= 0
        readable[hit] = self._all_flags[source[hit]] & _READABLE > 0
        return part, row, readable

    def pending(self, keys: bytes | bytearray) -> NDArray[np.bool_]:
        """For each key, whether its image has to be read: not known, or set aside for a `PASSING` reason."""
        part, _, source = self._locate(np.frombuffer(bytes(keys), dtype=_KEY))
        wanted: NDArray[np.bool_] = part < 0
        wanted[~wanted] = self._all_flags[source[~wanted]] & _PASSING > 0
        return wanted

    def keys(self, position: int) -> NDArray[np.bytes_]:
        """The keys of a part, in the order of its rows, as fixed-width byte strings."""
        return self._known[position].keys

    def run(self, position: int) -> int:
        """The number of the run that made a part."""
        return self._known[position].run

    def newest(self, position: int) -> NDArray[np.bool_]:
        """For each row of a part, whether no newer part holds its key."""
        part, row, _ = self._locate(self._known[position].keys)
        mine: NDArray[np.bool_] = (part == position) & (row == np.arange(len(row)))
        return mine

    def _locate(
        self, wanted: NDArray[np.bytes_]
    ) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int64]]:
        n = len(wanted)
        part = np.full(n, -1, np.int32)
        row = np.full(n, -1, np.int32)
        source = np.full(n, -1, np.int64)
        order = self._sort()
        if n == 0 or not len(order):
            return part, row, source
        at = np.searchsorted(self._sorted, wanted, side="right") - 1
        hit = (at >= 0) & (self._sorted[np.maximum(at, 0)] == wanted)
        source[hit] = order[at[hit]]
        part[hit] = np.searchsorted(self._starts, source[hit], side="right") - 1
        row[hit] = source[hit] - self._starts[part[hit]]
        return part, row, source

    def _sort(self) -> NDArray[np.int64]:
        if self._order is not None:
            return self._order
        known = [part for part in self._known if len(part.keys)] or [_EMPTY]
        keys = np.concatenate([part.keys for part in known])
        self._all_flags = np.concatenate([part.flags for part in known])
        sizes = [len(part.keys) for part in self._known]
        self._starts = np.concatenate([[0], np.cumsum(sizes)[:-1]]).astype(np.int64)[: len(sizes)]
        # Stable: among equal keys the newest part stays last, which is where `find` looks.
        self._order = np.argsort(keys, kind="stable")
        self._sorted = keys[self._order]
        return self._order


_EMPTY = _Known("", 0, np.empty(0, _KEY), np.empty(0, np.uint8))


def _flags(reasons: object) -> NDArray[np.uint8]:
    """One byte per row: could the image be read, and if not, may that pass."""
    import pyarrow as pa
    import pyarrow.compute as pc

    readable = pc.is_null(reasons).to_numpy(zero_copy_only=False)
    passing = pc.is_in(reasons, pa.array(sorted(PASSING), pa.string())).to_numpy(zero_copy_only=False)
    flags: NDArray[np.uint8] = readable.astype(np.uint8) * _READABLE | passing.astype(np.uint8) * _PASSING
    return flags
