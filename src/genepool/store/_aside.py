"""Damaged files are moved aside, never deleted: whoever wants to look at them still can."""

from __future__ import annotations

import shutil
from pathlib import Path

from genepool.store._files import wrapped

FOLDER = "aside"
_MARK = "workspace.json"


def move_aside(path: Path, *, copy: bool = False) -> Path:
    """Put a file or folder of a workspace under ``aside/``, at its own place with a number behind it.

    Args:
        path: What is damaged or left over.
        copy: Leave it where it is as well.

    Returns:
        Where it lies now.

    Raises:
        WorkspaceError: It cannot be moved.
    """
    root = next((above for above in path.parents if (above / _MARK).exists()), path.parent)
    place = root / FOLDER / path.relative_to(root)
    with wrapped(path, "moved aside"):
        place.parent.mkdir(parents=True, exist_ok=True)
        number = 1
        while (target := place.with_name(f"{place.name}.{number}")).exists():
            number += 1
        if copy:
            shutil.copy2(path, target)
        else:
            path.replace(target)
    return target
