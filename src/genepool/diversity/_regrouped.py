"""Rows laid out group by group, so that many groups cost one pass over a set and not one pass each."""

from __future__ import annotations

import os
import tempfile
from typing import TYPE_CHECKING, Any

import numpy as np

from genepool.diversity._batches import SIZE, aligned
from genepool.errors import WorkspaceError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

__all__ = ["Regrouped"]

IN_MEMORY = 64 * 1024 * 1024
"""Bytes up to which the rows are kept in memory; beyond that in an unnamed temporary file."""


class Regrouped:
    """The rows of a set, those of each group one after the other and in their own order; use as a context.

    Args:
        start: Begins a pass over ``(k, d)`` batches; called once.
        group: ``(n,)`` group 0, 1, … of each row, −1 where it is of none.
        columns: Per-row arrays that are to be of the set's length, or None.

    Raises:
        MeasureError: Lengths that differ.
        WorkspaceError: The temporary file cannot be written.
    """

    def __init__(
        self,
        start: Callable[[], Iterator[NDArray[Any]]],
        group: NDArray[np.int64],
        *columns: NDArray[Any] | None,
    ) -> None:
        sizes = np.bincount(group[group >= 0])
        self._first = np.concatenate(([0], np.cumsum(sizes))).astype(np.int64)
        total = int(self._first[-1])
        # A stable sort puts the rows of no group in front.
        self.order = np.argsort(group, kind="stable")[len(group) - total :]
        """Where in the set each row lay."""
        self._file: Any = None
        self._rows: NDArray[Any] | None = None
        self._kind: np.dtype[Any] = np.dtype(np.float32)
        self._width = 0
        at, opened = self._first[:-1].copy(), False
        try:
            for part, found in aligned(start(), group, *columns):
                assert found[0] is not None  # noqa: S101  # given above
                if not opened:
                    self._open(part, total)
                    opened = True
                self._put(part, found[0], at)
        except OSError as error:
            self.close()
            raise WorkspaceError(
                f"temporary file in {tempfile.gettempdir()}: cannot be written: {error.strerror or error}",
                hint="make room there, or name another folder in the environment variable TMPDIR",
            ) from error
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Regrouped:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the rows."""
        if self._file is not None:
            self._file.close()
        self._file = self._rows = None

    def span(self, group: int) -> slice:
        """Where a group's rows stand in `order`."""
        return slice(int(self._first[group]), int(self._first[group + 1]))

    def batches(self, group: int) -> Iterator[tuple[NDArray[Any], NDArray[np.int64]]]:
        """A group's rows, at most 2048 at a time, and where in the set they lay."""
        span = self.span(group)
        for at in range(span.start, span.stop, SIZE):
            upto = min(at + SIZE, span.stop)
            yield self._get(at, upto), self.order[at:upto]

    def _open(self, part: NDArray[Any], total: int) -> None:
        self._kind = np.dtype(np.float32 if part.dtype in (np.float16, np.float32) else np.float64)
        self._width = part.shape[1]
        if total * self._width * self._kind.itemsize <= IN_MEMORY:
            self._rows = np.empty((total, self._width), self._kind)
        else:
            self._file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115  # closed by `close`

    def _put(self, part: NDArray[Any], group: NDArray[np.int64], at: NDArray[np.int64]) -> None:
        own = np.flatnonzero(group >= 0)
        own = own[np.argsort(group[own], kind="stable")]
        if not len(own):
            return
        rows, groups = np.ascontiguousarray(part[own], self._kind), group[own]
        heads = np.flatnonzero(np.concatenate(([True], groups[1:] != groups[:-1])))
        for head, tail in zip(heads.tolist(), [*heads[1:].tolist(), len(own)], strict=True):
            place = int(at[groups[head]])
            if self._rows is not None:
                self._rows[place : place + tail - head] = rows[head:tail]
            else:
                self._write(rows[head:tail].tobytes(), place)
            at[groups[head]] += tail - head

    def _write(self, data: bytes, place: int) -> None:
        offset = place * self._width * self._kind.itemsize
        view = memoryview(data)
        while view:
            done = os.pwrite(self._file.fileno(), view, offset)
            view, offset = view[done:], offset + done

    def _get(self, at: int, upto: int) -> NDArray[Any]:
        if self._rows is not None:
            return self._rows[at:upto]
        step = self._width * self._kind.itemsize
        data = os.pread(self._file.fileno(), (upto - at) * step, at * step)
        return np.frombuffer(data, self._kind).reshape(upto - at, self._width)
