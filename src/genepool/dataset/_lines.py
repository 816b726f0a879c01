"""Tables that describe a folder's images by file name: ``genepool.jsonl``, ``metadata.jsonl|csv``.

Only a hash and a place per line are kept (24 bytes), never the objects, so that a description of a million
images costs little while the folder is being listed.
"""

from __future__ import annotations

import array
import csv
import io
import shutil
import tempfile
from collections.abc import Iterator
from typing import IO, Any, NamedTuple

import numpy as np

from genepool.dataset._sidecar import MAX_SIDECAR, SidecarError, caption_text, claims, flat_claims, loads

__all__ = ["DESCRIPTIONS", "Described", "Description"]

DESCRIPTIONS = {"genepool.jsonl": "file", "metadata.jsonl": "file_name", "metadata.csv": "file_name"}
"""File name → the key that names the image. The later one wins where two describe the same image."""

_IN_MEMORY = 8 << 20


class Described(NamedTuple):
    """What a table says about one image: its claims and its caption."""

    claims: dict[str, Any]
    caption: str | None


class Description:
    """One table, indexed. ``problem`` is a sentence about unusable lines, or empty."""

    __slots__ = ("_hashes", "_key", "_lengths", "_offsets", "_own", "_stream", "problem")

    def __init__(self, name: str, stream: IO[bytes], size: int) -> None:
        """Index a table.

        Args:
            name: One of `DESCRIPTIONS`.
            stream: The table's bytes; taken over and closed here when it need not stay open.
            size: Its length in bytes.
        """
        self._key = DESCRIPTIONS[name]
        self._own = name == "genepool.jsonl"
        self._hashes = array.array("q")
        self._offsets = array.array("q")
        self._lengths = array.array("q")
        self.problem = ""
        self._stream: IO[bytes]
        if name.endswith(".csv"):
            with io.TextIOWrapper(stream, "utf-8-sig", "replace", newline="") as text:
                self._stream = self._from_csv(text)
        elif size <= _IN_MEMORY:
            with stream:
                self._stream = io.BytesIO(stream.read(size))
        elif isinstance(getattr(stream, "raw", None), io.FileIO):
            self._stream = stream
        else:
            # A remote stream is slow to seek in: one copy, then local reads.
            self._stream = tempfile.TemporaryFile()  # noqa: SIM115  # closed by close()
            with stream:
                shutil.copyfileobj(stream, self._stream)
        self._index()

    def close(self) -> None:
        """Let go of the table."""
        self._stream.close()

    def _from_csv(self, text: io.TextIOWrapper) -> IO[bytes]:
        import orjson

        lines: IO[bytes] = tempfile.SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115
        try:
            rows = csv.DictReader(text)
            if self._key not in (rows.fieldnames or ()):
                self.problem = (
                    f"expected a column `{self._key}`, found {', '.join(rows.fieldnames or ()) or 'nothing'}"
                )
                return lines
            for row in rows:
                kept = {k: v for k, v in row.items() if isinstance(k, str) and isinstance(v, str)}
                lines.write(orjson.dumps(kept) + b"\n")
        except csv.Error as error:
            self.problem = f"not a readable CSV table from line {rows.line_num}: {error}"
        return lines

    def _index(self) -> None:
        wrong = 0
        first = ""
        offset = 0
        for number, line in enumerate(_bounded_lines(self._stream), 1):
            if line.strip(b" \t\r\n\xef\xbb\xbf"):
                problem = self._add(line, offset)
                if problem:
                    wrong += 1
                    first = first or f"line {number}: {problem}"
            offset += len(line)
        if wrong:
            more = f" (and {wrong - 1} more)" if wrong > 1 else ""
            self.problem = "; ".join(filter(None, (self.problem, first + more)))
        order = np.argsort(np.array(self._hashes, np.int64), kind="stable")
        for name in ("_hashes", "_offsets", "_lengths"):
            values = getattr(self, name)
            setattr(self, name, array.array("q", (values[i] for i in order)))

    def _add(self, line: bytes, offset: int) -> str:
        try:
            value = _object(line)
            name = _relative(value.get(self._key), self._key)
            wrong = claims(value)[1] if self._own else flat_claims(value)[2]
        except SidecarError as error:
            return str(error)
        self._hashes.append(hash(name))
        self._offsets.append(offset)
        self._lengths.append(len(line))
        return f"{name}: {wrong[0]}" if wrong else ""

    def find(self, name: str) -> Described | None:
        """What the table says about the image of this name (relative to the table, ``/`` between folders)."""
        import bisect

        key = hash(name)
        at = bisect.bisect_right(self._hashes, key) - 1
        while at >= 0 and self._hashes[at] == key:
            self._stream.seek(self._offsets[at])
            value = _object(self._stream.read(self._lengths[at]))
            if _relative(value.get(self._key), self._key) == name:
                if self._own:
                    found = claims(value)[0]
                    return Described(found, caption_text(found.get("caption")))
                found, caption, _ = flat_claims(value)
                return Described(found, caption)
            at -= 1
        return None


def _bounded_lines(stream: IO[bytes]) -> Iterator[bytes]:
    """Lines of a stream from its start; one longer than allowed comes in pieces that fail to parse."""
    stream.seek(0)
    while line := stream.readline(MAX_SIDECAR + 2):
        yield line


def _object(line: bytes) -> dict[str, Any]:
    value = loads(line.removeprefix(b"\xef\xbb\xbf").strip())
    if not isinstance(value, dict):
        raise SidecarError(f"expected an object, found {type(value).__name__}")
    return value


def _relative(name: Any, key: str) -> str:
    if not isinstance(name, str) or not name:
        raise SidecarError(f"expected `{key}` to name an image, found {name!r}")
    parts = [part for part in name.replace("\\", "/").split("/") if part != "."]
    if name.startswith("/") or ".." in parts or "" in parts:
        raise SidecarError(f"expected `{key}` to be relative and to stay inside the folder, found {name!r}")
    return "/".join(parts)
