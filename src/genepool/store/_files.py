"""Whole files or none: write aside, flush to the disk, rename."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

from genepool.errors import WorkspaceError

SUFFIX = ".tmp"


@contextlib.contextmanager
def wrapped(path: Path, verb: str) -> Iterator[None]:
    """Turn an `OSError` about a workspace file into a `WorkspaceError` that names file and cause."""
    try:
        yield
    except OSError as error:
        cause = error.strerror or str(error)
        raise WorkspaceError(
            f"{path}: cannot be {verb}: {cause}",
            hint="make room or set --workspace, then run the same command: finished parts are kept",
        ) from error


def write_atomic(path: Path, data: bytes | memoryview, *, durable: bool = True) -> None:
    """Write ``data`` so that ``path`` holds either its old content or all of the new one, even after a crash.

    Args:
        path: Target; its folder must exist.
        data: The whole content.
        durable: Flush file and folder to the disk before returning.

    Raises:
        WorkspaceError: The disk is full, the folder is not writable …; nothing is left behind.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}{SUFFIX}")
    with wrapped(path, "written"):
        try:
            with temporary.open("wb") as file:
                _write(file.fileno(), memoryview(data))
                if durable:
                    os.fsync(file.fileno())
            temporary.replace(path)
        except BaseException:
            with contextlib.suppress(OSError):
                temporary.unlink()
            raise
        if durable:
            sync_folder(path.parent)


def replace_atomic(temporary: Path, path: Path) -> None:
    """Rename a finished file into place, flushed."""
    with wrapped(path, "written"):
        descriptor = os.open(temporary, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        temporary.replace(path)
        sync_folder(path.parent)


def _write(descriptor: int, data: memoryview) -> None:
    while data:
        data = data[os.write(descriptor, data) :]


def sync_folder(folder: Path) -> None:
    """Flush a folder's entries, so that a rename survives a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sweep(folder: Path) -> None:
    """Remove what interrupted writers left behind. Call only under the workspace's lock."""
    for leftover in folder.glob(f".*{SUFFIX}"):
        with contextlib.suppress(OSError):
            leftover.unlink()


def make_folder(folder: Path) -> None:
    """Create a folder and its parents.

    Raises:
        WorkspaceError: Not possible here.
    """
    with wrapped(folder, "created"):
        folder.mkdir(parents=True, exist_ok=True)
