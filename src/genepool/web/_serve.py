"""Running the room: uvicorn in this process until it is stopped, verdicts written into the log at the end."""

from __future__ import annotations

import contextlib
import socket
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from genepool.errors import MissingExtra, UsageError
from genepool.web._auth import Door, is_loopback, room_secret

if TYPE_CHECKING:
    from genepool.web._room import Room

__all__ = ["Serving", "serve"]


@dataclass(frozen=True, slots=True)
class Serving:
    """A room that listens.

    Attributes:
        url: Its address.
        links: User → the address that lets them in; ``""`` → the one-time address for whoever sits here.
    """

    url: str
    links: dict[str, str]
    _server: Any

    def wait(self) -> None:
        """Serve until stopped."""
        self._server.run_here()

    def ready(self, seconds: float = 10.0) -> bool:
        """Wait, in another thread, until it answers."""
        return bool(self._server.ready(seconds))

    def stop(self) -> None:
        """End it, from another thread."""
        self._server.should_exit = True


@contextlib.contextmanager
def serve(
    room: Room, *, host: str = "127.0.0.1", port: int = 0, users: Sequence[str] = ()
) -> Iterator[Serving]:
    """Listen on an address.

    Args:
        room: The set under review; closed at the end.
        host: Address. Any other than this machine's needs ``users``.
        port: 0: a free one.
        users: Named people who are invited.

    Raises:
        UsageError: Another address without users, or the address cannot be listened on.
        MissingExtra: Starlette or uvicorn is not installed.
    """
    try:
        import starlette
        import uvicorn
    except ImportError as error:
        raise MissingExtra(needs=error.name or "starlette", extra="web") from error
    del starlette
    from genepool.web._app import make_app

    door = Door(room_secret(room.workspace), users, host)
    listener = _listen(host, port)
    bound = listener.getsockname()[1]
    shown = f"[{host}]" if ":" in host else host
    hosts = frozenset(f"{name}:{bound}" for name in (shown, "localhost", "127.0.0.1", "[::1]"))
    app = make_app(room, door, hosts=hosts if is_loopback(host) else frozenset())
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        server_header=False,
        date_header=False,
        timeout_graceful_shutdown=3,
        lifespan="off",
        h11_max_incomplete_event_size=32 * 1024,
    )
    server = _server(config, listener)
    url = f"http://{shown}:{bound}"
    links = {user: f"{url}/enter?key={key}" for user, key in door.keys().items()}
    room.recorder.start()
    patience = sys.getswitchinterval()
    # Renditions run in threads beside the verdicts: a verdict should not wait 5 ms for each turn.
    sys.setswitchinterval(0.0005)
    try:
        yield Serving(url, links, server)
    finally:
        server.should_exit = True
        sys.setswitchinterval(patience)
        listener.close()
        room.close()


def _listen(host: str, port: int) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(128)
    except OSError as error:
        raise UsageError(
            f"review: expected to listen on {host}:{port}, found: {error.strerror or error}",
            hint="--port 0 takes a free one",
        ) from error
    return listener


def _server(config: Any, listener: socket.socket) -> Any:
    import uvicorn

    class Server(uvicorn.Server):
        """Uvicorn on a socket that is already bound, so that the address can be printed before it runs."""

        def run_here(self) -> None:
            if threading.current_thread() is not threading.main_thread():
                self.install_signal_handlers = lambda: None  # signals belong to the main thread
            self.run(sockets=[listener])

        def ready(self, seconds: float = 10.0) -> bool:
            """Wait until it answers."""
            end = time.monotonic() + seconds
            while not self.started and time.monotonic() < end:
                time.sleep(0.01)
            return bool(self.started)

    return Server(config)
