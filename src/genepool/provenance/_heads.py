"""Pinned heads: the newest checkpoint of each log that this user has seen.

They lie with the user's key, outside every workspace, so that a log which is cut short or replaced together
with its signed checkpoint is noticed.
"""

from __future__ import annotations

import contextlib
from hashlib import sha256
from pathlib import Path

import orjson

from genepool.config import config_directory
from genepool.errors import LogError
from genepool.provenance._files import atomic_write
from genepool.provenance._ledger import Ledger

__all__ = ["check_head", "pin_head"]


def _place(ledger: Ledger) -> Path:
    # The log's first key: a rotation must not make it a log that was never seen.
    vkey = ledger.known_keys()[0].vkey
    return config_directory() / "heads" / f"{sha256(vkey.encode()).hexdigest()[:32]}.json"


def _spot(ledger: Ledger) -> str:
    return ledger.where if "://" in ledger.where else str(ledger.path.resolve())


def _pinned(place: Path) -> tuple[int, bytes, str] | None:
    try:
        data = orjson.loads(place.read_bytes())
        return int(data["size"]), bytes.fromhex(data["root"]), str(data["path"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def check_head(ledger: Ledger) -> str:
    """Compare a log with the newest head of it that was seen.

    Returns:
        A sentence when this is an older copy, at another place, of a log that was seen; else nothing.

    Raises:
        LogError: The log at the pinned place was rolled back, or it contradicts what was seen.
    """
    place = _place(ledger)
    pinned = _pinned(place)
    if pinned is None or pinned[0] == 0:
        return ""
    size, root, path = pinned
    if ledger.size < size:
        if path == _spot(ledger):
            raise LogError(
                f"{ledger.where}/checkpoint: expected at least {size} entries, as seen before, "
                f"found {ledger.size}: rolled back",
                hint=f"restore the newer log; to accept the loss, remove {place}",
            )
        return f"log {ledger.origin} at {ledger.where} is an older copy ({ledger.size} of {size} entries)"
    if ledger.root_at(size) != root:
        raise LogError(
            f"{ledger.where}/checkpoint: the first {size} entries are not the ones seen before: forked",
            hint=f"compare with another copy of the log; the head that was seen lies in {place}",
        )
    return ""


def pin_head(ledger: Ledger) -> None:
    """Remember the log's head as seen. A configuration folder that is not writable is no error."""
    place = _place(ledger)
    pinned = _pinned(place)
    if pinned is not None and pinned[0] >= ledger.size:
        return
    data = {
        "origin": ledger.origin,
        "path": _spot(ledger),
        "root": ledger.root.hex(),
        "size": ledger.size,
    }
    with contextlib.suppress(OSError):
        place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        atomic_write(place, orjson.dumps(data))
