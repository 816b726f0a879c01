"""In front of every page: address, session, CSRF, size and rate; behind it: the security headers."""

from __future__ import annotations

from http.cookies import CookieError, SimpleCookie
from typing import Any

from genepool.web._auth import COOKIE, Door, Limiter

__all__ = ["Guard"]

_BODY = 64 * 1024
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'; require-trusted-types-for 'script'"
)
_HEADERS = [
    (b"content-security-policy", _POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), microphone=(), geolocation=()"),
    (b"x-robots-tag", b"noindex"),
]


class Guard:
    """ASGI middleware; see the module.

    Args:
        app: The pages.
        door: Who may enter.
        hosts: Host headers that are answered; empty: any. On this machine a page of a stranger whose name
            was made to point here (DNS rebinding) is refused by it.
    """

    def __init__(self, app: Any, door: Door, hosts: frozenset[str]) -> None:
        self._app, self._door, self._hosts = app, door, hosts
        self._people = Limiter(rate=60, burst=240)
        self._strangers = Limiter(rate=2, burst=30)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def guarded(message: Any) -> None:
            if message["type"] == "http.response.start":
                kept = [(k, v) for k, v in message.get("headers", []) if k.lower() != b"server"]
                message = {**message, "headers": [*kept, *_HEADERS]}
            await send(message)

        headers = {key.decode("latin-1").lower(): value.decode("latin-1") for key, value in scope["headers"]}
        refusal = self._refuse(scope, headers)
        if refusal is not None:
            await _answer(guarded, *refusal)
            return
        await self._app(scope, _bounded(receive), guarded)

    def _refuse(self, scope: Any, headers: dict[str, str]) -> tuple[int, str] | None:
        if self._hosts and headers.get("host", "") not in self._hosts:
            return 421, "this address is not served here"
        session = self._door.session(_cookie(headers.get("cookie", "")))
        scope["genepool.session"] = session
        path, method = scope["path"], scope["method"]
        client = (scope.get("client") or ("?",))[0]
        allowed = self._people.allow(session.id) if session else self._strangers.allow(client)
        if not allowed:
            return 429, "too many requests: wait a moment"
        if not (length := headers.get("content-length", "0")).isdigit() or int(length) > _BODY:
            return 413, "too large"
        if path == "/enter" or path.startswith("/static/"):
            return None
        if session is None:
            return 401, "a key is needed: open the address that genepool review printed"
        if method not in ("GET", "HEAD") and (
            headers.get("x-csrf-token", "") != session.csrf
            or headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none")
        ):
            return 403, "this request did not come from the review room"
        return None


def _cookie(header: str) -> str:
    try:
        found = SimpleCookie(header).get(COOKIE)
    except CookieError:
        return ""
    return found.value if found else ""


def _bounded(receive: Any) -> Any:
    """A body without a stated length is bounded as well."""
    seen = 0

    async def bounded() -> Any:
        nonlocal seen
        message = await receive()
        seen += len(message.get("body", b""))
        return {"type": "http.disconnect"} if seen > _BODY else message

    return bounded


async def _answer(send: Any, status: int, text: str) -> None:
    body = (text + "\n").encode()
    headers = [
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
    ]
    if status == 429:
        headers.append((b"retry-after", b"1"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
