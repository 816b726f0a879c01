"""Who may enter: a one-time key on this machine, signed invitations elsewhere; sessions, CSRF, limits."""

from __future__ import annotations

import base64
import hmac
import json
import os
import re
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from genepool.errors import UsageError, WorkspaceError

if TYPE_CHECKING:
    from genepool.store import Workspace

__all__ = ["COOKIE", "Door", "Limiter", "Session", "invitation", "is_loopback", "person_name", "room_secret"]

COOKIE = "genepool_review"
_DAY = 86_400.0
_INVITED = 7 * _DAY
_SITTING = _DAY
_NAME = re.compile(r"[^\x00-\x1f\x7f<>\"]{1,80}")


def is_loopback(host: str) -> bool:
    """Whether an address is reachable from this machine only."""
    import ipaddress

    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def person_name(text: str) -> str:
    """A reviewer's name, checked.

    Raises:
        UsageError: Empty, longer than 80 characters, or with control characters, quotes or angle brackets.
    """
    name = " ".join(text.split())
    if not _NAME.fullmatch(name):
        raise UsageError(f"reviewer: expected a name of 1 to 80 plain characters, found {text[:80]!r}")
    return name


def room_secret(workspace: Workspace) -> bytes:
    """The workspace's secret for signing sessions and invitations; made at first use, for its owner only.

    Raises:
        WorkspaceError: It cannot be read or written.
    """
    path = workspace.root / "review.secret"
    try:
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        except FileExistsError:
            found = path.read_bytes()
            if len(found) != 32:
                raise WorkspaceError(
                    f"{path}: expected 32 bytes, found {len(found)}", hint=f"remove {path}"
                ) from None
            return found
        with os.fdopen(descriptor, "wb") as file:
            fresh = secrets.token_bytes(32)
            file.write(fresh)
        return fresh
    except OSError as error:
        raise WorkspaceError(f"{path}: cannot be read or written: {error.strerror}") from error


def _sign(secret: bytes, purpose: str, body: str) -> str:
    digest = hmac.new(secret, f"{purpose}\0{body}".encode(), sha256).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def _pack(secret: bytes, purpose: str, data: dict[str, Any]) -> str:
    body = base64.urlsafe_b64encode(json.dumps(data, sort_keys=True).encode()).rstrip(b"=").decode()
    return f"{body}.{_sign(secret, purpose, body)}"


def _unpack(secret: bytes, purpose: str, text: str, now: float) -> dict[str, Any] | None:
    body, _, signature = text.partition(".")
    if not hmac.compare_digest(signature.encode(), _sign(secret, purpose, body).encode()):
        return None
    try:
        data = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    except ValueError:
        return None
    return data if isinstance(data, dict) and float(data.get("until", 0)) > now else None


def invitation(secret: bytes, user: str, *, now: float | None = None) -> str:
    """A signed key that lets one named person in for seven days."""
    until = (time.time() if now is None else now) + _INVITED
    return _pack(secret, "invitation", {"user": person_name(user), "until": until})


@dataclass(frozen=True, slots=True)
class Session:
    """Somebody who is in.

    Attributes:
        user: The reviewer's name.
        id: Of this sitting.
        csrf: Token that every change must carry.
    """

    user: str
    id: str
    csrf: str


class Door:
    """Lets people in.

    Args:
        secret: The workspace's.
        users: Named people; empty: whoever holds the one-time key, on this machine only.
        host: Address that is listened on.
        clock: Unix seconds now.

    Raises:
        UsageError: Another address than this machine's without named users.
    """

    def __init__(
        self,
        secret: bytes,
        users: Sequence[str] = (),
        host: str = "127.0.0.1",
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.users = tuple(dict.fromkeys(map(person_name, users)))
        self.local = is_loopback(host)
        if not self.local and not self.users:
            raise UsageError(
                f"review: expected named users for the address {host}, found none",
                hint="genepool review PATH --host HOST --user NAME --user NAME: each gets an invitation",
            )
        self._secret, self._clock = secret, clock
        self._lock = threading.Lock()
        self._key = "" if self.users else secrets.token_urlsafe(24)

    def keys(self) -> dict[str, str]:
        """What opens the door: user → signed invitation; without users ``""`` → the one-time key."""
        if not self.users:
            return {"": self._key}
        return {user: invitation(self._secret, user, now=self._clock()) for user in self.users}

    def invited(self, key: str) -> str | None:
        """For whom a key is, without using it up: a name, ``""`` for anybody here, None: for nobody."""
        if not self.users:
            good = bool(self._key) and hmac.compare_digest(key.encode(), self._key.encode())
            return "" if good else None
        data = _unpack(self._secret, "invitation", key, self._clock())
        user = data.get("user") if data else None
        return user if user in self.users else None

    def enter(self, key: str, name: str) -> str | None:
        """Exchange a key for a session cookie's value; the one-time key works once.

        Raises:
            UsageError: The name is none.
        """
        with self._lock:
            user = self.invited(key)
            if user is None:
                return None
            who = user or person_name(name)
            if not user:
                self._key = ""
        until = self._clock() + _SITTING
        return _pack(self._secret, "session", {"user": who, "id": secrets.token_hex(8), "until": until})

    def session(self, cookie: str) -> Session | None:
        """Who a cookie belongs to."""
        data = _unpack(self._secret, "session", cookie, self._clock()) if cookie else None
        if data is None or (self.users and data.get("user") not in self.users):
            return None
        user, sitting = str(data["user"]), str(data["id"])
        return Session(user, sitting, _sign(self._secret, "csrf", sitting))


class Limiter:
    """A bucket of permissions per caller that fills again steadily.

    Args:
        rate: Calls a second in the long run.
        burst: Calls at once.
        clock: Seconds that only go forward.
    """

    def __init__(self, rate: float, burst: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate, self._burst, self._clock = rate, burst, clock
        self._held: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def allow(self, caller: str) -> bool:
        """Whether this call may go on."""
        now = self._clock()
        level, at = self._held.pop(caller, (self._burst, now))
        level = min(self._burst, level + (now - at) * self._rate)
        allowed = level >= 1
        self._held[caller] = (level - 1 if allowed else level, now)
        while len(self._held) > 10_000:
            self._held.popitem(last=False)
        return allowed
