"""What became of a dataset between two scans: added, removed, changed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from genepool.errors import WorkspaceError
from genepool.store._listing import listing_batches

NAMED = 1000
"""Uris of each kind that are named; the counts are complete."""

_KINDS = ("added", "removed", "changed")


@dataclass(frozen=True, slots=True)
class Changes:
    """Images added, removed and changed (listed under the same uri with another place or stamp).

    Attributes:
        added, removed, changed: How many.
        uris: ``added``, ``removed``, ``changed`` → the first `NAMED` of them, in their order.
    """

    added: int
    removed: int
    changed: int
    uris: dict[str, tuple[str, ...]]

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.changed)

    def to_json(self, limit: int = NAMED) -> dict[str, Any]:
        """``{"added": {"n": …, "uris": […]}, …}`` with at most ``limit`` uris each."""
        return {k: {"n": getattr(self, k), "uris": list(self.uris.get(k, ())[:limit])} for k in _KINDS}


NOTHING = Changes(0, 0, 0, {})


def item_mark(place: str, stamp: str) -> int:
    """64 bits that change when an image's place or stamp does, whatever the plan."""
    text = f"{stamp}\0{place}".encode("utf-8", "surrogateescape")
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "little")


def compare(before: Path, after: Path) -> Changes | None:
    """Compare two listing files of one dataset; memory does not grow with them.

    Returns:
        None where the earlier one cannot be read.
    """
    counts = dict.fromkeys(_KINDS, 0)
    names: dict[str, list[str]] = {kind: [] for kind in _KINDS}

    def note(kind: str, uri: str) -> None:
        counts[kind] += 1
        if len(names[kind]) < NAMED:
            names[kind].append(uri)

    try:
        old, new = _rows(before), _rows(after)
        a, b = next(old, None), next(new, None)
        while a is not None or b is not None:
            if b is None or (a is not None and a[0] < b[0]):
                assert a is not None  # noqa: S101  # one of the two is there
                note("removed", a[0])
                a = next(old, None)
            elif a is None or b[0] < a[0]:
                note("added", b[0])
                b = next(new, None)
            else:
                if a[1] != b[1]:
                    note("changed", b[0])
                a, b = next(old, None), next(new, None)
    except (WorkspaceError, KeyError):
        return None
    found = {kind: tuple(uris) for kind, uris in names.items() if uris}
    return Changes(counts["added"], counts["removed"], counts["changed"], found)


def _rows(path: Path) -> Iterator[tuple[str, int]]:
    """Uri and mark of every row, in the order of the uris."""
    for batch in listing_batches(path, 8192, keep=True):
        yield from zip(batch.column("uri").to_pylist(), batch.column("mark").to_numpy().tolist(), strict=True)
