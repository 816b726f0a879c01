"""Writing a subset out again, byte for byte, in one step: it is there whole, or not at all."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from genepool.dataset._dataset import Dataset
from genepool.dataset._far import insist
from genepool.dataset._files import absolute, is_url
from genepool.dataset._formats import IMAGE_SUFFIXES, sniff, suffix_of
from genepool.dataset._indexes import WRITERS
from genepool.dataset._manifest import Manifest, ManifestWriter
from genepool.dataset._writers import Picture
from genepool.errors import CannotFinish, SourceError, UsageError
from genepool.records import Case, Sample

__all__ = ["EXPORT_FORMATS", "Manifest", "export"]

EXPORT_FORMATS = tuple(WRITERS)
"""Names of the formats, the default first."""

_MARK = ".genepool-export"
_CHUNK = 64


def export(
    dataset: Dataset,
    uris: Iterable[str] | None,
    out: str | os.PathLike[str],
    *,
    format: str = "folder",
    dropped: Sequence[Case] = (),
    sha256: Mapping[str, bytes] | None = None,
    facts: Callable[[str], Mapping[str, Any]] | None = None,
    beside: Callable[[Manifest], Mapping[str, bytes]] | None = None,
) -> Manifest:
    """Write some images of a dataset to a new folder, with captions, claims and a manifest.

    Bytes are copied verbatim, so the digests and the Merkle root are those of the source's subset. The
    folder is built as ``<out>.partial`` and renamed at the end; when anything stops the export, it is
    removed again.

    Args:
        dataset: Where from.
        uris: Which images; None = all that can be read.
        out: A folder that does not exist or is empty.
        format: One of `EXPORT_FORMATS`.
        dropped: Images that are left out on purpose, for the record.
        sha256: Expected digests by uri; what has changed since is left out (reason ``changed``).
        facts: Uri → values for the columns of `FACTS`, for formats that have columns.
        beside: Asked at the end for further files of the export, name → content.

    Returns:
        The manifest, as written beside the images. Images that could not be read are in its ``dropped``.

    Raises:
        UsageError: Unknown format, ``out`` not empty, or inside the dataset.
        SourceError: Not a single image could be written, or an object is out of reach for now.
        CannotFinish: No room, no permission.
    """
    if format not in WRITERS:
        raise UsageError(f"format: expected one of {', '.join(WRITERS)}, found {format!r}")
    target = _target(dataset, out)
    partial = target.with_name(target.name + ".partial")
    chosen = dataset if uris is None else dataset.select(uris)
    try:
        _begin(partial)
        manifest = _write(chosen, partial, target, format, list(dropped), sha256, facts)
        for name, content in (beside(manifest) if beside is not None else {}).items():
            (partial / name).write_bytes(content)
        (partial / _MARK).unlink()
        if target.is_dir():
            target.rmdir()
        partial.rename(target)
    except OSError as error:
        gone = _discard(partial)
        where = "" if gone else f"; {partial} could not be removed"
        raise CannotFinish(
            f"{target}: the export could not be written: {error.strerror or error}{where}",
            hint="free space or choose another place with -o, then export again",
        ) from None
    except BaseException:
        _discard(partial)
        raise
    return manifest


def _target(dataset: Dataset, out: str | os.PathLike[str]) -> Path:
    if is_url(os.fspath(out)):
        raise UsageError(f"{out}: expected a local folder to write to, found a URL")
    target = Path(absolute(os.fspath(out)))
    if target.is_dir():
        if any(target.iterdir()):
            raise UsageError(
                f"{target}: expected a new or empty folder, found files in it", hint="choose another -o OUT"
            )
    elif target.exists() or target.is_symlink():
        raise UsageError(
            f"{target}: expected a new or empty folder, found a file", hint="choose another -o OUT"
        )
    source = Path(dataset.uri)
    if not is_url(dataset.uri) and source.is_dir() and target.resolve().is_relative_to(source.resolve()):
        raise UsageError(
            f"{target}: expected a place outside the dataset, found one inside it",
            hint="choose another -o OUT",
        )
    return target


def _begin(partial: Path) -> None:
    if partial.is_dir() and not (partial / _MARK).exists() and any(partial.iterdir()):
        raise UsageError(
            f"{partial}: expected room for an unfinished export, found something else there",
            hint="move it away",
        )
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    (partial / _MARK).touch()


def _discard(partial: Path) -> bool:
    if (partial / _MARK).exists():
        shutil.rmtree(partial, ignore_errors=True)
    return not partial.exists()


def _write(
    chosen: Dataset,
    partial: Path,
    target: Path,
    form: str,
    dropped: list[Case],
    expected: Mapping[str, bytes] | None,
    facts: Callable[[str], Mapping[str, Any]] | None,
) -> Manifest:
    writer = WRITERS[form](partial, _title(chosen.uri), facts=facts is not None)
    manifest = ManifestWriter(partial, form)
    names: set[str] = set()
    seen: set[str] = set()
    try:
        for sample in _samples(chosen):
            uri = sample.item.uri
            seen.add(uri)
            insist(sample.case)
            case, digest = _verify(sample, expected)
            if case is not None or sample.data is None:
                dropped.append(case or Case(uri, "unreadable", "no bytes"))
                continue
            name = _unique(_name(uri, sample.data), names)
            known = None if facts is None else facts(uri)
            place = writer.add(Picture(name, sample.data, sample.caption, sample.declared, known))
            manifest.add(place, uri, digest, len(sample.data))
        missing = (chosen.selection or frozenset()) - seen
        dropped.extend(
            Case(uri, "vanished", "expected in the dataset, found no longer") for uri in sorted(missing)
        )
        if not manifest.n:
            raise SourceError(
                f"{chosen.uri}: expected at least one image to export, found none",
                hint="genepool export --all writes every readable image",
            )
        writer.finish()
        return manifest.finish(target, dropped)
    finally:
        manifest.close()
        # After a full disk, closing may fail again; the first error is the one to report.
        with contextlib.suppress(OSError):
            writer.close()


def _title(uri: str) -> str:
    """What a set is called after: the last word of its place, so that exports do not depend on theirs."""
    return "".join(c for c in uri.rstrip("/").rpartition("/")[2] if c.isprintable()) or "images"


def _samples(chosen: Dataset) -> Iterator[Sample]:
    items = chosen.items([])
    while chunk := list(itertools.islice(items, _CHUNK)):
        yield from chosen.source.read(chunk)


def _verify(sample: Sample, expected: Mapping[str, bytes] | None) -> tuple[Case | None, bytes]:
    uri, data = sample.item.uri, sample.data
    if data is None:
        return sample.case or Case(uri, "unreadable", "no bytes"), b""
    digest = hashlib.sha256(data).digest()
    if expected is not None and uri in expected and expected[uri] != digest:
        return Case(
            uri, "changed", "expected the bytes that were checked, found others", sha256=digest.hex()
        ), b""
    if suffix_of(_last(uri)) not in IMAGE_SUFFIXES and sniff(data) == ".bin":
        return Case(
            uri, "format", "expected an image, found bytes of no known format", sha256=digest.hex()
        ), b""
    return None, digest


def _last(uri: str) -> str:
    return uri.rpartition("/")[2].rpartition("::")[2]


def _name(uri: str, data: bytes) -> str:
    """A safe relative name: ``a/b.jpg``; ``s/b.jpg`` for ``s.tar::b.jpg``; ``t/0000007.jpg`` for a row."""
    container, inside, member = uri.partition("::")
    if inside:
        name = f"{container.removesuffix('.tar')}/{member}"
    else:
        table, row, number = uri.rpartition("#")
        name = f"{table.removesuffix('.parquet')}/{int(number):07d}" if row and number.isdecimal() else uri
    parts = [
        f"_{part[1:]}" if part.startswith(".") else part
        for part in name.replace("\\", "_").split("/")
        if part not in ("", ".", "..")
    ]
    name = "/".join(part.removesuffix(".genepool") or "_" for part in parts)
    return name if suffix_of(_last(name)) in IMAGE_SUFFIXES else name + sniff(data)


def _unique(name: str, names: set[str]) -> str:
    stem, _, suffix = name.rpartition(".")
    number = 2
    while name.casefold() in names:
        # Compared without case: the export may be unpacked on a file system that cannot tell.
        name = f"{stem}-{number}.{suffix}"
        number += 1
    names.add(name.casefold())
    return name
