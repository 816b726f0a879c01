"""Walking a folder in a stable order, links and loops included, and telling what lies beside each image."""

# Text paths, because a Path object costs more than the system call that it is for.
# ruff: noqa: PTH112, PTH116

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from genepool.dataset._files import Entry, Stat, Unreachable, entries, is_url, join, open_file, stat_of
from genepool.dataset._formats import IMAGE_SUFFIXES, OTHER_IMAGE_SUFFIXES, is_hidden, suffix_of
from genepool.dataset._lines import DESCRIPTIONS, Description
from genepool.records import Case, Item

__all__ = ["Beside", "walk"]

_ARCHIVES = frozenset({".tar", ".tgz", ".parquet"})


class Beside(NamedTuple):
    """What lies beside an image: names of files in its folder, and what the folders' tables say about it."""

    text: str = ""
    json: str = ""
    sidecar: str = ""
    claims: dict[str, Any] | None = None
    caption: str | None = None


@dataclass(slots=True)
class _Folder:
    """A folder that is being walked."""

    prefix: str
    path: str
    linked: bool
    identity: tuple[int, int]
    listing: Iterator[Entry] = field(default_factory=lambda: iter(()))
    companions: frozenset[str] = frozenset()
    stats: dict[str, Stat] = field(default_factory=dict)
    tables: list[Description] = field(default_factory=list)


