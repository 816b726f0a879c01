"""The pages and what they ask for. Every change is a POST with the session's CSRF token."""

from __future__ import annotations

import getpass
import math
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genepool import review
from genepool.errors import GenepoolError, UsageError, WorkspaceError
from genepool.web._auth import COOKIE, Door, Session
from genepool.web._guard import Guard
from genepool.web._numbers import board_rows, judge_rows, queue_numbers

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from genepool.web._room import Room

__all__ = ["make_app"]

_HERE = Path(__file__).parent
_COMMENT = 2000


def make_app(room: Room, door: Door, *, hosts: frozenset[str] = frozenset()) -> Any:
    """The ASGI application.

    Args:
        room: The set under review.
        door: Who may enter.
        hosts: Values of the Host header that are answered; empty: any.

    Raises:
        MissingExtra: Starlette or Jinja2 is not installed.
    """
    from starlette.applications import Starlette
    from starlette.routing import Mount, Route
    from starlette.staticfiles import StaticFiles

    pages = _Pages(room, door)
    routes = [
        Route("/", pages.queue),
        Route("/enter", pages.enter, methods=["GET", "POST"]),
        Route("/decide", pages.decide),
        Route("/compare", pages.compare),
        Route("/board", pages.board),
        Route("/image/{token}", pages.image),
        Route("/image/{token}/{side}", pages.side),
        Route("/api/next", pages.next, methods=["POST"]),
        Route("/api/verdict", pages.verdict, methods=["POST"]),
        Route("/api/evidence", pages.evidence, methods=["POST"]),
        Route("/api/pairs", pages.pairs, methods=["POST"]),
        Route("/api/vote", pages.vote, methods=["POST"]),
        Mount("/static", StaticFiles(directory=_HERE / "static")),
    ]
    handlers: Any = {GenepoolError: _refused}
    return Guard(Starlette(routes=routes, exception_handlers=handlers), door, hosts)


async def _refused(request: Request, error: Exception) -> Response:
    from starlette.responses import JSONResponse

    del request
    assert isinstance(error, GenepoolError)  # noqa: S101  # registered for nothing else
    status = 503 if isinstance(error, WorkspaceError) else 400 if isinstance(error, UsageError) else 500
    body = {"error": error.message, "hint": error.hint, "code": error.code}
    return JSONResponse(body, status)


def _templates() -> Any:
    import jinja2

    loader = jinja2.FileSystemLoader(_HERE / "templates")
    return jinja2.Environment(loader=loader, autoescape=True, undefined=jinja2.StrictUndefined)


async def _run(function: Callable[..., Any], *values: Any) -> Any:
    from starlette.concurrency import run_in_threadpool

    return await run_in_threadpool(function, *values)


