"""Making the planned pictures: one file after the other, each there whole or not at all, resumable."""

from __future__ import annotations

import io
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genepool.errors import CannotFinish, UsageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from genepool.dataset import Dataset
    from genepool.injection._transfers import Transfer

__all__ = ["SIDECAR", "Staging", "make_pictures"]

SIDECAR = "genepool.jsonl"
_MARK = ".genepool-inject"
_LONGEST = 640
"""Longer side in pixels up to which pictures are worked on; larger ones are reduced first."""

# IPTC Photo Metadata Standard 2025.1: made by an algorithm out of sampled content, in the words of its code
# list.
_XMP = (
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    '<rdf:Description rdf:about="" xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/" '
    'Iptc4xmpExt:DigitalSourceType="http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"/>'
    "</rdf:RDF></x:xmpmeta>"
)


@contextmanager
def disk(place: Path) -> Iterator[None]:
    """Say what to do when the disk is full or the place cannot be written."""
    try:
        yield
    except OSError as error:
        raise CannotFinish(
            f"{place}: cannot be written: {error.strerror or error}",
            hint="free space or choose another place with -o, then run the same command: it goes on",
        ) from None


class Staging:
    """The folder beside the target in which pictures are made: ``OUT.making``.

    It carries the digest of its plan: the same plan goes on where it was stopped, another one begins anew. A
        folder
    that genepool did not make is never touched.

    Args:
        target: The set that will be written.
        plan: The plan's digest.

    Raises:
        UsageError: Something else lies there.
        CannotFinish: It cannot be made.
    """

    def __init__(self, target: Path, plan: str) -> None:
        self.path = target.with_name(target.name + ".making")
        self.plan = plan
        mark = self.path / _MARK
        with disk(self.path):
            if self.path.is_dir() and any(self.path.iterdir()):
                if not mark.exists():
                    raise UsageError(
                        f"{self.path}: expected room for pictures in the making, found something else there",
                        hint="move it away",
                    )
                if mark.read_text().strip() != plan:
                    shutil.rmtree(self.path)
            self.path.mkdir(parents=True, exist_ok=True)
            if not mark.exists():
                write_whole(mark, plan.encode())

    def discard(self) -> None:
        """Take it away."""
        shutil.rmtree(self.path, ignore_errors=True)

    @classmethod
    def sweep(cls, target: Path) -> None:
        """Take away what a finished run left because it was stopped at the very end."""
        path = target.with_name(target.name + ".making")
        if (path / _MARK).exists():
            shutil.rmtree(path, ignore_errors=True)


def write_whole(path: Path, data: bytes) -> None:
    """The file with all of the data, flushed, or no file.

    Raises:
        OSError: As the system says.
    """
    aside = path.with_name(f".{path.name}.tmp")
    try:
        with aside.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise


def make_pictures(
    transfers: Sequence[Transfer],
    sources: Sequence[Dataset],
    style: Any,
    staging: Staging,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Make what is not there yet, then the sidecar with parents and parameters.

    Args:
        transfers: What to make.
        sources: The set, then the reserve.
        style: The plug-in.
        staging: Where.
        progress: Called as ``progress(done, total)``.

    Raises:
        CannotFinish: The disk is full, or a parent is no longer what it was.
        PluginError: The plug-in did not return a picture.
    """
    cache: dict[str, NDArray[np.uint8]] = {}
    for done, transfer in enumerate(transfers):
        target = staging.path / f"{transfer.name}.png"
        if progress is not None:
            progress(done, len(transfers))
        if target.exists():
            continue
        content = _read(sources, transfer.content, cache)
        styles = [_read(sources, each, cache) for each in transfer.styles]
        data = _encoded(_checked(style, style.transfer(content, styles, seed=transfer.seed)), transfer)
        with disk(staging.path):
            write_whole(target, data)
        if len(cache) > 64:
            cache.clear()
    with disk(staging.path):
        write_whole(staging.path / SIDECAR, b"".join(map(_line, transfers)))
    if progress is not None:
        progress(len(transfers), len(transfers))


def _line(transfer: Transfer) -> bytes:
    import orjson

    return orjson.dumps({"file": f"{transfer.name}.png", **claims_of(transfer)}) + b"\n"


def claims_of(transfer: Transfer) -> dict[str, Any]:
    """What the sidecar says of a picture. The artist is not named as its artist: he did not make it."""
    return {
        "origin": "synthetic",
        "parents": list(transfer.parents),
        "generation": list(transfer.generation),
        "after": transfer.artist,
        "method": transfer.method,
        "parameters": " ".join(f"{key}={value}" for key, value in transfer.parameters),
        "seed": transfer.seed,
    }


def detail_of(transfer: Transfer) -> Mapping[str, str]:
    """What the log's erasable detail says of a picture."""
    return {
        "method": transfer.method,
        "parameters": " ".join(f"{key}={value}" for key, value in transfer.parameters),
        "seed": str(transfer.seed),
        "content": transfer.content[2],
        "after": transfer.artist,
    }


def _read(
    sources: Sequence[Dataset], parent: tuple[int, str, str], cache: dict[str, NDArray[np.uint8]]
) -> NDArray[np.uint8]:
    import numpy as np
    from PIL import Image

    from genepool.injection._quality import MAX_PIXELS
    from genepool.scan import Refusal, View

    part, uri, digest = parent
    if digest in cache:
        return cache[digest]
    dataset = sources[part].select([uri])
    sample = next(iter(dataset.source.read(list(dataset.items([])))), None)
    if sample is None or sample.data is None or sha256(sample.data).hexdigest() != digest:
        raise CannotFinish(
            f"{uri}: expected the bytes that the plan was made from, found others or none",
            hint="the set has changed: run the same command again, it makes a new plan",
        )
    try:
        pixels = View(sample, max_pixels=MAX_PIXELS).pixels
    except Refusal as error:
        raise CannotFinish(f"{uri}: {error.message}") from None
    scale = _LONGEST / max(pixels.shape[:2])
    if scale < 1:
        size = (max(1, round(pixels.shape[1] * scale)), max(1, round(pixels.shape[0] * scale)))
        pixels = np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.LANCZOS))
    cache[digest] = pixels
    return pixels


def _checked(style: Any, made: Any) -> NDArray[np.uint8]:
    import numpy as np

    from genepool.errors import PluginError

    good = isinstance(made, np.ndarray) and made.dtype == np.uint8 and made.ndim == 3 and made.shape[2] == 3
    if not good:
        found = f"{made.dtype} {made.shape}" if isinstance(made, np.ndarray) else type(made).__name__
        raise PluginError(f"style {style.name!r}: expected a picture (h, w, 3) uint8, found {found}")
    return np.asarray(made)


def _encoded(picture: NDArray[np.uint8], transfer: Transfer) -> bytes:
    from PIL import Image, PngImagePlugin

    mark = PngImagePlugin.PngInfo()
    mark.add_itxt("XML:com.adobe.xmp", _XMP)
    mark.add_text("Software", f"genepool {transfer.method}")
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "PNG", pnginfo=mark)
    return buffer.getvalue()
