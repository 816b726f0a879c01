"""The kit for sources."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from genepool.records import Case, Item, Sample, Source
from genepool.testing._kit import Check, insist, pickled, protocol


def check_source(source: Source) -> tuple[Check, ...]:
    """Try a source against every rule.

    Args:
        source: Over at least two images, as a test of its author's lays them out.

    Returns:
        One `Check` per rule; those that could not be tried because an earlier one failed are left out.
    """
    checks = [protocol(source, Source, ("kind", "uri", "list", "read"))]
    if not checks[0].ok:
        return tuple(checks)
    stated: tuple[Any, Any] = (source.kind, source.uri)
    names = all(isinstance(text, str) and text for text in stated)
    checks.append(Check("has a kind and a uri", names, f"{source.kind!r}, {source.uri!r}"))
    copy, kept = pickled(source)
    checks.append(Check("can be pickled: units carry it to the workers", kept.ok, kept.found))
    items = _listed(source)
    if isinstance(items, str):
        return (*checks, Check("lists its items", False, items))
    checks.append(Check("lists at least two items", len(items) > 1, f"{len(items)} items"))
    checks.append(Check("lists them in the same order again", _listed(source) == items))
    if copy is not None:
        checks.append(Check("a pickled copy lists the same", _listed(copy) == items))
    checks += _named(items)
    return (*checks, *_read(source, items)) if items else tuple(checks)


def assert_source(source: Source) -> None:
    """Raise an AssertionError that lists every rule that the source breaks."""
    insist(check_source(source), str(getattr(source, "kind", type(source).__name__)))


def _listed(source: Source) -> list[Item] | str:
    aside: list[Any] = []
    items: list[Any] = []
    try:
        items.extend(source.list(aside))
    except Exception as error:  # the very thing that is tested
        return f"list() raised {type(error).__name__}: {error}"[:200]
    stray = [each for each in items if not isinstance(each, Item)]
    stray += [each for each in aside if not isinstance(each, Case)]
    return f"expected items and cases, found {type(stray[0]).__name__}" if stray else items


def _named(items: list[Item]) -> list[Check]:
    uris = [item.uri for item in items]
    wild = [uri for uri in uris if not uri or uri.startswith("/") or ".." in uri.split("/")]
    heavy = max((len(pickle.dumps(item)) for item in items), default=0)
    return [
        Check("every uri is given once", len(set(uris)) == len(uris)),
        Check("uris are relative to the source", not wild, ", ".join(map(repr, wild[:3]))),
        Check("every item has a stamp that changes with its bytes", all(item.stamp for item in items)),
        Check("every item names where its bytes lie", all(item.path for item in items)),
        Check("an item is small: at most 4096 bytes pickled", heavy <= 4096, f"{heavy} bytes"),
    ]


def _read(source: Source, items: list[Item]) -> list[Check]:
    whole = _samples(lambda: list(source.read(items)))
    if isinstance(whole, str):
        return [Check("reads what it lists", False, whole)]
    order = [sample.item.uri for sample in whole] == [item.uri for item in items]
    checks = [Check("one sample per item, in the order asked", order, f"{len(whole)} of {len(items)}")]
    unread = [s.item.uri for s in whole if s.data is None and s.case is None]
    checks.append(Check("what cannot be read has a case", not unread, ", ".join(unread[:3])))
    got = sum(s.data is not None for s in whole)
    checks.append(Check("reads bytes", got > 0, f"{got} images"))
    turned = _samples(lambda: list(source.read(items[::-1])))
    same = not isinstance(turned, str) and [s.data for s in turned[::-1]] == [s.data for s in whole]
    checks.append(Check("the same bytes in another order", same, turned if isinstance(turned, str) else ""))
    alone = _samples(lambda: [sample for item in items for sample in source.read([item])])
    same = not isinstance(alone, str) and [s.data for s in alone] == [s.data for s in whole]
    checks.append(Check("the same bytes one by one", same, alone if isinstance(alone, str) else ""))
    return [*checks, _gone(source, items)]


def _gone(source: Source, items: list[Item]) -> Check:
    """An item whose bytes have gone, between two that are there."""
    rule = "an item that has gone becomes a case, and its neighbours are read"
    lost = replace(
        items[0], uri="gone", path=items[0].path + ".gone", offset=-1, length=-1, row=10**9, extra=None
    )
    found = _samples(lambda: list(source.read([items[0], lost, items[1 % len(items)]])))
    if isinstance(found, str):
        return Check(rule, False, found)
    if len(found) != 3:
        return Check(rule, False, f"{len(found)} samples for 3 items")
    good = found[0].data is not None and found[2].data is not None
    lost_well = found[1].data is None and isinstance(found[1].case, Case)
    return Check(rule, good and lost_well, "" if lost_well else "it has no case")


def _samples(make: Callable[[], list[Any]]) -> list[Sample] | str:
    try:
        found = make()
    except Exception as error:  # the very thing that is tested
        return f"read() raised {type(error).__name__}: {error}"[:200]
    stray = next((each for each in found if not isinstance(each, Sample)), None)
    return found if stray is None else f"expected samples, found {type(stray).__name__}"
