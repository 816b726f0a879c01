"""`HouseEmbedder`: the small network that ships, for style, copies and the detector's second opinion.

A thin ResNet-50 distilled from the CLIP ViT-B/16 image tower (docs/model-card-embedder.md). It sees the
picture as a whole: the middle square of an area-averaged copy of 176 pixels short side. Smaller pictures are
enlarged to that here, where copies must be found again; the detector looks at them as they are.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from genepool.compute import Placement, Settled, open_session, settle
from genepool.errors import PluginError

if TYPE_CHECKING:
    from genepool.records import ImageView

__all__ = ["SIDE", "HouseEmbedder", "Look", "middle"]

SIDE = 176
# Smaller pictures are repeated at their edges up to this: the network's last map needs a few cells.
LEAST = 64
_MODELS: dict[tuple[str, Placement], Settled] = {}


class Look(NamedTuple):
    """What the network says of one picture.

    Attributes:
        style: Unit vector, pictures of one style lie together.
        copy: Unit vector, copies of one picture lie together.
        trunk: The shared features before both heads, length 1536, at least 0.
    """

    style: NDArray[np.float32]
    copy: NDArray[np.float32]
    trunk: NDArray[np.float32]


class HouseEmbedder:
    """The embedded embedder, run by ONNX Runtime: on the CPU with one thread, or where `place` says.

    Args:
        path: Another file of the same shape (training uses it); None: the one in the package.

    Attributes:
        name: ``house``.
        version: First 12 hex digits of the file's SHA-256.
        dim: Length of the style vector.
        copy_dim: Length of the copy vector.
        batch: Pictures that it would rather see together; 1 before `prepare`.
        remarks: Where it runs, when that is not simply the CPU.

    Raises:
        PluginError: The file is missing.
    """

    name = "house"
    dim = 256
    copy_dim = 128

    def __init__(self, path: str | Path | None = None) -> None:
        self._path = None if path is None else str(path)
        self.digest = hashlib.sha256(self._read()).hexdigest()
        self.version = self.digest[:12]
        self._placement = Placement()
        self._model: Settled | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_model": None}

    def place(self, placement: Placement) -> None:
        """Choose where the network runs, before `prepare`; a card must agree with the CPU (`settle`)."""
        self._placement, self._model = placement, None

    @property
    def batch(self) -> int:
        """Pictures that it would rather see together."""
        return self._model.run.tuning.size if self._model is not None else 1

    @property
    def remarks(self) -> tuple[str, ...]:
        """Where it runs, when that is not simply the CPU."""
        return self._model.remarks if self._model is not None else ()

    def _read(self) -> bytes:
        try:
            if self._path is not None:
                return Path(self._path).read_bytes()
            return resources.files("genepool.embedding").joinpath("model", "embedder.onnx").read_bytes()
        except OSError as error:
            raise PluginError(
                f"embedder house: its model cannot be read: {error.strerror or error}",
                hint='reinstall genepool, or set diversity.embedder = "classical"',
            ) from error

    def prepare(self) -> None:
        """Load the model into this process.

        Raises:
            PluginError: The file was damaged since, or is no such model.
        """
        data = self._read()
        if hashlib.sha256(data).hexdigest() != self.digest:
            raise PluginError("embedder house: its model changed while it was in use", hint="start again")
        self._model = _loaded(data, self.digest, self._placement)

    def look_at(self, pictures: NDArray[np.uint8]) -> list[Look]:
        """Several pictures of one size at once.

        Args:
            pictures: ``(n, side, side, 3)`` uint8 sRGB, side from 64.
        """
        if self._model is None:
            self.prepare()
        assert self._model is not None  # noqa: S101  # prepare() sets it or raises
        style, copy, trunk = self._model.run(pictures)
        return [Look(*row) for row in zip(style, copy, trunk, strict=True)]

    def look(self, view: ImageView) -> Look:
        """One image, computed once however many probes ask."""

        def make() -> Look:
            return self.look_at(_shown(view)[None])[0]

        once = getattr(view, "once", None)
        found: Look = make() if once is None else once(f"house@{self.version}", make)
        return found

    def foresee(self, views: Sequence[ImageView]) -> None:
        """Compute for several images at once what `look` will then find on each."""
        key = f"house@{self.version}"
        new: list[Any] = [view for view in views if hasattr(view, "held") and not view.held(key)]
        if not new:
            return
        for view, look in zip(new, self.look_at(np.stack([_shown(view) for view in new])), strict=True):
            view.once(key, lambda found=look: found)

    def embed(self, view: ImageView) -> NDArray[np.float32]:
        """The style vector of one image: unit length, float32, length `dim`."""
        return self.look(view).style

    def embed_all(self, view: ImageView) -> Mapping[str, NDArray[np.float32]]:
        """``style`` and ``copy`` of one image."""
        look = self.look(view)
        return {"style": look.style, "copy": look.copy}


def _loaded(data: bytes, digest: str, placement: Placement) -> Settled:
    """One per process, model and place: the embedding probe and the detector look through the same one."""
    if (digest, placement) not in _MODELS:
        try:
            opened = open_session(data, placement.provider)
        except Exception as error:  # ONNX Runtime raises a dozen unrelated types
            raise PluginError(
                f"embedder house: not a model that ONNX Runtime can load: {error}",
                hint='reinstall genepool, or set diversity.embedder = "classical"',
            ) from error
        _MODELS[digest, placement] = settle("embedder house", opened, data, placement, _run, _noise)
    return _MODELS[digest, placement]


def _run(session: Any, pictures: NDArray[np.uint8]) -> Sequence[NDArray[np.float32]]:
    rows: Sequence[NDArray[np.float32]] = session.run(["style", "copy", "trunk"], {"rgb": pictures})
    return rows


def _noise(n: int) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (n, SIDE, SIDE, 3), dtype=np.uint8)


def _shown(view: ImageView) -> NDArray[np.uint8]:
    """What the network sees of an image, ``(SIDE, SIDE, 3)``."""
    return _filled(middle(view.thumbnail(SIDE)))


def _filled(square: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A smaller square enlarged: a copy at half the size must lie where its original lies."""
    if square.shape[0] == SIDE:
        return square
    from PIL import Image

    return np.asarray(Image.fromarray(square).resize((SIDE, SIDE), Image.Resampling.BICUBIC))


def middle(thumbnail: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The middle square of ``(height, width, 3)`` pixels, edges repeated up to 64 pixels."""
    height, width = thumbnail.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    square = thumbnail[top : top + side, left : left + side]
    if side < LEAST:
        lack = LEAST - side
        edges = (lack // 2, lack - lack // 2)
        square = np.pad(square, (edges, edges, (0, 0)), mode="edge")
    return np.ascontiguousarray(square)
