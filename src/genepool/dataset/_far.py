"""Images whose store does not answer: one is a case, many end the work, half a listing is none."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from genepool import remote
from genepool.errors import SourceError
from genepool.records import Case
from genepool.remote import Unavailable, Unreachable

__all__ = ["UNREACHABLE", "insist", "unlisted", "watched"]

UNREACHABLE = "unreachable"
"""The reason of an image whose store did not answer; the next scan tries again."""

_failing: list[str] = []
"""Objects that could not be reached, one after the other, up to now in this process."""


@contextlib.contextmanager
def watched() -> Iterator[None]:
    """Tell an object that cannot be reached from a store that is down.

    Raises:
        Unavailable: `remote.DOWN` objects in a row: to try all the others would take for ever, and would set
            aside images that are not at fault.
    """
    try:
        yield
    except Unreachable as error:
        name = str(error.filename)
        if name not in _failing:
            _failing.append(name)
        if (n := len(_failing)) >= remote.DOWN:
            _failing.clear()  # who asks again begins to count anew
            raise Unavailable(
                f"{name}: the store does not answer, {n} objects in a row: {error.strerror}",
                hint="look at the store and the network, then run the same command: finished parts are kept",
            ) from None
        raise
    _failing.clear()


def unlisted(uri: str, error: OSError) -> SourceError:
    """What to raise where a store does not answer while a dataset is listed: half a listing is no dataset."""
    return SourceError(
        f"{uri}: cannot be listed: {error.filename or uri}: {error.strerror or error}",
        hint="look at the store and the network, then run the same command again",
    )


def insist(case: Case | None) -> None:
    """Give up where an object is out of reach for now: what needs every image must not go on without it.

    Raises:
        SourceError: The case is of that kind.
    """
    if case is not None and case.reason == UNREACHABLE:
        raise SourceError(
            f"{case.uri}: {case.message}", hint="look at the store and the network, then run the same again"
        )
