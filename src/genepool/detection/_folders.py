"""A model's folder in the layout of the Hugging Face Hub: found on this machine, never unpickled."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genepool.errors import MissingExtra, PluginError
from genepool.records import ImageView

__all__ = ["ImagePreparation", "digest_of", "fetch_model", "find_folder", "read_json_file"]

FILES = ("config.json", "preprocessor_config.json")
_PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl", "*.h5", "*.msgpack")


def find_folder(place: str, name: str, revision: str | None = None) -> Path:
    """A local folder, or the snapshot of a Hub repository that was fetched before.

    Raises:
        PluginError: Neither is on this machine; the hint is the command that fetches it.
        MissingExtra: An id was given and huggingface_hub is not installed.
    """
    folder = Path(place).expanduser()
    if folder.is_dir():
        return folder
    if place.startswith(("/", ".", "~")) or place.count("/") > 1:
        raise PluginError(f"detector {name}: {place}: expected a folder with a model, found none")
    try:
        from huggingface_hub import snapshot_download
    except ImportError as error:
        raise MissingExtra(needs="huggingface_hub", extra="hub") from error
    try:
        return Path(snapshot_download(place, revision=revision, local_files_only=True))
    except Exception as error:  # the library raises many types, some of them ValueError
        raise PluginError(
            f"detector {name}: {place} is not on this machine, and a scan fetches nothing",
            hint=f"genepool plugins fetch-detector hf:{place}",
        ) from error


def fetch_model(repository: str, revision: str | None = None) -> tuple[Path, str]:
    """Download a repository's settings and safetensors weights into the Hub's cache. Nothing else is taken.

    Returns:
        The folder, and the digest that pins it.

    Raises:
        MissingExtra: huggingface_hub is not installed.
        PluginError: It cannot be reached, or holds no safetensors weights.
    """
    try:
        from huggingface_hub import snapshot_download
    except ImportError as error:
        raise MissingExtra(needs="huggingface_hub", extra="hub") from error
    try:
        allowed = ["*.json", "*.safetensors"]
        folder = Path(snapshot_download(repository, revision=revision, allow_patterns=allowed))
    except Exception as error:  # network, hub and disk: the library raises a dozen unrelated types
        first = (str(error).splitlines() or [""])[0][:200]
        raise PluginError(f"{repository}: cannot be fetched: {type(error).__name__}: {first}") from error
    return folder, digest_of(folder, f"hf:{repository}")[0]


def weights_in(folder: Path, name: str) -> list[Path]:
    """The safetensors files of a folder, sorted.

    Raises:
        PluginError: There are none.
    """
    found = sorted(folder.glob("*.safetensors"))
    if not found:
        pickled = [p.name for pattern in _PICKLES for p in sorted(folder.glob(pattern))]
        has = f"found {', '.join(pickled[:3])}, which loading would execute" if pickled else "found none"
        raise PluginError(
            f"detector {name}: expected weights as .safetensors, {has}",
            hint="convert them in an environment you trust: model.save_pretrained(FOLDER)",
        )
    return found


def digest_of(folder: Path, name: str) -> tuple[str, str]:
    """Identity of a model folder: SHA-256 over settings and weights, and of the weights where it is one file.

    Raises:
        PluginError: No weights, or a file that cannot be read.
    """
    weights = weights_in(folder, name)
    whole = hashlib.sha256()
    single = ""
    for path in [*(folder / file for file in FILES if (folder / file).is_file()), *weights]:
        try:
            with path.open("rb") as stream:
                found = hashlib.file_digest(stream, "sha256").hexdigest()
        except OSError as error:
            raise PluginError(
                f"detector {name}: {path}: cannot be read: {error.strerror or error}"
            ) from error
        whole.update(f"{path.name}:{found}\n".encode())
        single = found
    return whole.hexdigest(), single if len(weights) == 1 else ""


def read_json_file(path: Path, name: str) -> dict[str, Any]:
    """A JSON object from a model's folder.

    Raises:
        PluginError: Not there, or not a JSON object.
    """
    try:
        data = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise PluginError(f"detector {name}: {path}: expected a JSON object: {error}") from error
    if not isinstance(data, dict):
        raise PluginError(f"detector {name}: {path}: expected a JSON object, found {type(data).__name__}")
    return data


@dataclass(frozen=True, slots=True)
class ImagePreparation:
    """``preprocessor_config.json`` in our own hands: resize, crop, rescale, normalise; never scaled up.

    Attributes:
        resize: ``(height, width)``, or ``(shortest,)``, or empty: as it is.
        crop: ``(height, width)`` of the centre crop, or empty.
        resample: PIL's number of the filter (2 bilinear, 3 bicubic).
        factor: Multiplies pixels in [0, 255].
        mean, std: Normalisation after that.
    """

    resize: tuple[int, ...]
    crop: tuple[int, ...]
    resample: int
    factor: float
    mean: tuple[float, ...]
    std: tuple[float, ...]

    @classmethod
    def read(cls, data: Mapping[str, Any], name: str, side: int = 0) -> ImagePreparation:
        """From the file's content; ``side`` is the model's own input size, where the file names none.

        Raises:
            PluginError: It asks for something that is not understood.
        """
        resize: tuple[int, ...] = ()
        if data.get("do_resize", True):
            resize = _size(data.get("size") or side, name)
        crop: tuple[int, ...] = ()
        if data.get("do_center_crop", False):
            crop = _size(data.get("crop_size") or data.get("size") or side, name)
        if len(crop) == 1:
            crop = (crop[0], crop[0])
        if data.get("do_pad") or data.get("crop_pct"):
            raise PluginError(f"detector {name}: preprocessor_config.json asks for padding or crop_pct")
        normalise = data.get("do_normalize", True)
        mean, std = (
            tuple(float(v) for v in data.get(key, [default] * 3)) if normalise else (default,) * 3
            for key, default in (("image_mean", 0.0), ("image_std", 1.0))
        )
        if len(mean) != 3 or len(std) != 3 or min(std) <= 0:
            raise PluginError(f"detector {name}: preprocessor_config.json: expected three means and stds")
        factor = float(data.get("rescale_factor", 1 / 255)) if data.get("do_rescale", True) else 1.0
        return cls(resize, crop, int(data.get("resample", 2)), factor, mean, std)

    def needs(self) -> tuple[int, int]:
        """Least height and width of an image that need not be scaled up."""
        target = self.resize or self.crop or (1, 1)
        return (target[0], target[-1])

    def __call__(self, view: ImageView) -> tuple[NDArray[np.float32] | None, str]:
        """``(3, height, width)`` float32, or None and why."""
        from PIL import Image

        height, width = view.pixels.shape[:2]
        least_height, least_width = self.needs()
        if height < least_height or width < least_width:
            return None, f"smaller than the {least_height} × {least_width} pixels that the detector sees"
        if (view.pixels == view.pixels[0, 0]).all():
            return None, "no texture: the image is one flat colour"
        picture = Image.fromarray(view.pixels)
        if self.resize:
            if len(self.resize) == 2:
                target = (self.resize[1], self.resize[0])
            else:
                short = self.resize[0]
                long = int(short * max(height, width) / min(height, width))
                target = (short, long) if width <= height else (long, short)
            picture = picture.resize(target, Image.Resampling(self.resample))
        if self.crop:
            top, left = (picture.height - self.crop[0]) // 2, (picture.width - self.crop[1]) // 2
            picture = picture.crop((left, top, left + self.crop[1], top + self.crop[0]))
        pixels = np.asarray(picture, np.float32) * np.float32(self.factor)
        mean, std = np.array(self.mean, np.float32), np.array(self.std, np.float32)
        return np.ascontiguousarray(((pixels - mean) / std).transpose(2, 0, 1), dtype=np.float32), ""


def _size(value: Any, name: str) -> tuple[int, ...]:
    if isinstance(value, int) and value > 0:
        return (value,)
    if isinstance(value, Mapping):
        if {"height", "width"} <= set(value):
            return (int(value["height"]), int(value["width"]))
        if "shortest_edge" in value and "longest_edge" not in value:
            return (int(value["shortest_edge"]),)
    raise PluginError(f"detector {name}: preprocessor_config.json: size {value!r} is not understood")
