"""Any ONNX model as a detector: the file says what it wants, and one that says it wrongly is named.

The input's layout, type and size are read from the model (ONNX IR specification, ``ValueInfoProto``).
What the graph cannot say stands in its metadata or in a file beside it (`genepool.detection._pixels`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genepool.compute import Batched, Placement, Tuning, open_session, settle
from genepool.detection._detectors import FAILED
from genepool.detection._naming import check_pin, options_of
from genepool.detection._pixels import Pixels, read_keys, read_sidecar
from genepool.errors import PluginError
from genepool.records import ImageView, Score

__all__ = ["OnnxDetector", "OnnxModel", "log_odds", "short"]

_TYPES: dict[str, Any] = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(uint8)": np.uint8,
}
# Beyond this a softmax or sigmoid has saturated: the number says no more than "very sure".
_EDGE = 1e-7
MOST = 64
"""Crops in one call where nothing else is said."""


@dataclass(frozen=True, slots=True)
class _Ports:
    """How pixels go in and the answer comes out."""

    input: str
    output: str
    channels_first: bool
    dtype: Any
    batch: int | None
    pixels: Pixels


class OnnxModel:
    """One ONNX file that takes RGB crops, run by ONNX Runtime: on the CPU, one thread, or where `place` says.

    The file is read once; its SHA-256 is its identity and exactly those bytes are run. Weights in further
    files ("external data") are refused: they would be outside the digest. A preprocessing file beside it
    (``<model>.toml``) is part of the identity.

    Args:
        spec: The ``.onnx`` file, ``path`` or ``path@sha256=<64 hex digits>``.

    Raises:
        PluginError: The file cannot be read, or is not the pinned one.
    """

    kind = "onnx"
    wanted = ""  # name of the output that is read; empty: the first

    def __init__(self, spec: str | Path) -> None:
        path, options = options_of(str(spec), ("sha256",))
        self.path = path
        self.name = f"{self.kind}:{Path(path).name}"
        weights = hashlib.sha256(self._read()).hexdigest()
        self._keys, sidecar = read_sidecar(Path(path), self.broken)
        self.weights = weights
        self.digest = hashlib.sha256(weights.encode() + sidecar).hexdigest() if sidecar else weights
        if wrong := check_pin(self.name, options.get("sha256"), weights, self.digest):
            raise PluginError(wrong, hint=f"replace {path}, or correct the pin")
        self._placement, self._tuning = Placement(), Tuning()
        self._session: Any = None
        self._ports: _Ports | None = None
        self.remarks: tuple[str, ...] = ()

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_session": None, "_ports": None}

    def place(self, placement: Placement) -> None:
        """Choose where the model runs, before `prepare`."""
        self._placement, self._session, self._ports = placement, None, None

    def _read(self) -> bytes:
        try:
            return Path(self.path).read_bytes()
        except OSError as error:
            raise PluginError(
                f"detector {self.name}: {self.path}: expected an ONNX file, {error.strerror or error}",
                hint='set detection.detector = "onnx:/path/to/model.onnx", or "none"',
            ) from error

    def broken(self, message: str, hint: str = "") -> PluginError:
        """The error that names this model."""
        return PluginError(f"detector {self.name}: {message}", hint=hint or f"replace {self.path}")

    def prepare(self) -> None:
        """Load the model into this process.

        Raises:
            PluginError: Not an ONNX model, changed since the scan began, or it takes no RGB crops.
        """
        data = self._read()
        found = hashlib.sha256(data).hexdigest()
        if found != self.weights:
            raise self.broken(
                f"expected sha256 {self.weights[:12]}…, found {found[:12]}…: the file has changed"
            )
        try:
            opened = open_session(data, self._placement.provider)
            ports = self._describe(opened.session)
        except PluginError:
            raise
        except Exception as error:  # ONNX Runtime raises a dozen unrelated types
            raise self.broken(f"not a model that ONNX Runtime can load: {short(error)}") from error
        self._session, self._ports, side = opened.session, ports, ports.pixels.side

        def noise(n: int) -> NDArray[np.uint8]:
            return np.random.default_rng(0).integers(0, 256, (n, side, side, 3), dtype=np.uint8)

        # A model that takes a fixed number of crops leaves nothing to choose.
        asked = self._placement if ports.batch is None else self._placement._replace(batch=1)
        try:
            settled = settle(f"detector {self.name}", opened, data, asked, self._in, noise)
        except PluginError:
            return  # it cannot be run: the first picture says so
        self._session, self._tuning, self.remarks = settled.session, settled.run.tuning, settled.remarks

    def _describe(self, session: Any) -> _Ports:
        inputs, outputs = session.get_inputs(), session.get_outputs()
        if len(inputs) != 1:
            raise self.broken(f"expected one input, found {len(inputs)}")
        shape, kind = list(inputs[0].shape), inputs[0].type
        if kind not in _TYPES:
            raise self.broken(f"expected float, float16 or uint8 input, found {kind}")
        if len(shape) != 4 or (shape[1] != 3 and shape[3] != 3):
            raise self.broken(f"expected an RGB input (n, 3, h, w) or (n, h, w, 3), found {shape}")
        first = shape[1] == 3
        height, width = (shape[2], shape[3]) if first else (shape[1], shape[2])
        fixed = [v for v in (height, width) if isinstance(v, int)]
        if len(set(fixed)) > 1:
            raise self.broken(f"expected a square input, found {height} × {width}")
        meta = {
            key.removeprefix("genepool."): value
            for key, value in session.get_modelmeta().custom_metadata_map.items()
            if key.startswith("genepool.")
        }
        return _Ports(
            input=inputs[0].name,
            output=self.wanted if self.wanted in {o.name for o in outputs} else outputs[0].name,
            channels_first=first,
            dtype=_TYPES[kind],
            batch=shape[0] if isinstance(shape[0], int) else None,
            pixels=read_keys({**meta, **self._keys}, fixed[0] if fixed else None, self.broken),
        )

    @property
    def ports(self) -> _Ports:
        """Inputs and outputs; the model is loaded where it was not."""
        if self._ports is None:
            self.prepare()
        assert self._ports is not None  # noqa: S101  # prepare() sets it or raises
        return self._ports

    def answers(self, crops: Sequence[NDArray[np.uint8]]) -> NDArray[np.float64]:
        """One row of numbers per crop, shape (n, columns).

        Raises:
            PluginError: The model cannot be run, or does not answer with one row per crop.
        """
        if self._session is None:
            self.prepare()
        shown = np.stack(crops)
        if self._tuning.size > 1:
            return np.asarray(Batched(partial(self._in, self._session), self._tuning)(shown)[0])
        parts = [shown[start : start + MOST] for start in range(0, len(shown), MOST)]
        return np.concatenate([self._in(self._session, part)[0] for part in parts])

    def _in(self, session: Any, crops: NDArray[np.uint8]) -> list[NDArray[np.float64]]:
        """One row per crop, in calls of the number of crops that the model takes, if it fixes one."""
        step, found = self.ports.batch or len(crops), []
        for start in range(0, len(crops), step):
            part = crops[start : start + step]
            fill = step - len(part)
            full = np.concatenate([part, np.repeat(part[-1:], fill, axis=0)]) if fill else part
            found.append(self._run(session, full)[: len(part)])
        return [np.concatenate(found)]

    def _run(self, session: Any, crops: NDArray[np.uint8]) -> NDArray[np.float64]:
        """One call of the model, ``(n, side, side, 3)`` → ``(n, columns)``."""
        ports = self.ports
        pixels = ports.pixels.prepared(crops, ports.dtype)
        if ports.channels_first:
            pixels = np.ascontiguousarray(pixels.transpose(0, 3, 1, 2))
        try:
            (answer,) = session.run([ports.output], {ports.input: pixels})
        except Exception as error:  # ONNX Runtime raises a dozen unrelated types
            side = ports.pixels.side
            raise self.broken(f"cannot be run on a {side}-pixel crop: {short(error)}") from error
        rows, n = np.asarray(answer), len(crops)
        if rows.ndim == 0 or rows.shape[0] != n or rows.size == 0 or rows.dtype.kind not in "fiu":
            raise self.broken(f"expected one row of numbers per crop ({n}), found shape {rows.shape}")
        return np.asarray(rows.reshape(n, -1).astype(np.float64))


class OnnxDetector(OnnxModel):
    """A detector from one ONNX file: the mean logit of AI over the crops that the model is shown.

    Up to four native-scale crops of highest texture, or the whole image reduced, as the model's keys say.
    Nothing is ever scaled up: images smaller than the crop, and images without any texture, are abstained
    from.
    """

    @property
    def batch(self) -> int:
        """Images that it would rather judge together; 1 before `prepare`."""
        return self._tuning.size

    def score(self, view: ImageView) -> Score:
        """The mean logit, or an abstention.

        Raises:
            PluginError: The model's answer does not have the shape that its input promised.
        """
        return self.score_all([view])[0]

    def score_all(self, views: Sequence[ImageView]) -> list[Score]:
        """As `score`, for several images whose crops the model is shown together."""
        seen = [self.ports.pixels.views(view) for view in views]
        crops = [crop for each, _ in seen for crop in each]
        rows = self.answers(crops) if crops else np.zeros((0, 1))
        scores, at = [], 0
        for each, reason in seen:
            scores.append(self._judged(rows[at : at + len(each)]) if each else Score(None, reason))
            at += len(each)
        return scores

    def _judged(self, values: NDArray[np.float64]) -> Score:
        logits = self._logits(values)
        if not np.isfinite(logits).all():
            return Score(None, f"{FAILED}detector {self.name} answered with a number that is not finite")
        return Score(float(np.mean(logits)))

    def _logits(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        keys = self.ports.pixels
        columns = values.shape[1]
        index = keys.ai_index if keys.ai_index is not None else {1: 0, 2: 1}.get(columns, -1)
        if not 0 <= index < columns:
            raise self.broken(
                f"expected 1 or 2 output columns, found {columns}",
                hint="name the AI column: genepool.ai_index in its metadata, or ai_index in a .toml file",
            )
        if keys.probability:
            share = np.clip(values[:, index], _EDGE, 1 - _EDGE)
            # A value outside [0, 1] is no probability: let the caller see it as not finite.
            bad = (values[:, index] < -1e-6) | (values[:, index] > 1 + 1e-6)
            return np.asarray(np.where(bad, np.nan, np.log(share) - np.log1p(-share)))
        return log_odds(values, index)


def log_odds(values: NDArray[np.float64], index: int) -> NDArray[np.float64]:
    """Log odds of one column under the softmax of all; a single column is a logit already."""
    if values.shape[1] == 1:
        return values[:, 0]
    rest = np.delete(values, index, axis=1)
    top = rest.max(axis=1)
    with np.errstate(invalid="ignore"):  # what is not finite stays so, and is seen by the caller
        return np.asarray(values[:, index] - top - np.log(np.exp(rest - top[:, None]).sum(axis=1)))


def short(error: BaseException) -> str:
    """First line of a library's message, without its source paths."""
    lines: Sequence[str] = str(error).splitlines() or [type(error).__name__]
    return lines[0].split(" : ")[-1][:200]
