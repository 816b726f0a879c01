"""Real disks that are full or cannot be written: a small tmpfs, and the kernel's immutable flag."""

from __future__ import annotations

import array
import contextlib
import fcntl
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

_GETFLAGS, _SETFLAGS, _IMMUTABLE = 0x80086601, 0x40086602, 0x10


class Disk:
    """A file system of a few hundred KiB; free space is taken away by a ballast file."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._ballast = root / "ballast"

    def leave(self, kib: int) -> None:
        """Take everything but ``kib`` KiB."""
        self.clear()
        with self._ballast.open("wb") as file:
            free = os.statvfs(self.root)
            os.posix_fallocate(file.fileno(), 0, max(4096, free.f_bavail * free.f_frsize - kib * 1024))

    def clear(self) -> None:
        """Make room again."""
        self._ballast.unlink(missing_ok=True)

    def read_only(self, on: bool = True) -> None:
        """Remount."""
        mode = "remount,ro" if on else "remount,rw"
        subprocess.run(["mount", "-o", mode, str(self.root)], check=True, capture_output=True)


@contextlib.contextmanager
def small_disk(place: Path, kib: int) -> Iterator[Disk]:
    """A tmpfs of ``kib`` KiB; skips where this user may not mount one."""
    place.mkdir(parents=True)
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={kib}k", "tmpfs", str(place)], capture_output=True, check=False
    )
    if done.returncode:
        pytest.skip(f"a tmpfs cannot be mounted here: {done.stderr.decode().strip()}")
    try:
        yield Disk(place)
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True, capture_output=True)


def frozen(folder: Path, on: bool = True) -> None:
    """Nothing can be made, renamed or removed in a folder, not even by root; skips where it cannot."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        flags = array.array("l", [0])
        fcntl.ioctl(descriptor, _GETFLAGS, flags)
        flags[0] = flags[0] | _IMMUTABLE if on else flags[0] & ~_IMMUTABLE
        fcntl.ioctl(descriptor, _SETFLAGS, flags)
    except OSError as error:
        pytest.skip(f"folders cannot be made immutable here: {error.strerror}")
    finally:
        os.close(descriptor)
