"""Re-hash a whole log and compare every file with its signed checkpoint.

The fast pass goes up: entries → leaf hashes → tiles → root. When anything differs, `_diagnose` goes down
from the checkpoint, where each tile is judged by its (already verified) parent, so that the file that
changed is named and not one above or beside it.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from typing import NoReturn

from genepool.errors import LogError
from genepool.provenance._checkpoint import Checkpoint
from genepool.provenance._files import LocalStore, Store
from genepool.provenance._merkle import EMPTY_ROOT, HASH, leaf_hashes, root
from genepool.provenance._tiles import (
    WIDTH,
    bundle_path,
    decode_bundle,
    right_edge,
    tile_count,
    tile_path,
)

__all__ = ["Audit", "Visit", "audit", "read_bundle", "read_tile", "root_of_edge"]

_SUBTREE = WIDTH
"""Entry bundles in a unit of the parallel audit: 65,536 entries, one subtree of the tree."""

Visit = Callable[[int, list[bytes], bytes], None]
"""``visit(first index, entries, their leaf hashes)``, called for each bundle in order."""


@dataclass(frozen=True, slots=True)
class Audit:
    """What was re-hashed: leaves, files compared, and the root that came out (equal to the checkpoint's)."""

    size: int
    root: bytes
    files: int


def read_tile(store: Store, level: int, index: int, width: int) -> bytes:
    """A hash tile of exactly ``width`` hashes; a partial one may be cut from the full one.

    Raises:
        LogError: Missing, or of the wrong length.
    """
    path = tile_path(level, index, width)
    data = store.read(path)
    if data is None and width < WIDTH:
        path = tile_path(level, index)
        full = store.read(path)
        data = None if full is None else full[: width * HASH]
    if data is None:
        raise LogError(f"{tile_path(level, index, width)}: missing", hint="restore it from a copy of the log")
    if len(data) != width * HASH:
        raise LogError(f"{path}: expected {width * HASH} bytes, found {len(data)}")
    return data


def read_bundle(store: Store, index: int, width: int) -> list[bytes]:
    """An entry bundle of exactly ``width`` entries; a partial one may be cut from the full one.

    Raises:
        LogError: Missing, short, or with trailing bytes.
    """
    path = bundle_path(index, width)
    data = store.read(path)
    if data is not None:
        return decode_bundle(data, width, path)
    if width < WIDTH and (full := store.read(bundle_path(index))) is not None:
        return decode_bundle(full, WIDTH, bundle_path(index))[:width]
    raise LogError(f"{path}: missing", hint="restore it from a copy of the log")


def root_of_edge(edge: dict[int, bytes]) -> bytes:
    """The root of a log from its partial tiles (level → hashes side by side).

    The subtree below the edge is always the last and smallest item of the level above.
    """
    below = b""
    for level in sorted(edge):
        hashes = edge[level] + below
        below = root(hashes)
    return below or EMPTY_ROOT


def audit(store: Store, checkpoint: Checkpoint, visit: Visit | None = None, workers: int = 1) -> Audit:
    """Re-hash every entry and every tile of a log.

    What ``visit`` was shown counts only when this function returns.

    Args:
        store: The log's files.
        checkpoint: A checkpoint whose signature was verified.
        visit: Called with each bundle; then everything happens in this process.
        workers: Processes for the entries, where the log is large enough and the store can be opened again
            by its name. Subtrees of 65,536 entries are independent of each other.

    Raises:
        LogError: Something differs; the message begins with the first bad place.
    """
    edge: dict[int, bytes] = {}
    files = 0
    ups: list[bytes] = []
    for leaves in _all_leaves(store, checkpoint.size, visit, workers):
        if leaves is None:
            _diagnose(store, checkpoint)
        full, rest, read = leaves
        ups.append(full)
        files += read
        if rest:
            edge[0] = rest
    ups = [b"".join(ups)] if any(ups) else []
    level = 1
    while ups:
        computed, ups = b"".join(ups), []
        for index, width in _widths(checkpoint.size, level):
            start = index * WIDTH * HASH
            hashes = computed[start : start + width * HASH]
            if read_tile(store, level, index, width) != hashes:
                _diagnose(store, checkpoint)
            files += 1
            if width == WIDTH:
                ups.append(root(hashes))
            else:
                edge[level] = hashes
        level += 1
    found = root_of_edge(edge)
    if found != checkpoint.root:
        _diagnose(store, checkpoint)
    files += _check_stale(store, checkpoint)
    return Audit(checkpoint.size, found, files)


_Leaves = tuple[bytes, bytes, int]
"""Roots of the full tiles side by side, the hashes of the partial one, files read."""


def _all_leaves(store: Store, size: int, visit: Visit | None, workers: int) -> Iterator[_Leaves | None]:
    """The level of the entries, in subtrees; None for one that differs from its tiles."""
    tiles = -(-size // WIDTH)
    if workers < 2 or visit is not None or tiles < 2 * _SUBTREE or not isinstance(store, LocalStore):
        yield _leaves(store, size, 0, tiles, visit)
        return
    # Spawned, not forked: a fork copies locks that other threads may hold.
    context = multiprocessing.get_context("spawn")
    starts = range(0, tiles, _SUBTREE)
    with ProcessPoolExecutor(min(workers, len(starts)), mp_context=context) as pool:
        jobs = [pool.submit(_leaves, store, size, at, min(at + _SUBTREE, tiles), None) for at in starts]
        try:
            for job in jobs:
                yield job.result()
        except BrokenProcessPool:
            raise LogError(
                f"{store.where}: a process of the audit was killed", hint="run it again with one worker"
            ) from None
        finally:
            for job in jobs:
                job.cancel()


def _leaves(store: Store, size: int, first: int, stop: int, visit: Visit | None) -> _Leaves | None:
    """Bundles ``[first, stop)`` against their tiles."""
    full, width = tile_count(size, 0)
    ups: list[bytes] = []
    rest = b""
    for index in range(first, stop):
        entries = read_bundle(store, index, WIDTH if index < full else width)
        hashes = leaf_hashes(entries)
        if read_tile(store, 0, index, len(entries)) != hashes:
            return None
        if visit is not None:
            visit(index * WIDTH, entries, hashes)
        if index < full:
            ups.append(root(hashes))
        else:
            rest = hashes
    return b"".join(ups), rest, 2 * (stop - first)


def _widths(size: int, level: int) -> Iterator[tuple[int, int]]:
    full, width = tile_count(size, level)
    for index in range(full):
        yield index, WIDTH
    if width:
        yield full, width


# ----------------------------------------------------------------------------------- naming the bad place


def _diagnose(store: Store, checkpoint: Checkpoint) -> NoReturn:
    stored = {
        level: read_tile(store, level, index, width) for level, index, width in right_edge(checkpoint.size)
    }
    if root_of_edge(stored) != checkpoint.root:
        _diagnose_edge(store, checkpoint, stored)
    levels = [level for level in range(9) if checkpoint.size >> (8 * level)]
    for level in reversed(levels):
        full, _ = tile_count(checkpoint.size, level)
        for index in range(full):
            above = _parent(store, checkpoint.size, level, index)
            if root(read_tile(store, level, index, WIDTH)) != above:
                raise LogError(f"{tile_path(level, index)}: does not hash to what the tile above holds")
    for index, width in _widths(checkpoint.size, 0):
        hashes = read_tile(store, 0, index, width)
        for position, entry in enumerate(read_bundle(store, index, width)):
            if leaf_hashes([entry]) != hashes[position * HASH : (position + 1) * HASH]:
                raise LogError(
                    f"{bundle_path(index, width)}: entry {index * WIDTH + position} does not have the hash "
                    f"that the signed tree holds"
                )
    raise LogError("checkpoint: the files changed while they were read", hint="run the audit again")


def _parent(store: Store, size: int, level: int, index: int) -> bytes:
    """The hash that the level above holds for a full tile."""
    above, position = divmod(index, WIDTH)
    full, width = tile_count(size, level + 1)
    tile = read_tile(store, level + 1, above, WIDTH if above < full else width)
    return tile[position * HASH : (position + 1) * HASH]


def _diagnose_edge(store: Store, checkpoint: Checkpoint, stored: dict[int, bytes]) -> NoReturn:
    """The partial tiles do not hash to the checkpoint's root: find the one that does not fit."""
    differing: list[str] = []
    for level, index, width in right_edge(checkpoint.size):
        if level == 0:
            computed = leaf_hashes(read_bundle(store, index, width))
        else:
            children = range(index * WIDTH, index * WIDTH + width)
            computed = b"".join([root(read_tile(store, level - 1, child, WIDTH)) for child in children])
        if computed == stored[level]:
            continue
        if root_of_edge({**stored, level: computed}) == checkpoint.root:
            raise LogError(
                f"{tile_path(level, index, width)}: does not hold the hashes of what lies below it"
            )
        differing.append(tile_path(level, index, width))
    if differing:
        raise LogError(f"{differing[0]}: it, or what lies below it, does not belong to the signed tree")
    raise LogError(
        f"checkpoint: expected root {checkpoint.root.hex()}, "
        f"found {root_of_edge(stored).hex()} from the tiles: "
        "the whole log was rewritten"
    )


def _check_stale(store: Store, checkpoint: Checkpoint) -> int:
    """Older partial tiles must be beginnings of the present ones; those beyond the checkpoint are skipped."""
    checked = 0
    for folder in ("entries", *(str(level) for level in range(8))):
        level = 0 if folder == "entries" else int(folder)
        full, width = tile_count(checkpoint.size, level)
        for path, index in _partial_folders(store, f"tile/{folder}", 0):
            if index > full or (index == full and not width):
                continue
            limit = WIDTH if index < full else width
            for name in store.names(path):
                if name.isdecimal() and 1 <= int(name) <= limit:
                    _check_prefix(store, folder, index, int(name), limit)
                    checked += 1
    return checked


def _partial_folders(store: Store, folder: str, base: int) -> Iterator[tuple[str, int]]:
    for name in store.names(folder):
        digits = name.removeprefix("x").removesuffix(".p")
        if len(digits) != 3 or not digits.isdecimal():
            continue
        number = base * 1000 + int(digits)
        if name.startswith("x"):
            yield from _partial_folders(store, f"{folder}/{name}", number)
        elif name.endswith(".p"):
            yield f"{folder}/{name}", number


def _check_prefix(store: Store, folder: str, index: int, width: int, limit: int) -> None:
    if folder == "entries":
        path = bundle_path(index, width)
        old: object = read_bundle(store, index, width)
        now: object = read_bundle(store, index, limit)[:width]
    else:
        level = int(folder)
        path = tile_path(level, index, width)
        old = read_tile(store, level, index, width)
        now = read_tile(store, level, index, limit)[: width * HASH]
    if old != now:
        raise LogError(f"{path}: an older partial tile that does not begin like the present one")
