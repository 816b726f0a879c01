"""Where the demo writes, and what it may delete: only what it made itself.

Every folder that the demo makes holds a hidden marker with the list of its files. A folder without the
marker, or one to which somebody added a file, is refused.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable
from pathlib import Path

from genepool.errors import UsageError

__all__ = ["MARKER", "clear", "mark"]

MARKER = ".genepool-demo.json"
_SCHEMA = "genepool.demo/1"


def mark(folder: Path, files: Iterable[str] | None = None) -> None:
    """Leave the marker.

    Args:
        folder: A folder that the demo made.
        files: Paths of its files, relative to it; None: everything in it is genepool's own (a workspace).
    """
    folder.mkdir(parents=True, exist_ok=True)
    data = {"schema": _SCHEMA, "files": None if files is None else sorted(files)}
    (folder / MARKER).write_text(json.dumps(data, indent=1) + "\n", "utf-8")


def clear(folder: Path) -> None:
    """Remove a folder that an earlier demo made; a missing or empty one is fine.

    Raises:
        UsageError: Somebody else's folder, or files in it that the demo did not make.
    """
    if not folder.exists() and not folder.is_symlink():
        return
    if folder.is_symlink() or not folder.is_dir():
        raise UsageError(f"{folder}: expected a folder, found a file or a link", hint=_hint(folder))
    if not any(folder.iterdir()):
        return
    try:
        data = json.loads((folder / MARKER).read_text("utf-8"))
        listed = data["files"]
        known = data["schema"] == _SCHEMA and (listed is None or isinstance(listed, list))
    except (OSError, ValueError, KeyError, TypeError):
        known = False
    if not known:
        raise UsageError(
            f"{folder}: expected an empty folder or an earlier demo, found other files", hint=_hint(folder)
        )
    if listed is not None:
        mine = {MARKER, *map(str, listed)}
        strange = [
            name
            for path in sorted(folder.rglob("*"))
            if (path.is_symlink() or not path.is_dir())
            and (name := path.relative_to(folder).as_posix()) not in mine
        ]
        if strange:
            more = f" and {len(strange) - 1} more" if len(strange) > 1 else ""
            raise UsageError(
                f"{folder} holds files that the demo did not make: {strange[0]}{more}", hint=_hint(folder)
            )
    shutil.rmtree(folder)


def _hint(folder: Path) -> str:
    return f"name another folder: genepool demo {folder.name}-2"
