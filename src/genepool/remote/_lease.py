"""One writer at a time where there are no file locks: numbered objects that are only ever created.

The lock is the object with the highest number. It says who holds it and until when. To take a lock that was
given back or has run out, the next number is created, which only one of several contenders can do; the
object with the highest number is never removed, so that a contender who read an old listing finds out.
"""

from __future__ import annotations

import contextlib
import functools
import os
import secrets
import socket
import threading
import time
from dataclasses import dataclass
from typing import Any

from genepool.errors import WorkspaceError
from genepool.remote._calls import call, listing, put, read_object, remove

__all__ = ["Lease"]

TTL = 300.0
"""Seconds for which a lock counts after its holder was last heard of; it says so every fifth of that."""


@dataclass(frozen=True, slots=True)
class _Mark:
    """What the newest lock object says."""

    number: int
    token: str = ""
    owner: str = ""
    place: str = ""
    pid: int = 0
    expires: float = 0.0

    @property
    def free(self) -> bool:
        """Given back, run out, or held by a process of this machine that is no more."""
        if not self.token or self.expires <= time.time():
            return True
        return self.place == _place() and not _alive(self.pid)


class Lease:
    """A lock at a URL.

    Args:
        url: A folder for the lock's objects, used by nothing else.
        what: What is locked, as messages name it.
        ttl: Seconds after which a silent holder has lost it; the machines' clocks must agree much better.

    A holder's heartbeat is a thread of its own; `held` tells whether the lock is still this process's.
    """

    def __init__(self, url: str, what: str, *, ttl: float = TTL) -> None:
        self.url = url.rstrip("/")
        self.what = what
        self.ttl = ttl
        self._number = -1
        self._token = ""
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._lost = False

    def acquire(self, wait: float = 0.0) -> None:
        """Take the lock.

        Args:
            wait: Seconds to wait for another holder.

        Raises:
            WorkspaceError: Another process holds it; its machine and number are named. Or the place cannot be
                written.
        """
        deadline = time.monotonic() + wait
        token = secrets.token_hex(16)
        while True:
            newest = self._newest()
            if newest.free:
                with contextlib.suppress(FileExistsError):
                    put(self._at(newest.number + 1), self._content(token), create=True)
                    # Whoever read an old listing may have created a number that was passed long ago.
                    if self._numbers()[-1] == newest.number + 1:
                        self._begin(newest.number + 1, token)
                        return
                    remove(self._at(newest.number + 1))
                continue
            if time.monotonic() >= deadline:
                raise WorkspaceError(
                    f"{self.what}: expected to be the only writer, found another process writing: "
                    f"{newest.owner}",
                    hint=f"wait for it; if it is dead, its lock runs out within {self.ttl:.0f} s",
                )
            time.sleep(min(0.2, max(0.01, deadline - time.monotonic())))

    def release(self) -> None:
        """Give the lock back, if it is still ours."""
        if self._number < 0:
            return
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
        if self.held():
            with contextlib.suppress(WorkspaceError):
                put(self._at(self._number), b"{}")
        self._number, self._thread = -1, None

    def held(self) -> bool:
        """Whether the newest lock object is ours, as the store says now."""
        if self._number < 0 or self._lost:
            return False
        newest = self._newest()
        return newest.number == self._number and newest.token == self._token

    # --------------------------------------------------------------------------------- private

    def _at(self, number: int) -> str:
        return f"{self.url}/{number:010d}"

    def _content(self, token: str) -> bytes:
        import orjson

        mark = {
            "token": token,
            "owner": f"process {os.getpid()} on {socket.gethostname()}",
            "place": _place(),
            "pid": os.getpid(),
            "expires": time.time() + self.ttl,
        }
        return orjson.dumps(mark)

    def _numbers(self) -> list[int]:
        try:
            names = [str(entry["name"]).rpartition("/")[2] for entry in listing(self.url)]
        except FileNotFoundError:
            return []
        except OSError as error:
            raise WorkspaceError(
                f"{self.url}: cannot be listed: {error.strerror or error}", hint="look at the store"
            ) from None
        return sorted(int(name) for name in names if name.isdecimal())

    def _newest(self) -> _Mark:
        import orjson

        numbers = self._numbers()
        if not numbers:
            return _Mark(0)
        try:
            data: Any = orjson.loads(read_object(self._at(numbers[-1])))
        except FileNotFoundError:
            return self._newest()  # the next one was created meanwhile, and this one cleared away
        except (OSError, orjson.JSONDecodeError) as error:
            raise WorkspaceError(f"{self._at(numbers[-1])}: cannot be read: {error}") from None
        known = {k: data[k] for k in ("token", "owner", "place", "pid", "expires") if k in data}
        return _Mark(numbers[-1], **known)

    def _begin(self, number: int, token: str) -> None:
        self._number, self._token, self._lost = number, token, False
        for old in self._numbers():
            if old < number:
                remove(self._at(old))
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="genepool-lease", daemon=True)
        self._thread.start()

    def _beat(self) -> None:
        while not self._stop.wait(self.ttl / 5):
            # A store that is away for a while costs nothing as long as the time has not run out.
            with contextlib.suppress(WorkspaceError, OSError):
                if not self.held():
                    self._lost = True
                    return
                call(self._at(self._number), "pipe_file", self._content(self._token))


@functools.cache
def _place() -> str:
    """This machine, as long as it runs, and the name space of its process numbers."""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:  # noqa: PTH123  # not a real file
            boot = file.read().strip()
        return f"{socket.gethostname()}/{boot}/{os.stat('/proc/self/ns/pid').st_ino}"  # noqa: PTH116
    except OSError:
        return f"{socket.gethostname()}/{secrets.token_hex(8)}"


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
