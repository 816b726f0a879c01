"""Data that live in this process, made readable by workers: PIL images, tables, ``memory://`` files.

They are written once, losslessly, into a temporary folder that belongs to this process and goes with it. The
folder's name inside is the digest of the content: the same images opened again are not written again and have
the same uri.
"""

from __future__ import annotations

import atexit
import functools
import hashlib
import io
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from genepool.dataset._files import MAX_BYTES, Refused, entries, join, read_file, refusal, stat_of
from genepool.errors import CannotFinish, SourceError, UsageError
from genepool.records import Case, Item, Sample

__all__ = ["MemorySource", "spill_images", "spill_table", "spill_tree"]

_PNG_MODES = frozenset({"1", "L", "LA", "P", "RGB", "RGBA", "I;16"})
_TIFF_MODES = frozenset({"CMYK", "YCbCr", "LAB", "F", "I", "I;16B", "PA"})


@dataclass(slots=True, unsafe_hash=True)
class MemorySource:
    """PIL images, written to a folder of this process.

    Attributes:
        root: That folder.
        uri: ``memory:<digest of all images>``.
        max_bytes: As in the other sources.
        kind: ``memory``.
    """

    root: str
    uri: str
    max_bytes: int = MAX_BYTES
    kind: str = "memory"

    def list(self, aside: list[Case]) -> Iterator[Item]:
        """The images in the order in which they were given; the stamp is the digest of the content.

        Raises:
            SourceError: The folder is gone (the process that opened the images has ended).
        """
        try:
            names = sorted(entry.name for entry in entries(self.root))
        except OSError:
            raise SourceError(
                f"{self.uri}: the images were held by a process that has ended", hint="open them again"
            ) from None
        for name in names:
            yield Item(name, name.partition("-")[2].partition(".")[0], join(self.root, name))

    def read(self, items: Sequence[Item]) -> Iterator[Sample]:
        """The bytes of these images, in order; see `Source.read`."""
        for item in items:
            try:
                yield Sample(item, read_file(item.path, self.max_bytes))
            except Refused as refused:
                yield Sample(item, None, case=Case(item.uri, refused.reason, refused.message))
            except OSError as error:
                yield Sample(item, None, case=Case(item.uri, *refusal(error)))


@functools.cache
def _process_folder(owner: int) -> Path:
    """A private folder (mode 0700) that is removed when the process that made it ends."""
    folder = Path(tempfile.mkdtemp(prefix="genepool-"))

    def remove() -> None:
        # A forked child inherits this call but not the folder.
        if os.getpid() == owner:
            shutil.rmtree(folder, ignore_errors=True)

    atexit.register(remove)
    return folder


def _spilled(digest: str, write: Any) -> str:
    """The folder for a digest, filled by ``write(folder)`` unless it is there; whole or not at all."""
    try:
        home = _process_folder(os.getpid())
        final = home / digest
        if not final.is_dir():
            partial = Path(tempfile.mkdtemp(dir=home))
            try:
                write(partial)
                try:
                    partial.rename(final)
                except OSError:
                    # Another thread was faster with the same content.
                    if not final.is_dir():
                        raise
            finally:
                shutil.rmtree(partial, ignore_errors=True)
    except OSError as error:
        raise CannotFinish(
            f"images in memory cannot be handed to the workers: {error.strerror or error}",
            hint="free space in the temporary folder, or set TMPDIR to another place",
        ) from None
    return str(final)


def spill_images(images: Sequence[Any]) -> tuple[str, str]:
    """Write PIL images for the workers.

    Args:
        images: At least one.

    Returns:
        The folder and the digest over all images (their pixels, mode, EXIF, colour profile and text).

    Raises:
        UsageError: Something in the list is not a PIL image.
        SourceError: An image cannot be loaded.
        CannotFinish: No room in the temporary folder.
    """
    from PIL import Image

    digests = []
    for index, image in enumerate(images):
        if not isinstance(image, Image.Image):
            raise UsageError(f"images[{index}]: expected a PIL image, found {type(image).__name__}")
        try:
            digests.append(_content(image))
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
            raise SourceError(f"images[{index}]: cannot be loaded: {error}") from None
    digest = hashlib.sha256("".join(digests).encode()).hexdigest()[:32]

    def write(folder: Path) -> None:
        for index, (image, content) in enumerate(zip(images, digests, strict=True)):
            data, suffix = _encoded(image)
            (folder / f"{index:07d}-{content[:32]}{suffix}").write_bytes(data)

    return _spilled(digest, write), digest


