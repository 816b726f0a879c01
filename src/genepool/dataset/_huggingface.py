"""Datasets that are objects of other libraries: `datasets.Dataset` and `webdataset.WebDataset`."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

from genepool.dataset._files import absolute
from genepool.dataset._memory import spill_table
from genepool.dataset._rows import image_columns
from genepool.errors import MissingExtra, SourceError, UsageError

__all__ = ["is_huggingface", "is_webdataset", "shards_of", "table_of"]

_BATCH = 32


def _ancestors(data: Any) -> set[tuple[str, str]]:
    return {(kind.__module__.partition(".")[0], kind.__name__) for kind in type(data).__mro__}


def is_huggingface(data: Any) -> bool:
    """Whether an object comes from the ``datasets`` library, found out without importing it."""
    names = _ancestors(data)
    return any(
        ("datasets", name) in names
        for name in ("Dataset", "DatasetDict", "IterableDataset", "IterableDatasetDict")
    )


def is_webdataset(data: Any) -> bool:
    """Whether an object comes from the ``webdataset`` library, found out without importing it."""
    return ("webdataset", "DataPipeline") in _ancestors(data) or ("webdataset", "WebDataset") in _ancestors(
        data
    )


def table_of(data: Any) -> tuple[str, str]:
    """Write a `datasets.Dataset` as a Parquet file that workers can read.

    Images are taken as they are stored, bytes or path, never decoded.

    Returns:
        The file's path and the digest that names the dataset (from its fingerprint).

    Raises:
        UsageError: Not a single, finite split, or a row format that hides the columns.
        SourceError: There is no column of images.
    """
    kind = type(data).__name__
    if ("datasets", "Dataset") not in _ancestors(data):
        hint = (
            "choose a split: data['train']"
            if "Dict" in kind
            else "load it without streaming, or give its files"
        )
        raise UsageError(f"expected a datasets.Dataset, found {kind}", hint=hint)
    try:
        import datasets
    except ImportError:
        raise MissingExtra(needs="datasets", extra="hf") from None
    columns = [name for name, feature in data.features.items() if isinstance(feature, datasets.Image)]
    for name in columns:
        data = data.cast_column(name, datasets.Image(decode=False))
    if not image_columns(data.features.arrow_schema):
        found = ", ".join(data.column_names) or "no columns"
        raise SourceError(f"expected a column of images in the Hugging Face dataset, found {found}")
    # The fingerprint names the data and every transformation of them; the process names data that live only
    # here.
    digest = hashlib.sha256(f"{data._fingerprint} {len(data)}".encode()).hexdigest()[:32]
    return spill_table(digest, _batches(data)), digest


def _batches(data: Any) -> Iterator[Any]:
    raw = data.with_format("arrow")
    schema = raw.features.arrow_schema
    empty = True
    for table in raw.iter(batch_size=_BATCH):
        empty = False
        yield from table.cast(schema).to_batches()
    if empty:
        import pyarrow as pa

        yield pa.RecordBatch.from_pylist([], schema=schema)


def shards_of(data: Any) -> tuple[str, ...]:
    """The shard URLs of a `webdataset.WebDataset`, each once, as absolute paths or URLs.

    Raises:
        UsageError: Shards that only a command can read (``pipe:``), or a pipeline without a list of shards.
    """
    stages = getattr(data, "pipeline", None) or [data]
    for stage in stages:
        urls = getattr(stage, "urls", None)
        if isinstance(urls, str):
            urls = [urls]
        if urls:
            break
    else:
        raise UsageError(
            "expected a webdataset pipeline that starts with a list of shards, found none",
            hint="give the shards themselves: genepool.open('shards/{000..127}.tar')",
        )
    found: dict[str, None] = {}
    for url in urls:
        name = str(url["url"] if isinstance(url, dict) else url)
        if name.startswith("pipe:"):
            raise UsageError(f"{name}: expected a file or URL, found a command; genepool runs none")
        name = name.removeprefix("file:") if name.startswith("file:") and "://" not in name else name
        name = name.removeprefix("file://")
        found[name if "://" in name else absolute(name)] = None
    return tuple(found)
