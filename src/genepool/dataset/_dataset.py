"""`Dataset`: the name of a set of images, where they come from and which of them count."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from genepool.errors import SourceError, UsageError
from genepool.records import Case, Item, Sample, Source

__all__ = ["Dataset", "UnionSource", "union"]

_CHUNK = 64


@dataclass(frozen=True, slots=True)
class Dataset:
    """A set of images: immutable, picklable, cheap; nothing is read until it is asked for.

    Attributes:
        uri: Absolute path, URL, or ``memory:<digest>``.
        source: Lists and reads the images.
        workspace: Where results are kept, when given explicitly.
        selection: The uris that count; None = all.
    """

    uri: str
    source: Source
    workspace: str | None = None
    selection: frozenset[str] | None = None

    def select(self, uris: Iterable[str]) -> Dataset:
        """The same dataset reduced to some of its images; uris that it does not hold have no effect."""
        chosen = frozenset(uris)
        return replace(self, selection=chosen if self.selection is None else chosen & self.selection)

    def limited(self, max_bytes: int) -> Dataset:
        """The same dataset, images of more than ``max_bytes`` bytes being refused before they are read."""
        return replace(self, source=_limited(self.source, max_bytes))

    def items(self, aside: list[Case]) -> Iterator[Item]:
        """What is there, in a stable order, without reading images.

        Args:
            aside: Receives a case for whatever is refused while listing, selection or not.

        Raises:
            SourceError: The dataset cannot be listed at all.
        """
        listing = self.source.list(aside)
        if self.selection is None:
            return listing
        chosen = self.selection
        return (item for item in listing if item.uri in chosen)

    def samples(self, aside: list[Case]) -> Iterator[Sample]:
        """Every image read, in order; what cannot be read is a sample without data and with a case."""
        items = self.items(aside)
        while chunk := list(itertools.islice(items, _CHUNK)):
            yield from self.source.read(chunk)

    def require_images(self, n: int | None = None, aside: Sequence[Case] = ()) -> None:
        """Insist that there is something to judge.

        Args:
            n: How many images were listed; None: the dataset is listed here, up to its first image.
            aside: What was refused while listing.

        Raises:
            SourceError: Not a single image; says what was there instead.
        """
        if n is None:
            found: list[Case] = []
            n = sum(1 for _ in itertools.islice(self.items(found), 1))
            aside = found
        if n:
            return
        if not aside:
            raise SourceError(
                f"{self.uri}: expected images (JPEG, PNG, WebP, AVIF, TIFF, GIF), found none",
                hint="give a folder of images, tar shards, Parquet files or a Hugging Face imagefolder",
            )
        counts: dict[str, int] = {}
        for case in aside:
            counts[case.reason] = counts.get(case.reason, 0) + 1
        reasons = ", ".join(f"{count} {reason}" for reason, count in sorted(counts.items()))
        raise SourceError(
            f"{self.uri}: expected images, found only what had to be set aside: {reasons}",
            hint=f"the first: {aside[0].uri}: {aside[0].message}",
        )

    def __iter__(self) -> Iterator[Sample]:
        return self.samples([])

    def __len__(self) -> int:
        return sum(1 for _ in self.items([]))

    def __bool__(self) -> bool:
        # A dataset is a name; asking for its truth must not list a million files.
        return True

    def _repr_html_(self) -> str:
        """The dataset in a notebook: what it is, how many images, the first of them; under 60 kB."""
        from genepool.dataset._html import dataset_html

        return dataset_html(self)

    def __repr__(self) -> str:
        chosen = "" if self.selection is None else f", {len(self.selection)} selected"
        return f"Dataset({self.uri!r}, {self.source.kind}{chosen})"


def _limited(source: Source, max_bytes: int) -> Source:
    if isinstance(source, UnionSource):
        return replace(source, parts=tuple(_limited(part, max_bytes) for part in source.parts))
    # A plug-in's source may know no bound; the scan then refuses what was read.
    return replace(source, max_bytes=max_bytes) if hasattr(source, "max_bytes") else source  # type: ignore[type-var]


@dataclass(slots=True, unsafe_hash=True)
class UnionSource:
    """Several sources one after the other; every uri starts with the number of its part."""

    parts: tuple[Source, ...]
    uri: str = ""
    kind: str = "union"

    def __post_init__(self) -> None:
        if not self.uri:
            names = "\n".join(part.uri for part in self.parts)
            self.uri = f"memory:{hashlib.sha256(names.encode()).hexdigest()[:32]}"

    def list(self, aside: list[Case]) -> Iterator[Item]:
        """The parts' items in the order of the parts; see `Source.list`."""
        for number, part in enumerate(self.parts):
            refused: list[Case] = []
            for item in part.list(refused):
                yield replace(item, uri=f"{number}/{item.uri}")
            aside.extend(replace(case, uri=f"{number}/{case.uri}") for case in refused)

    def read(self, items: Sequence[Item]) -> Iterator[Sample]:
        """The bytes of these items, in order; see `Source.read`."""
        for number, group in itertools.groupby(items, key=lambda item: item.uri.partition("/")[0]):
            inner = [replace(item, uri=item.uri.partition("/")[2]) for item in group]
            for sample in self.parts[int(number)].read(inner):
                case = sample.case and replace(sample.case, uri=f"{number}/{sample.case.uri}")
                item = replace(sample.item, uri=f"{number}/{sample.item.uri}")
                yield replace(sample, item=item, case=case)


def union(datasets: Iterable[Dataset]) -> Dataset:
    """One dataset out of several; uris are prefixed ``0/``, ``1/`` … in the order given.

    Selections are kept: a part that has one contributes only what it selects.

    Raises:
        UsageError: Nothing to unite.
    """
    parts = tuple(datasets)
    if not parts:
        raise UsageError("union: expected at least one dataset, found none")
    source = UnionSource(tuple(part.source for part in parts))
    selection = None
    if any(part.selection is not None for part in parts):
        selection = frozenset(
            f"{number}/{uri}"
            for number, part in enumerate(parts)
            for uri in (
                part.selection if part.selection is not None else (item.uri for item in part.items([]))
            )
        )
    workspaces = {part.workspace for part in parts}
    return Dataset(source.uri, source, workspaces.pop() if len(workspaces) == 1 else None, selection)
