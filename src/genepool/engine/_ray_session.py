"""A connection to a Ray cluster: an existing one, or one of our own on this machine."""

from __future__ import annotations

import contextlib
import importlib.util
import logging
import os
import secrets
import signal
import socket
import threading
from collections.abc import Iterator
from typing import Any

from genepool.engine._local import cores
from genepool.errors import EngineError, MissingExtra

_TRIES = 2
_KNOCK = 10.0
_OBJECTS = 256 << 20
"""Bytes of Ray's object store in a cluster of our own: jobs and the parts of a few units pass through it."""

_QUIET = {"RAY_USAGE_STATS_ENABLED": "0"}
"""Ray reports its use to its makers unless it is told not to."""
_NICE = {"RAY_worker_niceness": "0"}
"""Ray puts its workers 15 steps behind everything else here; what counts is the user's own ``nice``."""

# One for the life of this process: Ray's native side reads it once and keeps it.
_token = secrets.token_hex(32)


def require_ray() -> None:
    """Say in one line what to install where Ray is missing.

    Raises:
        MissingExtra: Ray is not installed.
    """
    if importlib.util.find_spec("ray") is None:
        raise MissingExtra(needs="ray", extra="ray")


class Session:
    """Ray, connected.

    Args:
        address: ``ray://host:port``, ``host:port`` of a cluster of which this machine is a node, ``auto``:
            the one that runs on this machine, ``local``: a new one on this machine, empty: ``$RAY_ADDRESS``,
            else ``local``. A connection that the program has already made is used whatever stands here, and
            kept.
        workers: CPUs of a cluster of our own; 0: one per core.

    Attributes:
        ray: The module.
        ours: Whether `close` ends the connection.

    Raises:
        MissingExtra: Ray is not installed.
        EngineError: There is no cluster at the address, it is of another version, or Ray cannot start here.
    """

    def __init__(self, address: str, workers: int) -> None:
        require_ray()
        import ray

        self.ray: Any = ray
        with _quiet():  # after the import, which sets the level anew
            self._stack = contextlib.ExitStack()
            self.ours = not ray.is_initialized()
            if not self.ours:
                return
            place = address or os.environ.get("RAY_ADDRESS", "")
            with _signals_kept():
                if place and place != "local":
                    self._join(place)
                else:
                    self._start(workers or cores())

    def _join(self, place: str) -> None:
        _knock(place)
        failure: Exception | None = None
        for _ in range(_TRIES):
            try:
                # A driver never reports by itself; whether the cluster does is for who started it to say.
                self.ray.init(
                    address=place, log_to_driver=False, configure_logging=False, logging_level=logging.ERROR
                )
            except Exception as error:  # ConnectionError, RuntimeError, ValueError, gRPC's …
                failure = error
                self._leave()
                # The process in which the cluster stands in for this one now and then dies while it starts.
                if not isinstance(error, ConnectionAbortedError):
                    break
            else:
                return
        raise EngineError(
            f"ray: cannot connect to {place}: {_first(failure)}",
            hint="ray status --address ADDRESS; both sides need the same Ray and the same Python version",
        ) from failure

    def _start(self, n: int) -> None:
        failure: Exception | None = None
        for _ in range(_TRIES):  # Ray gives its own processes 30 s to start, too few on a machine under load
            try:
                self._stack.enter_context(_environment())
                self.ray.init(
                    address="local",
                    num_cpus=n,
                    include_dashboard=False,
                    log_to_driver=False,
                    configure_logging=False,
                    logging_level=logging.ERROR,
                    object_store_memory=_OBJECTS,
                )
            except Exception as error:
                failure = error
                self._leave()
            else:
                return
        raise EngineError(
            f"ray: cannot be started on this machine: {_first(failure)}",
            hint="genepool check … --engine local needs no service",
        ) from failure

    def cpus(self) -> int:
        """CPUs of all nodes together, at least 1."""
        return max(1, int(self.ray.cluster_resources().get("CPU", 0)))

    def free(self) -> float:
        """CPUs of all nodes together that nobody has been given, as of a moment ago."""
        return float(self.ray.available_resources().get("CPU", 0.0))

    def close(self) -> None:
        """End what we began; a connection that was there before is kept."""
        if self.ours:
            self.ours = False
            self._leave()

    def _leave(self) -> None:
        with self._stack, _quiet(), _signals_kept(), contextlib.suppress(Exception):
            self.ray.shutdown()


def _knock(place: str) -> None:
    """Whether anything listens at ``host:port``: Ray itself would try for minutes.

    Raises:
        EngineError: Nothing does.
    """
    host, _, port = place.removeprefix("ray://").rpartition(":")
    if not host or not port.isdigit():  # auto, or another scheme that Ray knows
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), _KNOCK).close()
    except (OSError, OverflowError) as error:
        raise EngineError(
            f"ray: cannot connect to {place}: {error}",
            hint="does the cluster run, and does this machine reach it? ray://host:10001 is its client port",
        ) from error


def _first(error: BaseException | None) -> str:
    lines = str(error).strip().splitlines()
    if not lines:
        return type(error).__name__
    # What a cluster's client port refuses comes with the traceback from there: the last line says why.
    return lines[-1] if isinstance(error, ConnectionAbortedError) else lines[0]


@contextlib.contextmanager
def _environment() -> Iterator[None]:
    """What a cluster of our own inherits: no report to anybody, and a token without which nobody may use it.

    Ray's processes listen on every interface and run whatever they are sent; from 2.59 on a cluster made by
    a program asks for a token. Ours is not written to the user's home, as Ray's would be, and ends with us.
    """
    ours = {**_QUIET, **_NICE, "RAY_AUTH_TOKEN": os.environ.get("RAY_AUTH_TOKEN", _token)}
    before = {name: os.environ.get(name) for name in (*ours, "RAY_AUTH_MODE")}  # Ray sets the mode itself
    os.environ.update(ours)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Ray's notices for people at a console do not belong into ours; its errors are raised anyway."""
    logger = logging.getLogger("ray")
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(before)


@contextlib.contextmanager
def _signals_kept() -> Iterator[None]:
    """Ray puts a handler of its own on SIGTERM; ours, or the caller's, is put back."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        if before is not None:
            signal.signal(signal.SIGTERM, before)
