"""The files of a log at an fsspec URL: an object store, a web server (reading), memory.

An object is put whole or not at all, and a put that was answered is durable: that is what a log needs of
its ``barrier`` and its ``publish``. One writer at a time is kept by a lock in the store that runs out when
its holder is not heard of any more (`genepool.remote.Lease`); a file system whose puts are not atomic can be
read but not written.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextlib import AbstractContextManager

from genepool import remote
from genepool.errors import LogError, UsageError, WorkspaceError
from genepool.provenance._files import MAX_FILE, LocalStore

__all__ = ["CopiedStore", "UrlStore"]

_KEPT_LINES = 64


class UrlStore:
    """A folder at an fsspec URL.

    Args:
        url: As fsspec takes it.

    Raises:
        UsageError: No installed file system serves such URLs, or the URL carries a credential.
        MissingExtra: The package that serves ``s3://`` is not installed.
    """

    def __init__(self, url: str) -> None:
        self.where = url.rstrip("/")
        try:
            remote.file_system(self.where)
        except OSError as error:
            raise UsageError(f"{url}: no file system for such URLs: {error.strerror or error}") from None

    def _at(self, path: str) -> str:
        return f"{self.where}/{path}"

    def read(self, path: str) -> bytes | None:
        """The file's bytes; None where there is none.

        Raises:
            LogError: Too large for any part of a log, or it cannot be read.
        """
        try:
            # One byte more than any file may have, so that a huge object is never fetched whole.
            data = bytes(remote.call(self._at(path), "cat_file", start=0, end=MAX_FILE + 1))
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
            return None
        except OSError as error:
            raise LogError(f"{self._at(path)}: cannot be read: {error.strerror or error}") from None
        if len(data) > MAX_FILE:
            raise LogError(f"{self._at(path)}: expected at most {MAX_FILE} bytes, found more")
        return data

    def names(self, path: str) -> list[str]:
        """Names in a folder, sorted; none where there is no such folder, or it cannot be listed.

        Raises:
            LogError: An object store does not answer.
        """
        try:
            found = remote.listing(self._at(path))
        except OSError as error:
            if isinstance(error, remote.Unreachable) and remote.is_object_store(self.where):
                raise LogError(f"{self._at(path)}: cannot be listed: {error.strerror or error}") from None
            return []  # a plain web server has no listings
        return sorted(str(info["name"]).rstrip("/").rpartition("/")[2] for info in found)

    # -------------------------------------------------------------------------------------- writing

    def _put(self, path: str, data: bytes) -> None:
        remote.put(self._at(path), data)

    def write(self, path: str, data: bytes) -> None:
        """Put a file; durable when this returns.

        Raises:
            WorkspaceError: The store refused, or its puts are not atomic.
        """
        self._put(path, data)

    def publish(self, path: str, data: bytes) -> None:
        """Replace a file in one step; see `write`."""
        self._put(path, data)

    def remove(self, path: str) -> None:
        """Remove a file; a missing one, or one that cannot be removed, is fine."""
        remote.remove(self._at(path))

    def barrier(self) -> None:
        """Nothing to wait for: every put is durable when it was answered."""

    def append(self, path: str, data: bytes) -> None:
        """Put a file anew with more at its end; only its last lines are kept, which is all that is read."""
        lines = (self.read(path) or b"").splitlines(keepends=True)[-_KEPT_LINES:]
        self._put(path, b"".join(lines) + data)

    def tail(self, path: str, limit: int) -> bytes | None:
        """The last ``limit`` bytes of a file, or None where there is no such file."""
        data = self.read(path)
        return None if data is None else data[-limit:]

    def shorten(self, path: str, count: int) -> None:
        """Drop the last ``count`` bytes of a file."""
        data = self.read(path) or b""
        self._put(path, data[: max(0, len(data) - count)])

    @contextlib.contextmanager
    def lock(self, timeout: float = 30.0) -> Iterator[None]:
        """Hold the log's lock in the store, waiting for another holder.

        Raises:
            WorkspaceError: Another process has held it for ``timeout`` seconds; or ours ran out, because the
                store was away for minutes.
        """
        lease = remote.Lease(self._at(".locks"), self.where)
        try:
            lease.acquire(wait=timeout)
        except WorkspaceError as error:
            raise WorkspaceError(f"{error.message} (waited {timeout:g} s)", hint=error.hint) from None
        try:
            yield
        finally:
            lease.release()


class CopiedStore:
    """The log of a remote workspace: the one at the URL, with a copy on this machine.

    Everything is written to the URL first. Tiles never change once they are written, so they are fetched
    once; whatever else is read comes from the URL. What is read is checked against the signed head anyway.

    Args:
        url: The log.
        folder: Where its copy lies; the log is named after it.
    """

    def __init__(self, url: str, folder: str) -> None:
        self.where = folder
        self._far = UrlStore(url)
        self._near = LocalStore(folder)

    def read(self, path: str) -> bytes | None:
        """The file's bytes; None where there is none; see `UrlStore.read`."""
        fixed = path.startswith("tile/")
        if fixed and (data := self._near.read(path)) is not None:
            return data
        data = self._far.read(path)
        if data is not None and (fixed or data != self._near.read(path)):
            self._near.write(path, data)
            self._near.barrier()
        return data

    def names(self, path: str) -> list[str]:
        """Names in a folder of the log at the URL, sorted."""
        return self._far.names(path)

    def write(self, path: str, data: bytes) -> None:
        """Write a file; durable at the URL when this returns."""
        self._far.write(path, data)
        self._near.write(path, data)

    def remove(self, path: str) -> None:
        """Remove a file; a missing one is fine."""
        self._far.remove(path)
        self._near.remove(path)

    def barrier(self) -> None:
        """Make the copy durable too: a torn tile in it would look like a damaged log."""
        self._far.barrier()
        self._near.barrier()

    def publish(self, path: str, data: bytes) -> None:
        """Replace a file in one step, first at the URL."""
        self._far.publish(path, data)
        self._near.publish(path, data)

    def append(self, path: str, data: bytes) -> None:
        """Append to a file; see `UrlStore.append`."""
        self._far.append(path, data)
        self._copy(path)

    def tail(self, path: str, limit: int) -> bytes | None:
        """The last ``limit`` bytes of a file, or None where there is no such file."""
        return self._far.tail(path, limit)

    def shorten(self, path: str, count: int) -> None:
        """Drop the last ``count`` bytes of a file."""
        self._far.shorten(path, count)
        self._copy(path)

    def _copy(self, path: str) -> None:
        self._near.publish(path, self._far.read(path) or b"")

    def lock(self, timeout: float = 30.0) -> AbstractContextManager[None]:
        """Hold the log's lock in the store."""
        return self._far.lock(timeout)
