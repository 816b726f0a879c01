"""How a public name leaves: announced with the version in which it goes, and gone in that version.

``@deprecated(since="0.3.0", removed="0.5.0", instead="genepool.testing.check_preference")`` on a function or
class. Every use warns once per calling line; a test of the house fails as soon as the version that was named
is reached and the name is still there, so that nothing lingers.
"""

from __future__ import annotations

import functools
import re
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

__all__ = ["DEPRECATED", "Deprecation", "GenepoolDeprecationWarning", "deprecated", "overdue", "release"]

T = TypeVar("T", bound=Callable[..., Any])


class GenepoolDeprecationWarning(DeprecationWarning):
    """A public name of genepool that will go; its text names the version and what to use instead."""


class Deprecation(NamedTuple):
    """One announcement.

    Attributes:
        name: The dotted name that goes.
        since: Version that announced it.
        removed: First version without it.
        instead: What to use; may be empty.
    """

    name: str
    since: str
    removed: str
    instead: str

    def __str__(self) -> str:
        cure = f"; use {self.instead}" if self.instead else ""
        return f"{self.name} is deprecated since {self.since} and will be removed in {self.removed}{cure}"


DEPRECATED: list[Deprecation] = []
"""Every announcement of the modules that are imported, in the order of their import."""


def release(version: str) -> tuple[int, int, int]:
    """The three numbers of a version; what follows them (``.dev0``, ``rc1``) does not count.

    Raises:
        ValueError: Not three numbers joined by points.
    """
    found = re.match(r"(\d+)\.(\d+)\.(\d++)(?!\.\d)", version)
    if found is None:
        raise ValueError(f"expected a version of three numbers, found {version!r}")
    major, minor, patch = map(int, found.groups())
    return major, minor, patch


def deprecated(*, since: str, removed: str, instead: str = "") -> Callable[[T], T]:
    """Mark a function or class that will go.

    Args:
        since: Version that announces it, ``0.3.0``.
        removed: First version without it; at least one minor version later, so that nobody who follows
            releases is surprised.
        instead: What to use.

    Raises:
        ValueError: ``removed`` is not a later minor version.
    """
    first, last = release(since), release(removed)
    if last[:2] <= first[:2]:
        raise ValueError(f"deprecated: expected removal in a minor version after {since}, found {removed}")

    def mark(thing: T) -> T:
        note = Deprecation(f"{thing.__module__}.{thing.__qualname__}", since, removed, instead)
        DEPRECATED.append(note)
        original = thing.__init__ if isinstance(thing, type) else thing  # type: ignore[misc]

        @functools.wraps(original)
        def warned(*args: Any, **kwargs: Any) -> Any:
            warnings.warn(str(note), GenepoolDeprecationWarning, stacklevel=2)
            return original(*args, **kwargs)

        if isinstance(thing, type):
            thing.__init__ = warned  # type: ignore[misc]
            return thing
        warned.__doc__ = f"{(thing.__doc__ or '').rstrip()}\n\nDeprecated: {note}.\n"
        return warned  # type: ignore[return-value]

    return mark


def overdue(version: str) -> list[Deprecation]:
    """Announcements whose time has come in this version."""
    return [note for note in DEPRECATED if release(version) >= release(note.removed)]
