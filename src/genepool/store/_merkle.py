"""The root that binds a decision to a training multiset."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import numpy as np


def merkle_root(digests: Iterable[bytes]) -> bytes:
    """RFC 6962 (section 2.1) Merkle tree hash over the sorted digests, equal ones repeated.

    Args:
        digests: SHA-256 digests of 32 bytes, or concatenations of them, in any order.

    Returns:
        32 bytes. The empty multiset gives SHA-256 of the empty string, as the RFC defines it.
    """
    joined = b"".join(digests)
    # A fixed-width byte string compares like the bytes themselves, so this is the lexicographic order.
    ordered = np.sort(np.frombuffer(joined, dtype="S32")).tobytes()
    sha256 = hashlib.sha256
    level = [sha256(b"\0" + ordered[i : i + 32]).digest() for i in range(0, len(ordered), 32)]
    if not level:
        return sha256(b"").digest()
    # Pairing neighbours and promoting an odd last one yields the RFC's largest-power-of-two split.
    while len(level) > 1:
        paired = [sha256(b"\1" + a + b).digest() for a, b in zip(level[::2], level[1::2], strict=False)]
        if len(level) % 2:
            paired.append(level[-1])
        level = paired
    return level[0]
