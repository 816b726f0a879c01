"""Rotation of a log's key: a signed statement by the old key that the log goes on under a new one.

``rotation-<n>`` in the log's folder (n = 0, 1, …) is a note with the lines ``genepool.rotation/1``, origin,
old vkey, new vkey, size, signed by both keys under the log's name. Who knows an older key of the log follows
the chain to the present one; C2SP leaves rotation to the log's operator.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from genepool.errors import LogError, SignatureError
from genepool.provenance._note import Signer, Verifier, open_note, sign_note

__all__ = ["Rotation", "follow", "make_rotation", "read_rotations"]

HEADER: Final = "genepool.rotation/1"
_MOST = 64


@dataclass(frozen=True, slots=True)
class Rotation:
    """One verified change of key.

    Attributes:
        old, new: Keys of the log, before and after, under the log's name.
        size: Entries in the log when it changed hands.
        note: The signed statement.
    """

    old: Verifier
    new: Verifier
    size: int
    note: bytes


def make_rotation(origin: str, old: Signer, new: Signer, size: int) -> Rotation:
    """State that a log goes on under a new key; both keys sign."""
    keys = old.renamed(origin), new.renamed(origin)
    lines = [HEADER, origin, keys[0].verifier.vkey, keys[1].verifier.vkey, str(size)]
    note = sign_note("".join(f"{line}\n" for line in lines), keys)
    return Rotation(keys[0].verifier, keys[1].verifier, size, note)


def open_rotation(note: bytes, origin: str) -> Rotation:
    """Read and verify one statement.

    Raises:
        SignatureError: Malformed, another log's, or not signed by both keys.
    """
    lines = note.decode("utf-8", "replace").split("\n")
    if len(lines) < 6 or lines[0] != HEADER or lines[1] != origin or lines[5]:
        raise SignatureError(f"rotation: expected a statement about log {origin!r}, found something else")
    old, new = Verifier.parse(lines[2]), Verifier.parse(lines[3])
    if {old.name, new.name} != {origin} or old == new or not lines[4].isdecimal():
        raise SignatureError("rotation: expected two different keys under the log's name, and a size")
    signed = open_note(note, [old, new]).signed_by
    if set(signed) != {old, new}:
        raise SignatureError("rotation: expected the signatures of the old and of the new key")
    return Rotation(old, new, int(lines[4]), note)


def read_rotations(read: Callable[[str], bytes | None], origin: str) -> tuple[Rotation, ...]:
    """The rotations of a log in order, each verified; the next one begins where the last one ended.

    Args:
        read: Gives a file of the log's folder, or None.
        origin: The log's name.

    Raises:
        LogError: One does not verify, or they do not make a chain.
    """
    found: list[Rotation] = []
    while (note := read(f"rotation-{len(found)}")) is not None:
        try:
            rotation = open_rotation(note, origin)
        except SignatureError as error:
            raise LogError(f"rotation-{len(found)}: {error.message}") from None
        if found and rotation.old != found[-1].new:
            raise LogError(f"rotation-{len(found)}: expected one by {found[-1].new.id}")
        if len(found) == _MOST:
            raise LogError(f"rotation-{len(found)}: expected at most {_MOST}")
        found.append(rotation)
    return tuple(found)


def follow(publics: Iterable[bytes], rotations: Sequence[Rotation]) -> frozenset[bytes]:
    """The public keys that follow from known ones along the chain, those included."""
    known = set(publics)
    for rotation in rotations:
        if rotation.old.public in known:
            known.add(rotation.new.public)
    return frozenset(known)
