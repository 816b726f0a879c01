"""Which images a set holds: its sorted digests, kept beside the log and bound by the root that the log holds.

``members/<root>`` of the workspace: 32 bytes an image, sorted, equal files repeated. Nobody needs to trust
the file: its Merkle root must be its name.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from genepool.errors import LogError, WorkspaceError
from genepool.provenance._files import atomic_write
from genepool.store import merkle_root

__all__ = ["holds_exactly", "keep_members", "read_members"]

_WIDTH = 32


def keep_members(folder: Path, root: bytes, digests: Sequence[bytes]) -> None:
    """Keep a set's digests, once for each root.

    Raises:
        WorkspaceError: Not writable.
    """
    place = folder / "members" / root.hex()
    if place.exists():
        return
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        atomic_write(place, b"".join(sorted(digests)))
    except OSError as error:
        raise WorkspaceError(f"{place}: cannot be written: {error.strerror}") from None


def holds_exactly(folder: Path, root: str, digests: NDArray[np.uint8]) -> bool:
    """Whether the list kept under this root is exactly these images; the tree is not computed.

    A question of speed, not of trust: who could forge the list can as well forge whatever names the root. A
    no says only that the tree has to be computed: the list may be missing or damaged.

    Args:
        folder: The workspace.
        root: 64 hexadecimal digits.
        digests: ``(n, 32)`` uint8, in any order.
    """
    place = folder / "members" / root
    with contextlib.suppress(OSError, ValueError):
        if re.fullmatch("[0-9a-f]{64}", root) is None or place.stat().st_size != digests.size:
            return False
        # A fixed-width byte string compares like the bytes themselves.
        ordered = np.sort(np.ascontiguousarray(digests).reshape(-1).view(f"S{_WIDTH}"))
        return bool(np.array_equal(ordered.view(np.uint8), np.fromfile(place, np.uint8)))
    return False


def read_members(folder: Path, root: str) -> NDArray[np.uint8] | None:
    """The sorted digests of the set with this root, ``(n, 32)`` uint8; None where they are not kept.

    Raises:
        LogError: The list is not the one that the root binds.
    """
    place = folder / "members" / root
    with contextlib.suppress(OSError):
        data = place.read_bytes()
        if len(data) % _WIDTH or merkle_root([data]).hex() != root:
            raise LogError(f"{place}: its digests do not have this root", hint="restore it, or remove it")
        return np.frombuffer(data, np.uint8).reshape(-1, _WIDTH)
    return None
