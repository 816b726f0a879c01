"""The files of a log at an fsspec URL: an object store, a web server (reading), memory.

An object is put whole or not at all, and a put that was answered is durable: that is what a log needs of
its ``barrier`` and its ``publish``. One writer at a time is kept by an object ``.lock`` that is only ever
created, never replaced (fsspec's ``mode="create"``, ``If-None-Match`` on object stores); a file system
without that can be read but not written.
"""

from __future__ import annotations

import contextlib
import secrets
import time
from collections.abc import Iterator
from typing import Any

from genepool.errors import LogError, UsageError, WorkspaceError
from genepool.provenance._files import MAX_FILE

__all__ = ["UrlStore"]

_KEPT_LINES = 64
# Object stores whose single put is atomic; a plain file system behind fsspec is not.
_ATOMIC = frozenset({"memory", "s3", "s3a", "gs", "gcs", "abfs", "az", "oci", "r2"})


class UrlStore:
    """A folder at an fsspec URL.

    Args:
        url: As fsspec takes it.

    Raises:
        UsageError: No installed file system serves such URLs.
    """

    def __init__(self, url: str) -> None:
        import fsspec

        self.where = url.rstrip("/")
        try:
            self._fs, self._root = fsspec.core.url_to_fs(self.where)
        except (ImportError, ValueError, OSError) as error:
            raise UsageError(f"{url}: no file system for such URLs: {error}") from None
        protocol = self._fs.protocol
        self._protocols = {protocol} if isinstance(protocol, str) else set(protocol)

    def _at(self, path: str) -> str:
        return f"{self._root}/{path}"

    def read(self, path: str) -> bytes | None:
        """The file's bytes; None where there is none.

        Raises:
            LogError: Too large for any part of a log, or it cannot be read.
        """
        try:
            # One byte more than any file may have, so that a huge object is never fetched whole.
            data = self._fs.cat_file(self._at(path), start=0, end=MAX_FILE + 1)
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
            return None
        except Exception as error:  # whatever the file system behind the URL raises
            raise LogError(f"{self.where}/{path}: cannot be read: {_said(error)}") from None
        if len(data) > MAX_FILE:
            raise LogError(f"{self.where}/{path}: expected at most {MAX_FILE} bytes, found more")
        return bytes(data)

    def names(self, path: str) -> list[str]:
        """Names in a folder, sorted; none where there is no such folder, or it cannot be listed."""
        try:
            found = self._fs.ls(self._at(path), detail=False, refresh=True)
        except Exception:  # a plain web server has no listings
            return []
        return sorted(str(name).rstrip("/").rpartition("/")[2] for name in found)

    # -------------------------------------------------------------------------------------- writing

    def _put(self, path: str, data: bytes, **options: Any) -> None:
        if not self._protocols & _ATOMIC:
            raise WorkspaceError(
                f"{self.where}: expected an object store (a put is whole or not at all), "
                f"found {'/'.join(sorted(self._protocols))}",
                hint="write the log in a local folder and copy it there",
            )
        try:
            self._fs.pipe_file(self._at(path), data, **options)
        except FileExistsError:
            raise
        except Exception as error:  # the same, on the way back
            raise WorkspaceError(f"{self.where}/{path}: cannot be written: {_said(error)}") from error

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
        with contextlib.suppress(Exception):
            self._fs.rm_file(self._at(path))

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
        """Create ``.lock``, which fails where it exists; remove it at the end.

        Raises:
            WorkspaceError: It is there for ``timeout`` seconds: another writer, or one that was killed.
        """
        token = f"{secrets.token_hex(8)} {int(time.time())}\n".encode()
        deadline = time.monotonic() + timeout
        while True:
            try:
                self._put(".lock", token, mode="create")
                break
            except FileExistsError:
                if time.monotonic() > deadline:
                    raise WorkspaceError(
                        f"{self.where}: another process has been writing this log for {timeout:g} s",
                        hint=f"when none is alive, remove {self.where}/.lock",
                    ) from None
                time.sleep(0.05)
        try:
            yield
        finally:
            if self.read(".lock") == token:
                self.remove(".lock")


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:200]
