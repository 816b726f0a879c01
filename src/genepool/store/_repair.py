"""Mending a workspace: what is damaged is moved aside, what can be told anew is told anew, nothing goes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from genepool.store._aside import move_aside
from genepool.store._inspect import Finding, Health, inspect
from genepool.store._journal import Journal, Recording
from genepool.store._parts import read_part

if TYPE_CHECKING:
    from genepool.store._workspace import Workspace

_MOVED = frozenset({"json", "table", "leftover", "vectors", "part", "listing", "rows"})


def repair(workspace: Workspace) -> tuple[list[str], Health]:
    """Mend what can be mended without losing anything.

    Damaged files go to ``aside/`` and whatever was made from images is made again by the next scan or check.
    The verdicts of people and the logs cannot be made again: they stay as they are.

    Returns:
        One sentence per action, and what a second inspection finds.

    Raises:
        WorkspaceError: Another process is writing, or a file cannot be moved; what was done stays done.
    """
    # Taking the lock makes the mark where there is none.
    marked = (workspace.root / "workspace.json").exists()
    done = [] if marked else ["wrote workspace.json"]
    with workspace.lock():
        health = inspect(workspace)
        todo = [found for found in health.findings if found.kind in (*_MOVED, *_ACTIONS)]
        for found in [found for found in todo if found.kind == "leftover"]:
            todo.remove(found)
            done += _moved(workspace, found)  # before a run begins, which would clear it away
        if todo:
            with Journal(workspace).record("repair") as run:
                for found in todo:
                    done += _ACTIONS.get(found.kind, _move)(workspace, found, run)
                run.facts["actions"] = len(done)
        return done, inspect(workspace)


def mend_mark(root: Path) -> list[str]:
    """Move a ``workspace.json`` that is no JSON aside, so that the folder opens as a workspace again.

    Returns:
        What was done; empty where the mark is sound, missing, or a newer genepool's.
    """
    import orjson

    mark = root / "workspace.json"
    try:
        orjson.loads(mark.read_bytes())
    except orjson.JSONDecodeError:
        return [f"moved workspace.json to {move_aside(mark).relative_to(root)}"]
    except OSError:
        return []
    return []


def _move(workspace: Workspace, found: Finding, run: Recording) -> list[str]:
    return _moved(workspace, found)


def _moved(workspace: Workspace, found: Finding) -> list[str]:
    return [
        f"moved {path.relative_to(workspace.root)} to {move_aside(path).relative_to(workspace.root)}"
        for path in found.paths
        if path.exists() or path.is_symlink()
    ]


def _journal(workspace: Workspace, found: Finding, run: Recording) -> list[str]:
    # The run that records this repair has mended it as it began.
    return [f"wrote {found.paths[0].name} anew from its readable lines; the damaged one lies in aside/"]


def _adopt(workspace: Workspace, found: Finding, run: Recording) -> list[str]:
    for path in found.paths:
        name = path.name.removesuffix(".parquet")
        run.unit(name, read_part(workspace.parts, name, ["key"]).num_rows)
    return [f"told the journal of {len(found.paths)} parts"]


_ACTIONS: dict[str, Callable[[Workspace, Finding, Recording], list[str]]] = {
    "journal": _journal,
    "adopt": _adopt,
}
