"""Export formats: pictures go in one by one, the uris under which they are found again come out."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any, NamedTuple, Protocol

__all__ = [
    "FACTS",
    "FolderWriter",
    "ImageFolderWriter",
    "ParquetWriter",
    "Picture",
    "WebDatasetWriter",
    "Writer",
]

FACTS: Mapping[str, tuple[str, str]] = {
    "genepool_origin": (
        "text",
        "What made it: captured, human_made, algorithmic, mixed, synthetic or unknown.",
    ),
    "genepool_tier": (
        "text",
        "How that is known: proven, attested, declared, recovered, inferred or unknown.",
    ),
    "genepool_human": ("flag", "Counts as verified human work."),
    "genepool_ai": ("flag", "Counts as made by a model, wholly or in part."),
    "genepool_p_human": ("number", "Posterior probability of human work, from all evidence."),
    "genepool_generation_lo": ("integer", "Fewest machine generations from a person; 0 is human work."),
    "genepool_generation_hi": ("integer", "Most machine generations; empty: no upper end is known."),
    "genepool_model": ("text", "The model that made it, where known."),
}
"""What genepool concluded about an image, as columns: name → (``text``, ``number``, ``integer`` or ``flag``,
one sentence). The prefix keeps these conclusions from being read back as somebody's claims."""

_SHARD_SAMPLES = 10_000
_SHARD_BYTES = 1 << 30
_GROUP_BYTES = 32 << 20
_GROUP_ROWS = 256


class Picture(NamedTuple):
    """One image to write: ``name`` is relative, safe and unique within the export."""

    name: str
    data: bytes
    caption: str | None
    declared: Mapping[str, Any] | None
    facts: Mapping[str, Any] | None = None


class Writer(Protocol):
    """One format.

    Args:
        folder: Where to write; empty.
        name: What the source of the images is called.
        facts: Whether pictures come with values for `FACTS`.
    """

    def __init__(self, folder: Path, name: str, *, facts: bool) -> None: ...

    def add(self, picture: Picture) -> str:
        """Write one picture; its uri in the new dataset."""

    def finish(self) -> None:
        """Write what is outstanding."""

    def close(self) -> None:
        """Let go of open files, finished or not."""


def _json(value: Any) -> bytes:
    import orjson

    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def facts_of(picture: Picture) -> dict[str, Any]:
    """A value, or None, for every column of `FACTS`."""
    known = picture.facts or {}
    return {name: known.get(name) for name in FACTS}


def _place(folder: Path, picture: Picture) -> Path:
    target = folder / picture.name
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(picture.data)
    return target


class FolderWriter:
    """Files under their names, captions as ``<stem>.txt``, claims in one ``genepool.jsonl``."""

    def __init__(self, folder: Path, name: str, *, facts: bool) -> None:
        self._folder = folder
        self._sidecar: IO[bytes] | None = None

    def add(self, picture: Picture) -> str:
        """Write one file and what belongs to it."""
        target = _place(self._folder, picture)
        declared = dict(picture.declared or {})
        if picture.caption is not None:
            text = target.with_name(target.name.rpartition(".")[0] + ".txt")
            words = picture.caption.encode()
            if not text.exists():
                text.write_bytes(words)
            elif text.read_bytes() != words:
                # Two images share a stem: the sidecar knows them apart.
                declared["caption"] = picture.caption
        if declared:
            if self._sidecar is None:
                self._sidecar = (self._folder / "genepool.jsonl").open("wb")
            self._sidecar.write(_json({"file": picture.name, **declared}) + b"\n")
        return picture.name

    def finish(self) -> None:
        """Nothing is outstanding but the sidecar."""
        self.close()

    def close(self) -> None:
        """Close the sidecar."""
        if self._sidecar is not None:
            self._sidecar.close()


class ImageFolderWriter:
    """Files under their names and a ``metadata.jsonl`` as Hugging Face ``imagefolder`` reads it."""

    def __init__(self, folder: Path, name: str, *, facts: bool) -> None:
        self._folder = folder
        self._facts = facts
        self._metadata = (folder / "metadata.jsonl").open("wb")

    def add(self, picture: Picture) -> str:
        """Write one file and its line."""
        _place(self._folder, picture)
        claims = _json(picture.declared).decode() if picture.declared else None
        # Every line has every key: readers infer the columns from them.
        line = {"file_name": picture.name, "text": picture.caption, "genepool": claims}
        line |= facts_of(picture) if self._facts else {}
        self._metadata.write(_json(line) + b"\n")
        return picture.name

    def finish(self) -> None:
        """Nothing is outstanding but the table."""
        self.close()

    def close(self) -> None:
        """Close the table."""
        self._metadata.close()