def _content(image: Any) -> str:
    """SHA-256 over everything that is written of an image."""
    digest = hashlib.sha256(f"{image.mode} {image.size[0]}x{image.size[1]}\n".encode())
    digest.update(image.tobytes())
    palette = image.getpalette("RGBA") if image.mode in ("P", "PA") else None
    digest.update(
        repr((palette, image.info.get("transparency"), _exif(image), _texts(image))).encode(
            "utf-8", "replace"
        )
    )
    digest.update(image.info.get("icc_profile") or b"")
    return digest.hexdigest()


def _exif(image: Any) -> bytes:
    """EXIF as bytes, so that the orientation is not lost; empty where there is none or it cannot be read."""
    raw = image.info.get("exif")
    if isinstance(raw, bytes):
        return raw
    try:
        exif = image.getexif()
        return bytes(exif.tobytes()) if exif else b""
    except Exception:  # broken EXIF raises anything at all; without it the pixels are still whole
        return b""


def _texts(image: Any) -> list[tuple[str, str]]:
    """PNG text chunks: generator parameters live there."""
    texts = getattr(image, "text", None)
    if not isinstance(texts, dict):
        return []
    return sorted((str(key), str(value)) for key, value in texts.items() if 0 < len(str(key)) < 80)


def _encoded(image: Any) -> tuple[bytes, str]:
    """Lossless bytes of the same raster, and their extension: PNG, or TIFF for modes that PNG lacks."""
    from PIL import PngImagePlugin

    buffer = io.BytesIO()
    options: dict[str, Any] = {}
    if exif := _exif(image):
        options["exif"] = exif
    if profile := image.info.get("icc_profile"):
        options["icc_profile"] = profile
    mode = image.mode
    if mode in _TIFF_MODES:
        image.save(buffer, "TIFF", compression="raw", **options)
        return buffer.getvalue(), ".tif"
    if mode not in _PNG_MODES:
        image = image.convert({"La": "LA", "RGBa": "RGBA", "RGBX": "RGB", "I;16L": "I;16"}.get(mode, "RGB"))
    if texts := _texts(image):
        options["pnginfo"] = PngImagePlugin.PngInfo()
        for key, value in texts:
            options["pnginfo"].add_itxt(key, value)
    if "transparency" in image.info and mode in ("1", "L", "RGB", "P", "I;16"):
        options["transparency"] = image.info["transparency"]
    # Level 1: these files live for one run, time matters more than room.
    image.save(buffer, "PNG", compress_level=1, **options)
    return buffer.getvalue(), ".png"


def spill_table(digest: str, batches: Iterable[Any]) -> str:
    """Write Arrow record batches as one Parquet file in a folder of this process.

    Args:
        digest: Names the content.
        batches: `pyarrow.RecordBatch`es of one schema.

    Returns:
        The file's path.

    Raises:
        CannotFinish: No room in the temporary folder.
    """
    import pyarrow.parquet as pq

    def write(folder: Path) -> None:
        writer = None
        try:
            for batch in batches:
                if writer is None:
                    # Image bytes are compressed already.
                    writer = pq.ParquetWriter(folder / "data.parquet", batch.schema, compression="none")
                writer.write_batch(batch)
        finally:
            if writer is not None:
                writer.close()

    return str(Path(_spilled(digest, write)) / "data.parquet")


def spill_tree(url: str) -> str:
    """Copy files that only this process can see (``memory://``) to where workers can read them.

    Returns:
        The local path that corresponds to ``url``.

    Raises:
        SourceError: There is nothing at that URL.
        CannotFinish: No room in the temporary folder.
    """
    name = url.rstrip("/").rpartition("/")[2] or "root"
    try:
        found = [("", url)] if not stat_of(url).folder else list(_tree(url))
        state = repr([(relative, stat_of(path).stamp) for relative, path in found])
    except OSError as error:
        raise SourceError(f"{url}: cannot be listed: {error.strerror or error}") from None
    digest = hashlib.sha256(f"{url}\n{state}".encode()).hexdigest()[:32]

    def write(folder: Path) -> None:
        for relative, path in found:
            target = folder / name / relative if relative else folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(read_file(path, 1 << 40, empty=True))
            stamp = int(hashlib.sha256(stat_of(path).stamp.encode()).hexdigest()[:8], 16)
            os.utime(target, (stamp, stamp))
        (folder / name).mkdir(exist_ok=True) if not found else None

    return str(Path(_spilled(digest, write)) / name)


def _tree(url: str, prefix: str = "") -> Iterator[tuple[str, str]]:
    for entry in sorted(entries(url)):
        if ".." in entry.name.split("/") or entry.name.startswith("."):
            continue
        if entry.kind == "folder":
            yield from _tree(join(url, entry.name), f"{prefix}{entry.name}/")
        else:
            yield prefix + entry.name, join(url, entry.name)
