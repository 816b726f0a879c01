"""``.tlog-proof`` files: one entry's inclusion in a signed log, checked offline (C2SP tlog-proof).

``c2sp.org/tlog-proof@v1``, optionally ``extra <base64>`` (we put the entry itself there), ``index <n>``, the
inclusion proof's hashes one a line, an empty line, and the signed checkpoint.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable
from dataclasses import dataclass

from genepool.errors import LogError, SignatureError
from genepool.provenance._checkpoint import Checkpoint, open_checkpoint
from genepool.provenance._merkle import HASH, leaf_hash, verify_inclusion
from genepool.provenance._note import Verifier, strict_base64

__all__ = ["Proof"]

_HEADER = "c2sp.org/tlog-proof@v1"
_INDEX = re.compile(r"index (0|[1-9][0-9]{0,18})")
_MAX_STEPS = 63


@dataclass(frozen=True, slots=True)
class Proof:
    """An inclusion proof with the checkpoint that it leads to.

    Attributes:
        index: Leaf index.
        hashes: Audit path, from the leaf up.
        checkpoint: The signed checkpoint's bytes.
        extra: Whatever travels along; ours is the entry.
    """

    index: int
    hashes: tuple[bytes, ...]
    checkpoint: bytes
    extra: bytes | None = None

    def encode(self) -> bytes:
        """The file's bytes."""
        lines = [_HEADER]
        if self.extra is not None:
            lines.append(f"extra {base64.b64encode(self.extra).decode()}")
        lines.append(f"index {self.index}")
        lines.extend(base64.b64encode(value).decode() for value in self.hashes)
        return ("\n".join(lines) + "\n\n").encode() + self.checkpoint

    @classmethod
    def parse(cls, data: bytes) -> Proof:
        """Read a proof file strictly.

        Raises:
            LogError: Malformed.
        """
        head, separator, checkpoint = data.partition(b"\n\n")
        try:
            lines = head.decode("ascii").split("\n")
        except UnicodeDecodeError:
            raise LogError("proof: expected ASCII text before the checkpoint") from None
        if not separator or lines[0] != _HEADER:
            raise LogError(f"proof: expected {_HEADER!r} on the first line, found {lines[0][:60]!r}")
        rest = lines[1:]
        extra: bytes | None = None
        try:
            if rest and rest[0].startswith("extra "):
                extra = strict_base64(rest.pop(0)[len("extra ") :], "proof extra")
            match = _INDEX.fullmatch(rest.pop(0) if rest else "")
            if match is None:
                raise LogError("proof: expected a line `index N`")
            hashes = tuple(strict_base64(line, "proof hash") for line in rest)
        except SignatureError as error:
            raise LogError(error.message) from None
        if len(hashes) > _MAX_STEPS or any(len(value) != HASH for value in hashes):
            raise LogError(f"proof: expected at most {_MAX_STEPS} hashes of 32 bytes")
        return cls(int(match[1]), hashes, checkpoint, extra)

    def verify(
        self, entry: bytes | None, verifiers: Iterable[Verifier], *, origin: str | None = None
    ) -> Checkpoint:
        """Check that the entry stands in the signed log.

        Args:
            entry: The entry's bytes; None: the ones in ``extra``.
            verifiers: Keys of logs that are known.
            origin: The log that is expected, if known.

        Returns:
            The verified checkpoint.

        Raises:
            SignatureError: The checkpoint is not signed by a known key.
            LogError: The proof does not lead to its root.
        """
        checkpoint, _ = open_checkpoint(self.checkpoint, verifiers, origin=origin)
        data = self.extra if entry is None else entry
        if data is None:
            raise LogError("proof: expected the entry, in the file or beside it")
        verify_inclusion(self.index, checkpoint.size, leaf_hash(data), self.hashes, checkpoint.root)
        return checkpoint
