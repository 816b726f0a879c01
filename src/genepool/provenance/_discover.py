"""Which logs a workspace reads."""

from __future__ import annotations

import os
from pathlib import Path

from genepool.config import Config
from genepool.errors import LogError, WorkspaceError
from genepool.provenance._files import open_store
from genepool.store import Workspace

__all__ = ["find_logs", "has_log", "logs_near", "nearest_workspace"]

SUFFIX = ".genepool"
_CONFIGURED = "ledger.logs"
MAX_DEPTH = 8
MAX_FOLDERS = 20_000


def find_logs(
    workspace: Workspace, config: Config | None, dataset: str | None = None
) -> tuple[list[Path | str], list[str]]:
    """The folders (or URLs) of all logs to read: own, links, nested in or around the dataset, configured.

    Args:
        workspace: Its own log and its links come first.
        config: ``ledger.logs`` come last.
        dataset: Path of the dataset; None: the folder beside the workspace, if it is named after one.

    Returns:
        The log folders, each once, and sentences about what was not read.

    Raises:
        WorkspaceError: A log that is named by a link or the configuration is not there.
        LogError: The workspace's own log, which its last check wrote to, is gone.
    """
    problems: list[str] = []
    found: list[Path | str] = []
    if has_log(workspace):
        found.append(workspace.ledger)
    else:
        _never_had_one(workspace)
    for source, places in (
        ("a link of the workspace", workspace.links()),
        (_CONFIGURED, config.ledger.logs if config else ()),
    ):
        found.extend(_named(place, source) for place in places)
    folder = Path(dataset) if dataset and "://" not in dataset else _dataset_of(workspace)
    if folder is not None and folder.is_absolute():
        nested, complete = _nested(folder)
        found.extend(nested)
        found.extend(_above(folder))
        if not complete:
            problems.append(
                f"{folder}: more than {MAX_FOLDERS:,} folders or {MAX_DEPTH} levels; logs deeper "
                "inside were not looked for (name them in ledger.logs)"
            )
    unique = {_spot(path): path for path in reversed(found)}
    return [path for path in found if unique.pop(_spot(path), None) is not None], problems


def _never_had_one(workspace: Workspace) -> None:
    """A log that the last check wrote to does not vanish by itself; a new one would hide what it said."""
    decision = workspace.read_json("decision.json")
    sealed = decision.get("ledger") if isinstance(decision, dict) else None
    if sealed:
        raise LogError(
            f"{workspace.ledger}: expected the log of {sealed.get('size', '?')} entries of the last check, "
            "found none",
            hint="bring it back from a copy, or begin anew elsewhere: --workspace DIR",
        )


def _spot(path: Path | str) -> str:
    return path if isinstance(path, str) else os.path.realpath(path)


def has_log(workspace: Workspace) -> bool:
    """Whether a workspace has a log of its own; one in an object store is looked for there.

    Raises:
        LogError: The store does not answer.
    """
    if not workspace.url:
        return _is_log(workspace.ledger)
    store = open_store(workspace.ledger)
    return store.read("checkpoint") is not None or bool(store.names("tile"))


def _is_log(path: Path) -> bool:
    return (path / "checkpoint").is_file() or (path / "tile").is_dir()


def _named(place: str, source: str) -> Path | str:
    if "://" in place:
        if source == _CONFIGURED:
            return place
        # A workspace may come from a stranger: only the user's own configuration opens connections.
        raise WorkspaceError(
            f"{place} ({source}): expected a log on this machine, found a URL",
            hint="name it in ledger.logs, or copy the log here",
        )
    path = Path(place).expanduser()
    for candidate in (path, path / "ledger"):
        if _is_log(candidate):
            return candidate.absolute()
    raise WorkspaceError(
        f"{place} ({source}): expected a log, found none",
        hint="restore the log there, or remove the entry from "
        + ("ledger.logs" if source == _CONFIGURED else "links.json in the workspace"),
    )


def _dataset_of(workspace: Workspace) -> Path | None:
    root = workspace.root
    if root.suffix != SUFFIX:
        return None
    folder = root.with_suffix("")
    return folder if folder.exists() else None


def _nested(folder: Path) -> tuple[list[Path], bool]:
    """Logs of every ``*.genepool`` folder inside a dataset, breadth first, bounded."""
    logs: list[Path] = []
    level, visited = [str(folder)], 0
    for _ in range(MAX_DEPTH):
        deeper: list[str] = []
        for place in level:
            visited += 1
            if visited > MAX_FOLDERS:
                return logs, False
            for name in _subfolders(place):
                if name.endswith(SUFFIX):
                    if _is_log(Path(place, name, "ledger")):
                        logs.append(Path(place, name, "ledger"))
                elif not name.startswith("."):
                    deeper.append(f"{place}/{name}")
        if not deeper:
            return logs, True
        level = deeper
    return logs, False


def _subfolders(place: str) -> list[str]:
    try:
        with os.scandir(place) as entries:
            return sorted(entry.name for entry in entries if entry.is_dir(follow_symlinks=False))
    except OSError:
        return []


def _above(folder: Path) -> list[Path]:
    """Logs of workspaces beside the dataset or beside a folder that holds it."""
    places = [folder, *folder.parents]
    return [
        log
        for place in places
        if place.name and _is_log(log := place.parent / f"{place.name}{SUFFIX}" / "ledger")
    ]


def logs_near(folder: str | Path) -> list[Path]:
    """Logs inside a folder, beside it, beside its neighbours, and above: where a name may be registered.

    A check never reads these of its own accord; they are looked through when a name is not known, and the
    one that knows it is then linked.
    """
    path = Path(folder).absolute()
    beside = [
        path.parent / name / "ledger" for name in _subfolders(str(path.parent)) if name.endswith(SUFFIX)
    ]
    found = [*_nested(path)[0], *_above(path), *(log for log in beside if _is_log(log))]
    return list({os.path.realpath(log): log for log in found}.values())


def nearest_workspace(folder: str | Path) -> Path:
    """Where attestations about a folder are kept when nobody says: with the set that the folder belongs to.

    The workspace beside the nearest folder at or above ``folder`` that has one, else ``<folder>.genepool``.
    """
    path = Path(folder).absolute()
    for place in (path, *path.parents):
        if place.name and (candidate := place.parent / f"{place.name}{SUFFIX}").is_dir():
            return candidate
    return path.parent / f"{path.name}{SUFFIX}"
