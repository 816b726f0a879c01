"""The files of a log on a local disk: bounded reads, writes that are durable when `barrier` returns.

`Store` is what a reader needs, `WritableStore` what a writer needs; another one, for URLs, lies in `_remote`.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import functools
import os
import stat
import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote

from genepool.errors import LogError, WorkspaceError
from genepool.store import log_url

__all__ = ["MAX_FILE", "LocalStore", "Store", "WritableStore", "atomic_write", "open_store"]

MAX_FILE = 256 * (65_535 + 2)
_FEW = 1


class Store(Protocol):
    """Where a log's files lie. Paths are relative, with ``/``."""

    where: str

    def read(self, path: str) -> bytes | None:
        """The file's bytes, or None where there is no such file."""

    def names(self, path: str) -> list[str]:
        """Names in a folder, sorted; none where there is no such folder."""


class WritableStore(Store, Protocol):
    """A place that a log can be written to. All methods raise WorkspaceError when they cannot write."""

    def write(self, path: str, data: bytes) -> None:
        """Write a file; durable only after `barrier`."""

    def remove(self, path: str) -> None:
        """Remove a file; a missing one is fine."""

    def barrier(self) -> None:
        """Make everything written so far durable."""

    def publish(self, path: str, data: bytes) -> None:
        """Replace a file in one step, durably."""

    def append(self, path: str, data: bytes) -> None:
        """Append to a file, durably."""

    def tail(self, path: str, limit: int) -> bytes | None:
        """The last ``limit`` bytes of a file, or None where there is no such file."""

    def shorten(self, path: str, count: int) -> None:
        """Drop the last ``count`` bytes of a file."""

    def lock(self, timeout: float = 30.0) -> AbstractContextManager[None]:
        """Hold the log's write lock."""


def open_store(path: str | os.PathLike[str]) -> WritableStore:
    """The store at a folder or an fsspec URL (``file://`` is the local disk).

    The folder of a remote workspace's copy stands for the log in the object store.
    """
    text = os.fspath(path)
    if text.startswith("file://"):
        return LocalStore(unquote(text.removeprefix("file://")))
    if "://" in text:
        from genepool.provenance._remote import UrlStore

        return UrlStore(text)
    if url := log_url(Path(text)):
        from genepool.provenance._remote import CopiedStore

        return CopiedStore(url, text)
    return LocalStore(text)


