"""A published preference model as one ONNX file, run by ONNX Runtime on the CPU.

Layout, type and size of the input are read from the graph. What it cannot say may stand in the file's
metadata (``metadata_props``) or in the model's name, where the name outranks the file:

==================  ===========================================================================
``genepool.side``   side of the square input in pixels, where height and width are free (224)
``genepool.mean``   three numbers subtracted from pixels in [0, 1]; float inputs (0, 0, 0)
``genepool.std``    three numbers that they are divided by (1, 1, 1)
``genepool.fit``    ``crop``: shorter side to size, centre kept (default); ``squash``: both sides
``genepool.index``  which output column is the score (0); larger is better
==================  ===========================================================================
"""

from __future__ import annotations

import math
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genepool.errors import PluginError, SourceError
from genepool.review._plugged import options_of, pinned

__all__ = ["OnnxPreference", "fitted"]

_KEYS = ("side", "mean", "std", "fit", "index")
_TYPES: dict[str, Any] = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(uint8)": np.uint8,
}


class OnnxPreference:
    """``onnx:FILE#sha256=…&side=…&mean=…&std=…&fit=…&index=…``.

    Args:
        argument: The file and its options.

    Raises:
        UsageError: An option that is none.
        SourceError: No such file.
        IntegrityError: Its SHA-256 is not the one asked for.
    """

    def __init__(self, argument: str = "") -> None:
        place, self._options = options_of(argument, _KEYS)
        self.path = Path(place)
        try:
            data = self.path.read_bytes()
        except OSError as error:
            raise SourceError(
                f"preference model {place}: cannot be read: {error.strerror}", hint="onnx:/path/to/model.onnx"
            ) from error
        self.name = self.path.stem
        self.digest = pinned(self.name, sha256(data).hexdigest(), self._options)
        self._session: Any = None

    def prepare(self) -> None:
        """Load the model.

        Raises:
            PluginError: Not an ONNX model with one RGB input, or options that cannot be.
            IntegrityError: The file has changed since it was opened.
        """
        import onnxruntime as ort

        if self._session is not None:
            return
        data = self.path.read_bytes()
        pinned(self.name, sha256(data).hexdigest(), {"sha256": self.digest})
        options = ort.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 4
        try:
            session = ort.InferenceSession(data, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # ONNX Runtime raises a dozen unrelated types
            words = str(error).splitlines()[:1] or [type(error).__name__]
            raise self._broken(f"not a model that ONNX Runtime can load: {words[0][:200]}") from error
        self._describe(session)
        self._session = session

    def _broken(self, message: str) -> PluginError:
        return PluginError(f"preference model {self.name}: {message}", hint=f"replace {self.path}")

    def _describe(self, session: Any) -> None:
        inputs = session.get_inputs()
        if len(inputs) != 1 or len(inputs[0].shape) != 4 or inputs[0].type not in _TYPES:
            found = [(i.type, list(i.shape)) for i in inputs]
            raise self._broken(f"expected one RGB input (n, 3, h, w) or (n, h, w, 3), found {found}")
        shape = list(inputs[0].shape)
        self._first = shape[1] == 3
        if not self._first and shape[3] != 3:
            raise self._broken(f"expected three colours, found input {shape}")
        held = session.get_modelmeta().custom_metadata_map
        meta = {key: held[f"genepool.{key}"] for key in _KEYS if f"genepool.{key}" in held} | self._options
        sides = [v for v in (shape[2:] if self._first else shape[1:3]) if isinstance(v, int)]
        if len(set(sides)) > 1:
            raise self._broken(f"expected a square input, found {shape}")
        self._input, self._type = inputs[0].name, _TYPES[inputs[0].type]
        self._output = session.get_outputs()[0].name
        self._batch = shape[0] if isinstance(shape[0], int) else 1
        self._side = sides[0] if sides else int(self._numbers(meta.get("side", "224"), 1)[0])
        self._mean, self._std = (
            self._numbers(meta.get(k, d), 3) for k, d in (("mean", "0,0,0"), ("std", "1,1,1"))
        )
        self._index, self._fit = int(self._numbers(meta.get("index", "0"), 1)[0]), meta.get("fit", "crop")
        if not 8 <= self._side <= 4096 or not (self._std > 0).all() or self._fit not in ("crop", "squash"):
            raise self._broken(
                f"expected a side of 8 to 4096, std above 0 and fit crop or squash, found {self._side}, "
                f"{self._std.tolist()}, {self._fit!r}"
            )

    def _numbers(self, text: str, n: int) -> NDArray[np.float32]:
        try:
            values = np.array([float(part) for part in text.split(",")], np.float32)
        except ValueError:
            values = np.zeros(0, np.float32)
        if len(values) != n or not np.isfinite(values).all():
            raise self._broken(f"expected {n} numbers, found {text!r}")
        return values

    def score(self, pixels: NDArray[np.uint8], caption: str = "") -> float:
        """The model's score; the caption is not used.

        Raises:
            PluginError: The model cannot be run, or its answer is no number.
        """
        del caption
        self.prepare()
        picture = fitted(pixels, self._side, self._fit)
        values: NDArray[Any] = picture
        if self._type is not np.uint8:
            scaled = picture.astype(np.float32) / np.float32(255)
            values = ((scaled - self._mean) / self._std).astype(self._type)
        values = values.transpose(2, 0, 1) if self._first else values
        batch = np.ascontiguousarray(np.repeat(values[None], self._batch, axis=0))
        try:
            (answer,) = self._session.run([self._output], {self._input: batch})
        except Exception as error:  # ONNX Runtime raises a dozen unrelated types
            raise self._broken(f"cannot be run: {str(error).splitlines()[0][:200]}") from error
        row = np.asarray(answer, np.float64).reshape(self._batch, -1)[0]
        if not 0 <= self._index < len(row):
            raise self._broken(f"expected column {self._index} in the output, found {len(row)} columns")
        value = float(row[self._index])
        return value if math.isfinite(value) else math.nan


def fitted(pixels: NDArray[np.uint8], side: int, fit: str = "crop") -> NDArray[np.uint8]:
    """A picture as ``(side, side, 3)``: the shorter side brought to size and the centre kept, or squashed."""
    from PIL import Image

    image = Image.fromarray(np.ascontiguousarray(pixels))
    if fit == "squash":
        return np.asarray(image.resize((side, side), Image.Resampling.BICUBIC), np.uint8)
    # The centre square, cut before it is resized: a strip of 1 × 10,000 pixels must not become huge.
    short = min(image.size)
    left, top = (image.width - short) // 2, (image.height - short) // 2
    square = image.crop((left, top, left + short, top + short))
    return np.asarray(square.resize((side, side), Image.Resampling.BICUBIC), np.uint8)
