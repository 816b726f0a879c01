"""What no input may bring about: a foreign exception, a hang, a gigabyte, the network, a file elsewhere.

`watched` runs a target and raises `Violation` where one of these happened. Files and connections are seen
by an audit hook of the interpreter (PEP 578); what native code does on its own the hook cannot see.
"""

from __future__ import annotations

import contextlib
import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from genepool.errors import GenepoolError

__all__ = ["MEMORY", "SECONDS", "Violation", "scratch", "watched"]

SECONDS = 5.0
"""CPU seconds of one input: a loaded machine must not look like a hang."""
MEMORY = 1 << 30
"""Bytes by which the process may have grown at its largest."""

_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_CHANGES = {
    "os.remove", "os.rename", "os.mkdir", "os.rmdir", "os.link", "os.symlink", "os.chmod", "os.chown",
    "os.truncate", "os.utime", "shutil.rmtree", "shutil.move", "shutil.copyfile",
}  # fmt: skip
_NEVER = {
    "socket.connect", "socket.bind", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto",
    "subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.fork", "os.forkpty",
    "pickle.find_class",
}  # fmt: skip

_state: dict[str, bool] = {"on": False}
_seen: list[str] = []
_home = tempfile.TemporaryDirectory(prefix="genepool-fuzz-")


def scratch() -> Path:
    """The folder in which targets may write; removed when the process ends."""
    return Path(_home.name)


class Violation(AssertionError):
    """An input did what no input may."""


def _inside(path: object) -> bool:
    if isinstance(path, int):
        return True
    if not isinstance(path, (str, bytes, os.PathLike)):
        return False
    full = os.path.abspath(os.fsdecode(path))
    return full == os.devnull or full.startswith(_home.name + os.sep) or full == _home.name


def _hear(event: str, arguments: tuple[object, ...]) -> None:
    if not _state["on"]:
        return
    if event == "open":
        path, mode, flags = (*arguments, None, None)[:3]
        writes = bool(flags & _WRITES) if isinstance(flags, int) else any(c in str(mode) for c in "wax+")
        # Modules that are imported on the way are compiled into their __pycache__.
        if writes and not _inside(path) and "__pycache__" not in str(path):
            _seen.append(f"opened {path!r} for writing")
    elif event in _CHANGES:
        if not _inside(arguments[0]) and "__pycache__" not in str(arguments[0]):
            _seen.append(f"{event} of {arguments[0]!r}")
    elif event in _NEVER:
        _seen.append(f"{event} {str(arguments)[:120]}")


sys.addaudithook(_hear)


@contextlib.contextmanager
def _listening() -> Iterator[None]:
    _seen.clear()
    _state["on"] = True
    try:
        yield
    finally:
        _state["on"] = False


def _peak() -> int:
    """Bytes the process held at its largest; Linux's ``ru_maxrss`` would count whoever started it, too."""
    try:
        told = Path("/proc/self/status").read_text()
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return int(told.partition("VmHWM:")[2].split()[0]) * 1024


def watched(target: Callable[[bytes], None], data: bytes) -> None:
    """Run a target on an input; a `GenepoolError` is an answer, anything else is not.

    Raises:
        Violation: What happened instead.
    """
    largest = _peak()
    begun = time.process_time()
    try:
        with _listening():
            target(data)
    except GenepoolError as error:
        if not error.message or not str(error).encode("utf-8", "strict"):
            raise Violation(f"{type(error).__name__} without a sentence") from error
    except Violation:
        raise
    except Exception as error:
        raise Violation(f"{type(error).__name__}: {error}") from error
    spent = time.process_time() - begun
    grown = _peak() - largest
    if _seen:
        raise Violation("; ".join(_seen[:5]))
    if spent > SECONDS:
        raise Violation(f"took {spent:.1f} s of CPU time")
    if grown > MEMORY:
        raise Violation(f"took {grown >> 20} MB")
