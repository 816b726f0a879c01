"""Local paths and fsspec URLs behind one small face, and the reading of one file or byte range.

A path with ``://`` goes through fsspec; everything else through `os`. Whatever a library raises leaves this
file as an `OSError`, which the sources turn into cases.
"""

# Text paths, because a Path object costs more than the system call that it is for.
# ruff: noqa: PTH100, PTH111, PTH116

from __future__ import annotations

import errno
import hashlib
import os
import re
import stat
from collections.abc import Iterator
from typing import IO, Any, NamedTuple

from genepool import remote
from genepool.dataset._far import UNREACHABLE, unlisted, watched
from genepool.remote import Unreachable, is_url

__all__ = [
    "MAX_BYTES",
    "Entry",
    "Ranges",
    "Refused",
    "Stat",
    "Unreachable",
    "absolute",
    "entries",
    "exists",
    "is_url",
    "join",
    "open_file",
    "read_file",
    "refusal",
    "same_object",
    "stat_of",
    "unlisted",
    "url_glob",
    "walk_names",
    "watched",
]

MAX_BYTES = 512 * 1024 * 1024
"""Default bound on the bytes of one image."""


class Refused(Exception):
    """A file that is there but is not taken: a reason word and a sentence."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message


class Stat(NamedTuple):
    """Size in bytes, a text that changes with the file, and what it is."""

    size: int
    stamp: str
    regular: bool
    folder: bool


class Entry(NamedTuple):
    """A name in a folder; ``kind`` is ``file``, ``folder``, ``link`` or ``other``.

    ``stat`` is what a store said about a file while it listed the folder; None on a local disk.
    """

    name: str
    kind: str
    stat: Stat | None = None


def absolute(path: str) -> str:
    """A local path made absolute, ``~`` expanded, links left as they are."""
    return os.path.abspath(os.path.expanduser(path))


def join(folder: str, name: str) -> str:
    """A path or URL below a folder."""
    return f"{folder.rstrip('/')}/{name}" if folder != "/" else f"/{name}"


def entries(folder: str) -> list[Entry]:
    """The entries of a folder, in no particular order; each is looked at once and none is opened.

    Raises:
        OSError: It cannot be listed.
    """
    if is_url(folder):
        return [
            Entry(
                str(info["name"]).rstrip("/").rpartition("/")[2], "folder" if found.folder else "file", found
            )
            for info in remote.listing(folder)
            for found in (_stat(info),)
        ]
    with os.scandir(folder) as listing:
        return [Entry(entry.name, _kind(entry)) for entry in listing]


def _kind(entry: os.DirEntry[str]) -> str:
    if entry.is_symlink():
        return "link"
    if entry.is_dir():
        return "folder"
    return "file" if entry.is_file() else "other"


def stat_of(path: str) -> Stat:
    """Size and stamp of a file, links followed.

    Raises:
        OSError: It is not there or cannot be looked at.
    """
    if is_url(path):
        return _stat(remote.info(path))
    found = os.stat(path)
    return Stat(
        found.st_size,
        f"{found.st_size}:{found.st_mtime_ns}",
        stat.S_ISREG(found.st_mode),
        stat.S_ISDIR(found.st_mode),
    )


def _stat(info: dict[str, Any]) -> Stat:
    """What fsspec says about an object. The stamp is its ETag where there is one, else a time."""
    keys = ("mtime", "ETag", "etag", "LastModified", "updated", "created")
    when = next((info[key] for key in keys if info.get(key)), "")
    size = int(info.get("size") or 0)
    mark = str(when).strip('"')
    return Stat(size, f"{size}:{mark}", info["type"] == "file", info["type"] == "directory")


def exists(path: str) -> bool:
    """Whether there is anything at a path."""
    try:
        stat_of(path)
    except Unreachable:
        raise
    except (OSError, ValueError):
        return False
    return True


def open_file(path: str) -> IO[bytes]:
    """A seekable binary stream over a regular file.

    Raises:
        OSError: It is not there, not a regular file, or cannot be read.
    """
    if is_url(path):
        return remote.open_remote(path)
    return os.fdopen(_descriptor(path), "rb")


def _descriptor(path: str) -> int:
    # O_NONBLOCK: a pipe that took an image's name must not stall a worker.
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        mode = os.fstat(descriptor).st_mode
        if not stat.S_ISREG(mode):
            kind = errno.EISDIR if stat.S_ISDIR(mode) else errno.EINVAL
            raise OSError(kind, "expected a regular file", path)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def read_file(path: str, limit: int, *, empty: bool = False, size: int = -1) -> bytes:
    """All bytes of a file.

    Args:
        path: Local path or URL.
        limit: Most bytes taken.
        empty: Whether a file of zero bytes is fine.
        size: Bytes of an object as it was listed, which spares asking for them; −1: not known.

    Raises:
        OSError: It cannot be read.
        Refused: ``empty`` or ``too-large``.
    """
    if is_url(path):
        size = stat_of(path).size if size < 0 else size
        _check(size, limit, empty)
        with watched():
            data = remote.read_object(path, size)
        _check(len(data), limit, empty)
        return data
    descriptor = _descriptor(path)
    try:
        size = os.fstat(descriptor).st_size
        _check(size, limit, empty)
        data = _drain(descriptor, 0, size)
    finally:
        os.close(descriptor)
    _check(len(data), limit, empty)
    return data


def same_object(path: str, stamp: str, data: bytes) -> bool:
    """Whether an object's bytes are those that were listed under a stamp.

    Where the ETag is the MD5 of the bytes (a single put without a key of its own) that is certain; where it
    is not, the store is asked once more what lies there now.

    Raises:
        OSError: It cannot be asked.
    """
    size, _, mark = stamp.split(";")[0].partition(":")
    if str(len(data)) != size:
        return False
    if not _MD5.fullmatch(mark) or hashlib.md5(data, usedforsecurity=False).hexdigest() == mark:
        return True
    return stat_of(path).stamp == f"{size}:{mark}"


_MD5 = re.compile("[0-9a-f]{32}")


def _check(size: int, limit: int, empty: bool) -> None:
    if size == 0 and not empty:
        raise Refused("empty", "expected an image, found 0 bytes")
    if size > limit:
        raise Refused("too-large", f"expected at most {limit} bytes, found {size}")


def _drain(descriptor: int, offset: int, length: int) -> bytes:
    data = os.pread(descriptor, length, offset)
    if len(data) == length or not data:
        return data
    pieces = [data]
    have = len(data)
    # One call returns at most 2 GiB, and less from some network mounts.
    while have < length and (piece := os.pread(descriptor, length - have, offset + have)):
        pieces.append(piece)
        have += len(piece)
    return b"".join(pieces)


class Ranges:
    """Byte ranges of containers; keeps the last container open between reads. Close it, or use ``with``.

    Attributes:
        stamp: What the store said about the object that is open; empty for local files.
    """

    __slots__ = ("_descriptor", "_path", "_stream", "stamp")

    def __init__(self) -> None:
        self._path = ""
        self._descriptor = -1
        self._stream: remote.RemoteFile | None = None
        self.stamp = ""

    def __enter__(self) -> Ranges:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the open container."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
        self._descriptor, self._path, self._stream, self.stamp = -1, "", None, ""

    def read(self, path: str, offset: int, length: int) -> bytes:
        """Exactly ``length`` bytes from ``offset``.

        Raises:
            OSError: The container cannot be read.
            Refused: ``vanished``, when it has become shorter.
        """
        if is_url(path):
            data = self._far(path, offset, length)
        else:
            if path != self._path:
                self.close()
                self._descriptor, self._path = _descriptor(path), path
            data = _drain(self._descriptor, offset, length)
        if len(data) != length:
            raise Refused(
                "vanished", f"expected {length} bytes at {offset}, found {len(data)}: the archive has changed"
            )
        return data

    def _far(self, path: str, offset: int, length: int) -> bytes:
        """A range of an object; neighbours are fetched together, since a shard is read in its order."""
        with watched():
            if path != self._path or self._stream is None:
                self.close()
                found = stat_of(path)
                self._stream, self._path, self.stamp = remote.RemoteFile(path, found.size), path, found.stamp
            self._stream.seek(offset)
            return self._stream.read(length) or b""


def walk_names(folder: str) -> Iterator[tuple[str, str]]:
    """Relative and full paths of all files below a folder that are not hidden, sorted, links not followed.

    Folders that cannot be listed are passed over: this serves to recognise a dataset, not to read it.
    """
    stack = [("", folder)]
    while stack:
        prefix, path = stack.pop()
        try:
            found = sorted(entries(path), key=lambda entry: entry.name)
        except Unreachable:
            raise
        except OSError:
            continue
        below = []
        for name, kind, _ in found:
            if name.startswith(".") or name.endswith(".genepool"):
                continue
            if kind == "folder":
                below.append((f"{prefix}{name}/", join(path, name)))
            elif kind in ("file", "link"):
                yield prefix + name, join(path, name)
        stack.extend(reversed(below))


def refusal(error: OSError) -> tuple[str, str]:
    """Reason word and sentence for a file that could not be read."""
    if isinstance(error, FileNotFoundError):
        return "vanished", "expected the file that was listed, found nothing"
    if isinstance(error, Unreachable):
        return UNREACHABLE, f"cannot be fetched now: {error.strerror or error}; the next run tries again"
    return "unreadable", f"cannot be read: {error.strerror or error}"


def url_glob(pattern: str) -> list[str]:
    """URLs that match a glob pattern, sorted.

    Raises:
        OSError: The place cannot be listed.
    """
    protocol = pattern.partition("://")[0]
    return sorted(
        f"{protocol}://{str(path).lstrip('/') if protocol == 'memory' else path}"
        for path in remote.call(pattern, "glob")
    )