class _Walk:
    """Depth first, names by code point with ``/`` after a folder's name: the order of the uris themselves."""

    def __init__(self, root: str, aside: list[Case]) -> None:
        self.root = root
        self.local = not is_url(root)
        self.real = os.path.realpath(root) if self.local else root
        self.aside = aside
        self.stack: list[_Folder] = []
        # Folders entered through a link: each at most once, however many links lead to it.
        self.by_link: set[tuple[int, int]] = set()

    def refuse(self, uri: str, reason: str, message: str) -> None:
        self.aside.append(Case(_printable(uri), reason, message))

    def run(self) -> Iterator[Item]:
        try:
            self.enter("", self.root, linked=False)
            while self.stack:
                folder = self.stack[-1]
                entry = next(folder.listing, None)
                if entry is None:
                    for table in self.stack.pop().tables:
                        table.close()
                elif entry.name != _printable(entry.name):
                    self.refuse(
                        folder.prefix + entry.name, "bad-name", "expected a UTF-8 file name; rename it"
                    )
                elif entry.kind == "folder":
                    self.enter(
                        f"{folder.prefix}{entry.name}/", join(folder.path, entry.name), linked=folder.linked
                    )
                else:
                    item = self.item(folder, entry)
                    if item is not None:
                        yield item
        finally:
            for folder in self.stack:
                for table in folder.tables:
                    table.close()

    def enter(self, prefix: str, path: str, *, linked: bool) -> None:
        try:
            identity = self.identity(path)
            if linked and not self.first_time(prefix, identity):
                return
            listing = [entry for entry in entries(path) if not is_hidden(entry.name)]
        except OSError as error:
            if not self.stack or isinstance(error, Unreachable):
                raise
            self.refuse(prefix, "unreadable", f"the folder cannot be listed: {error.strerror or error}")
            return
        listing.sort(key=lambda entry: entry.name + "/" if self.is_folder(path, entry) else entry.name)
        companions = frozenset(
            e.name
            for e in listing
            # A caption may not be fetched from outside the dataset through a link.
            if e.name.endswith((".txt", ".caption", ".json"))
            and (e.kind == "file" or self.inside(join(path, e.name)))
        )
        folder = _Folder(prefix, path, linked, identity, iter(listing), companions)
        folder.stats = {e.name: e.stat for e in listing if e.stat is not None and e.name in companions}
        self.stack.append(folder)
        present = {entry.name for entry in listing if entry.name in DESCRIPTIONS and entry.kind != "folder"}
        # Listed weakest first: genepool's own table has the last word.
        for name in reversed(DESCRIPTIONS):
            if name in present:
                self.describe(folder, name)

    def is_folder(self, path: str, entry: Entry) -> bool:
        return entry.kind == "folder" or (entry.kind == "link" and os.path.isdir(join(path, entry.name)))

    def identity(self, path: str) -> tuple[int, int]:
        if not self.local:
            return (0, 0)
        found = os.stat(path)
        return (found.st_dev, found.st_ino)

    def first_time(self, prefix: str, identity: tuple[int, int]) -> bool:
        if any(folder.identity == identity for folder in self.stack):
            self.refuse(prefix, "symlink-loop", "the link leads back to a folder that holds it; not followed")
            return False
        if identity in self.by_link:
            self.refuse(prefix, "symlink-repeated", "the folder was already listed through another link")
            return False
        self.by_link.add(identity)
        return True

    def describe(self, folder: _Folder, name: str) -> None:
        path = join(folder.path, name)
        try:
            # No descriptor may leave the dataset through a link, not even to read claims.
            if self.local and not self.inside(path):
                raise OSError("the link leads outside the dataset")
            table = Description(name, open_file(path), stat_of(path).size)
        except Unreachable:
            raise
        except OSError as error:
            self.refuse(folder.prefix + name, "bad-sidecar", f"cannot be read: {error.strerror or error}")
            return
        folder.tables.append(table)
        if table.problem:
            self.refuse(folder.prefix + name, "bad-sidecar", table.problem)

    def inside(self, path: str) -> bool:
        real = os.path.realpath(path)
        return real == self.real or real.startswith(self.real.rstrip("/") + "/")

    def item(self, folder: _Folder, entry: Entry) -> Item | None:
        name, uri, path = entry.name, folder.prefix + entry.name, join(folder.path, entry.name)
        suffix = suffix_of(name)
        if entry.kind == "link" and not self.usable(uri, path, suffix):
            return None
        if suffix not in IMAGE_SUFFIXES:
            self.pass_over(uri, suffix)
            return None
        try:
            found = entry.stat or stat_of(path)  # a store has said so already, while it listed the folder
        except OSError as error:
            self.refuse(uri, "unreadable", f"cannot be looked at: {error.strerror or error}")
            return None
        if not found.regular:
            self.refuse(uri, "unreadable", "expected a regular file, found a device, pipe or socket")
            return None
        beside, mark = self.beside(folder, name)
        return Item(uri, found.stamp + mark, path, length=-1 if self.local else found.size, extra=beside)

    def usable(self, uri: str, path: str, suffix: str) -> bool:
        """Whether a link leads to a file of this dataset; a link to a folder of it is entered here."""
        image = suffix in IMAGE_SUFFIXES
        try:
            found = stat_of(path)
        except OSError as error:
            if image:
                self.refuse(uri, "unreadable", f"the link leads nowhere: {error.strerror or error}")
            return False
        if not self.inside(path):
            if image or found.folder:
                self.refuse(uri, "link-outside", "the link leads outside the dataset; not followed")
            return False
        if found.folder:
            self.enter(uri + "/", path, linked=True)
            return False
        return True

    def pass_over(self, uri: str, suffix: str) -> None:
        if suffix in OTHER_IMAGE_SUFFIXES:
            self.refuse(uri, "unsupported-format", f"images of type {suffix} cannot be read; convert it")
        elif suffix in _ARCHIVES or uri.endswith(".tar.gz"):
            self.refuse(uri, "archive", "an archive among single images is not read; check it on its own")

    def beside(self, folder: _Folder, name: str) -> tuple[tuple[Any, ...] | None, str]:
        """The companions of an image, and a mark for its stamp that changes when they do."""
        names = folder.companions
        if not names and not any(above.tables for above in self.stack):
            return None, ""
        stem = name.rpartition(".")[0]
        text, json, sidecar = (
            next((each for each in choices if each in names), "")
            for choices in (
                (f"{stem}.txt", f"{stem}.caption"),
                (f"{stem}.json",),
                (f"{name}.genepool.json", f"{stem}.genepool.json"),
            )
        )
        claims: dict[str, Any] = {}
        caption = None
        uri = folder.prefix + name
        for above in self.stack:
            for table in above.tables:
                if (found := table.find(uri[len(above.prefix) :])) is not None:
                    claims.update(found.claims)
                    caption = found.caption or caption
        if not (text or json or sidecar or claims or caption):
            return None, ""
        marks = [repr((sorted(claims.items()), caption))]
        marks += [_stamp(folder, each) if each else "" for each in (text, json, sidecar)]
        mark = hashlib.blake2b("|".join(marks).encode("utf-8", "surrogateescape"), digest_size=8).hexdigest()
        return tuple(Beside(text, json, sidecar, claims or None, caption)), f";{mark}"


def _stamp(folder: _Folder, name: str) -> str:
    if (known := folder.stats.get(name)) is not None:
        return known.stamp
    try:
        return stat_of(join(folder.path, name)).stamp
    except Unreachable:
        raise
    except OSError:
        return ""


def _printable(name: str) -> str:
    """The name itself, or, where its bytes are not UTF-8, one with those bytes written out."""
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return os.fsencode(name).decode("utf-8", "backslashreplace")
    return name


def walk(root: str, aside: list[Case]) -> Iterator[Item]:
    """All images below a folder, in the order of their uris; each is looked at once, none is opened.

    Args:
        root: Local path or fsspec URL.
        aside: Receives a case for whatever is there but is not listed: ``unreadable``, ``symlink-loop``,
            ``symlink-repeated``, ``link-outside``, ``unsupported-format``, ``archive``, ``bad-name``,
            ``bad-sidecar``.

    Raises:
        OSError: The root itself cannot be listed.
    """
    return _Walk(root, aside).run()
