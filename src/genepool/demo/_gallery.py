"""Makes the demo's gallery.

Human work cut on record, two generations of a generator that is trained here, and the accidents of a real
folder.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from genepool.demo._computed import julia
from genepool.demo._generator import SIDE, PictureGenerator
from genepool.demo._photos import LICENCES, Piece, cut, load_photos
from genepool.demo._place import mark
from genepool.demo._sign import make_authority, sign

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["ANCHOR", "MODELS", "Gallery", "make_gallery"]

ANCHOR = "demo-authority.pem"
MODELS = ("demo-1", "demo-2", "demo-3")

_SIGNED, _TAGGED, _UNKNOWN, _THIRD = 24, 28, 8, 60
_DRAWN = 140  # pictures of one generation that the next is trained on
_COMPUTED, _COPIES = 8, 10

_README = """This folder was made by `genepool demo`. Delete it as you like.

human/         pieces of real pictures that scikit-image and scikit-learn ship; genepool.jsonl says what
               was cut from which picture and how, licences.toml who made them and under which licence
generation-1/  drawn by a small generator that was trained on human/photographs: signed-* carry a C2PA
               signature by an authority made for this gallery (demo-authority.pem), tagged-* a parameters
               text as image generators write it
generation-3/  drawn by a third generator, trained only on pictures of a second, which was trained only on
               pictures of the first; these files carry no mark, the log knows them
found/         pictures that nobody registered (the second generator drew them): their parameters text says
               AI, but not by which model, so that nothing bounds their generation
computed/      Julia sets: computed, without any model
copies/        smaller or recompressed copies of pictures in human/
damaged/       half a JPEG file, and a text file that calls itself a picture
"""


@dataclass(frozen=True, slots=True)
class Gallery:
    """What was made.

    Attributes:
        root: The folder.
        groups: Paths of the pictures relative to it, by group: ``photographs``, ``drawings``, ``signed``,
            ``tagged``, ``found``, ``third``, ``computed``, ``copies``, ``damaged``.
        anchor: The demo authority's certificate.
        size: Bytes of all files.
        seconds: How long it took.
    """

    root: Path
    groups: dict[str, tuple[str, ...]]
    anchor: Path
    size: int = 0
    seconds: float = 0.0

    @property
    def readable(self) -> int:
        """Pictures that can be decoded."""
        return sum(len(files) for group, files in self.groups.items() if group != "damaged")


@dataclass(slots=True)
class _Writer:
    """Writes pictures and remembers what was written and what the sidecar says about it."""

    root: Path
    groups: dict[str, list[str]] = field(default_factory=dict)
    records: list[dict[str, Any]] = field(default_factory=list)

    def path(self, group: str, name: str) -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        self.groups.setdefault(group, []).append(name)
        return path

    def declare(self, name: str, **record: Any) -> None:
        self.records.append({"file": name, **record})


def make_gallery(root: Path, *, seed: int = 7, say: Callable[[str], None] | None = None) -> Gallery:
    """Make the gallery in an empty or missing folder.

    Everything is a function of the seed and of the installed packages, except the C2PA signatures, whose keys
    are thrown away afterwards.

    Args:
        root: Where.
        seed: Of every random choice.
        say: Told what is going on, a sentence at a time.

    Raises:
        MissingExtra: scikit-image or scikit-learn is not installed.
        SignatureError: The C2PA library refused to sign.
    """
    start = time.monotonic()
    tell = say or (lambda _: None)
    photos = load_photos()
    mark(root)  # a gallery that is interrupted can be cleared away by the next one
    writer = _Writer(root)
    tell(f"cutting {sum(p.pieces for p in photos)} pieces from {len(photos)} real pictures")
    pieces = [piece for photo in photos for piece in cut(photo, seed)]
    for piece in pieces:
        _write_human(writer, piece)
    _write_copies(writer, pieces, seed)
    first, second, third = _train(pieces, seed, tell)
    _write_signed(writer, first[:_SIGNED])
    _write_tagged(writer, first[_SIGNED : _SIGNED + _TAGGED], second[:_UNKNOWN])
    for i, picture in enumerate(third):
        _picture(picture).save(writer.path("third", f"generation-3/plain-{i:02d}.png"))
    for i in range(_COMPUTED):
        name = f"computed/julia-{i:02d}.png"
        picture, parameters = julia(192, seed * 1000 + i)
        _picture(picture).save(writer.path("computed", name))
        writer.declare(name, origin="algorithmic", operation="julia set", parameters=parameters)
    _write_damaged(writer, seed)
    _write_papers(writer)
    size = sum(path.stat().st_size for path in root.rglob("*") if path.is_file())
    groups = {group: tuple(names) for group, names in writer.groups.items() if group != "papers"}
    return Gallery(root, groups, root / ANCHOR, size, time.monotonic() - start)


def _write_human(writer: _Writer, piece: Piece) -> None:
    """One piece, as JPEG, PNG or WebP, and its record."""
    photo = piece.photo
    drawing = photo.origin == "human_made"
    suffix, quality = (("jpg", 92), ("jpg", 88), ("png", 0), ("webp", 90))[piece.number % 4]
    group = "drawings" if drawing else "photographs"
    name = f"human/{group}/{photo.name}-{piece.number:02d}.{suffix}"
    piece.image.save(writer.path(group, name), quality=quality)
    writer.declare(
        name,
        origin=photo.origin,
        source=photo.package,
        artist=photo.artist,
        style=photo.style,
        license=photo.license,
        caption=photo.title,
        caption_source="human",
        parents=[photo.sha256],
        parent_file=f"{photo.package}: {photo.path.name}",
        parent_source=photo.source,
        operations=list(piece.operations),
    )


def _write_copies(writer: _Writer, pieces: list[Piece], seed: int) -> None:
    """Near-duplicates: some human pictures again, smaller or recompressed."""
    from PIL import Image

    rng = np.random.default_rng([seed, 2])
    human = writer.groups["photographs"] + writer.groups["drawings"]
    by_name = dict(zip([r["file"] for r in writer.records], pieces, strict=True))
    coloured = [n for n in human if by_name[n].image.mode == "RGB" and by_name[n].number < 4]
    for i, index in enumerate(rng.choice(len(coloured), _COPIES, replace=False)):
        parent = coloured[int(index)]
        image = by_name[parent].image
        name = f"copies/again-{i:02d}.jpg"
        operation: dict[str, Any] = {"operation": "recompress", "quality": 60}
        if i % 2:
            size = (round(image.width * 0.8), round(image.height * 0.8))
            image = image.resize(size, Image.Resampling.LANCZOS)
            operation = {"operation": "resize", "size": list(size), "quality": 60}
        image.save(writer.path("copies", name), quality=60)
        record = next(r for r in writer.records if r["file"] == parent)
        kept = {k: record[k] for k in ("origin", "source", "artist", "style", "license")}
        writer.declare(name, **kept, parents=[parent], operations=[operation])


def _train(
    pieces: list[Piece], seed: int, tell: Callable[[str], None]
) -> tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.uint8]]:
    """Three generators in a row, and the pictures of each."""
    from PIL import ImageOps

    photographs = [p.image.convert("RGB") for p in pieces if p.photo.origin == "captured"]
    human = np.stack([np.asarray(ImageOps.fit(image, (SIDE, SIDE))) for image in photographs])
    tell(f"training a generator on {len(human)} of these, and drawing {_DRAWN} pictures with it")
    first = PictureGenerator().fit(human, seed).draw(_DRAWN, seed + 1)
    tell("training a second one on nothing but these, and drawing as many")
    second = PictureGenerator().fit(first, seed).draw(_DRAWN, seed + 2)
    tell("training a third one on those: three machine generations from a person")
    return first, second, PictureGenerator().fit(second, seed).draw(_THIRD, seed + 3)


def _write_signed(writer: _Writer, pictures: NDArray[np.uint8]) -> None:
    """Generation 1, signed by an authority whose keys are forgotten when this returns."""
    authority = make_authority()
    writer.path("papers", ANCHOR).write_bytes(authority.root)
    plain = writer.root / ".plain.png"
    for i, picture in enumerate(pictures):
        name = f"generation-1/signed-{i:02d}.png"
        _picture(picture).save(plain)
        sign(plain, writer.path("signed", name), authority, model=MODELS[0], generation=1)
        writer.declare(name, origin="synthetic", model=MODELS[0], generation=1)
    plain.unlink()


def _write_tagged(writer: _Writer, first: NDArray[np.uint8], second: NDArray[np.uint8]) -> None:
    """Generation 1 with the model named in a text chunk; generation 2 with a text chunk that names none."""
    from PIL.PngImagePlugin import PngInfo

    for i, picture in enumerate(first):
        name = f"generation-1/tagged-{i:02d}.png"
        info = PngInfo()
        info.add_text("parameters", _parameters(_SIGNED + i, f"Model: {MODELS[0]}, "))
        _picture(picture).save(writer.path("tagged", name), pnginfo=info)
        writer.declare(name, origin="synthetic", model=MODELS[0], generation=1)
    for i, picture in enumerate(second):
        info = PngInfo()
        info.add_text("parameters", _parameters(i, ""))
        _picture(picture).save(writer.path("found", f"found/picture-{i:02d}.png"), pnginfo=info)


def _parameters(number: int, model: str) -> str:
    """The text that the AUTOMATIC1111 web interface writes, with this generator's true settings."""
    generator = PictureGenerator()
    return (
        "no prompt: an unconditional model\n"
        f"Steps: 4, Sampler: PCA mixture, CFG scale: 1, Seed: {number}, Size: {SIDE}x{SIDE}, "
        f"{model}Temperature: {generator.temperature}, Version: genepool demo"
    )


