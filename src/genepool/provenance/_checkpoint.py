"""Checkpoints: the signed head of a log (C2SP tlog-checkpoint).

Three lines, origin, size and base64(root), signed as a note. Extension lines of others are
kept; ours has none.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable
from dataclasses import dataclass

from genepool.errors import LogError, SignatureError
from genepool.provenance._merkle import EMPTY_ROOT, HASH, MAX_SIZE
from genepool.provenance._note import Note, Signer, Verifier, open_note, sign_note, strict_base64

__all__ = ["Checkpoint", "open_checkpoint"]

_SIZE = re.compile(r"0|[1-9][0-9]{0,18}")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A log's name, size and root hash at one moment.

    Attributes:
        origin: The log's unique name.
        size: Number of leaves.
        root: RFC 6962 root hash, 32 bytes.
        extensions: Further lines, opaque.
    """

    origin: str
    size: int
    root: bytes
    extensions: tuple[str, ...] = ()

    def text(self) -> str:
        """The note text that is signed."""
        lines = [self.origin, str(self.size), base64.b64encode(self.root).decode(), *self.extensions]
        return "".join(f"{line}\n" for line in lines)

    def sign(self, *signers: Signer) -> bytes:
        """The signed checkpoint, as the file ``checkpoint`` holds it."""
        return sign_note(self.text(), signers)

    @classmethod
    def parse(cls, text: str) -> Checkpoint:
        """Read a note text strictly.

        Raises:
            LogError: Malformed: a size with sign, blanks or leading zeros, a root that is not 32 bytes …
        """
        if not text.endswith("\n"):
            raise LogError("checkpoint: expected a newline at the end")
        lines = text[:-1].split("\n")
        if len(lines) < 3 or not all(lines):
            raise LogError("checkpoint: expected origin, size and root on lines of their own")
        origin, size, encoded, *extensions = lines
        if not _SIZE.fullmatch(size) or int(size) >= MAX_SIZE:
            raise LogError(f"checkpoint: expected a decimal size below 2^63, found {size[:40]!r}")
        try:
            root = strict_base64(encoded, "checkpoint root")
        except SignatureError as error:
            raise LogError(error.message) from None
        if len(root) != HASH:
            raise LogError(f"checkpoint: expected a root of 32 bytes, found {len(root)}")
        if size == "0" and root != EMPTY_ROOT:
            raise LogError("checkpoint: expected the empty tree's root at size 0")
        return cls(origin, int(size), root, tuple(extensions))


def open_checkpoint(
    data: bytes, verifiers: Iterable[Verifier], *, origin: str | None = None
) -> tuple[Checkpoint, Note]:
    """Verify and read a signed checkpoint.

    Args:
        data: The file's bytes.
        verifiers: Known keys.
        origin: The log that is expected, if known.

    Raises:
        SignatureError: No known key signed it, or one signed wrongly.
        LogError: It is malformed or another log's.
    """
    note = open_note(data, verifiers)
    checkpoint = Checkpoint.parse(note.text)
    if origin is not None and checkpoint.origin != origin:
        raise LogError(f"checkpoint: expected log {origin!r}, found {checkpoint.origin!r}")
    return checkpoint, note
