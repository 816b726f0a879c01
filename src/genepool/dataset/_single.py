"""Some files of a folder, read with what travels with them, without listing the folder."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from genepool.dataset._files import open_file, stat_of
from genepool.dataset._folder import FolderSource
from genepool.dataset._lines import DESCRIPTIONS, Description
from genepool.dataset._walk import Beside
from genepool.records import Item, Sample

__all__ = ["read_files"]


def read_files(paths: Iterable[Path], root: Path) -> Iterator[Sample]:
    """Read files one by one, each with its caption and the claims of its sidecars.

    The same tables count as when the whole folder is opened: those of every folder from ``root`` down to the
    file, genepool's own last. For a handful of files out of very many.

    Args:
        paths: Image files below ``root``.
        root: Where the dataset begins; its uris are relative to it.
    """
    root = root.absolute()
    tables: dict[Path, list[Description]] = {}
    try:
        for path in paths:
            where = path.absolute()
            folders = [root, *(root.joinpath(*part) for part in _steps(where.parent.relative_to(root).parts))]
            for folder in folders:
                if folder not in tables:
                    tables[folder] = _described(folder)
            yield from FolderSource(str(root)).read([_item(where, root, folders, tables)])
    finally:
        for found in tables.values():
            for table in found:
                table.close()


def _steps(parts: tuple[str, ...]) -> list[tuple[str, ...]]:
    return [parts[: i + 1] for i in range(len(parts))]


def _described(folder: Path) -> list[Description]:
    found = []
    for name in reversed(DESCRIPTIONS):
        path = folder / name
        # A link may lead out of the dataset; a description that is not there says nothing.
        if path.is_file() and not path.is_symlink():
            found.append(Description(name, open_file(str(path)), path.stat().st_size))
    return found


def _item(where: Path, root: Path, folders: list[Path], tables: dict[Path, list[Description]]) -> Item:
    claims: dict[str, object] = {}
    caption = None
    for folder in folders:
        for table in tables[folder]:
            if (found := table.find(where.relative_to(folder).as_posix())) is not None:
                claims.update(found.claims)
                caption = found.caption or caption
    beside = Beside(
        _first(where, f"{where.stem}.txt", f"{where.stem}.caption"),
        _first(where, f"{where.stem}.json"),
        _first(where, f"{where.name}.genepool.json", f"{where.stem}.genepool.json"),
        claims or None,
        caption,
    )
    try:
        stamp = stat_of(str(where)).stamp
    except OSError:
        stamp = ""  # reading it says what is wrong
    return Item(where.relative_to(root).as_posix(), stamp, str(where), extra=tuple(beside))


def _first(where: Path, *names: str) -> str:
    return next((name for name in names if where.with_name(name).is_file()), "")
