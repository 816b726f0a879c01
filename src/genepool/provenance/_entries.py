"""The leaves of the log: small records in canonical JSON, written and read strictly.

RFC 8785 on a subset where it needs no float arithmetic: ASCII keys, strings, integers below 2^53, booleans,
null, at most 8 levels deep, at most 65,535 bytes. On that subset sorted compact JSON *is* the canonical form,
so one re-encoding proves an entry canonical: duplicate keys, blanks, other escapes, lone surrogates and NaN
all fail it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

import orjson

from genepool.errors import LogError, UsageError
from genepool.provenance._note import Verifier
from genepool.provenance._tiles import MAX_ENTRY
from genepool.records import OriginClass

__all__ = ["KINDS", "clean", "declared_log_key", "decode", "encode", "name_of"]

VERSION: Final = 1
MAX_DEPTH: Final = 8
MAX_INT: Final = 2**53 - 1
MAX_NAME: Final = 200
_SORT = orjson.OPT_SORT_KEYS
_HEX64 = re.compile(r"[0-9a-f]{64}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


class _Bad(Exception):
    """What a field should have been."""


def _hex(value: Any) -> None:
    if type(value) is not str or not _HEX64.fullmatch(value):
        raise _Bad("64 hex digits")


def _name(value: Any) -> None:
    if type(value) is not str or not 0 < len(value) <= MAX_NAME or _CONTROL.search(value):
        raise _Bad(f"a name of 1 to {MAX_NAME} characters without control characters")


def _text(value: Any) -> None:
    if type(value) is not str:
        raise _Bad("a string")


def _count(value: Any) -> None:
    if type(value) is not int or not 0 <= value <= MAX_INT:
        raise _Bad("an integer from 0 to 2^53 − 1")


def _generation(value: Any) -> None:
    good = type(value) is list and len(value) == 2 and type(value[0]) is int and 0 <= value[0] < 2**31
    if not good or not (value[1] is None or (type(value[1]) is int and value[0] <= value[1] < 2**31)):
        raise _Bad("[lo, hi] with 0 ≤ lo ≤ hi, or [lo, null]")


def _one_of(*words: str) -> Callable[[Any], None]:
    allowed = frozenset(words)

    def check(value: Any) -> None:
        if type(value) is not str or value not in allowed:
            raise _Bad(" or ".join(words))

    return check


def _hashes(value: Any) -> None:
    if type(value) is not list or len(value) > 64:
        raise _Bad("at most 64 digests")
    for item in value:
        _hex(item)


def _references(value: Any) -> None:
    if type(value) is not list or not 0 < len(value) <= 256:
        raise _Bad("1 to 256 references")
    for item in value:
        if type(item) is not dict or set(item) != {"kind", "ppm", "ref"}:
            raise _Bad("objects with kind, ppm and ref")
        _name(item["ref"])
        _one_of("cohort", "model", "dataset", "unknown")(item["kind"])
        if item["ppm"] is not None and (type(item["ppm"]) is not int or not 0 <= item["ppm"] <= 1_000_000):
            raise _Bad("shares from 0 to 1000000 ppm, or null")


def _plain(value: Any) -> None:
    if type(value) is not dict:
        raise _Bad("an object")
    _walk(value, 1)


def _walk(value: Any, depth: int) -> None:
    if depth > MAX_DEPTH:
        raise _Bad(f"at most {MAX_DEPTH} levels")
    kind = type(value)
    if kind is dict:
        for key, item in value.items():
            if not key.isascii():
                raise _Bad("ASCII keys")
            _walk(item, depth + 1)
    elif kind is list:
        for item in value:
            _walk(item, depth + 1)
    elif kind is float or (kind is int and not -MAX_INT <= value <= MAX_INT):
        raise _Bad("integers below 2^53 and no floating-point number")


_Fields = dict[str, Callable[[Any], None]]
_CLASSES = tuple(member.value for member in OriginClass)

# kind → (fields that must be there, fields that may be there)
KINDS: Final[dict[str, tuple[_Fields, _Fields]]] = {
    "key": (
        {
            "action": _one_of("register", "revoke"),
            "at": _count,
            "role": _one_of("log", "attestor"),
            "vkey": _text,
        },
        {"since": _count},
    ),
    "origin": (
        {
            "gen": _generation,
            "origin": _one_of(*_CLASSES),
            "pix": _hex,
            "role": _one_of("attest", "check"),
            "sha256": _hex,
        },
        {"cohort": _name, "det": _hex, "model": _name, "parents": _hashes},
    ),
    "verdict": (
        {"answer": _one_of("human", "ai", "unsure"), "at": _count, "reviewer": _name, "sha256": _hex},
        {"det": _hex, "prev": _count},
    ),
    "draw": (
        {"at": _count, "n": _count, "population": _hex, "seed": _name},
        {"attempt": _count, "scores": _hex},
    ),
    "seal": ({"dsse": _plain, "vkey": _text}, {}),
    "model": (
        {"at": _count, "gen": _generation, "name": _name, "trained_on": _references},
        {"base": _name, "det": _hex, "weights": _hex},
    ),
    "dataset": (
        {"composition": _plain, "gen": _generation, "n": _count, "policy": _hex, "root": _hex},
        {"generations": _plain},
    ),
    "decision": (
        {
            "at": _count,
            "dataset": _hex,
            "digest": _hex,
            "status": _one_of("pass", "fail", "undecided"),
            "summary": _plain,
        },
        {},
    ),
    "withdraw": ({"at": _count, "index": _count}, {"reason": _name}),
}


def _schema_problem(body: Mapping[str, Any]) -> str:
    """What is wrong with a record of a known kind; empty: nothing."""
    must, may = KINDS[body["kind"]]
    seen = 2
    for field, check in must.items():
        if field not in body:
            return f"field `{field}` is missing"
        try:
            check(body[field])
        except _Bad as bad:
            return f"field `{field}`: expected {bad}, found {str(body[field])[:60]!r}"
        seen += 1
    if seen == len(body):
        return ""
    for field, value in body.items():
        if field in must or field in ("kind", "v"):
            continue
        if field not in may:
            return f"unknown field `{field[:40]}`"
        try:
            may[field](value)
        except _Bad as bad:
            return f"field `{field}`: expected {bad}, found {str(value)[:60]!r}"
    return ""


def encode(body: Mapping[str, Any]) -> bytes:
    """A record as canonical JSON; ``v`` is added.

    Raises:
        UsageError: A value that a record may not hold (text that is not Unicode, a name too long …).
    """
    record = {**body, "v": VERSION}
    problem = _schema_problem(record)
    if problem:
        raise UsageError(f"{record['kind']} entry: {problem}")
    try:
        data = orjson.dumps(record, option=_SORT)
    except (TypeError, ValueError) as error:  # orjson's JSONEncodeError is a TypeError
        raise UsageError(f"{record['kind']} entry: cannot be written as JSON: {error}") from None
    if len(data) > MAX_ENTRY:
        raise UsageError(f"{record['kind']} entry: expected at most {MAX_ENTRY} bytes, found {len(data)}")
    # A copy of its own size: what orjson returns sits in a buffer of four kilobytes whose rest nobody can
    # use, and a check keeps tens of thousands of entries at a time.
    return bytes(memoryview(data))


def decode(data: bytes) -> dict[str, Any]:
    """Read one entry strictly.

    Returns:
        The record. A kind or version that this program does not know comes back with ``kind`` set to
        ``"?"``; it is canonical and harmless, but means nothing here.

    Raises:
        LogError: Not canonical JSON of the subset, or a known kind with a wrong field.
    """
    try:
        body = orjson.loads(data)
        again = orjson.dumps(body, option=_SORT)
    except (ValueError, TypeError, RecursionError) as error:
        raise LogError(f"expected canonical JSON: {str(error)[:100]}") from None
    if again != data:
        raise LogError("expected canonical JSON: found other key order, blanks, escapes or a duplicate key")
    if type(body) is not dict or type(body.get("kind")) is not str or type(body.get("v")) is not int:
        raise LogError("expected an object with `kind` and `v`")
    if body["v"] != VERSION or body["kind"] not in KINDS:
        try:
            _walk(body, 0)
        except _Bad as bad:
            raise LogError(f"expected {bad}") from None
        return {"kind": "?"}
    problem = _schema_problem(body)
    if problem:
        raise LogError(f"{body['kind']} entry: {problem}")
    return body


def declared_log_key(entry: bytes) -> Verifier | None:
    """The log key that a ``key`` entry of role ``log`` declares; None for any other entry.

    Raises:
        SignatureError: The key in it is malformed.
    """
    try:
        body = decode(entry)
    except LogError:
        return None
    if body["kind"] != "key" or body["role"] != "log" or body["action"] != "register":
        return None
    return Verifier.parse(body["vkey"])


def clean(text: str) -> str:
    """Any text made fit to be a name in a record: no control characters, valid Unicode, cut to length."""
    valid = text.encode("utf-8", "replace").decode()
    return _CONTROL.sub(" ", valid).strip()[:MAX_NAME]


def name_of(text: str, what: str) -> str:
    """A name given by the user, checked.

    Raises:
        UsageError: Empty, too long, or with control characters.
    """
    if not text or text != clean(text):
        raise UsageError(
            f"{what}: expected 1 to {MAX_NAME} characters without control characters, found {text[:60]!r}"
        )
    return text
