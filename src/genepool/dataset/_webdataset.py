"""WebDataset tar shards: indexed by header, read by byte range, grouped by key.

A sample is every member whose path is equal up to the first dot of its last part (the WebDataset convention);
images in it are items, its ``.txt``, ``.caption``, ``.json`` and ``.genepool.json`` members are caption and
sidecar. Members need not be neighbours.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import IO, Any

from genepool.dataset._files import (
    MAX_BYTES,
    Ranges,
    Refused,
    Stat,
    Unreachable,
    open_file,
    refusal,
    stat_of,
    unlisted,
)
from genepool.dataset._formats import IMAGE_SUFFIXES, OTHER_IMAGE_SUFFIXES, suffix_of
from genepool.dataset._patterns import expand
from genepool.dataset._sidecar import (
    MAX_CAPTION,
    MAX_SIDECAR,
    SidecarError,
    caption_from_json,
    caption_text,
    claims,
    loads,
)
from genepool.dataset._tar import Member, TarProblem, members
from genepool.records import Case, Item, Sample

__all__ = ["WebDatasetSource"]

_COMPANIONS = ("txt", "caption", "json", "genepool.json")
_COMPRESSED = {
    b"\x1f\x8b": "gzip",
    b"BZh": "bzip2",
    b"\xfd7zXZ": "xz",
    b"\x28\xb5\x2f\xfd": "zstd",
}


@dataclass(slots=True, unsafe_hash=True)
class WebDatasetSource:
    """Tar shards.

    Attributes:
        patterns: Paths or URLs of shards, brace or glob patterns, or folders that are searched for ``.tar``.
        uri: The dataset's name; empty = the only pattern.
        max_bytes: Members larger than this are refused unread.
        kind: ``webdataset``.
    """

    patterns: tuple[str, ...]
    uri: str = ""
    max_bytes: int = MAX_BYTES
    kind: str = "webdataset"

    def __post_init__(self) -> None:
        self.uri = self.uri or ",".join(self.patterns)

    def list(self, aside: list[Case]) -> Iterator[Item]:
        """All images of all shards, in shard and archive order; see `Source.list`.

        Raises:
            SourceError: A pattern names nothing.
        """
        try:
            for name, path in expand(self.patterns, (".tar",)):
                yield from _shard(name, path, aside)
        except Unreachable as error:
            raise unlisted(self.uri, error) from None

    def read(self, items: Sequence[Item]) -> Iterator[Sample]:
        """The bytes of these members with captions and claims, in order; see `Source.read`."""
        with Ranges() as ranges:
            for item in items:
                try:
                    if item.length == 0:
                        raise Refused("empty", "expected an image, found 0 bytes")
                    if item.length > self.max_bytes:
                        raise Refused(
                            "too-large", f"expected at most {self.max_bytes} bytes, found {item.length}"
                        )
                    data = ranges.read(item.path, item.offset, item.length)
                    if ranges.stamp and not item.stamp.startswith(f"{ranges.stamp}:"):
                        raise Refused("changed", "expected the shard as it was listed; it was replaced since")
                    sample = _described(item, data, ranges) if item.extra else Sample(item, data)
                except Refused as refused:
                    yield Sample(item, None, case=Case(item.uri, refused.reason, refused.message))
                except OSError as error:
                    yield Sample(item, None, case=Case(item.uri, *refusal(error)))
                else:
                    yield sample


def _described(item: Item, data: bytes, ranges: Ranges) -> Sample:
    beside: dict[str, tuple[int, int]] = dict(item.extra)
    declared: dict[str, Any] = {}
    case = None
    if "genepool.json" in beside:
        try:
            declared, wrong = claims(loads(_companion(item, ranges, beside["genepool.json"], MAX_SIDECAR)))
        except SidecarError as error:
            wrong = [str(error)]
        if wrong:
            case = Case(item.uri, "bad-sidecar", f"the .genepool.json of its key: {wrong[0]}")
    caption = declared.get("caption")
    for name in ("txt", "caption"):
        if caption is None and name in beside:
            offset, length = beside[name]
            caption = caption_text(_quiet(item, ranges, (offset, min(length, 4 * MAX_CAPTION))))
    if caption is None and "json" in beside:
        caption = caption_from_json(_quiet(item, ranges, beside["json"]))
    return Sample(item, data, caption_text(caption), declared or None, case)


def _companion(item: Item, ranges: Ranges, place: tuple[int, int], limit: int) -> bytes:
    if place[1] > limit:
        raise SidecarError(f"expected at most {limit} bytes, found {place[1]}")
    try:
        return ranges.read(item.path, *place)
    except Refused as refused:
        raise SidecarError(refused.message) from None
    except Unreachable:
        raise  # as in a folder: the image waits for what its key says about it
    except OSError as error:
        raise SidecarError(refusal(error)[1]) from None


def _quiet(item: Item, ranges: Ranges, place: tuple[int, int]) -> bytes:
    try:
        return _companion(item, ranges, place, MAX_SIDECAR)
    except SidecarError:
        return b""


def _shard(name: str, path: str, aside: list[Case]) -> Iterator[Item]:
    try:
        found = stat_of(path)
        stream = open_file(path)
    except Unreachable:
        raise
    except OSError as error:
        reason, message = refusal(error)
        aside.append(Case(name, "unreadable" if reason == "vanished" else reason, message))
        return
    with stream:
        magic = stream.read(6)
        kind = next((kind for start, kind in _COMPRESSED.items() if magic.startswith(start)), "")
        if kind:
            aside.append(
                Case(name, "compressed-archive", f"expected a plain tar, found {kind}; decompress it first")
            )
            return
        yield from _Shard(name, path, found, aside).items(stream)


class _Shard:
    """One archive while it is listed."""

    def __init__(self, name: str, path: str, found: Stat, aside: list[Case]) -> None:
        self.name = name
        self.path = path
        self.found = found
        self.aside = aside
        self.images: list[tuple[str, int, int]] = []
        self.companions: dict[str, dict[str, tuple[int, int]]] = {}
        self.seen: set[str] = set()

    def items(self, stream: IO[bytes]) -> Iterator[Item]:
        try:
            for member in members(stream, self.found.size):
                self.take(member)
        except TarProblem as problem:
            self.aside.append(Case(self.name, problem.reason, problem.message))
        except Unreachable:
            raise
        except OSError as error:
            self.aside.append(Case(self.name, "unreadable", f"cannot be read: {error.strerror or error}"))
        self.seen.clear()
        for name, offset, length in self.images:
            beside = self.companions.get(_key(name)[0])
            stamp = f"{self.found.stamp}:{offset}:{length}"
            if beside:
                # The archive's own stamp covers its companions: they cannot change without it.
                yield Item(
                    f"{self.name}::{name}", stamp, self.path, offset, length, extra=tuple(beside.items())
                )
            else:
                yield Item(f"{self.name}::{name}", stamp, self.path, offset, length)

    def refuse(self, name: str, reason: str, message: str) -> None:
        self.aside.append(Case(f"{self.name}::{_printable(name)}", reason, message))

    def take(self, member: Member) -> None:
        if member.refused:
            self.refuse(member.name, "hostile-member", member.refused)
            return
        if not member.name or member.name.endswith("/"):
            return
        name = "/".join(part for part in member.name.split("/") if part not in ("", "."))
        if any(part.startswith(".") or part.endswith(".genepool") for part in name.split("/")):
            return
        key, extension = _key(name)
        suffix = suffix_of(name)
        if suffix not in IMAGE_SUFFIXES and extension not in _COMPANIONS:
            if suffix in OTHER_IMAGE_SUFFIXES:
                self.refuse(name, "unsupported-format", f"images of type {suffix} cannot be read; convert it")
            return
        if name in self.seen:
            self.refuse(
                name, "hostile-member", "expected each name once, found it again; the first one counts"
            )
            return
        self.seen.add(name)
        if suffix not in IMAGE_SUFFIXES:
            self.companions.setdefault(key, {})[extension] = (member.offset, member.length)
        elif name != _printable(name):
            self.refuse(name, "bad-name", "expected a UTF-8 member name")
        else:
            self.images.append((name, member.offset, member.length))


def _key(name: str) -> tuple[str, str]:
    """Key and extension of a member: split at the first dot of the last part of its path."""
    folder, slash, last = name.rpartition("/")
    stem, _, extension = last.partition(".")
    return folder + slash + stem, extension.lower()


def _printable(name: str) -> str:
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
