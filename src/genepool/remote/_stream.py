"""An object as a seekable stream, made of ranges that are complete or an error."""

from __future__ import annotations

import errno
import io
from typing import IO, Any, cast

from genepool.remote._calls import info, read_range

__all__ = ["RemoteFile", "open_remote"]

_FIRST = 1 << 16
_LARGEST = 1 << 23


class RemoteFile(io.RawIOBase):
    """Reads an object by ranges: little where one jumps about, eight megabytes at a time where one goes on.

    Args:
        url: The object.
        size: Its size in bytes.

    A store that does not answer is tried again by every read; what finally fails is an `OSError`.
    """

    def __init__(self, url: str, size: int) -> None:
        super().__init__()
        self.url = url
        self.size = size
        self._at = 0
        self._start = 0
        self._held = b""
        self._ahead = _FIRST

    def readable(self) -> bool:
        """Always."""
        return True

    def seekable(self) -> bool:
        """Always."""
        return True

    def tell(self) -> int:
        """Position in bytes."""
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go somewhere; nothing is read."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self.size}[whence]
        self._at = max(0, base + offset)
        return self._at

    def readinto(self, target: Any) -> int:
        """Fill a buffer from here, as far as the object goes."""
        view = memoryview(target).cast("B")
        data = self._span(len(view))
        view[: len(data)] = data
        self._at += len(data)
        return len(data)

    def _span(self, length: int) -> bytes:
        stop = min(self._at + length, self.size)
        if stop <= self._at:
            return b""
        held_to = self._start + len(self._held)
        if not (self._start <= self._at and stop <= held_to):
            near = 0 <= self._at - held_to <= self._ahead or self._start <= self._at <= held_to
            self._ahead = min(2 * self._ahead, _LARGEST) if near and self._held else _FIRST
            end = min(self.size, max(stop, self._at + self._ahead))
            try:
                self._held = read_range(self.url, self._at, end)
            except EOFError:
                raise OSError(
                    errno.ESTALE, "the object has become shorter while it was read", self.url
                ) from None
            self._start = self._at
        return self._held[self._at - self._start : stop - self._start]


def open_remote(url: str, size: int | None = None) -> IO[bytes]:
    """A buffered, seekable stream over an object.

    Args:
        url: The object.
        size: Its size, where it is known; otherwise the store is asked.

    Raises:
        OSError: It is not there, or cannot be looked at.
    """
    if size is None:
        found = info(url)
        if found.get("type") == "directory":
            raise IsADirectoryError(errno.EISDIR, "expected an object, found a folder", url)
        size = int(found.get("size") or 0)
    return cast("IO[bytes]", io.BufferedReader(RemoteFile(url, size), buffer_size=1 << 13))