def _write_damaged(writer: _Writer, seed: int) -> None:
    """Half a JPEG file, and a text file with a picture's name."""
    whole = next(n for n in writer.groups["photographs"] if n.endswith(".jpg"))
    data = (writer.root / whole).read_bytes()
    writer.path("damaged", "damaged/half-a-file.jpg").write_bytes(data[: len(data) // 2])
    writer.path("damaged", "damaged/letter.png").write_text(
        f"Dear reader, I am not a picture. My number is {seed}.\n", "utf-8"
    )


def _write_papers(writer: _Writer) -> None:
    """Sidecar, licences, readme, configuration, marker."""
    lines = (json.dumps(record, ensure_ascii=False) for record in writer.records)
    writer.path("papers", "genepool.jsonl").write_text("\n".join(lines) + "\n", "utf-8")
    licences = resources.files("genepool.demo").joinpath(LICENCES).read_text("utf-8")
    writer.path("papers", LICENCES).write_text(licences, "utf-8")
    writer.path("papers", "README.txt").write_text(_README, "utf-8")
    anchor = json.dumps(str((writer.root / ANCHOR).resolve()))  # a JSON string is a TOML basic string
    writer.path("papers", "genepool.toml").write_text(
        "# Trust the authority that signed this gallery's pictures. Every threshold is the default.\n"
        f"[evidence]\ntrust_anchors = [{anchor}]\n",
        "utf-8",
    )
    mark(writer.root, [name for names in writer.groups.values() for name in names])


def _picture(pixels: NDArray[np.uint8]) -> Image:
    from PIL import Image as Pillow

    return Pillow.fromarray(pixels)
