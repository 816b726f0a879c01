"""RFC 6962 Merkle trees: hashes, roots, inclusion and consistency proofs.

Hashing follows RFC 6962 section 2.1 (domain separation by a 0x00 byte for leaves, 0x01 for nodes, the empty
tree hashes to SHA-256 of nothing). Verification follows the iterative algorithms of RFC 9162 sections 2.1.3.2
and 2.1.4.2. A hash list is one ``bytes`` of 32-byte hashes side by side: slicing it costs less than a list.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from hashlib import sha256

from genepool.errors import LogError

__all__ = [
    "EMPTY_ROOT",
    "HASH",
    "Fetch",
    "consistency_proof",
    "inclusion_proof",
    "leaf_hash",
    "leaf_hashes",
    "level_up",
    "memory_fetch",
    "node_hash",
    "range_hash",
    "root",
    "root_from_consistency",
    "verify_consistency",
    "verify_inclusion",
]

HASH = 32
EMPTY_ROOT = sha256(b"").digest()
MAX_SIZE = 1 << 63

Fetch = Callable[[int, int], bytes]
"""``fetch(level, index)``: the hash of the full subtree of 2**level leaves that starts at index·2**level."""


def leaf_hash(data: bytes) -> bytes:
    """SHA-256(0x00 ‖ data), RFC 6962 section 2.1."""
    return sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """SHA-256(0x01 ‖ left ‖ right), RFC 6962 section 2.1."""
    return sha256(b"\x01" + left + right).digest()


def leaf_hashes(entries: Iterable[bytes]) -> bytes:
    """The leaf hashes of many entries, side by side."""
    return b"".join([sha256(b"\x00" + entry).digest() for entry in entries])


def level_up(hashes: bytes) -> bytes:
    """The level above: each pair hashed, an odd last hash carried up as it is.

    Args:
        hashes: k hashes side by side.

    Returns:
        ceil(k / 2) hashes side by side.
    """
    whole = len(hashes) // 64 * 64
    pairs = [sha256(b"\x01" + hashes[i : i + 64]).digest() for i in range(0, whole, 64)]
    return b"".join(pairs) + hashes[whole:]


def root(hashes: bytes) -> bytes:
    """The tree hash over leaf (or equal-height subtree) hashes side by side; the empty tree's for none.

    Pairing level by level with the odd one carried up gives RFC 6962's split at the largest power of two.
    The last hash may stand for a smaller subtree than the others.
    """
    if not hashes:
        return EMPTY_ROOT
    while len(hashes) > HASH:
        hashes = level_up(hashes)
    return hashes


def memory_fetch(hashes: bytes) -> Fetch:
    """A `Fetch` over leaf hashes held in memory; every level is computed once."""
    levels = [hashes]
    while len(levels[-1]) > HASH:
        below = levels[-1]
        levels.append(level_up(below[: len(below) // 64 * 64]))

    def fetch(level: int, index: int) -> bytes:
        found = levels[level][index * HASH : (index + 1) * HASH] if level < len(levels) else b""
        if len(found) != HASH:
            raise LogError(f"tree: no full subtree at level {level} index {index}")
        return found

    return fetch


# ------------------------------------------------------------------------------------------ making proofs


def range_hash(start: int, end: int, fetch: Fetch) -> bytes:
    """The hash of leaves ``[start, end)``, where start is a multiple of the next power of two ≥ end − start.

    Raises:
        LogError: What ``fetch`` raises.
    """
    if start == end:
        return EMPTY_ROOT
    pieces: list[bytes] = []
    while start < end:
        # The largest full subtree that begins here and fits.
        level = (end - start).bit_length() - 1
        if start:
            level = min(level, (start & -start).bit_length() - 1)
        pieces.append(fetch(level, start >> level))
        start += 1 << level
    result = pieces.pop()
    while pieces:
        result = node_hash(pieces.pop(), result)
    return result


def _split(size: int) -> int:
    """The largest power of two smaller than size (RFC 6962's k)."""
    return 1 << ((size - 1).bit_length() - 1)


def inclusion_proof(index: int, size: int, fetch: Fetch) -> list[bytes]:
    """The audit path of leaf ``index`` in the tree of ``size`` leaves (RFC 6962 section 2.1.1).

    Raises:
        LogError: ``index`` is not in the tree.
    """
    if not 0 <= index < size:
        raise LogError(f"proof: expected an index below the size {size}, found {index}")
    path: list[bytes] = []
    start, end = 0, size
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            path.append(range_hash(middle, end, fetch))
            end = middle
        else:
            path.append(range_hash(start, middle, fetch))
            start = middle
    path.reverse()
    return path


def consistency_proof(old: int, new: int, fetch: Fetch) -> list[bytes]:
    """The proof that the tree of ``old`` leaves is a prefix of that of ``new`` (RFC 6962 section 2.1.2).

    Raises:
        LogError: Not 1 ≤ old ≤ new.
    """
    if not 1 <= old <= new:
        raise LogError(f"proof: expected 1 ≤ old size ≤ {new}, found {old}")
    path: list[bytes] = []
    start, end, inside = 0, new, True
    while end != old:
        middle = start + _split(end - start)
        if old <= middle:
            path.append(range_hash(middle, end, fetch))
            end = middle
        else:
            path.append(range_hash(start, middle, fetch))
            start = middle
            inside = False
    if not inside:
        path.append(range_hash(start, end, fetch))
    path.reverse()
    return path


# --------------------------------------------------------------------------------------- checking proofs


def _check_hashes(hashes: Sequence[bytes], what: str) -> None:
    for value in hashes:
        if len(value) != HASH:
            raise LogError(f"{what}: expected hashes of 32 bytes, found {len(value)}")


def verify_inclusion(index: int, size: int, leaf: bytes, proof: Sequence[bytes], expected: bytes) -> None:
    """Check that a leaf hash stands at ``index`` in the tree of ``size`` leaves (RFC 9162 section 2.1.3.2).

    Args:
        index: Leaf index, from 0.
        size: Leaves in the tree.
        leaf: Leaf hash, 32 bytes.
        proof: Audit path, from the leaf up.
        expected: The tree's root hash.

    Raises:
        LogError: The proof is malformed or does not lead to the root.
    """
    if not 0 <= index < size <= MAX_SIZE:
        raise LogError(f"inclusion proof: expected 0 ≤ index < size, found index {index}, size {size}")
    _check_hashes([leaf, expected, *proof], "inclusion proof")
    node, last, value = index, size - 1, leaf
    for step in proof:
        if last == 0:
            raise LogError("inclusion proof: longer than the tree is high")
        if node & 1 or node == last:
            value = node_hash(step, value)
            while not node & 1 and node:
                node >>= 1
                last >>= 1
        else:
            value = node_hash(value, step)
        node >>= 1
        last >>= 1
    if last != 0:
        raise LogError("inclusion proof: shorter than the tree is high")
    if value != expected:
        raise LogError(f"inclusion proof: expected root {expected.hex()}, found {value.hex()}")


def root_from_consistency(old: int, new: int, proof: Sequence[bytes], old_root: bytes) -> tuple[bytes, bytes]:
    """The two roots that a consistency proof leads to (RFC 9162 section 2.1.4.2), not yet compared.

    Raises:
        LogError: The proof is malformed.
    """
    if not 1 <= old <= new <= MAX_SIZE:
        raise LogError(f"consistency proof: expected 1 ≤ old ≤ new, found {old}, {new}")
    if old == new:
        if proof:
            raise LogError(f"consistency proof: expected no hash for equal sizes, found {len(proof)}")
        return old_root, old_root
    _check_hashes([old_root, *proof], "consistency proof")
    steps = [old_root, *proof] if old & (old - 1) == 0 else list(proof)
    if not steps or not proof:
        raise LogError("consistency proof: expected at least one hash, found none")
    node, last = old - 1, new - 1
    while node & 1:
        node >>= 1
        last >>= 1
    first = second = steps[0]
    for step in steps[1:]:
        if last == 0:
            raise LogError("consistency proof: longer than the tree is high")
        if node & 1 or node == last:
            first, second = node_hash(step, first), node_hash(step, second)
            while not node & 1 and node:
                node >>= 1
                last >>= 1
        else:
            second = node_hash(second, step)
        node >>= 1
        last >>= 1
    if last != 0:
        raise LogError("consistency proof: shorter than the tree is high")
    return first, second


def verify_consistency(old: int, new: int, old_root: bytes, new_root: bytes, proof: Sequence[bytes]) -> None:
    """Check that the tree of ``new`` leaves only appends to that of ``old`` leaves.

    An old size of 0 is refused: every tree extends the empty one, so such a proof proves nothing.

    Raises:
        LogError: The proof is malformed or does not lead to both roots.
    """
    first, second = root_from_consistency(old, new, proof, old_root)
    if first != old_root:
        raise LogError(f"consistency proof: expected old root {old_root.hex()}, found {first.hex()}")
    if second != new_root:
        raise LogError(f"consistency proof: expected new root {new_root.hex()}, found {second.hex()}")
