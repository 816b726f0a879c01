"""Where the copies of remote workspaces lie on this machine, and folders that last as long as the process."""

from __future__ import annotations

import atexit
import hashlib
import os
import re
import shutil
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from genepool.store._mirror import Mirror

__all__ = ["TEMPORARY", "copy_of", "log_url", "mirror_of", "opened", "temporary", "url_of"]

_GUARD = threading.Lock()
_MIRRORS: dict[Path, Mirror] = {}
"""One per copy and process: the lock in the store is held for every `Workspace` of the copy."""


def mirror_of(url: str, root: Path) -> Mirror:
    """The mirror of a copy, the same for all of this process."""
    from genepool.store._mirror import Mirror

    with _GUARD:
        if root not in _MIRRORS:
            _MIRRORS[root] = Mirror(url, root)
        return _MIRRORS[root]


def opened() -> list[Path]:
    """The copies that this process has opened."""
    return list(_MIRRORS)


def _copies() -> Path:
    """Where the copies of this user's remote workspaces lie: with the keys, else in the folder for state."""
    if home := os.environ.get("GENEPOOL_HOME"):
        return Path(home).absolute() / "workspaces"
    base = os.environ.get("XDG_STATE_HOME")
    return (Path(base) if base else Path.home() / ".local" / "state") / "genepool" / "workspaces"


def copy_of(url: str) -> Path:
    """The folder of the copy. What is in memory ends with this process, and so does its copy."""
    if url.startswith("memory://"):
        return temporary(url)
    name = re.sub(r"[^\w.\-]+", "-", url.partition("://")[2])[-60:].strip("-.")
    return _copies() / f"{name}-{hashlib.sha256(url.encode()).hexdigest()[:16]}"


def log_url(folder: Path) -> str:
    """Where the log really lies of which a folder is the copy: in the store of its workspace; else empty."""
    url = url_of(folder.parent) if folder.name == "ledger" else ""
    return f"{url}/ledger" if url else ""


def url_of(root: Path) -> str:
    """The URL of which a folder is the copy, or empty.

    Only folders in the user's own place for copies are asked: a stranger's workspace opens no connection.
    """
    if root in _MIRRORS:
        return _MIRRORS[root].url
    if root.parent != _copies():
        return ""
    from genepool.store._mirror import url_in

    return url_in(root)


TEMPORARY: dict[str, Path] = {}


def temporary(uri: str) -> Path:
    """A folder of this process for what has no place of its own; removed at exit."""
    with _GUARD:
        if uri not in TEMPORARY:
            place = Path(tempfile.mkdtemp(prefix="genepool-")) / "workspace"
            TEMPORARY[uri] = place
            atexit.register(_discard, place.parent, os.getpid())
        return TEMPORARY[uri]


def _discard(place: Path, owner: int) -> None:
    if os.getpid() == owner:
        shutil.rmtree(place, ignore_errors=True)
