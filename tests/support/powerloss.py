"""What may be left on a disk after a loss of power.

`Recorder` notes every change that the log's code makes to files while it runs. `Disk` replays such a list
under the rules that POSIX gives: a file's data is safe after ``fsync`` of the file, a name (created, renamed,
removed) after ``fsync`` of its folder, everything after ``syncfs``. What was not forced may be there wholly,
in part, as zeros, or not at all, each change independently of the others and in any order.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path, PosixPath
from typing import Any

import pytest

from genepool.provenance import _files
from genepool.provenance._checkpoint import Checkpoint

Operation = tuple[Any, ...]
Choice = Callable[[int], bool]
Content = Callable[[bytes, bytes], bytes]


class Recorder:
    """Notes changes below ``root`` while it is installed."""

    def __init__(self, root: Path) -> None:
        self.root = str(root)
        self.operations: list[Operation] = []

    def note(self, *operation: Any) -> None:
        self.operations.append(operation)

    def install(self, patch: pytest.MonkeyPatch, *, syncfs: bool) -> None:
        recorder = self

        class RecordingPath(PosixPath):
            def mkdir(self, mode: int = 0o777, parents: bool = False, exist_ok: bool = False) -> None:
                missing = [p for p in (self, *self.parents) if not os.path.isdir(p)]
                os.makedirs(self, exist_ok=exist_ok)
                for path in reversed(missing):
                    recorder.note("mkdir", str(path))

            def replace(self, target: Any) -> Any:
                os.replace(self, target)
                recorder.note("rename", str(self), str(target))

            def unlink(self, missing_ok: bool = False) -> None:
                if os.path.lexists(self) or not missing_ok:
                    os.unlink(self)
                    recorder.note("unlink", str(self))

        patch.setattr(_files, "Path", RecordingPath)
        patch.setattr(_files, "os", _RecordingOs(self))
        patch.setattr(_files, "_fsync", lambda path: recorder.note("fsync", path))
        if syncfs:
            patch.setattr(_files, "_sync_file_system", lambda path: recorder.note("syncfs"))
            patch.setattr(_files, "_syncfs", len)
        else:
            patch.setattr(_files, "_syncfs", None)
        sign = Checkpoint.sign

        def signed(head: Checkpoint, signer: Any) -> bytes:
            recorder.note("signed", head.size, head.root)
            return sign(head, signer)

        patch.setattr(Checkpoint, "sign", signed)


class _RecordingOs:
    """The os module, with the calls that change files noted."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._handles: dict[int, str] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)

    def open(self, path: str, flags: int, mode: int = 0o777) -> int:
        fresh = not os.path.lexists(path)
        handle = os.open(path, flags, mode)
        self._handles[handle] = str(path)
        if flags & os.O_CREAT and fresh:
            self._recorder.note("create", str(path))
        elif flags & os.O_TRUNC:
            self._recorder.note("truncate", str(path))
        return handle

    def write(self, handle: int, data: bytes) -> int:
        written = os.write(handle, data)
        self._recorder.note("write", self._handles[handle], bytes(data[:written]))
        return written

    def fsync(self, handle: int) -> None:
        self._recorder.note("fsync", self._handles[handle])


