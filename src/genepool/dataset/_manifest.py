"""What an export wrote: ``manifest.json``, one line per image, one line per image left out."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from genepool.records import Case

__all__ = ["SCHEMA", "Manifest", "ManifestWriter", "root_of"]

SCHEMA = "genepool.manifest/1"


@dataclass(frozen=True, slots=True)
class Manifest:
    """The summary of an export.

    Attributes:
        path: The folder that was written, absolute.
        format: A format of `EXPORT_FORMATS`.
        n: Images written.
        bytes: Sum of their sizes.
        root: Hex Merkle root of their SHA-256 digests; equal to that of the same images anywhere else.
        dropped: How many images were left out, by reason.
    """

    path: str
    format: str
    n: int
    bytes: int
    root: str
    dropped: Mapping[str, int] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """The object of ``manifest.json``; the place is left out, so that an export may be moved."""
        return {
            "schema": SCHEMA,
            "format": self.format,
            "n": self.n,
            "bytes": self.bytes,
            "root": self.root,
            "files": "manifest.jsonl",
            "dropped": dict(sorted(self.dropped.items())),
        }


def root_of(digests: Iterable[bytes]) -> bytes:
    """RFC 6962 (section 2.1) Merkle tree hash over the sorted 32-byte digests, equal ones repeated."""
    level = [hashlib.sha256(b"\0" + digest).digest() for digest in sorted(digests)]
    if not level:
        return hashlib.sha256(b"").digest()
    while len(level) > 1:
        pairs = [
            hashlib.sha256(b"\1" + a + b).digest() for a, b in zip(level[::2], level[1::2], strict=False)
        ]
        level = pairs + level[len(pairs) * 2 :]
    return level[0]


class ManifestWriter:
    """Collects lines while an export runs; `finish` writes the summary."""

    def __init__(self, folder: Path, form: str) -> None:
        self._folder = folder
        self._format = form
        self._files = (folder / "manifest.jsonl").open("wb")
        self._digests: list[bytes] = []
        self._bytes = 0
        self._dropped: dict[str, int] = {}

    def close(self) -> None:
        """Close what is open, finished or not."""
        self._files.close()

    @property
    def n(self) -> int:
        """Images so far."""
        return len(self._digests)

    def add(self, uri: str, source: str, digest: bytes, size: int) -> None:
        """One image written: its uri in the export, in the source, SHA-256 and bytes."""
        import orjson

        self._digests.append(digest)
        self._bytes += size
        line = {"uri": uri, "sha256": digest.hex(), "size": size, "source": source}
        self._files.write(orjson.dumps(line) + b"\n")

    def finish(self, place: Path, dropped: Iterable[Case]) -> Manifest:
        """Write ``dropped.jsonl`` (when there is something to say) and ``manifest.json``."""
        import orjson

        self._files.close()
        lines = []
        for case in dropped:
            self._dropped[case.reason] = self._dropped.get(case.reason, 0) + 1
            row = {"uri": case.uri, "reason": case.reason, "message": case.message, "code": case.code}
            lines.append(orjson.dumps({**row, "sha256": case.sha256}) + b"\n")
        if lines:
            (self._folder / "dropped.jsonl").write_bytes(b"".join(lines))
        root = root_of(self._digests).hex()
        manifest = Manifest(str(place), self._format, self.n, self._bytes, root, self._dropped)
        text = orjson.dumps(manifest.to_json(), option=orjson.OPT_INDENT_2) + b"\n"
        (self._folder / "manifest.json").write_bytes(text)
        return manifest
