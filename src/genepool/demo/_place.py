"""Where the demo writes, and what it may delete: only what it made itself.

Every folder that the demo makes holds a hidden marker with the list of its files. A folder without the
marker, or one to which somebody added a file, is refused.
"""

from __future__ import annotations

import json
import shlex
import shutil
from collections.abc import Iterable
from pathlib import Path

from genepool.errors import UsageError

__all__ = ["MARKER", "clear", "mark"]

MARKER = ".genepool-demo.json"
_SCHEMA = "genepool.demo/1"
_ENDS = ("", "-clean", ".genepool", "-clean.genepool")


def mark(folder: Path, files: Iterable[str] | None = None) -> None:
    """Leave the marker.

    Args:
        folder: A folder that the demo made.
        files: Paths of its files, relative to it; None: everything in it is the demo's (a workspace, or a
            gallery that is not finished).
    """
    folder.mkdir(parents=True, exist_ok=True)
    data = {"schema": _SCHEMA, "files": None if files is None else sorted(files)}
    (folder / MARKER).write_text(json.dumps(data, indent=1) + "\n", "utf-8")


def clear(*folders: Path) -> None:
    """Remove folders that an earlier demo made; missing or empty ones are fine. All of them or none.

    Raises:
        UsageError: Somebody else's folder, or files in it that the demo did not make.
    """
    for folder in folders:
        _refuse_strangers(folder)
    for folder in folders:
        if folder.is_dir() and any(folder.iterdir()):
            shutil.rmtree(folder)


def _refuse_strangers(folder: Path) -> None:
    if not folder.exists() and not folder.is_symlink():
        return
    if folder.is_symlink() or not folder.is_dir():
        raise UsageError(f"{folder}: expected a folder, found a file or a link", hint=_hint(folder))
    if not any(folder.iterdir()):
        return
    mine = _listed(folder)
    if mine is None:
        return
    found = (path for path in sorted(folder.rglob("*")) if path.is_symlink() or not path.is_dir())
    strange = [name for path in found if (name := path.relative_to(folder).as_posix()) not in mine]
    if strange:
        more = f" and {len(strange) - 1} more" if len(strange) > 1 else ""
        raise UsageError(
            f"{folder} holds files that the demo did not make: {strange[0]}{more}", hint=_hint(folder)
        )


def _listed(folder: Path) -> set[str] | None:
    """The files that the marker names and the marker; None where it claims all of them."""
    foreign = UsageError(
        f"{folder}: expected an empty folder or an earlier demo, found other files", hint=_hint(folder)
    )
    try:
        data = json.loads((folder / MARKER).read_text("utf-8"))
        schema, listed = data["schema"], data["files"]
    except (OSError, ValueError, KeyError, TypeError):
        raise foreign from None
    if schema != _SCHEMA or not (listed is None or isinstance(listed, list)):
        raise foreign
    return None if listed is None else {MARKER, *map(str, listed)}


def _hint(folder: Path) -> str:
    """A name under which nothing lies yet, whichever of a demo's four folders was in the way."""
    name = folder.name.removesuffix(".genepool").removesuffix("-clean") or "demo"
    place = folder.parent / name
    number = 2
    while any(place.with_name(f"{name}-{number}{end}").exists() for end in _ENDS):
        number += 1
    other = shlex.quote(str(place.with_name(f"{name}-{number}")))
    return (
        f"name another folder: genepool demo {other}   (or, if you need nothing in it, remove {folder} first)"
    )