@dataclass
class Disk:
    """Files as the programs see them, and as much of them as is safe."""

    root: str
    seen: dict[str, int] = field(default_factory=dict)
    safe: dict[str, int] = field(default_factory=dict)
    data: dict[int, bytes] = field(default_factory=dict)
    safe_data: dict[int, bytes] = field(default_factory=dict)
    safe_folders: set[str] = field(default_factory=set)
    pending: list[tuple[str, str, str, int]] = field(default_factory=list)
    signed: list[tuple[int, bytes]] = field(default_factory=list)
    said: list[int] = field(default_factory=list)
    rewritten: set[int] = field(default_factory=set)

    def do(self, operation: Operation) -> None:
        """One operation."""
        kind, *rest = operation
        getattr(self, f"_{kind}")(*rest)

    def _mkdir(self, path: str) -> None:
        self.pending.append(("mkdir", path, "", -1))

    def _create(self, path: str) -> None:
        number = len(self.data)
        self.data[number] = b""
        self.seen[path] = number
        self.pending.append(("link", path, "", number))

    def _truncate(self, path: str) -> None:
        self.data[self.seen[path]] = b""
        self.rewritten.add(self.seen[path])

    def _write(self, path: str, data: bytes) -> None:
        self.data[self.seen[path]] += data

    def _rename(self, old: str, new: str) -> None:
        number = self.seen.pop(old)
        self.seen[new] = number
        self.pending.append(("rename", old, new, number))

    def _unlink(self, path: str) -> None:
        self.pending.append(("unlink", path, "", self.seen.pop(path)))

    def _fsync(self, path: str) -> None:
        if path in self.seen:
            self.safe_data[self.seen[path]] = self.data[self.seen[path]]
            self.rewritten.discard(self.seen[path])
            return
        mine = [op for op in self.pending if os.path.dirname(op[1]) == path]
        self.pending = [op for op in self.pending if op not in mine]
        _apply(mine, self.safe, self.safe_folders)

    def _syncfs(self) -> None:
        _apply(self.pending, self.safe, self.safe_folders)
        self.pending = []
        self.safe_data.update(self.data)
        self.rewritten.clear()

    def _signed(self, size: int, root: bytes) -> None:
        self.signed.append((size, root))

    def _said(self, size: int) -> None:
        """The program told its user that so many entries are safe."""
        self.said.append(size)

    def lose_power(self, target: Path, choose: Choice, content: Content) -> None:
        """Write what is left.

        Args:
            target: New folder in which the files of ``root`` appear.
            choose: Whether the n-th pending change of names survived.
            content: From a file's safe data and its newest data, what is on the disk.
        """
        names, folders = dict(self.safe), set(self.safe_folders)
        _apply([op for n, op in enumerate(self.pending) if choose(n)], names, folders)
        for path, number in names.items():
            inside = os.path.relpath(path, self.root)
            above = os.path.dirname(path)
            while len(above) > len(self.root) and above in folders:
                above = os.path.dirname(above)
            if above != self.root or inside.startswith(".."):
                continue  # the folder's own name was lost
            place = target / inside
            place.parent.mkdir(parents=True, exist_ok=True)
            newest, old = self.data[number], self.safe_data.get(number, b"")
            # What was only appended to keeps what was safe; what was truncated may lose all of it.
            kept = b"" if number in self.rewritten else old
            place.write_bytes(kept + content(old[len(kept) :], newest[len(kept) :]))


def _apply(operations: list[tuple[str, str, str, int]], names: dict[str, int], folders: set[str]) -> None:
    for kind, path, new, number in operations:
        if kind == "mkdir":
            folders.add(path)
        elif kind == "link":
            names[path] = number
        elif kind == "rename":
            # The old name goes with the new one's coming, even if its own creation never reached the disk.
            if names.get(path) == number:
                del names[path]
            names[new] = number
        elif names.get(path) == number:
            del names[path]


def outcomes(seed: int, extra: int) -> list[tuple[str, Choice, Content]]:
    """Ways in which unforced changes may have survived: the extremes, then random ones."""
    rng = random.Random(seed)
    found: list[tuple[str, Choice, Content]] = [
        ("nothing unforced", lambda n: False, lambda old, new: old),
        ("everything", lambda n: True, lambda old, new: new),
        ("names without data", lambda n: True, lambda old, new: old),
        ("names with zeros", lambda n: True, lambda old, new: bytes(len(new))),
    ]

    def some(n: int) -> bool:
        return rng.random() < 0.5

    def torn(old: bytes, new: bytes) -> bytes:
        cut = rng.randrange(len(new) + 1)
        return (new[:cut], old, new, new[:cut] + bytes(len(new) - cut))[rng.randrange(4)]

    return found + [("some of it", some, torn)] * extra
