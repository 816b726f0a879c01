"""One call to a file system at a time: bounded waiting, bounded trying, exact lengths, plain errors.

A request that fails for a reason that may pass (a status of 500, a reset connection, a body that ends early,
a slow answer) is made again up to five times, after growing pauses. The file systems' own retrying is
switched off where that is known to be possible, so that it does not multiply.
"""

from __future__ import annotations

import errno
import functools
import os
import random
import time
from collections.abc import Callable
from typing import Any, TypeVar

from genepool.errors import MissingExtra, SourceError, WorkspaceError
from genepool.remote._scrub import check_url, scrub

__all__ = [
    "DOWN",
    "Unavailable",
    "Unreachable",
    "call",
    "check_url",
    "file_system",
    "info",
    "is_object_store",
    "is_url",
    "listing",
    "put",
    "read_object",
    "read_range",
    "remove",
    "scrub",
]

T = TypeVar("T")

TRIES = 5
_SHARES = (1 / 85, 4 / 85, 16 / 85, 64 / 85)
"""How the patience is divided among the pauses between five tries: each four times the one before."""
_PATIENCE = 10.0
_FINAL = (FileNotFoundError, FileExistsError, PermissionError, IsADirectoryError, NotADirectoryError)
_ATOMIC = frozenset({"memory", "s3", "s3a", "gs", "gcs", "abfs", "az", "oci", "r2"})
"""Stores whose single put is whole or not at all; a plain file system behind fsspec is not such a store."""
_PACKAGES = {
    "gs": "gcsfs",
    "gcs": "gcsfs",
    "abfs": "adlfs",
    "az": "adlfs",
    "http": "aiohttp",
    "https": "aiohttp",
}
DOWN = 8
"""Objects, one after the other, that could not be reached: then the store itself is taken to be down."""


class Unreachable(OSError):
    """An object that could not be read or written however often it was tried; it may be possible later."""


class Unavailable(SourceError):
    """The store does not answer at all: one object after the other could not be reached."""


class Short(Exception):
    """Fewer bytes than there must be. Never leaves this room."""


def is_url(path: str) -> bool:
    """Whether a path is to be handed to fsspec."""
    return "://" in path


def is_object_store(url: str) -> bool:
    """Whether a place can be written to: puts are whole or not at all, and can be made conditional."""
    return url.partition("://")[0] in _ATOMIC


def patience() -> float:
    """Seconds of pauses in all before an object is given up: ``$GENEPOOL_PATIENCE``, else 10."""
    try:
        return max(0.0, float(os.environ.get("GENEPOOL_PATIENCE", _PATIENCE)))
    except ValueError:
        return _PATIENCE


@functools.lru_cache(maxsize=64)
def _system(protocol: str) -> Any:
    import fsspec

    options: dict[str, Any] = {}
    if protocol in ("s3", "s3a"):
        # What the user configured stays; a listing that is kept would hide what changed since.
        asked = fsspec.config.conf.get("s3", {}).get("config_kwargs", {})
        options = {
            "use_listings_cache": False,
            "config_kwargs": {
                "retries": {"mode": "standard", "total_max_attempts": 1},
                "connect_timeout": 10,
                "read_timeout": 30,
                **asked,
            },
        }
    system = fsspec.filesystem(protocol, **options)
    if options:
        system.retries = 1
    return system


def file_system(url: str) -> tuple[Any, str]:
    """The file system of a URL and the path in it.

    Raises:
        UsageError: The URL carries a credential.
        MissingExtra: The package that serves ``s3://`` is not installed.
        OSError: Unknown protocol, or its package is missing.
    """
    check_url(url)
    protocol = url.partition("://")[0]
    try:
        system = _system(protocol)
        return system, system._strip_protocol(url)
    except ImportError as error:
        if protocol in ("s3", "s3a"):
            raise MissingExtra(needs="s3fs", extra="s3") from None
        package = _PACKAGES.get(protocol)
        advice = f"pip install {package}" if package else str(error)
        raise OSError(errno.EPROTONOSUPPORT, f"no reader for {protocol}:// ({advice})", url) from None
    except ValueError as error:
        raise OSError(errno.EPROTONOSUPPORT, f"no reader for {protocol}:// ({error})", url) from None


def tried(url: str, attempt: Callable[[Any, str], T]) -> T:
    """Make a request until it is answered, at most `TRIES` times.

    Args:
        url: The object, as errors name it.
        attempt: Takes the file system and the path in it.

    Raises:
        FileNotFoundError, PermissionError …: An answer that trying again does not change.
        Unreachable: Everything else, when the last try failed too.
    """
    system, path = file_system(url)
    pauses = [patience() * share for share in _SHARES]
    for number in range(TRIES):
        try:
            return attempt(system, path)
        except _FINAL as error:
            # A new error: a client's own may carry the request, its headers and signature with it.
            raise type(error)(error.errno or errno.EIO, scrub(_said(error)), url) from None
        except Exception as error:  # whatever a remote file system's client raises
            said = scrub(_said(error))
        if number < len(pauses):
            time.sleep(pauses[number] * random.uniform(0.75, 1.25))  # noqa: S311  # no secret: spreads the load
    raise Unreachable(errno.EIO, f"{said} ({TRIES} tries)", url)


