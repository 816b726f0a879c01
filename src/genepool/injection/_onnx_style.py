"""`OnnxStyle`: neural style transfer with the user's own weights."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from genepool.errors import PluginError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Raster = NDArray[np.uint8]

__all__ = ["OnnxStyle"]

_STEP = 32
"""Sides are cut to a multiple of this: what encoders that halve five times need."""
_HINT = "--style onnx:FILE.onnx#NAME, NAME being the registered model that the weights are of"


class OnnxStyle:
    """A style transfer network in one ONNX file, run by ONNX Runtime on the CPU with one thread.

    Inputs are float32 ``(1, 3, h, w)`` RGB in [0, 1] with free sides: one (the picture, for a network that
    knows one style) or two (the picture, then a style; AdaIN and its kin). A third scalar input is the
    strength, given as 1. The first output is the picture, likewise. The bytes that are run are those whose
    digest is recorded.

    Args:
        argument: ``FILE.onnx#NAME``: the file, and the name under which the log knows the model that the
            weights are of. Its generation is the least that the pictures can have; without it nothing is
            known about them.

    Attributes:
        name, version: Identity; the version is the file's digest.
        parameters: What is recorded with every picture.
        base: Registered model, or ``unknown``.

    Raises:
        PluginError: The file cannot be read or run, or has other inputs.
    """

    def __init__(self, argument: str = "") -> None:
        path, _, model = argument.partition("#")
        if not path:
            raise PluginError("style onnx: expected a file, found none", hint=_HINT)
        try:
            self._data = Path(path).read_bytes()
        except OSError as error:
            raise PluginError(
                f"style onnx: {path}: expected an ONNX file, {error.strerror or error}", hint=_HINT
            ) from None
        digest = hashlib.sha256(self._data).hexdigest()
        self.name = f"onnx:{Path(path).stem}"
        self.version = digest[:12]
        self.base = model or "unknown"
        self.parameters: Mapping[str, Any] = {"sha256": digest, "model": self.base}
        self._session: Any = None

    def transfer(self, content: Raster, styles: Sequence[Raster], *, seed: int = 0) -> Raster:
        """The picture as the network makes it, after the first of the styles; ``seed`` is not used.

        Raises:
            PluginError: The network fails, or returns no picture.
        """
        session = self._ready()
        names = [each.name for each in session.get_inputs()]
        given = [_planes(content), _planes(styles[0]), np.float32(1.0)][: len(names)]
        for k, each in enumerate(session.get_inputs()):
            if k == 2:
                shape = [1 if not isinstance(side, int) else side for side in each.shape]
                given[k] = np.ones(shape, np.float32)
        try:
            made = np.asarray(session.run(None, dict(zip(names, given, strict=True)))[0], np.float32)
        except Exception as error:  # ONNX Runtime raises a dozen unrelated types
            raise PluginError(f"style {self.name}: the network failed: {str(error)[:200]}") from error
        if made.ndim != 4 or made.shape[:2] != (1, 3) or not np.isfinite(made).all():
            raise PluginError(f"style {self.name}: expected (1, 3, h, w) finite numbers, found {made.shape}")
        return np.asarray(np.clip(made[0].transpose(1, 2, 0) * 255 + 0.5, 0, 255), np.uint8)

    def _ready(self) -> Any:
        if self._session is None:
            import onnxruntime as ort

            options = ort.SessionOptions()
            options.intra_op_num_threads = options.inter_op_num_threads = 1
            options.log_severity_level = 4
            try:
                session = ort.InferenceSession(self._data, options, providers=["CPUExecutionProvider"])
            except Exception as error:
                raise PluginError(
                    f"style {self.name}: not a model that ONNX Runtime can load: {str(error)[:200]}"
                ) from error
            kinds = [(each.type, len(each.shape)) for each in session.get_inputs()]
            if not 1 <= len(kinds) <= 3 or any(kind != ("tensor(float)", 4) for kind in kinds[:2]):
                raise PluginError(
                    f"style {self.name}: expected one or two float inputs (1, 3, h, w), found {kinds}"
                )
            self._session = session
        return self._session


def _planes(picture: Raster) -> NDArray[np.float32]:
    height, width = (max(_STEP, side - side % _STEP) for side in picture.shape[:2])
    top, left = (
        max(0, (have - want) // 2) for have, want in zip(picture.shape, (height, width), strict=False)
    )
    cut = picture[top : top + height, left : left + width]
    grow = [(0, height - cut.shape[0]), (0, width - cut.shape[1]), (0, 0)]
    planes = np.pad(cut, grow, mode="edge").transpose(2, 0, 1)[None]
    return np.ascontiguousarray(planes, np.float32) / np.float32(255)