class _Pages:
    def __init__(self, room: Room, door: Door) -> None:
        self.room, self.door = room, door
        self._templates = _templates()

    # ------------------------------------------------------------------------------------ pages

    def _page(self, request: Request, template: str, **values: Any) -> Response:
        from starlette.responses import HTMLResponse

        session: Session | None = request.scope.get("genepool.session")
        text = self._templates.get_template(template).render(
            page=template.partition(".")[0],
            user=session.user if session else "",
            csrf=session.csrf if session else "",
            **values,
        )
        return HTMLResponse(text, headers={"Cache-Control": "no-store"})

    async def queue(self, request: Request) -> Response:
        """How many images, why these, how long still."""
        session: Session = request.scope["genepool.session"]
        numbers = await _run(queue_numbers, self.room, session.user)
        return self._page(request, "queue.html", **numbers)

    async def decide(self, request: Request) -> Response:
        """One image, one key."""
        return self._page(request, "decide.html")

    async def compare(self, request: Request) -> Response:
        """Two images."""
        return self._page(request, "compare.html")

    async def board(self, request: Request) -> Response:
        """How good and how agreed the reviewers are."""
        board = await _run(review.board, self.room.queue.record)
        judges = await _run(self.room.judges)
        rows = board_rows(board)
        return self._page(request, "board.html", board=board, rows=rows, **judge_rows(judges))

    async def enter(self, request: Request) -> Response:
        """Exchange a key for a session. The key is used by a POST: a link preview must not use it up."""
        from starlette.responses import HTMLResponse, RedirectResponse

        wrong = ""
        if request.method == "POST":
            form = await _form(request)
            key = form.get("key", "")
            try:
                cookie = self.door.enter(key, form.get("name", ""))
            except UsageError as error:
                cookie, wrong = None, error.message
            if cookie is not None:
                response = RedirectResponse("/", 303)
                response.set_cookie(COOKIE, cookie, httponly=True, samesite="strict", path="/")
                return response
        else:
            key = request.query_params.get("key", "")
        invited = self.door.invited(key)
        page = self._page(
            request, "enter.html", key=key, invited=invited, name=invited or _own_name(), wrong=wrong
        )
        if invited is None:
            return HTMLResponse(page.body, 403, {"Cache-Control": "no-store"})
        return page

    # ----------------------------------------------------------------------------------- images

    async def image(self, request: Request) -> Response:
        """The rendition behind a question's token: nothing in it or around it says which image it is."""
        session: Session = request.scope["genepool.session"]
        asked = self.room.queue.question(request.path_params["token"])
        if asked.reviewer not in (session.user, ""):
            raise UsageError("review: this question was put to somebody else")
        return await self._rendition(asked.sha256)

    async def side(self, request: Request) -> Response:
        """One side of a pair."""
        session: Session = request.scope["genepool.session"]
        pair = self.room.pairs.pair(request.path_params["token"])
        side = request.path_params["side"]
        if pair.reviewer != session.user or side not in ("a", "b"):
            raise UsageError("review: this pair was put to somebody else")
        return await self._rendition(pair.a if side == "a" else pair.b)

    async def _rendition(self, digest: str) -> Response:
        from starlette.responses import Response as Plain

        data = await _run(self.room.rendition, digest)
        return Plain(data, media_type="image/jpeg", headers={"Cache-Control": "private, max-age=3600"})

    # ------------------------------------------------------------------------------------- asks

    async def next(self, request: Request) -> Response:
        """The next questions, as tokens."""
        session, body = await _body(request)
        n = _number(body.get("n", 8), 1, 32)
        asked = await _run(self.room.queue.next, session.user, int(n or 8))
        for question in asked:
            self.room.prepare(question.sha256)
        return _json({"items": [{"token": a.token} for a in asked]})

    async def verdict(self, request: Request) -> Response:
        """Keep a verdict; the answer means that it is on the disk."""
        session, body = await _body(request)
        seconds = body.get("seconds")
        verdict = await _run(
            lambda: self.room.queue.answer(
                str(body.get("token", "")),
                str(body.get("answer", "")),
                session.user,
                nonce=_nonce(session, body),
                session=session.id,
                sequence=int(_number(body.get("sequence", -1), -1, 2**31) or 0),
                seconds=None if seconds is None else _number(seconds, 0, 86_400),
                uncanny=body.get("uncanny") is True,
                comment=_text(body.get("comment", "")),
            )
        )
        return _json({"saved": True, "changed": verdict.changed, "undo": verdict.undo})

    async def evidence(self, request: Request) -> Response:
        """What is known about an image, for somebody who has judged it."""
        session, body = await _body(request)
        asked = await _run(self.room.queue.reveal, str(body.get("token", "")), session.user)
        return _json(await _run(self.room.evidence, asked.sha256))

    async def pairs(self, request: Request) -> Response:
        """The next pairs, as tokens."""
        session, body = await _body(request)
        n = int(_number(body.get("n", 3), 1, 8) or 3)
        found = await _run(self.room.pairs.next, session.user, n)
        for pair in found:
            self.room.prepare(pair.a)
            self.room.prepare(pair.b)
        return _json({"pairs": [{"token": pair.token} for pair in found]})

    async def vote(self, request: Request) -> Response:
        """Keep a vote; the answer means that it is on the disk."""
        session, body = await _body(request)
        seconds = body.get("seconds")
        await _run(
            lambda: self.room.pairs.vote(
                str(body.get("token", "")),
                str(body.get("outcome", "")),
                session.user,
                nonce=_nonce(session, body),
                seconds=None if seconds is None else _number(seconds, 0, 86_400),
                session=session.id,
            )
        )
        return _json({"saved": True})


# ----------------------------------------------------------------------------------------- parsing


def _json(body: Any) -> Response:
    from starlette.responses import JSONResponse

    return JSONResponse(body, headers={"Cache-Control": "no-store"})


async def _body(request: Request) -> tuple[Session, dict[str, Any]]:
    import orjson

    try:
        body = orjson.loads(await request.body())
    except orjson.JSONDecodeError:
        body = None
    if not isinstance(body, dict):
        raise UsageError("review: expected a JSON object")
    session: Session = request.scope["genepool.session"]
    return session, body


async def _form(request: Request) -> dict[str, str]:
    from urllib.parse import parse_qsl

    text = (await request.body()).decode("utf-8", "replace")
    return dict(parse_qsl(text, keep_blank_values=True, max_num_fields=8))


def _number(value: Any, low: float, high: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise UsageError(f"review: expected a number, found {str(value)[:40]!r}")
    return float(min(max(value, low), high))


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise UsageError("review: expected a comment as text")
    return value[:_COMMENT]


def _nonce(session: Session, body: dict[str, Any]) -> str:
    nonce = body.get("nonce")
    if not isinstance(nonce, str) or not 8 <= len(nonce) <= 64:
        raise UsageError("review: expected a nonce of 8 to 64 characters")
    return f"{session.user}:{nonce}"


def _own_name() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return ""
