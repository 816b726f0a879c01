"""Named catalogues over entry points. Built-in parts are plug-ins like any other.

A plug-in is loaded only when it is asked for by name; one that cannot be loaded names itself, its
distribution and the cure, and breaks nothing else.
"""

from __future__ import annotations

import difflib
import fnmatch
import functools
from importlib import metadata
from typing import Any, NamedTuple

from genepool.errors import GenepoolError, PluginError

__all__ = ["GROUPS", "Entry", "create", "entries", "load"]

GROUPS = (
    "probes",
    "embedders",
    "detectors",
    "sources",
    "engines",
    "evidence",
    "rules",
    "preferences",
    "styles",
)


class Entry(NamedTuple):
    """One plug-in, not yet loaded."""

    group: str
    name: str
    target: str
    distribution: str
    version: str


@functools.cache
def _points(group: str) -> dict[str, metadata.EntryPoint]:
    return {point.name: point for point in metadata.entry_points(group=f"genepool.{group}")}


def entries(group: str, pattern: str = "*") -> list[Entry]:
    """The plug-ins of a group whose name matches a glob, sorted by name.

    Raises:
        PluginError: There is no such group.
    """
    if group not in GROUPS:
        raise PluginError(f"there is no plug-in group {group!r}", hint=f"groups: {', '.join(GROUPS)}")
    found = []
    for name, point in sorted(_points(group).items()):
        if fnmatch.fnmatch(name, pattern):
            dist = point.dist
            found.append(
                Entry(group, name, point.value, dist.name if dist else "?", dist.version if dist else "?")
            )
    return found


def load(group: str, name: str) -> Any:
    """The object behind a plug-in's name (usually a class).

    Raises:
        PluginError: No such name (nearest suggested), or it cannot be imported.
    """
    known = {entry.name: entry for entry in entries(group)}
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1)
        raise PluginError(
            f"no {group.rstrip('s')} is called {name!r}",
            hint=f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known) or 'none'}",
        )
    entry = known[name]
    try:
        return _points(group)[name].load()
    except GenepoolError:
        raise
    except Exception as error:  # whatever a stranger's module raises at import
        raise PluginError(
            f"plug-in {name!r} ({entry.target}, from {entry.distribution} {entry.version}) cannot be loaded: "
            f"{type(error).__name__}: {error}",
            hint=f"reinstall or remove it: pip uninstall {entry.distribution}",
        ) from error


def create(group: str, spec: str, **options: Any) -> Any:
    """Load ``name`` or ``name:argument`` and call it with the argument, if any, and options.

    Raises:
        PluginError: As `load`, or the constructor failed.
    """
    name, _, argument = spec.partition(":")
    factory = load(group, name)
    try:
        return factory(argument, **options) if argument else factory(**options)
    except GenepoolError:
        raise
    except Exception as error:  # a stranger's constructor may raise anything
        raise PluginError(f"plug-in {spec!r} cannot be started: {type(error).__name__}: {error}") from error
