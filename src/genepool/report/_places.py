"""Pictures read by what the catalogue knows of their places, so that no set is listed for a few of them."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from genepool.records import Item

if TYPE_CHECKING:
    from genepool.records import Sample
    from genepool.store import Catalogue

__all__ = ["pictures"]

_PLACE = re.compile(r"(?P<path>.+?)(?:::(?P<offset>\d+)|#(?P<row>\d+))?", re.DOTALL)


def pictures(catalogue: Catalogue, uris: Sequence[str]) -> Iterator[tuple[str, bytes]]:
    """Uri and bytes of those of these images that can be read.

    The catalogue's places are tried first. What they do not give with the bytes that were scanned (a file
    whose name looks like a place inside another, a plug-in's source, a changed file) is looked for in the
    listing of the dataset, and so is what they would fetch although the dataset is a local one.
    """
    source = catalogue.dataset.source
    scanned = [uri for uri in uris if uri.encode("utf-8", "replace").decode() == uri]
    rows = catalogue.select(scanned).table(["uri", "place", "stamp", "size", "sha256"]).to_pylist()
    known = {row["uri"]: row["sha256"] for row in rows}
    missing = set(uris)
    remote = "://" in catalogue.dataset.uri
    near = (item for item in map(_item, rows) if remote or "://" not in item.path)
    for group in _by_container(near):
        for sample in _read(source, group):
            if sample.data is not None and hashlib.sha256(sample.data).digest() == known[sample.item.uri]:
                missing.discard(sample.item.uri)
                yield sample.item.uri, sample.data
    if missing:
        for group in _by_container(_listed(catalogue, missing)):
            for sample in _read(source, group):
                if sample.data is not None:
                    yield sample.item.uri, sample.data


def _item(row: dict[str, object]) -> Item:
    found = _PLACE.fullmatch(str(row["place"]))
    assert found is not None  # noqa: S101  # the first group takes whatever the others leave
    offset, number = found["offset"], found["row"]
    return Item(
        str(row["uri"]),
        str(row["stamp"]),
        found["path"],
        -1 if offset is None else int(offset),
        -1 if offset is None else int(str(row["size"])),
        -1 if number is None else int(number),
    )


def _listed(catalogue: Catalogue, missing: set[str]) -> Iterator[Item]:
    left = set(missing)
    for item in catalogue.dataset.items([]):
        if item.uri in left:
            left.discard(item.uri)
            yield item
            if not left:
                return


def _by_container(items: Iterable[Item]) -> Iterable[list[Item]]:
    """Items of one container together: a source reads one container at a time."""
    groups: dict[str, list[Item]] = {}
    for item in items:
        groups.setdefault(item.path, []).append(item)
    return groups.values()


def _read(source: object, items: list[Item]) -> Iterator[Sample]:
    """What a source gives for items that may not be as it would list them."""
    try:
        yield from source.read(items)  # type: ignore[attr-defined]
    except (OSError, ValueError, TypeError, LookupError, EOFError):
        return  # a plug-in's source; the listing's own items are tried next
