"""Any ONNX model as a detector: the file says what it wants, and one that says it wrongly is named.

The input's layout, type and size are read from the model (ONNX IR specification, ``ValueInfoProto``).
What the graph cannot say may stand in its custom metadata (``metadata_props``):

=====================  ==========================================================================
``genepool.crop``      side of the native crops in pixels, where height and width are free (256)
``genepool.mean``      three numbers subtracted from pixels in [0, 1] (0, 0, 0); float inputs only
``genepool.std``       three numbers that they are divided by (1, 1, 1); float inputs only
``genepool.output``    ``logit`` (default) or ``probability``
``genepool.ai_index``  which output column speaks for AI (0 of one, 1 of two)
=====================  ==========================================================================
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genepool.detection._detectors import FAILED
from genepool.errors import PluginError
from genepool.records import ImageView, Score

__all__ = ["OnnxDetector"]

CROPS = 4
DEFAULT_SIDE = 256
_TYPES: Mapping[str, Any] = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(uint8)": np.uint8,
}
# Beyond this a softmax or sigmoid has saturated: the number says no more than "very sure".
_EDGE = 1e-7


@dataclass(frozen=True, slots=True)
class _Spec:
    """How the model wants its pixels and how its answer is read."""

    input: str
    output: str
    channels_first: bool
    dtype: Any
    batch: int | None
    side: int
    mean: NDArray[np.float32]
    std: NDArray[np.float32]
    probability: bool
    ai_index: int | None


class OnnxDetector:
    """A detector from one ONNX file, run by ONNX Runtime on the CPU with one thread.

    The file is read once; its SHA-256 is the detector's identity and exactly those bytes are run. Weights in
    further files ("external data") are refused: they would be outside the digest. The score is the mean logit
    over up to four native-scale crops of highest texture. Nothing is ever scaled up: images smaller than the
    crop, and images without any texture, are abstained from.

    Args:
        path: The ``.onnx`` file.

    Raises:
        PluginError: The file cannot be read.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = str(path)
        self.name = f"onnx:{Path(path).name}"
        self.digest = hashlib.sha256(self._read()).hexdigest()
        self._session: Any = None
        self._spec: _Spec | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_session": None, "_spec": None}

    def _read(self) -> bytes:
        try:
            return Path(self.path).read_bytes()
        except OSError as error:
            raise PluginError(
                f"detector {self.name}: {self.path}: expected an ONNX file, {error.strerror or error}",
                hint='set detection.detector = "onnx:/path/to/model.onnx", or "none"',
            ) from error

    def _broken(self, message: str, hint: str = "") -> PluginError:
        return PluginError(f"detector {self.name}: {message}", hint=hint or f"replace {self.path}")

    def prepare(self) -> None:
        """Load the model into this process.

        Raises:
            PluginError: Not an ONNX model, changed since the scan began, or not an image classifier.
        """
        import onnxruntime as ort

        data = self._read()
        found = hashlib.sha256(data).hexdigest()
        if found != self.digest:
            raise self._broken(
                f"expected sha256 {self.digest[:12]}…, found {found[:12]}…: the file has changed"
            )
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.log_severity_level = 4
        try:
            session = ort.InferenceSession(data, options, providers=["CPUExecutionProvider"])
            spec = self._describe(session)
        except PluginError:
            raise
        except Exception as error:  # ONNX Runtime raises a dozen unrelated types
            raise self._broken(f"not a model that ONNX Runtime can load: {_short(error)}") from error
        self._session, self._spec = session, spec

    def _describe(self, session: Any) -> _Spec:
        inputs, outputs = session.get_inputs(), session.get_outputs()
        if len(inputs) != 1:
            raise self._broken(f"expected one input, found {len(inputs)}")
        shape, kind = list(inputs[0].shape), inputs[0].type
        if kind not in _TYPES:
            raise self._broken(f"expected float, float16 or uint8 input, found {kind}")
        if len(shape) != 4 or (shape[1] != 3 and shape[3] != 3):
            raise self._broken(f"expected an RGB input (n, 3, h, w) or (n, h, w, 3), found {shape}")
        first = shape[1] == 3
        height, width = (shape[2], shape[3]) if first else (shape[1], shape[2])
        meta = {
            k: v for k, v in session.get_modelmeta().custom_metadata_map.items() if k.startswith("genepool.")
        }
        side = self._side(height, width, meta)
        output = meta.get("genepool.output", "logit")
        if output not in ("logit", "probability"):
            raise self._broken(f"genepool.output: expected logit or probability, found {output!r}")
        index = meta.get("genepool.ai_index")
        return _Spec(
            input=inputs[0].name,
            output=outputs[0].name,
            channels_first=first,
            dtype=_TYPES[kind],
            batch=shape[0] if isinstance(shape[0], int) else None,
            side=side,
            mean=self._triple(meta, "genepool.mean", 0.0),
            std=self._triple(meta, "genepool.std", 1.0),
            probability=output == "probability",
            ai_index=None if index is None else int(self._number(index, "genepool.ai_index")),
        )

    def _side(self, height: Any, width: Any, meta: Mapping[str, str]) -> int:
        fixed = [v for v in (height, width) if isinstance(v, int)]
        if len(set(fixed)) > 1:
            raise self._broken(f"expected a square input, found {height} × {width}")
        side = (
            fixed[0]
            if fixed
            else int(self._number(meta.get("genepool.crop", str(DEFAULT_SIDE)), "genepool.crop"))
        )
        if not 8 <= side <= 4096:
            raise self._broken(f"expected crops of 8 to 4096 pixels, found {side}")
        return side

    def _number(self, text: str, key: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            raise self._broken(f"{key}: expected a number, found {text!r}")
        return value

    def _triple(self, meta: Mapping[str, str], key: str, default: float) -> NDArray[np.float32]:
        parts = meta[key].split(",") if key in meta else [str(default)] * 3
        values = np.array([self._number(p, key) for p in parts], np.float32)
        if values.shape != (3,) or (key.endswith("std") and not (values > 0).all()):
            raise self._broken(f"{key}: expected three numbers, for std above 0, found {meta.get(key)!r}")
        return values

    def score(self, view: ImageView) -> Score:
        """The mean logit of AI over native-scale crops, or an abstention.

        Raises:
            PluginError: The model's answer does not have the shape that its input promised.
        """
        if self._spec is None:
            self.prepare()
        spec = self._spec
        assert spec is not None  # noqa: S101  # prepare() sets it or raises
        crops = view.crops(CROPS, spec.side)
        if not crops:
            return Score(None, f"smaller than the detector's {spec.side}-pixel crop")
        crops = [crop for crop in crops if crop.min() != crop.max()]
        if not crops:
            return Score(None, "no texture: every crop is one flat colour")
        logits = self._logits(np.stack(crops), spec)
        if not np.isfinite(logits).all():
            return Score(None, f"{FAILED}detector {self.name} answered with a number that is not finite")
        return Score(float(np.mean(logits)))

    def _logits(self, crops: NDArray[np.uint8], spec: _Spec) -> NDArray[np.float64]:
        found: list[NDArray[np.float64]] = []
        step = spec.batch or len(crops)
        for start in range(0, len(crops), step):
            part = crops[start : start + step]
            padding = step - len(part)
            full = np.concatenate([part, np.repeat(part[-1:], padding, axis=0)]) if padding else part
            try:
                (answer,) = self._session.run([spec.output], {spec.input: _pixels(full, spec)})
            except Exception as error:  # ONNX Runtime raises a dozen unrelated types
                raise self._broken(f"cannot be run on a {spec.side}-pixel crop: {_short(error)}") from error
            found.append(self._read_answer(np.asarray(answer), step, spec)[: len(part)])
        return np.concatenate(found)

    def _read_answer(self, answer: NDArray[Any], rows: int, spec: _Spec) -> NDArray[np.float64]:
        if answer.ndim == 0 or answer.shape[0] != rows or answer.size == 0 or answer.dtype.kind not in "fiu":
            raise self._broken(f"expected one row of numbers per crop ({rows}), found shape {answer.shape}")
        values = answer.reshape(rows, -1).astype(np.float64)
        columns = values.shape[1]
        index = spec.ai_index if spec.ai_index is not None else {1: 0, 2: 1}.get(columns, -1)
        if not 0 <= index < columns:
            raise self._broken(
                f"expected 1 or 2 output columns, found {columns}",
                hint="name the AI column in the model's metadata: genepool.ai_index",
            )
        if spec.probability:
            share = np.clip(values[:, index], _EDGE, 1 - _EDGE)
            # A value outside [0, 1] is no probability: let the caller see it as not finite.
            bad = (values[:, index] < -1e-6) | (values[:, index] > 1 + 1e-6)
            return np.asarray(np.where(bad, np.nan, np.log(share) - np.log1p(-share)))
        if columns == 1:
            return values[:, 0]
        rest = np.delete(values, index, axis=1)
        top = rest.max(axis=1)
        return np.asarray(values[:, index] - top - np.log(np.exp(rest - top[:, None]).sum(axis=1)))


def _pixels(crops: NDArray[np.uint8], spec: _Spec) -> NDArray[Any]:
    if spec.dtype is np.uint8:
        pixels: NDArray[Any] = crops
    else:
        scaled = crops.astype(np.float32) / np.float32(255)
        pixels = ((scaled - spec.mean) / spec.std).astype(spec.dtype)
    return np.ascontiguousarray(pixels.transpose(0, 3, 1, 2) if spec.channels_first else pixels)


def _short(error: BaseException) -> str:
    """First line of a library's message, without its source paths."""
    lines: Sequence[str] = str(error).splitlines() or [type(error).__name__]
    return lines[0].split(" : ")[-1][:200]
