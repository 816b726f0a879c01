"""A dataset's items, listed once and kept aside, so that a million of them need no memory."""

from __future__ import annotations

import hashlib
import pickle
import tempfile
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from genepool.records import Case, Item
from genepool.scan._unit import place_of
from genepool.store import part_key

if TYPE_CHECKING:
    from genepool.dataset import Dataset

_CHUNK = 1024
_IN_MEMORY = 8 * 1024 * 1024


class Listed:
    """All items of a dataset, in its order; use as a context.

    Attributes:
        n: Items.
        aside: What the source, or this listing, refused.
        digest: SHA-256 (hex) over every item's uri, place and stamp and every refusal.
    """

    def __init__(self, dataset: Dataset) -> None:
        self.aside: list[Case] = []
        self.n = 0
        digest = hashlib.sha256()
        # The spool is our own unnamed file: what is unpickled from it never left this process.
        self._spool = tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY)  # noqa: SIM115  # closed by `close`
        try:
            chunk: list[tuple[Any, ...]] = []
            for item in dataset.items(self.aside):
                if not _is_text(item.uri):
                    self.aside.append(_bad_name(item.uri))
                    continue
                line = f"{item.uri}\0{place_of(item)}\0{item.stamp}\0"
                digest.update(line.encode("utf-8", "surrogateescape"))
                chunk.append(
                    (item.uri, item.stamp, item.path, item.offset, item.length, item.row, item.extra)
                )
                if len(chunk) == _CHUNK:
                    self._store(chunk)
                    chunk = []
            self._store(chunk)
        except BaseException:
            self.close()
            raise
        for case in self.aside:
            digest.update(f"\1{case.uri}\0{case.reason}\0".encode("utf-8", "backslashreplace"))
        self.digest = digest.hexdigest()

    def __enter__(self) -> Listed:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the spool."""
        self._spool.close()

    def chunks(self) -> Iterator[list[Item]]:
        """The items again, about a thousand at a time."""
        self._spool.seek(0)
        at = 0
        while at < self.n:
            rows = pickle.load(self._spool)  # noqa: S301  # written above
            at += len(rows)
            yield [Item(*row) for row in rows]

    def keyed(self, plan: str) -> Iterator[tuple[list[Item], bytes]]:
        """Chunks with the items' keys, concatenated."""
        for items in self.chunks():
            yield items, b"".join(part_key(place_of(item), item.stamp, plan) for item in items)

    def chosen(self, mask: NDArray[np.bool_]) -> Iterator[Item]:
        """The items for which ``mask`` (one flag per item) is set."""
        at = 0
        for items in self.chunks():
            for offset in np.flatnonzero(mask[at : at + len(items)]):
                yield items[offset]
            at += len(items)

    def _store(self, chunk: list[tuple[Any, ...]]) -> None:
        if chunk:
            pickle.dump(chunk, self._spool, protocol=5)
            self.n += len(chunk)


def _is_text(uri: str) -> bool:
    try:
        uri.encode()
    except UnicodeEncodeError:
        return False
    return True


def _bad_name(uri: str) -> Case:
    shown = uri.encode("utf-8", "backslashreplace").decode()
    return Case(shown, "bad-name", f"{shown}: expected a file name in UTF-8, found other bytes")
