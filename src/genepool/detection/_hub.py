"""Image classifiers in the Hugging Face layout as detectors: ``hf:ORG/NAME`` or ``hf:/path/to/folder``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from genepool.detection._folders import ImagePreparation, digest_of, find_folder, read_json_file
from genepool.detection._naming import check_pin, options_of
from genepool.detection._onnx import log_odds, short
from genepool.errors import MissingExtra, PluginError
from genepool.records import ImageView, Score

__all__ = ["HuggingFaceDetector"]

_AI = {"ai", "fake", "synthetic", "artificial", "generated", "deepfake", "machine"}
_HUMAN = {"human", "real", "hum", "natural", "authentic", "realism", "original"}


class HuggingFaceDetector:
    """A classifier of ``transformers``, run by torch on the CPU with one thread.

    Only files that are already on this machine are read, weights only as safetensors, and no code of the
    repository is run. The identity is the SHA-256 over settings and weights. Which label means AI is read
    from the label names, or said: ``hf:ORG/NAME@ai=LABEL``.

    Args:
        spec: ``ORG/NAME`` or a folder, with ``@sha256=…,ai=LABEL,revision=…`` as needed.

    Raises:
        PluginError: Not on this machine, not safetensors, not the pinned one, or its labels do not say which
            is AI.
    """

    def __init__(self, spec: str) -> None:
        place, options = options_of(spec, ("sha256", "ai", "revision"))
        self.name = f"hf:{place.rstrip('/').rpartition('/')[2] if place.startswith('/') else place}"
        self.folder = str(find_folder(place, self.name, options.get("revision")))
        folder = find_folder(self.folder, self.name)
        self.digest, weights = digest_of(folder, self.name)
        if wrong := check_pin(self.name, options.get("sha256"), self.digest, weights):
            raise PluginError(wrong, hint=f"replace {self.folder}, or correct the pin")
        config = read_json_file(folder / "config.json", self.name)
        self.ai_index = _ai_label(config, options.get("ai"), self.name)
        side = config.get("image_size")
        keys = folder / "preprocessor_config.json"
        self.preparation = ImagePreparation.read(
            read_json_file(keys, self.name), self.name, side if isinstance(side, int) else 0
        )
        self._model: Any = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_model": None}

    def prepare(self) -> None:
        """Load the model into this process.

        Raises:
            MissingExtra: transformers or torch is not installed.
            PluginError: The files do not hold such a model, or have changed since the scan began.
        """
        try:
            import torch
            from transformers import AutoModelForImageClassification
        except ImportError as error:
            raise MissingExtra(needs="transformers with torch", extra="hub") from error
        folder = find_folder(self.folder, self.name)
        if digest_of(folder, self.name)[0] != self.digest:
            raise PluginError(f"detector {self.name}: its files have changed since the scan began")
        torch.set_num_threads(1)
        try:
            model = AutoModelForImageClassification.from_pretrained(
                self.folder, local_files_only=True, use_safetensors=True, trust_remote_code=False
            )
        except Exception as error:  # a stranger's files may make the library raise anything
            raise PluginError(
                f"detector {self.name}: not a model that transformers can load: {short(error)}",
                hint=f"replace {self.folder}",
            ) from error
        self._model = model.eval()

    def score(self, view: ImageView) -> Score:
        """Log odds of the AI label for the image as the model's settings prepare it, or an abstention.

        Raises:
            PluginError: The model cannot be run on what its settings prepare.
        """
        pixels, reason = self.preparation(view)
        if pixels is None:
            return Score(None, reason)
        if self._model is None:
            self.prepare()
        import torch

        try:
            with torch.inference_mode():
                answer = self._model(pixel_values=torch.from_numpy(pixels[None])).logits
        except Exception as error:  # a stranger's model may raise anything
            raise PluginError(f"detector {self.name}: cannot be run: {short(error)}") from error
        values = np.asarray(answer.double().numpy()).reshape(1, -1)
        if not self.ai_index < values.shape[1]:
            raise PluginError(f"detector {self.name}: expected more than {self.ai_index} answers")
        return Score(float(log_odds(values, self.ai_index)[0]))


def _ai_label(config: Mapping[str, Any], wanted: str | None, name: str) -> int:
    """Which answer speaks for AI, from ``id2label``."""
    labels = config.get("id2label")
    if not isinstance(labels, Mapping) or not labels:
        raise PluginError(f"detector {name}: config.json: expected id2label, found none")
    named = {int(index): str(label) for index, label in labels.items()}
    if wanted is not None:
        found = [i for i, label in named.items() if label.lower() == wanted.lower()]
    else:
        words = {i: set(re.split(r"[^a-z]+", label.lower())) for i, label in named.items()}
        found = [i for i, said in words.items() if said & _AI and not said & _HUMAN]
    if len(found) != 1:
        raise PluginError(
            f"detector {name}: expected one label that means AI, found labels {', '.join(named.values())}",
            hint="say which: hf:ORG/NAME@ai=LABEL",
        )
    return found[0]