class LocalStore:
    """A folder of the local disk."""

    def __init__(self, root: str | os.PathLike[str]) -> None:
        self.root = Path(root)
        self.where = str(root)
        self._folders: set[str] = set()
        self._dirty_files: list[str] = []
        self._dirty_folders: set[str] = set()

    def _at(self, path: str) -> str:
        return f"{self.where}/{path}"

    def read(self, path: str) -> bytes | None:
        """The file's bytes; None where there is none.

        Raises:
            LogError: It is no regular file, too large for any part of a log, or cannot be read.
        """
        try:
            # Non-blocking: a pipe planted in a stranger's log must not hang the reader.
            handle = os.open(self._at(path), os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise LogError(f"{self._at(path)}: cannot be read: {error.strerror}") from None
        try:
            status = os.fstat(handle)
            if not stat.S_ISREG(status.st_mode):
                raise LogError(f"{self._at(path)}: expected a file, found something else")
            if status.st_size > MAX_FILE:
                raise LogError(f"{self._at(path)}: expected at most {MAX_FILE} bytes, found {status.st_size}")
            data = os.read(handle, status.st_size + 1)
            while len(data) < status.st_size and (more := os.read(handle, status.st_size - len(data))):
                data += more
            return data
        except OSError as error:
            raise LogError(f"{self._at(path)}: cannot be read: {error.strerror}") from None
        finally:
            os.close(handle)

    def write(self, path: str, data: bytes) -> None:
        """Write a file, making its folders; durable only after `barrier`.

        Raises:
            WorkspaceError: The disk is full or not writable.
        """
        full = self._at(path)
        folder = full.rpartition("/")[0]
        with _writing(full):
            if folder not in self._folders:
                self._make_folder(folder)
            _write_file(full, data)
        self._dirty_files.append(full)
        self._dirty_folders.add(folder)

    def _make_folder(self, folder: str) -> None:
        missing = []
        path = Path(folder)
        while not path.exists():
            missing.append(path)
            path = path.parent
        Path(folder).mkdir(parents=True, exist_ok=True)
        # A new folder's own name lives in its parent, which must be made durable too.
        self._dirty_folders.update(str(made.parent) for made in missing)
        self._folders.add(folder)

    def _make_root(self) -> None:
        """The log's own folder, durably: its name lies in a folder that no barrier would force."""
        if self.where in self._folders:
            return
        before = self._dirty_folders
        self._dirty_folders = set()
        self._make_folder(self.where)
        made, self._dirty_folders = self._dirty_folders, before
        for folder in sorted(made):
            _fsync(folder)

    def remove(self, path: str) -> None:
        """Remove a file, and its folder when that is empty; missing ones are fine."""
        with contextlib.suppress(OSError):
            Path(self._at(path)).unlink(missing_ok=True)

    def names(self, path: str) -> list[str]:
        """Names in a folder, sorted; none where there is no such folder."""
        try:
            return sorted(entry.name for entry in Path(self._at(path)).iterdir())
        except OSError:
            return []

    def barrier(self) -> None:
        """Force everything written so far to the disk.

        Several files are forced with one ``syncfs`` (Linux ≥ 5.8 reports write errors through it), which
        costs half of what forcing two files and their folders one by one does; elsewhere one by one.

        Raises:
            WorkspaceError: The disk refused. What was written may be lost; nothing may be signed.
        """
        files, folders = self._dirty_files, self._dirty_folders
        self._dirty_files, self._dirty_folders = [], set()
        if not files and not folders:
            return
        with _writing(self.where):
            if len(files) > _FEW and _syncfs is not None:
                _sync_file_system(self.where)
                return
            for file in files:
                _fsync(file)
            for folder in sorted(folders):
                _fsync(folder)

    def publish(self, path: str, data: bytes) -> None:
        """Replace a file: temporary file, fsync, rename, fsync of the folder.

        Raises:
            WorkspaceError: The disk is full or not writable.
        """
        with _writing(self._at(path)):
            self._make_root()
            atomic_write(Path(self._at(path)), data)

    def append(self, path: str, data: bytes) -> None:
        """Append to a file, durably.

        Raises:
            WorkspaceError: The disk is full or not writable.
        """
        full = self._at(path)
        with _writing(full):
            fresh = not Path(full).exists()
            handle = os.open(full, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
            try:
                _write_all(handle, data)
                os.fsync(handle)
            finally:
                os.close(handle)
            if fresh:
                _fsync(self.where)

    def tail(self, path: str, limit: int) -> bytes | None:
        """The last ``limit`` bytes of a file, or None where there is no such file.

        Raises:
            WorkspaceError: It cannot be read.
        """
        with (
            _writing(self._at(path)),
            contextlib.suppress(FileNotFoundError),
            Path(self._at(path)).open("rb") as file,
        ):
            file.seek(max(0, os.fstat(file.fileno()).st_size - limit))
            return file.read(limit)
        return None

    def shorten(self, path: str, count: int) -> None:
        """Drop the last ``count`` bytes of a file.

        Raises:
            WorkspaceError: It cannot be written.
        """
        with _writing(self._at(path)), Path(self._at(path)).open("r+b") as file:
            file.truncate(max(0, os.fstat(file.fileno()).st_size - count))
            os.fsync(file.fileno())

    @contextlib.contextmanager
    def lock(self, timeout: float = 30.0) -> Iterator[None]:
        """Hold the log's write lock (``.lock``, flock); a second writer waits.

        Raises:
            WorkspaceError: Another writer held it for ``timeout`` seconds.
        """
        full = self._at(".lock")
        with _writing(full):
            self._make_root()
            handle = os.open(full, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            deadline = time.monotonic() + timeout
            while True:
                try:
                    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except OSError as error:
                    if error.errno not in (errno.EAGAIN, errno.EACCES) or time.monotonic() > deadline:
                        raise WorkspaceError(
                            f"{self.where}: another process has been writing this log for {timeout:g} s",
                            hint="wait for it to end, or stop it",
                        ) from None
                    time.sleep(0.01)
            yield
        finally:
            os.close(handle)


def _write_file(path: str, data: bytes, mode: int = 0o644) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode)
    try:
        _write_all(handle, data)
    finally:
        os.close(handle)


def _write_all(handle: int, data: bytes) -> None:
    written = os.write(handle, data)
    while written < len(data):
        written += os.write(handle, data[written:])


def _fsync(path: str) -> None:
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def atomic_write(path: Path, data: bytes, mode: int = 0o644) -> None:
    """Write beside the target, fsync, rename, fsync the folder. Raises OSError."""
    temporary = f"{path}.tmp"
    try:
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode)
        try:
            _write_all(handle, data)
            os.fsync(handle)
        finally:
            os.close(handle)
        Path(temporary).replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            Path(temporary).unlink(missing_ok=True)
        raise
    _fsync(str(path.parent))


@contextlib.contextmanager
def _writing(where: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise WorkspaceError(
            f"{error.filename or where}: cannot be written: {error.strerror or error}",
            hint="free some space or choose another place: --workspace DIR",
        ) from error


@functools.cache
def _libc_syncfs() -> ctypes._NamedFuncPointer | None:
    if not sys.platform.startswith("linux"):
        return None
    try:
        major, minor = (int(part) for part in os.uname().release.split(".")[:2])
        if (major, minor) < (5, 8):
            return None
        return ctypes.CDLL(None, use_errno=True).syncfs
    except (OSError, AttributeError, ValueError):
        return None


_syncfs = _libc_syncfs()


def _sync_file_system(path: str) -> None:
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        if _syncfs is not None and _syncfs(handle) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), path)
    finally:
        os.close(handle)
