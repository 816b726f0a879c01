"""Brace and glob patterns of containers (shards, tables) → their names and paths."""

from __future__ import annotations

import glob
import itertools
import re
from collections.abc import Iterator, Sequence

from genepool.dataset._files import Unreachable, exists, is_url, stat_of, walk_names
from genepool.errors import SourceError, UsageError

__all__ = ["braces", "expand", "is_pattern"]

_BRACE = re.compile(r"\{([^{}]*)\}")
_RANGE = re.compile(r"(\d+)\.\.(\d+)")
_MAX_NAMES = 1_000_000


def is_pattern(path: str) -> bool:
    """Whether a path holds a brace or glob pattern."""
    return bool(_BRACE.search(path) or glob.has_magic(path)) and not exists(path)


def braces(pattern: str) -> Iterator[str]:
    """Expand ``{000..127}`` and ``{a,b}`` as a shell does, left to right; leading zeros are kept.

    Raises:
        UsageError: More than a million names.
    """
    pieces = _BRACE.split(pattern)
    choices: list[Sequence[str]] = []
    total = 1
    for index, piece in enumerate(pieces):
        options: Sequence[str] = [piece]
        if index % 2:
            span = _RANGE.fullmatch(piece)
            if span:
                low, high = int(span[1]), int(span[2])
                total *= abs(high - low) + 1
                _bounded(total, pattern)
                width = max(len(span[1]), len(span[2])) if "0" in (span[1][0], span[2][0]) else 0
                step = 1 if high >= low else -1
                options = [f"{number:0{width}d}" for number in range(low, high + step, step)]
            elif "," in piece:
                options = piece.split(",")
                total *= len(options)
                _bounded(total, pattern)
            else:
                options = ["{" + piece + "}"]
        choices.append(options)
    return ("".join(parts) for parts in itertools.product(*choices))


def _bounded(total: int, pattern: str) -> None:
    if total > _MAX_NAMES:
        raise UsageError(f"{pattern}: expected at most {_MAX_NAMES} names, found {total}")


def expand(patterns: Sequence[str], suffixes: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """Containers named by patterns, each as (name inside the dataset, path), every path once.

    A folder is searched for files with one of ``suffixes``; names are relative to it. Other patterns name
    files relative to the folder that all of them share.

    Raises:
        SourceError: A pattern matches nothing.
        UsageError: A pattern expands to more than a million names.
    """
    if len(patterns) == 1 and _is_folder(patterns[0]):
        folder = patterns[0]
        found = [(name, path) for name, path in walk_names(folder) if name.lower().endswith(suffixes)]
        if not found:
            raise SourceError(f"{folder}: expected files ending in {' or '.join(suffixes)}, found none")
        yield from found
        return
    paths: list[str] = []
    for pattern in patterns:
        paths.extend(_matches(pattern))
    paths = list(dict.fromkeys(paths))
    base = _shared_folder(paths)
    for path in paths:
        yield path[len(base) :], path


def _matches(pattern: str) -> list[str]:
    found: list[str] = []
    for each in braces(pattern) if not exists(pattern) else (pattern,):
        if glob.has_magic(each) and not exists(each):
            found.extend(_glob(each))
        else:
            found.append(each)
    if not found:
        raise SourceError(
            f"{pattern}: expected at least one file, found none", hint="check the pattern and its quotes"
        )
    return found


def _glob(pattern: str) -> list[str]:
    if not is_url(pattern):
        return sorted(glob.glob(pattern, recursive=True))  # noqa: PTH207  # patterns are absolute
    from genepool.dataset._files import url_glob

    return url_glob(pattern)


def _is_folder(path: str) -> bool:
    try:
        return stat_of(path).folder
    except Unreachable:
        raise
    except (OSError, ValueError):
        return False


def _shared_folder(paths: Sequence[str]) -> str:
    folders = [path.rpartition("/")[0] + "/" for path in paths]
    first, last = min(folders), max(folders)
    same = next((i for i, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), len(first))
    return first[: first.rfind("/", 0, same) + 1]
