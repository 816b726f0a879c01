"""Where the bytes of a log lie: the layout of C2SP tlog-tiles.

``checkpoint``; ``tile/<L>/<N>[.p/<W>]`` with up to 256 hashes of level 8·L side by side;
``tile/entries/<N>[.p/<W>]`` with up to 256 entries, each behind its length as a big-endian uint16.
N is written in groups of three digits, all but the last with an ``x`` before: 1234067 → ``x001/x234/067``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from struct import pack

from genepool.errors import LogError

__all__ = [
    "MAX_ENTRY",
    "WIDTH",
    "bundle_path",
    "decode_bundle",
    "encode_bundle",
    "right_edge",
    "tile_count",
    "tile_path",
]

WIDTH = 256
MAX_ENTRY = 65_535


def _number(n: int) -> str:
    groups = [f"{n % 1000:03d}"]
    while n >= 1000:
        n //= 1000
        groups.append(f"x{n % 1000:03d}")
    return "/".join(reversed(groups))


def _partial(path: str, width: int) -> str:
    if not 1 <= width <= WIDTH:
        raise LogError(f"{path}: expected a tile width from 1 to 256, found {width}")
    return path if width == WIDTH else f"{path}.p/{width}"


def tile_path(level: int, index: int, width: int = WIDTH) -> str:
    """The path of a hash tile; ``width`` < 256 names a partial one."""
    return _partial(f"tile/{level}/{_number(index)}", width)


def bundle_path(index: int, width: int = WIDTH) -> str:
    """The path of an entry bundle; ``width`` < 256 names a partial one."""
    return _partial(f"tile/entries/{_number(index)}", width)


def tile_count(size: int, level: int) -> tuple[int, int]:
    """Full tiles, and the width of the partial one (0: none), at tile level ``level`` for ``size`` leaves."""
    return divmod(size >> (8 * level), WIDTH)


def right_edge(size: int) -> Iterator[tuple[int, int, int]]:
    """``(level, index, width)`` of each partial tile of a log of ``size`` leaves, from level 0 up."""
    level = 0
    while size >> (8 * level):
        full, width = tile_count(size, level)
        if width:
            yield level, full, width
        level += 1


def encode_bundle(entries: Sequence[bytes]) -> bytes:
    """Up to 256 entries as one bundle.

    Raises:
        LogError: An entry longer than 65,535 bytes.
    """
    parts: list[bytes] = []
    for entry in entries:
        if len(entry) > MAX_ENTRY:
            raise LogError(f"entry: expected at most {MAX_ENTRY} bytes, found {len(entry)}")
        parts.append(pack(">H", len(entry)))
        parts.append(entry)
    return b"".join(parts)


def decode_bundle(data: bytes, width: int, path: str) -> list[bytes]:
    """The entries of a bundle that must hold exactly ``width`` of them.

    Raises:
        LogError: Too short, too long, or trailing bytes; the message names ``path``.
    """
    entries: list[bytes] = []
    position, end = 0, len(data)
    while position + 2 <= end and len(entries) < width:
        stop = position + 2 + (data[position] << 8 | data[position + 1])
        if stop > end:
            break
        entries.append(data[position + 2 : stop])
        position = stop
    if len(entries) != width:
        raise LogError(f"{path}: expected {width} entries, found {len(entries)} whole ones")
    if position != end:
        raise LogError(f"{path}: expected nothing after {width} entries, found {end - position} bytes")
    return entries
