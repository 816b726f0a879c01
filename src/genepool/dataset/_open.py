"""`open`: what a user has in hand → a `Dataset`."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from genepool import plugins
from genepool.dataset._dataset import Dataset
from genepool.dataset._files import Unreachable, absolute, is_url, stat_of, unlisted, walk_names
from genepool.dataset._folder import FolderSource
from genepool.dataset._formats import IMAGE_SUFFIXES, suffix_of
from genepool.dataset._parquet import ParquetSource
from genepool.dataset._patterns import expand, is_pattern
from genepool.dataset._webdataset import WebDatasetSource
from genepool.errors import PluginError, SourceError, UsageError
from genepool.records import Source

__all__ = ["open"]

# ``name:argument`` where name is a plug-in; ``name://…`` is a URL, ``x:`` a drive.
_PLUGGED = re.compile(r"([a-z][a-z0-9_-]+):(?!//)(.+)", re.DOTALL)
_COMPRESSED_TAR = (".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".tar.zst")
_MANIFESTS = frozenset(
    {"manifest.json", "manifest.jsonl", "dropped.jsonl", "readme.md", "dataset_infos.json"}
)


def open(data: Any, *, workspace: str | os.PathLike[str] | None = None) -> Dataset:
    """Name a dataset.

    Args:
        data: A folder path or URL; a ``.tar``, a brace or glob pattern of tars, or a folder that holds only
            tars (WebDataset); a ``.parquet`` file, folder or pattern; a Hugging Face ``imagefolder``; a list
            of PIL images; a ``datasets.Dataset``; a ``webdataset.WebDataset`` (its shards are read); a
            `Dataset`, which is returned; ``name:argument`` for the source of a plug-in.
        workspace: Where results are kept; None: decided by the store.

    Raises:
        UsageError: Something that is none of these.
        SourceError: There is nothing at that path, or it cannot be looked at.
        PluginError: The plug-in that is named cannot be loaded, or gives no source.
    """
    where = None if workspace is None else os.fspath(workspace)
    if where is not None and not is_url(where):
        where = absolute(where)
    if isinstance(data, Dataset):
        return data if where is None else replace(data, workspace=where)
    if isinstance(data, (str, os.PathLike)):
        path = os.fspath(data)
        if not isinstance(path, str):
            raise UsageError(f"expected a path as text, found {type(path).__name__}")
        try:
            return _open_path(path, where)
        except Unreachable as error:
            raise unlisted(path, error) from None
    return _open_object(data, where)


def _open_path(path: str, workspace: str | None) -> Dataset:
    if not path:
        raise UsageError("expected a path, found an empty one")
    if path.startswith("file://"):
        path = unquote(path.removeprefix("file://").removeprefix("localhost"))
    if path.startswith("memory://"):
        from genepool.dataset._memory import spill_tree

        local = spill_tree(path)
        return Dataset(path, _source(local, path), workspace)
    if (plugged := _plugged(path)) is not None:
        return Dataset(plugged[0], plugged[1], workspace)
    if not is_url(path):
        path = absolute(path)
    return Dataset(path, _source(path, path), workspace)


def _plugged(path: str) -> tuple[str, Source] | None:
    """Uri and source that a stranger's plug-in gives for ``name:argument``; None: no such plug-in."""
    found = _PLUGGED.fullmatch(path)
    if found is None or os.path.lexists(path):
        return None
    name, argument = found.groups()
    if not any(entry.name == name and not entry.built_in for entry in plugins.entries("sources")):
        return None
    if os.path.lexists(argument):
        # Results are remembered by this name: it must mean the same from every folder.
        argument = absolute(argument)
    spec = f"{name}:{argument}"
    source: Any = plugins.create("sources", spec)
    if not isinstance(source, Source):
        raise PluginError(
            f"plug-in {spec!r}: expected a source (kind, uri, list, read), found {type(source).__name__}"
        )
    return spec, source


def _source(path: str, uri: str) -> Source:
    lower = path.lower()
    if lower.endswith(_COMPRESSED_TAR) and not _is_folder(path):
        raise SourceError(
            f"{uri}: expected a plain tar, found a compressed one (its members cannot be read by place)",
            hint=f"decompress it first: gunzip -k {Path(path).name}",
        )
    if is_pattern(path):
        return _container(path, uri)
    try:
        found = stat_of(path)
    except Unreachable:
        raise
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise SourceError(
            f"{uri}: expected a dataset, found nothing: {reason}", hint="check the path"
        ) from None
    if not found.folder:
        return _container(path, uri)
    kind = _kind_of_folder(path)
    if kind == ".tar":
        return WebDatasetSource((path,), uri)
    if kind == ".parquet":
        return ParquetSource((path,), uri)
    return FolderSource(path, uri)


def _container(path: str, uri: str) -> Source:
    """The source for a file or a pattern of files: all of one kind."""
    names = (
        [name for name, _ in expand((path,), (".tar", ".parquet"))] if is_pattern(path) else [Path(path).name]
    )
    kinds = {suffix_of(name) for name in names}
    if kinds == {".tar"}:
        return WebDatasetSource((path,), uri)
    if kinds == {".parquet"}:
        return ParquetSource((path,), uri)
    if kinds & IMAGE_SUFFIXES:
        hint = "give the folder that holds the image"
    else:
        hint = "a folder, .tar shards and .parquet files are understood"
    raise SourceError(
        f"{uri}: expected a folder, tars or Parquet files, found {', '.join(sorted(kinds))[:80] or 'none'}",
        hint=hint,
    )


def _is_folder(path: str) -> bool:
    try:
        return stat_of(path).folder
    except Unreachable:
        raise
    except (OSError, ValueError):
        return False


def _kind_of_folder(folder: str) -> str:
    """``.tar`` or ``.parquet`` for a folder that holds only such files, else empty."""
    kinds: set[str] = set()
    for name, _ in walk_names(folder):
        base = name.rpartition("/")[2].lower()
        if base in _MANIFESTS:
            continue
        suffix = suffix_of(base)
        if suffix not in (".tar", ".parquet"):
            # Descriptions and text beside shards are common; an image decides for a folder of images.
            if suffix in IMAGE_SUFFIXES:
                return ""
            continue
        kinds.add(suffix)
    return kinds.pop() if len(kinds) == 1 else ""


def _open_object(data: Any, workspace: str | None) -> Dataset:
    from genepool.dataset import _huggingface, _memory

    if _huggingface.is_huggingface(data):
        path, digest = _huggingface.table_of(data)
        uri = f"memory:{digest}"
        return Dataset(uri, ParquetSource((path,), uri, anywhere=True), workspace)
    if _huggingface.is_webdataset(data):
        shards = _huggingface.shards_of(data)
        if len(shards) == 1:
            return Dataset(shards[0], WebDatasetSource(shards), workspace)
        digest = hashlib.sha256("\n".join(shards).encode()).hexdigest()[:32]
        uri = f"memory:{digest}"
        return Dataset(uri, WebDatasetSource(shards, uri), workspace)
    if isinstance(data, Sequence) and not isinstance(data, (bytes, bytearray)):
        if not data:
            raise SourceError("expected at least one image, found an empty list")
        folder, digest = _memory.spill_images(data)
        uri = f"memory:{digest}"
        return Dataset(uri, _memory.MemorySource(folder, uri), workspace)
    raise UsageError(
        f"expected a dataset, found {type(data).__name__}",
        hint="a path, a list of PIL images, a datasets.Dataset, a webdataset.WebDataset, a Dataset",
    )
