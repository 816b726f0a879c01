"""The witness over HTTP, and the log's side of it.

The server is the standard library's, one thread a request, bounded in body size and time. A log asks
witnesses only when told to; nothing here runs on its own.
"""

from __future__ import annotations

import http.client
import threading
import urllib.parse
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from genepool.errors import CannotFinish, IntegrityError, UsageError
from genepool.provenance._cosignature import WitnessKey, append_signatures, read_cosignatures
from genepool.provenance._witness import MAX_BODY, Answer, Witness, add_checkpoint_request

__all__ = ["serve_witness", "submit_checkpoint"]

_TIMEOUT = 30.0


class _Handler(BaseHTTPRequestHandler):
    """``POST <prefix>/add-checkpoint`` and ``GET <prefix>/<sha256 of origin>/checkpoint``."""

    protocol_version = "HTTP/1.1"
    timeout = _TIMEOUT
    witness: Witness
    say: Callable[[str], None]

    def do_POST(self) -> None:  # the name that http.server calls
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal() or int(length) > MAX_BODY:
            self.close_connection = True
            return self._send(Answer(400, f"expected a body of at most {MAX_BODY} bytes\n".encode()))
        body = self.rfile.read(int(length))
        if not self.path.endswith("/add-checkpoint"):
            return self._send(Answer(404, b"not found\n"))
        answer = self.witness.add_checkpoint(body)
        self.witness.close()
        return self._send(answer)

    def do_GET(self) -> None:
        parts = self.path.rsplit("/", 2)
        found = self.witness.latest(parts[1]) if len(parts) == 3 and parts[2] == "checkpoint" else None
        self.witness.close()
        self._send(Answer(404, b"not found\n") if found is None else Answer(200, found))

    def _send(self, answer: Answer) -> None:
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.content_type)
        self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        self.wfile.write(answer.body)

    def log_message(self, format: str, *args: object) -> None:  # http.server's signature
        self.say(f"{self.address_string()} {format % args}")


def serve_witness(
    witness: Witness,
    host: str = "127.0.0.1",
    port: int = 0,
    *,
    say: Callable[[str], None] = lambda _: None,
) -> ThreadingHTTPServer:
    """Start answering in threads of this process.

    Returns:
        The server: ``server_address`` names the port, ``shutdown()`` and ``server_close()`` end it.

    Raises:
        CannotFinish: The address cannot be bound.
    """
    handler = type("Handler", (_Handler,), {"witness": witness, "say": staticmethod(say)})
    try:
        server = ThreadingHTTPServer((host, port), handler)
    except OSError as error:
        raise CannotFinish(f"cannot listen on {host}:{port}: {error.strerror}") from None
    threading.Thread(target=server.serve_forever, daemon=True, name="witness").start()
    return server


def submit_checkpoint(
    url: str,
    checkpoint: bytes,
    proof: Callable[[int], list[bytes]],
    key: WitnessKey,
    *,
    size: int,
    timeout: float = _TIMEOUT,
) -> bytes:
    """Ask one witness to cosign.

    Args:
        url: The witness's submission prefix, ``http://`` or ``https://``.
        checkpoint: The signed checkpoint.
        proof: Gives the consistency proof from an older size to this checkpoint.
        key: The witness's key; what it answers is verified with it.
        size: The checkpoint's size.
        timeout: Seconds for each request.

    Returns:
        The checkpoint with the witness's cosignature.

    Raises:
        CannotFinish: The witness cannot be reached or refuses for a reason of its own.
        IntegrityError: It has cosigned a history that this log does not extend (409 or 422), or its
            cosignature does not verify.
    """
    old = size  # most often nothing has grown since; a 409 names the size to prove from
    for _ in range(3):
        status, kind, body = _post(
            url, add_checkpoint_request(old, proof(old) if old else [], checkpoint), timeout
        )
        if status == 200:
            cosigned = append_signatures(checkpoint, body.decode("utf-8").splitlines())
            if not read_cosignatures(cosigned, [key]):
                raise IntegrityError(f"{url}: answered without a cosignature of {key.name}")
            return cosigned
        if status == 409 and kind == "text/x.tlog.size" and body.strip().isdigit():
            known = int(body)
            if known > size:
                raise IntegrityError(
                    f"{url}: the witness has cosigned {known} entries, this log has {size}: rolled back",
                    hint="compare with other copies: genepool ledger audit",
                )
            if known == old:
                raise IntegrityError(
                    f"{url}: the witness has cosigned another root at size {size}: this log was forked"
                )
            old = known
            continue
        text = body.decode("utf-8", "replace").strip()[:200]
        if status == 422:
            raise IntegrityError(f"{url}: this log does not extend what the witness has cosigned: {text}")
        raise CannotFinish(f"{url}: the witness answered {status}: {text}")
    raise CannotFinish(f"{url}: the log grew faster than it could be witnessed")


def _post(url: str, body: bytes, timeout: float) -> tuple[int, str, bytes]:
    parts = urllib.parse.urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise UsageError(f"expected a witness's http(s) URL, found {url!r}")
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.hostname, parts.port, timeout=timeout)
    try:
        connection.request("POST", f"{parts.path.rstrip('/')}/add-checkpoint", body)
        response = connection.getresponse()
        return response.status, response.headers.get_content_type(), response.read(MAX_BODY)
    except (OSError, http.client.HTTPException) as error:
        raise CannotFinish(f"{url}: the witness cannot be reached: {error}") from None
    finally:
        connection.close()
