"""How a model wants its pixels, and where that is written down.

=====================
========================================================================================== key
   meaning (default) =====================
   ==========================================================================================
``crop``               side in pixels of what the model sees, where its height and width are free (256)
``view``               ``crops``: up to four native-scale crops of highest texture; ``whole``: the image
reduced
                       until its short side is ``crop``, then its middle square (``crops``)
``mean``, ``std``      three numbers: pixels in [0, 1] minus mean, over std (0 and 1); float inputs only
``scale``              what white is before mean and std: 1 or 255 (1); float inputs only
``channels``           ``rgb`` or ``bgr`` (``rgb``)
``output``             ``logit`` or ``probability`` (``logit``)
``ai_index``           which output column speaks for AI (0 of one, 1 of two)
=====================
==========================================================================================

An ONNX file carries them in its custom metadata (``metadata_props``) as ``genepool.<key>``, numbers separated
by commas; a file ``<model>.toml`` beside it says the same in TOML and outranks the metadata.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genepool._toml import TomlProblem, parse_toml
from genepool.errors import PluginError
from genepool.records import ImageView

__all__ = ["KEYS", "Pixels", "read_keys", "read_sidecar"]

KEYS = ("crop", "view", "mean", "std", "scale", "channels", "output", "ai_index")
CROPS = 4
DEFAULT_SIDE = 256

Fail = Callable[[str], PluginError]


@dataclass(frozen=True, slots=True)
class Pixels:
    """What `read_keys` found; ``side`` in pixels."""

    side: int
    whole: bool
    mean: NDArray[np.float32]
    std: NDArray[np.float32]
    scale: float
    bgr: bool
    probability: bool
    ai_index: int | None

    def views(self, view: ImageView) -> tuple[list[NDArray[np.uint8]], str]:
        """What the model is shown, each ``(side, side, 3)`` uint8 RGB; or nothing, and why.

        Nothing is ever scaled up: a smaller image, a strip, a flat colour gives nothing.
        """
        if self.whole:
            small = view.thumbnail(self.side) if min(view.pixels.shape[:2]) >= self.side else None
            if small is None:
                return [], f"smaller than the {self.side} pixels that the detector sees"
            top, left = ((n - self.side) // 2 for n in small.shape[:2])
            found = [small[top : top + self.side, left : left + self.side]]
        else:
            found = view.crops(CROPS, self.side)
            if not found:
                return [], f"smaller than the detector's {self.side}-pixel crop"
        found = [crop for crop in found if (crop != crop[0, 0]).any()]
        return found, "" if found else "no texture: every crop is one flat colour"

    def prepared(self, crops: NDArray[np.uint8], dtype: Any) -> NDArray[Any]:
        """Crops ``(n, side, side, 3)`` as the model's numbers, same shape."""
        ordered = crops[..., ::-1] if self.bgr else crops
        if dtype is np.uint8:
            return np.ascontiguousarray(ordered)
        scaled = ordered.astype(np.float32) / np.float32(255)
        return np.asarray(((scaled - self.mean) / self.std * np.float32(self.scale)).astype(dtype))


def read_sidecar(path: Path, fail: Fail) -> tuple[dict[str, str], bytes]:
    """The keys of ``<model>.toml`` as text, and its bytes; empty where there is none.

    Raises:
        PluginError: Not TOML, or it holds an unknown key.
    """
    place = path.with_name(path.name + ".toml")
    try:
        data = place.read_bytes()
        content = parse_toml(data.decode())
    except (FileNotFoundError, NotADirectoryError):
        return {}, b""
    except (OSError, UnicodeDecodeError, TomlProblem) as error:
        raise fail(f"{place}: expected TOML: {error}") from error
    unknown = sorted(set(content) - set(KEYS))
    if unknown:
        raise fail(f"{place}: unknown key `{unknown[0]}`; known: {', '.join(KEYS)}")
    return {
        key: ",".join(map(str, value)) if isinstance(value, list) else str(value)
        for key, value in content.items()
    }, data


def read_keys(meta: Mapping[str, str], fixed: int | None, fail: Fail) -> Pixels:
    """Keys as text → `Pixels`.

    Args:
        meta: Without the prefix ``genepool.``.
        fixed: The side that the model itself fixes, if it does.
        fail: Makes the error, naming the model.

    Raises:
        PluginError: A value that cannot be.
    """
    side = fixed if fixed is not None else int(_number(meta.get("crop", str(DEFAULT_SIDE)), "crop", fail))
    if not 8 <= side <= 4096:
        raise fail(f"expected crops of 8 to 4096 pixels, found {side}")
    index = meta.get("ai_index")
    return Pixels(
        side=side,
        whole=_word(meta, "view", ("crops", "whole"), fail) == "whole",
        mean=_triple(meta, "mean", 0.0, fail),
        std=_triple(meta, "std", 1.0, fail),
        scale=float(_word(meta, "scale", ("1", "255"), fail)),
        bgr=_word(meta, "channels", ("rgb", "bgr"), fail) == "bgr",
        probability=_word(meta, "output", ("logit", "probability"), fail) == "probability",
        ai_index=None if index is None else int(_number(index, "ai_index", fail)),
    )


def _word(meta: Mapping[str, str], key: str, known: tuple[str, ...], fail: Fail) -> str:
    word = meta.get(key, known[0])
    if word not in known:
        raise fail(f"genepool.{key}: expected {' or '.join(known)}, found {word!r}")
    return word


def _number(text: str, key: str, fail: Fail) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise fail(f"genepool.{key}: expected a number, found {text!r}")
    return value


def _triple(meta: Mapping[str, str], key: str, default: float, fail: Fail) -> NDArray[np.float32]:
    parts = meta[key].split(",") if key in meta else [str(default)] * 3
    values = np.array([_number(part, key, fail) for part in parts], np.float32)
    if values.shape != (3,) or (key == "std" and not (values > 0).all()):
        raise fail(f"genepool.{key}: expected three numbers, for std above 0, found {meta.get(key)!r}")
    return values
