"""A published preference model in the format of Hugging Face transformers, from a folder or the local cache.

Two kinds are understood: image classifiers (a number, or one label against the others) and models with one
tower for pictures and one for text, such as CLIP, whose score is the scaled cosine between picture and
caption.
"""

from __future__ import annotations

import contextlib
import json
import math
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genepool.errors import MissingExtra, PluginError, SourceError
from genepool.review._plugged import options_of, pinned

__all__ = ["TransformersPreference"]

_KEYS = ("label", "prompt", "revision")
_PARTS = (".safetensors", ".json", ".txt", ".model")


class TransformersPreference:
    """``transformers:FOLDER`` or ``transformers:OWNER/NAME``, with ``#sha256=…&label=…&prompt=…&revision=…``.

    Weights must be safetensors: others would be unpickled. Models that bring code of their own are refused. A
        name is
    looked up among what was downloaded before (``hf download OWNER/NAME``); nothing is fetched.

    Args:
        argument: The place and its options: ``label``, the class that is liked; ``prompt``, the text where an
            image has no caption; ``revision`` of a name.

    Raises:
        UsageError: An option that is none.
        SourceError: No such folder or download, or no safetensors in it.
        IntegrityError: Its SHA-256 is not the one asked for.
        MissingExtra: transformers is not installed.
    """

    def __init__(self, argument: str = "") -> None:
        place, self._options = options_of(argument, _KEYS)
        self.path = _folder(place, self._options.get("revision"))
        self.name = place if not Path(place).is_dir() else Path(place).name
        self.digest = pinned(self.name, _digest(self.path), self._options)
        self._model: Any = None
        self._text: dict[str, Any] = {}

    def prepare(self) -> None:
        """Load the model.

        Raises:
            PluginError: It is neither a classifier nor a picture-and-text model, or it brings code of its
                own.
            IntegrityError: The folder has changed since it was opened.
            MissingExtra: transformers or torch is not installed.
        """
        if self._model is not None:
            return
        try:
            import torch
            import transformers
        except ImportError as error:
            raise MissingExtra(needs=error.name or "transformers", extra="preference") from error
        pinned(self.name, _digest(self.path), {"sha256": self.digest})
        self._torch = torch
        options = {"local_files_only": True, "trust_remote_code": False}
        config = _config(self.path, self.name)
        words = config.get("architectures") or [""]
        self._classifier = any(str(w).endswith("ForImageClassification") for w in words)
        kind = transformers.AutoModelForImageClassification if self._classifier else transformers.AutoModel
        try:
            with _quietly(transformers):
                model = kind.from_pretrained(str(self.path), use_safetensors=True, **options)
                self._see = transformers.AutoImageProcessor.from_pretrained(
                    str(self.path), backend="pil", **options
                )
                if not self._classifier:
                    self._read = transformers.AutoTokenizer.from_pretrained(str(self.path), **options)
        except Exception as error:  # transformers raises whatever its parts raise
            raise self._broken(f"cannot be loaded: {type(error).__name__}: {error}"[:300]) from error
        model.eval()
        if self._classifier:
            self._index = self._label(model.config)
        elif not (hasattr(model, "get_image_features") and hasattr(model, "get_text_features")):
            raise self._broken(
                f"expected a classifier or a picture-and-text model, found {words[0] or 'neither'}"
            )
        self._model = model

    def _broken(self, message: str) -> PluginError:
        return PluginError(f"preference model {self.name}: {message}")

    def _label(self, config: Any) -> int | None:
        """The column that is liked; None: the model gives one number."""
        names = {str(name): int(i) for i, name in config.id2label.items()}
        wanted = self._options.get("label")
        if wanted is None and len(names) == 1:
            return None
        if wanted not in names:
            raise self._broken(
                f"expected #label= one of {', '.join(sorted(names))}, found {wanted or 'none'}"
            )
        return names[wanted]

    def score(self, pixels: NDArray[np.uint8], caption: str = "") -> float:
        """Logit of the liked class, or scaled cosine of picture and caption; NaN where there is no text."""
        self.prepare()
        torch = self._torch
        text = caption.strip() or self._options.get("prompt", "")
        if not self._classifier and not text:
            return math.nan
        # Processors guess the place of the colours from the shape: a PIL image leaves nothing to guess.
        from PIL import Image

        image = Image.fromarray(np.ascontiguousarray(pixels))
        with torch.no_grad():
            seen = self._see(images=image, return_tensors="pt")
            if self._classifier:
                logits = self._model(**seen).logits[0].double()
                if self._index is None:
                    return float(logits[0])
                rest = torch.cat([logits[: self._index], logits[self._index + 1 :]])
                return float(logits[self._index] - torch.logsumexp(rest, 0))
            picture = _unit(self._model.get_image_features(**seen))
            scale = getattr(self._model, "logit_scale", None)
            cosine = float((picture * self._words(text)).sum())
            return cosine * (float(scale.exp()) if scale is not None else 1.0)

    def _words(self, text: str) -> Any:
        if text not in self._text:
            limit = getattr(self._model.config, "text_config", self._model.config)
            tokens = self._read(
                [text],
                return_tensors="pt",
                padding=True,
                truncation=True,
                max_length=int(getattr(limit, "max_position_embeddings", 77)),
            )
            if len(self._text) > 1000:
                self._text.clear()
            self._text[text] = _unit(self._model.get_text_features(**tokens))
        return self._text[text]


def _unit(found: Any) -> Any:
    vector = getattr(found, "pooler_output", found)[0].double()
    return vector / vector.norm()


@contextlib.contextmanager
def _quietly(transformers: Any) -> Any:
    """No progress bars on a command's stderr."""
    logging = transformers.utils.logging
    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()


def _folder(place: str, revision: str | None) -> Path:
    path = Path(place)
    if not path.is_dir():
        try:
            import huggingface_hub
        except ImportError as error:
            raise MissingExtra(needs=error.name or "huggingface_hub", extra="preference") from error
        try:
            path = Path(huggingface_hub.snapshot_download(place, revision=revision, local_files_only=True))
        except Exception as error:  # its own family of errors, and whatever lies below
            raise SourceError(
                f"preference model {place}: neither a folder nor downloaded before",
                hint=f"hf download {place}",
            ) from error
    if not any(path.glob("*.safetensors")):
        raise SourceError(
            f"preference model {place}: expected weights as safetensors, found none",
            hint="other formats would be unpickled; convert them first",
        )
    return path


def _digest(path: Path) -> str:
    """SHA-256 over names and digests of all files that decide a score."""
    lines = []
    for part in sorted(p for p in path.iterdir() if p.suffix in _PARTS and p.is_file()):
        held = sha256()
        with part.open("rb") as file:
            while block := file.read(1 << 20):
                held.update(block)
        lines.append(f"{part.name} {held.hexdigest()}\n")
    return sha256("".join(lines).encode()).hexdigest()


def _config(path: Path, name: str) -> dict[str, Any]:
    try:
        config = json.loads((path / "config.json").read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise PluginError(f"preference model {name}: expected config.json, found {error}") from error
    if not isinstance(config, dict) or "auto_map" in config:
        raise PluginError(
            f"preference model {name}: it brings code of its own, which is not run",
            hint="export it to ONNX and use onnx:FILE",
        )
    return config
