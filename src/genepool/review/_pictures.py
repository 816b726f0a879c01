"""Images as reviewers see them: found by digest, checked, re-encoded so that only the picture is left."""

from __future__ import annotations

import io
import threading
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from genepool.errors import SourceError
from genepool.records import Item, Sample

if TYPE_CHECKING:
    from genepool.scan import View
    from genepool.store import Catalogue

__all__ = ["SIDE", "Pictures", "render"]

SIDE = 1280
"""Longest side of every rendition in pixels: smaller images are enlarged, so the size tells nothing."""
_MAX_PIXELS = 89_478_485
_QUALITY = 90


def render(data: bytes, side: int = SIDE) -> bytes:
    """A picture as a JPEG that tells nothing but what is seen: no name, no metadata, always the same size.

    The longer side becomes exactly ``side`` pixels; rotation by EXIF is applied, transparency lies on white.

    Raises:
        SourceError: It cannot be decoded.
    """
    from PIL import Image

    image = Image.fromarray(_pixels(view_of(data)))
    scale = side / max(image.size)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    if size != image.size:
        kind = Image.Resampling.BICUBIC if scale > 1 else Image.Resampling.LANCZOS
        image = image.resize(size, kind, reducing_gap=3.0)
    out = io.BytesIO()
    image.save(out, "JPEG", quality=_QUALITY, subsampling=0)
    return out.getvalue()


def view_of(data: bytes) -> View:
    """A picture as probes see it.

    Raises:
        SourceError: It is none.
    """
    from genepool.scan import Refusal, View

    try:
        return View(Sample(Item("", "", ""), data), max_pixels=_MAX_PIXELS)
    except Refusal as error:
        raise SourceError(f"image: {error.message}") from error


def _pixels(view: View) -> NDArray[np.uint8]:
    from genepool.scan import Refusal

    try:
        return view.pixels
    except Refusal as error:
        raise SourceError(f"image: {error.message}") from error


class _Index:
    """Digest → row of a catalogue, without a Python object per image."""

    def __init__(self, catalogue: Catalogue) -> None:
        import pyarrow as pa

        self.catalogue = catalogue
        self._table = catalogue.table(["uri", "place", "stamp", "sha256"])
        raw = self._table.column("sha256").combine_chunks()
        packed = raw.cast(pa.binary(32)) if raw.type != pa.binary(32) else raw
        buffer, n = packed.buffers()[1], len(packed)
        # The first eight bytes find the candidates, the whole digest decides.
        whole: NDArray[Any] = (
            np.zeros((0, 4), np.uint64)
            if buffer is None
            else np.frombuffer(buffer, np.uint64, n * 4, packed.offset * 32).reshape(n, 4)
        )
        self._head = np.ascontiguousarray(whole[:, 0])
        self._items: dict[str, Item] | None = None
        self._guard = threading.Lock()

    def row(self, digest: str) -> int | None:
        raw = bytes.fromhex(digest)
        column = self._table.column("sha256")
        for row in np.flatnonzero(self._head == np.frombuffer(raw[:8], np.uint64)[0]).tolist():
            if column[row].as_py() == raw:
                return int(row)
        return None

    def uri(self, row: int) -> str:
        return str(self._table.column("uri")[row].as_py())

    def read(self, row: int) -> bytes | None:
        dataset = self.catalogue.dataset
        item = self._item(row)
        if item is None:
            return None
        sample = next(iter(dataset.source.read([item])), None)
        return None if sample is None else sample.data

    def _item(self, row: int) -> Item | None:
        uri = self.uri(row)
        if self.catalogue.dataset.source.kind == "folder":
            place, stamp = (str(self._table.column(name)[row].as_py()) for name in ("place", "stamp"))
            return Item(uri, stamp, place)
        with self._guard:
            if self._items is None:  # containers: list once
                self._items = {item.uri: item for item in self.catalogue.dataset.items([])}
            return self._items.get(uri)


class Pictures:
    """Finds images by digest in several catalogues and among single files.

    Args:
        catalogues: The set, then sets of controls.
        files: Digest → file, e.g. the rungs of a ladder.
    """

    def __init__(self, catalogues: Sequence[Catalogue], files: Mapping[str, Path] | None = None) -> None:
        self._indexes = [_Index(catalogue) for catalogue in catalogues]
        self._files = dict(files or {})

    def find(self, digest: str) -> tuple[Catalogue, int, str] | None:
        """Catalogue, row and uri of an image; None where no catalogue holds it."""
        for index in self._indexes:
            if (row := index.row(digest)) is not None:
                return index.catalogue, row, index.uri(row)
        return None

    def data(self, digest: str) -> bytes:
        """The file's bytes, checked against the digest.

        Raises:
            SourceError: It is gone, or was changed since the scan.
        """
        data: bytes | None = None
        if digest in self._files:
            data = self._files[digest].read_bytes()
        else:
            for index in self._indexes:
                if (row := index.row(digest)) is not None:
                    data = index.read(row)
                    break
        if data is None or sha256(data).hexdigest() != digest:
            found = "nothing" if data is None else "other bytes"
            raise SourceError(
                f"image {digest[:16]}…: expected the file that was scanned, found {found}",
                hint="the set has changed: run genepool check PATH again",
            )
        return data

    def view(self, digest: str) -> View:
        """The picture as probes see it; see `data` for what it raises."""
        return view_of(self.data(digest))

    def pixels(self, digest: str) -> NDArray[np.uint8]:
        """The picture, ``(h, w, 3)`` RGB; see `data` for what it raises."""
        return _pixels(self.view(digest))
