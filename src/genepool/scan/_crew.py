"""How much work there is, for how many workers, and in what pieces."""

from __future__ import annotations

import re
from collections.abc import Iterable

from genepool.records import Item

ROUNDS = 8
"""Units per worker at most: workers end together, progress is seen, and parts stay few."""
WORTH = 32
"""Ordinary images for which a worker of its own is worth its start: it loads libraries and models."""

_ORDINARY = 400_000
_ELSEWHERE = 4.0
_SIZED = re.compile(r"\d{1,15}(?=:\d)")


def weight(item: Item) -> float:
    """The work with an image in ordinary images: large files decode longer, remote ones are waited for."""
    if not item.path.startswith("/"):
        return _ELSEWHERE
    if item.length >= 0:
        return 1.0 + item.length / _ORDINARY
    found = _SIZED.match(item.stamp) if item.row < 0 else None
    return 1.0 + int(found.group()) / _ORDINARY if found else 1.0


def crew(items: Iterable[Item], workers: int) -> int:
    """How many of ``workers`` these images are worth; reads no more items than that takes.

    Returns:
        1 to ``workers``.
    """
    work = 0.0
    for item in items:
        work += weight(item)
        if work >= workers * WORTH:
            return workers
    return max(1, int(work / WORTH))


def unit_size(total: int, crew: int, largest: int) -> int:
    """Images in a unit, such that ``crew`` workers have equal shares in as few units as progress allows.

    Args:
        total: Images, at least 1.
        crew: Workers that start.
        largest: Images in a unit at most.
    """
    rounds = min(ROUNDS, max(1, total // (crew * WORTH)))
    return max(1, min(largest, -(-total // (crew * rounds))))
