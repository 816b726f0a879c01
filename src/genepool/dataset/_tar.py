"""The members of a tar archive by their headers alone: nothing is extracted, nothing large is ever read.

The loop over headers is our own, because `tarfile` reads the whole of a long name or pax record into memory
whatever size it claims; a single header block is parsed (and its checksum verified) by
`tarfile.TarInfo.frombuf`. Formats: POSIX.1-1988 ustar, POSIX.1-2001 pax, GNU long names. Everything else
that a tar can hold (links, devices, sparse files, absolute or climbing names) is refused member by member.
"""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from typing import IO, NamedTuple

__all__ = ["MAX_MEMBERS", "Member", "TarProblem", "members"]

BLOCK = 512
MAX_MEMBERS = 1_000_000
"""Members of one archive that are listed; a shard holds about ten thousand."""
_MAX_NAME = 1 << 16
_MAX_PAX = 1 << 20
_DATA_TYPES = (tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.CONTTYPE)
_KINDS = {
    tarfile.LNKTYPE: "a hard link",
    tarfile.SYMTYPE: "a symbolic link",
    tarfile.CHRTYPE: "a character device",
    tarfile.BLKTYPE: "a block device",
    tarfile.FIFOTYPE: "a pipe",
    tarfile.GNUTYPE_SPARSE: "a sparse file",
}


class Member(NamedTuple):
    """A file inside an archive, ``length`` bytes from ``offset``; ``refused``: why it is not taken."""

    name: str
    offset: int
    length: int
    refused: str = ""


class TarProblem(Exception):
    """The archive ends or breaks here: ``reason`` is ``truncated-archive`` or ``unreadable``."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message


class _Overrides:
    """What pax records and long-name headers say about the next member."""

    __slots__ = ("name", "size", "sparse")

    def __init__(self) -> None:
        self.name = ""
        self.size = -1
        self.sparse = False


def members(stream: IO[bytes], size: int) -> Iterator[Member]:
    """Walk the headers of an archive.

    Args:
        stream: Seekable, at any position.
        size: The archive's length in bytes.

    Yields:
        Regular files in archive order, and refused members with the reason. Folders are passed over.

    Raises:
        TarProblem: After the last whole member, when the rest is cut off or is not a tar.
    """
    position, count = 0, 0
    overrides = _Overrides()
    while True:
        stream.seek(position)
        block = stream.read(BLOCK)
        if len(block) < BLOCK:
            # Without the closing zero blocks nobody can say whether members are missing.
            raise TarProblem(
                "truncated-archive",
                f"expected a tar header or the end mark at byte {position}, found the end of the file",
            )
        try:
            info = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
        except (tarfile.HeaderError, ValueError, OverflowError) as error:
            if not any(block):
                return
            reason = "truncated-archive" if count else "unreadable"
            raise TarProblem(reason, f"expected a tar header at byte {position}: {error}") from None
        count += 1
        if count > MAX_MEMBERS:
            raise TarProblem(
                "truncated-archive", f"expected at most {MAX_MEMBERS} members; the rest is not listed"
            )
        position += BLOCK
        if info.type in (
            tarfile.XHDTYPE,
            tarfile.XGLTYPE,
            tarfile.SOLARIS_XHDTYPE,
            tarfile.GNUTYPE_LONGNAME,
            tarfile.GNUTYPE_LONGLINK,
        ):
            _fits(info.name, position, info.size, size)
            _override(overrides, info, stream)
            position += _blocks(info.size)
            continue
        member = _member(info, position, overrides, stream, size)
        overrides = _Overrides()
        if member is not None:
            yield member
            position = member.offset + _blocks(member.length)


def _blocks(length: int) -> int:
    return -(-length // BLOCK) * BLOCK


def _fits(name: str, offset: int, length: int, size: int) -> None:
    if length < 0:
        raise TarProblem("truncated-archive", f"{name!r}: expected a size of 0 or more, found {length}")
    if offset + length > size:
        raise TarProblem(
            "truncated-archive", f"{name!r}: expected {length} bytes at {offset}, the file ends at {size}"
        )


def _override(overrides: _Overrides, info: tarfile.TarInfo, stream: IO[bytes]) -> None:
    if info.type == tarfile.GNUTYPE_LONGLINK or info.type == tarfile.XGLTYPE:
        return
    limit = _MAX_NAME if info.type == tarfile.GNUTYPE_LONGNAME else _MAX_PAX
    if info.size > limit:
        raise TarProblem(
            "truncated-archive", f"expected a header record of at most {limit} bytes, found {info.size}"
        )
    data = stream.read(info.size)
    if info.type == tarfile.GNUTYPE_LONGNAME:
        overrides.name = data.partition(b"\0")[0].decode("utf-8", "surrogateescape")
        return
    for key, value in _records(data):
        if key == "path":
            overrides.name = value
        elif key == "size" and value.isdecimal() and len(value) < 20:
            overrides.size = int(value)
        elif key.startswith("GNU.sparse"):
            overrides.sparse = True


def _records(data: bytes) -> Iterator[tuple[str, str]]:
    """Records of a pax header (POSIX.1-2001, pax interchange format), up to the first malformed one."""
    position = 0
    while position < len(data):
        digits, space, _ = data[position : position + 12].partition(b" ")
        if not space or not digits.isdigit() or int(digits) <= len(digits) + 1:
            return
        record = data[position + len(digits) + 1 : position + int(digits)]
        key, equals, value = record.partition(b"=")
        if not equals or not value.endswith(b"\n"):
            return
        yield key.decode("utf-8", "surrogateescape"), value[:-1].decode("utf-8", "surrogateescape")
        position += int(digits)


def _member(
    info: tarfile.TarInfo, position: int, overrides: _Overrides, stream: IO[bytes], size: int
) -> Member | None:
    name = overrides.name or info.name
    length = info.size if overrides.size < 0 else overrides.size
    refused = _refusal(name, info, overrides)
    if info.type == tarfile.GNUTYPE_SPARSE:
        # Extension blocks follow the header while byte 504 says so (GNU sparse 0.x), then the stored data.
        extended = bool(info._sparse_structs[1])  # type: ignore[attr-defined]
        while extended:
            stream.seek(position)
            block = stream.read(BLOCK)
            _fits(name, position, BLOCK, size)
            extended = bool(block[504])
            position += BLOCK
    elif info.type not in _DATA_TYPES and info.type in tarfile.SUPPORTED_TYPES:
        # Links, devices and folders have no data, whatever size their header claims.
        return Member(name, position, 0, refused) if refused else Member("", position, 0)
    _fits(name, position, length, size)
    return Member(name, position, length, refused)


def _refusal(name: str, info: tarfile.TarInfo, overrides: _Overrides) -> str:
    if overrides.sparse:
        return "expected a plain file, found a sparse file"
    if info.type in _KINDS:
        return f"expected a plain file, found {_KINDS[info.type]}"
    if info.type not in _DATA_TYPES and info.type != tarfile.DIRTYPE:
        return f"expected a plain file, found a member of unknown type {info.type!r}"
    if name.startswith(("/", "\\")) or name[1:3] in (":\\", ":/"):
        return "expected a relative name, found an absolute one"
    if ".." in name.replace("\\", "/").split("/"):
        return "expected a name inside the archive, found one that climbs out with `..`"
    if "\0" in name:
        return "expected a name without a zero byte"
    return ""