def _said(error: Exception) -> str:
    text = (str(error).splitlines() or [""])[0]
    if isinstance(error, OSError) and error.strerror:
        text = error.strerror
    if isinstance(error, (Short, *_FINAL)) and text:
        return text[:300]
    return f"{type(error).__name__}: {text}"[:300]


def call(url: str, name: str, *args: Any, **options: Any) -> Any:
    """Call a method of the URL's file system with the path in it; see `tried` for what it raises."""
    return tried(url, lambda system, path: getattr(system, name)(path, *args, **options))


def info(url: str) -> dict[str, Any]:
    """What the store says about an object or folder: ``size``, ``type``, ``ETag`` and so on."""
    found: dict[str, Any] = call(url, "info")
    return found


def listing(url: str) -> list[dict[str, Any]]:
    """The entries of a folder, each as `info`; a listing that was kept is not used.

    Raises:
        FileNotFoundError: There is no such folder.
        Unreachable: It cannot be listed.
    """

    def attempt(system: Any, path: str) -> list[dict[str, Any]]:
        system.invalidate_cache(path)
        return list(system.ls(path, detail=True))

    base = file_system(url)[1].rstrip("/")
    return [entry for entry in tried(url, attempt) if str(entry["name"]).rstrip("/") != base]


def read_range(url: str, start: int, end: int) -> bytes:
    """The bytes from ``start`` up to, not including, ``end``: all of them.

    Raises:
        EOFError: The object is shorter than that.
        Unreachable: It could not be read.
    """
    if end <= start:
        return b""
    wanted = end - start

    def attempt(system: Any, path: str) -> bytes:
        try:
            data = bytes(system.cat_file(path, start=start, end=end))
        except _FINAL:
            raise
        except Exception as error:
            if "Range" not in str(error) and "416" not in str(error):
                raise
            data = b""  # an object that has become shorter answers a range beyond its end with an error
        if len(data) == wanted:
            return data
        size = int(system.info(path).get("size") or 0)
        if size < end:
            return b""
        if len(data) == size:  # a server that knows no ranges sends everything
            return data[start:end]
        raise Short(f"expected {wanted} bytes at {start}, received {len(data)}")

    data = tried(url, attempt)
    if not data:
        raise EOFError(f"{url}: expected {wanted} bytes at {start}, the object is shorter")
    return data


def read_object(url: str, size: int | None = None) -> bytes:
    """A whole object.

    Args:
        url: The object.
        size: Its size as listed; None: the store is asked. Where it has become another meanwhile the present
            one counts.

    Raises:
        Unreachable: It could not be read whole.
    """
    expected = int(info(url).get("size") or 0) if size is None else size

    def attempt(system: Any, path: str) -> bytes:
        nonlocal expected
        # One byte more is asked for than there should be, so that a longer object is noticed.
        data = bytes(system.cat_file(path, start=0, end=expected + 1))
        if len(data) == expected:
            return data
        received, now = len(data), int(system.info(path).get("size") or 0)
        if now == received:
            return data
        wanted, expected = expected, now
        raise Short(f"expected {wanted} bytes, received {received}")

    return tried(url, attempt)


def put(url: str, data: bytes, *, create: bool = False) -> None:
    """Put an object: whole or not at all, durable when this returns.

    Args:
        url: The object.
        data: Its bytes.
        create: Only where there is none yet (``If-None-Match: *`` on object stores).

    Raises:
        FileExistsError: ``create``, and there is one.
        WorkspaceError: The place cannot be written, or puts there are not atomic.
    """
    if not is_object_store(url):
        raise WorkspaceError(
            f"{url}: expected an object store (a put is whole or not at all), "
            f"found {url.partition('://')[0]}",
            hint="write to a local folder and copy it there",
        )
    options = {"mode": "create"} if create else {}

    def attempt(system: Any, path: str) -> None:
        try:
            system.pipe_file(path, data, **options)
        except FileExistsError:
            # An earlier try may have arrived though its answer did not.
            if bytes(system.cat_file(path, start=0, end=len(data) + 1)) != data:
                raise
        except Exception as error:
            if create and _precondition(error):
                if bytes(system.cat_file(path, start=0, end=len(data) + 1)) == data:
                    return
                raise FileExistsError(errno.EEXIST, "there is one already", url) from None
            raise

    try:
        tried(url, attempt)
    except FileExistsError:
        raise
    except OSError as error:
        raise WorkspaceError(
            f"{url}: cannot be written: {error.strerror or error}",
            hint="look at the store and its permissions, then run the same command again",
        ) from None


def _precondition(error: Exception) -> bool:
    text = str(error)
    return "PreconditionFailed" in text or "ConditionalRequestConflict" in text or " 412" in text


def remove(url: str) -> None:
    """Remove an object; a missing one, or one that cannot be removed, is fine: nothing refers to it."""
    import contextlib

    with contextlib.suppress(OSError):
        call(url, "rm_file")
