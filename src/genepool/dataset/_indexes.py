"""Exports for other people's tools: our own layout, and beside it the index that the tool reads.

Every one of them can be opened again by genepool with the same bytes, captions and claims.
"""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from genepool.dataset._croissant import description
from genepool.dataset._writers import (
    FACTS,
    FolderWriter,
    ImageFolderWriter,
    ParquetWriter,
    Picture,
    WebDatasetWriter,
    Writer,
    facts_of,
)

__all__ = ["WRITERS"]


class CsvWriter:
    """Files under their names and a ``metadata.csv`` (RFC 4180, UTF-8) with captions, claims and conclusions.

    An empty field is a value that is not known; Hugging Face's ``imagefolder`` reads it too.
    """

    def __init__(self, folder: Path, name: str, *, facts: bool) -> None:
        self._folder = folder
        self._names = [*FACTS] if facts else []
        self._file = (folder / "metadata.csv").open("w", encoding="utf-8", newline="")
        self._table = csv.writer(self._file, lineterminator="\r\n")
        self._table.writerow(["file_name", "text", "genepool", *self._names])

    def add(self, picture: Picture) -> str:
        """Write one file and its row."""
        import orjson

        target = self._folder / picture.name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(picture.data)
        claims = orjson.dumps(picture.declared, option=orjson.OPT_SORT_KEYS) if picture.declared else b""
        facts = facts_of(picture)
        words = [_cell(facts[name]) for name in self._names]
        self._table.writerow([picture.name, picture.caption or "", claims.decode(), *words])
        return picture.name

    def finish(self) -> None:
        """Nothing is outstanding but the table."""
        self.close()

    def close(self) -> None:
        """Close the table."""
        self._file.close()


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return ("true" if value else "false") if isinstance(value, bool) else str(value)


class _Indexed:
    """An ``imagefolder`` whose images lie in one folder, and an index of them in one JSON file.

    The index is built in memory: the tools that read it do so too. Captions never lie beside the images,
    where FiftyOne would take them for images.
    """

    root = ""

    def __init__(self, folder: Path, name: str, *, facts: bool) -> None:
        self._folder = folder
        self._inner = ImageFolderWriter(folder, name, facts=facts)
        self._stems: set[str] = set()

    def _write(self, picture: Picture) -> str:
        """Write the file under a name whose stem is its own; where it lies."""
        stem, _, suffix = picture.name.rpartition(".")
        chosen, number = stem, 2
        while chosen.casefold() in self._stems:
            chosen, number = f"{stem}-{number}", number + 1
        self._stems.add(chosen.casefold())
        return self._inner.add(picture._replace(name=f"{self.root}/{chosen}.{suffix}"))

    def _index(self, name: str, data: Any) -> None:
        import orjson

        (self._folder / name).write_bytes(orjson.dumps(data, option=orjson.OPT_INDENT_2) + b"\n")

    def close(self) -> None:
        """Let go of open files."""
        self._inner.close()


class FiftyOneWriter(_Indexed):
    """FiftyOne's ``FiftyOneImageClassificationDataset``: ``data/`` and ``labels.json``.

    The label is the origin; caption, tier, generation and model are its attributes.
    """

    root = "data"

    def __init__(self, folder: Path, name: str, *, facts: bool) -> None:
        super().__init__(folder, name, facts=facts)
        self._labels: dict[str, Any] = {}

    def add(self, picture: Picture) -> str:
        """Write one file and remember its label."""
        uri = self._write(picture)
        facts = {key.removeprefix("genepool_"): value for key, value in facts_of(picture).items()}
        label = facts.pop("origin") or "unknown"
        known = {"caption": picture.caption, **facts}
        attributes = {key: value for key, value in known.items() if value is not None}
        # FiftyOne names an image by its path below data/, without the ending.
        key = uri.partition("/")[2].rpartition(".")[0]
        self._labels[key] = {"label": label, "attributes": attributes}
        return uri

    def finish(self) -> None:
        """Write ``labels.json``."""
        self._inner.finish()
        self._index("labels.json", {"classes": None, "labels": self._labels})


_LABEL_CONFIG = """<View>
  <!-- People see the picture and its caption, not what genepool concluded: who knows is not blind. -->
  <Image name="image" value="$image" zoom="true"/>
  <TextArea name="caption" toName="image" value="$caption" editable="true" maxSubmissions="1"
            placeholder="Describe the picture"/>
</View>
"""


class LabelStudioWriter(_Indexed):
    """Label Studio's tasks: ``images/``, ``tasks.json`` and a labelling interface, ``label-config.xml``.

    Addresses are those of Label Studio's local files, with the export as their document root.
    """

    root = "images"

    def __init__(self, folder: Path, name: str, *, facts: bool) -> None:
        super().__init__(folder, name, facts=facts)
        self._facts = facts
        self._tasks: list[dict[str, Any]] = []

    def add(self, picture: Picture) -> str:
        """Write one file and remember its task."""
        uri = self._write(picture)
        data = {
            "image": f"/data/local-files/?d={quote(uri, safe='/')}",
            "caption": picture.caption or "",
            "file": uri,
        }
        data["sha256"] = hashlib.sha256(picture.data).hexdigest()
        self._tasks.append({"data": data | (facts_of(picture) if self._facts else {})})
        return uri

    def finish(self) -> None:
        """Write ``tasks.json`` and ``label-config.xml``."""
        self._inner.finish()
        self._index("tasks.json", self._tasks)
        (self._folder / "label-config.xml").write_text(_LABEL_CONFIG, "utf-8")


class CroissantWriter(ParquetWriter):
    """Parquet parts and a ``croissant.json`` that describes them."""

    def __init__(self, folder: Path, name: str, *, facts: bool) -> None:
        super().__init__(folder, name, facts=facts)
        self._root = folder
        self._title = name

    def finish(self) -> None:
        """Close the last part and describe all of them."""
        import orjson

        super().finish()
        parts = []
        for path in sorted((self._root / "data").iterdir()):
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            parts.append((f"data/{path.name}", digest, path.stat().st_size))
        columns = {
            "caption": ("text", "Text that accompanies the image."),
            "genepool": ("text", "What its sidecar claims, as JSON."),
            **(FACTS if self._facts else {}),
        }
        text = orjson.dumps(description(self._title, parts, columns), option=orjson.OPT_INDENT_2)
        (self._root / "croissant.json").write_bytes(text + b"\n")


WRITERS: Mapping[str, type[Writer]] = {
    "folder": FolderWriter,
    "webdataset": WebDatasetWriter,
    "parquet": ParquetWriter,
    "imagefolder": ImageFolderWriter,
    "csv": CsvWriter,
    "croissant": CroissantWriter,
    "fiftyone": FiftyOneWriter,
    "label-studio": LabelStudioWriter,
}