class WebDatasetWriter:
    """Tar shards of at most 10,000 samples or 1 GiB; headers depend on names and sizes only."""

    def __init__(self, folder: Path, name: str, *, facts: bool) -> None:
        self._folder = folder
        self._tar: tarfile.TarFile | None = None
        self._name = ""
        self._shards = 0
        self._samples = 0
        self._bytes = 0
        self._keys: set[str] = set()

    def add(self, picture: Picture) -> str:
        """Write one sample."""
        size = len(picture.data)
        if self._tar is None or self._samples >= _SHARD_SAMPLES or self._bytes + size > _SHARD_BYTES:
            self._next()
        key, suffix = self._key(picture.name)
        self._member(key + suffix, picture.data)
        if picture.caption is not None:
            self._member(f"{key}.txt", picture.caption.encode())
        if picture.declared:
            self._member(f"{key}.genepool.json", _json(picture.declared))
        self._samples += 1
        self._bytes += size
        return f"{self._name}::{key}{suffix}"

    def _next(self) -> None:
        self.close()
        self._name = f"shard-{self._shards:06d}.tar"
        # pax only where a name is long or not ASCII; otherwise plain ustar blocks.
        self._tar = tarfile.open(self._folder / self._name, "w", format=tarfile.PAX_FORMAT)  # noqa: SIM115
        self._shards += 1
        self._samples = self._bytes = 0
        self._keys.clear()

    def _key(self, name: str) -> tuple[str, str]:
        """A key without dots (the format's readers cut at the first one), unique in the shard."""
        stem, _, suffix = name.rpartition(".")
        folder, slash, last = stem.rpartition("/")
        # Names that other systems would take for absolute are refused by careful readers, ours among them.
        base = (folder + slash + last.replace(".", "_")).replace(":", "_", 1 if stem[1:2] == ":" else 0)
        key, number = base, 2
        while key in self._keys:
            key, number = f"{base}-{number}", number + 1
        self._keys.add(key)
        return key, f".{suffix.lower()}"

    def _member(self, name: str, data: bytes) -> None:
        info = tarfile.TarInfo(name)
        info.size = len(data)
        info.mode = 0o644
        assert self._tar is not None  # noqa: S101  # add() opens it
        self._tar.addfile(info, io.BytesIO(data))

    def finish(self) -> None:
        """Close the last shard."""
        self.close()

    def close(self) -> None:
        """Close the open shard."""
        if self._tar is not None:
            self._tar.close()
            self._tar = None


class ParquetWriter:
    """Parts of at most 1 GiB in ``data/``, with Hugging Face's ``Image`` struct, caption and claims."""

    def __init__(self, folder: Path, name: str, *, facts: bool) -> None:
        self._facts = facts
        self._folder = folder / "data"
        self._folder.mkdir()
        self._rows: list[dict[str, Any]] = []
        self._pending = 0
        self._writer: Any = None
        self._parts: list[int] = []
        self._part_bytes = 0

    def add(self, picture: Picture) -> str:
        """Queue one row; a row group is written every 256 rows or 32 MiB."""
        if self._parts and self._part_bytes + len(picture.data) > _SHARD_BYTES:
            self._close_part()
        if not self._parts or (self._writer is None and not self._rows):
            self._parts.append(0)
            self._part_bytes = 0
        claims = _json(picture.declared).decode() if picture.declared else None
        image = {"bytes": picture.data, "path": picture.name}
        row = {"image": image, "caption": picture.caption, "genepool": claims}
        self._rows.append(row | (facts_of(picture) if self._facts else {}))
        self._pending += len(picture.data)
        self._part_bytes += len(picture.data)
        uri = f"data/{self._part()}#{self._parts[-1]}"
        self._parts[-1] += 1
        if len(self._rows) >= _GROUP_ROWS or self._pending >= _GROUP_BYTES:
            self._flush()
        return uri

    def _part(self) -> str:
        return f"train-{len(self._parts) - 1:05d}.parquet"

    def _flush(self) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        if not self._rows:
            return
        if self._writer is None:
            path = self._folder / self._part()
            self._writer = pq.ParquetWriter(path, self._schema(), compression="none", write_statistics=False)
        self._writer.write_table(pa.Table.from_pylist(self._rows, schema=self._writer.schema))
        self._rows, self._pending = [], 0

    def _schema(self) -> Any:
        import pyarrow as pa

        types = {
            "text": (pa.string(), "string"),
            "number": (pa.float64(), "float64"),
            "integer": (pa.int32(), "int32"),
            "flag": (pa.bool_(), "bool"),
        }
        columns = {"caption": "text", "genepool": "text"}
        columns |= {name: kind for name, (kind, _) in FACTS.items()} if self._facts else {}
        features: dict[str, Any] = {"image": {"_type": "Image"}}
        features |= {name: {"dtype": types[kind][1], "_type": "Value"} for name, kind in columns.items()}
        return pa.schema(
            [
                ("image", pa.struct([("bytes", pa.binary()), ("path", pa.string())])),
                *((name, types[kind][0]) for name, kind in columns.items()),
            ],
            metadata={"huggingface": _json({"info": {"features": features}})},
        )

    def _close_part(self) -> None:
        self._flush()
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def finish(self) -> None:
        """Close the last part."""
        self._close_part()

    def close(self) -> None:
        """Let go of the open part."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None
