"""Named catalogues over entry points. Built-in parts are plug-ins like any other.

A plug-in is loaded only when it is asked for by name; one that cannot be loaded names itself, its
distribution and the cure, and breaks nothing else. A stranger's plug-in never takes the name of a part of
ours: the built-in one is what the name means, whatever is installed.
"""

from __future__ import annotations

import difflib
import fnmatch
import functools
import re
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

_OURS = "genepool"


class Entry(NamedTuple):
    """One plug-in, not yet loaded.

    Attributes:
        group: One of `GROUPS`.
        name: By which it is asked for.
        target: ``module:object``.
        distribution, version: Who brought it; ``?`` where its metadata do not say.
    """

    group: str
    name: str
    target: str
    distribution: str
    version: str

    @property
    def built_in(self) -> bool:
        """Whether it is a part of genepool itself."""
        return _normal(self.distribution) == _OURS


def _normal(name: str) -> str:
    """A distribution's name as PEP 503 compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _entry(group: str, point: metadata.EntryPoint) -> Entry:
    dist = point.dist
    return Entry(group, point.name, point.value, dist.name if dist else "?", dist.version if dist else "?")


@functools.cache
def _points(group: str) -> dict[str, tuple[metadata.EntryPoint, ...]]:
    """Name → who claims it, without repeats; a built-in part stands alone, whoever else claims its name."""
    found: dict[str, dict[tuple[str, str], metadata.EntryPoint]] = {}
    for point in metadata.entry_points(group=f"genepool.{group}"):
        # The same distribution found at two places of the path is one.
        who = (_normal(_entry(group, point).distribution), point.value)
        found.setdefault(point.name, {}).setdefault(who, point)
    chosen = {}
    for name, claims in found.items():
        ours = tuple(point for (dist, _), point in claims.items() if dist == _OURS)
        chosen[name] = ours[:1] or tuple(claims.values())
    return chosen


def entries(group: str, pattern: str = "*") -> list[Entry]:
    """The plug-ins of a group whose name matches a glob, sorted by name.

    Raises:
        PluginError: There is no such group.
    """
    if group not in GROUPS:
        raise PluginError(f"there is no plug-in group {group!r}", hint=f"groups: {', '.join(GROUPS)}")
    return [
        _entry(group, point)
        for name, points in sorted(_points(group).items())
        if fnmatch.fnmatch(name, pattern)
        for point in points
    ]


def load(group: str, name: str) -> Any:
    """The object behind a plug-in's name (usually a class).

    Raises:
        PluginError: No such name (nearest suggested), two distributions claim it, or it cannot be imported.
    """
    known = {entry.name: entry for entry in entries(group)}
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1)
        raise PluginError(
            f"no {group.rstrip('s')} is called {name!r}",
            hint=f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known) or 'none'}",
        )
    points = _points(group)[name]
    if len(points) > 1:
        claims = [_entry(group, point) for point in points]
        raise PluginError(
            f"{len(points)} plug-ins of the group {group} are called {name!r}: "
            + ", ".join(f"{e.distribution} {e.version} ({e.target})" for e in claims),
            hint=f"keep one of them: pip uninstall {claims[-1].distribution}",
        )
    entry = known[name]
    try:
        return points[0].load()
    except GenepoolError:
        raise
    except (Exception, SystemExit) as error:  # whatever a stranger's module raises at import
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
    except (Exception, SystemExit) as error:  # a stranger's constructor may raise anything
        raise PluginError(f"plug-in {spec!r} cannot be started: {type(error).__name__}: {error}") from error
