"""`HouseDetector`: the detector that ships, two experts in a few megabytes, less sure than it could be.

The forensic expert looks at native-scale crops, the probe at the embedder's view of the whole; a logistic
stack, fitted where both were tested on generators and human sources they had never seen, joins them
(docs/model-card-detector.md). Pictures are never enlarged. What looks decided is looked at once more after a
re-encoding, and the less sure of the two answers counts: a verdict that a thumbnail server could turn is
none.
"""

from __future__ import annotations

import hashlib
import io
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from genepool.embedding import SIDE, HouseEmbedder, middle
from genepool.errors import PluginError
from genepool.records import Score

if TYPE_CHECKING:
    from genepool.records import ImageView

__all__ = ["HouseDetector"]

CROPS = 2
CROP_SIDE = 192
LEAST = 128
# Below this spread (8-bit steps, standard deviation of green) a crop shows no texture to judge.
FLAT = 2.0
QUALITY = 75
Rgb = NDArray[np.uint8]


class HouseDetector:
    """The embedded detector.

    Views used for a verdict: up to two native crops of highest texture (192 pixels, or the largest
    multiple of 16 that fits, from 128), and the middle square of the picture reduced to 176 pixels. Where
    the first answer is not near even, the same views after JPEG quality 75.

    Args:
        folder: Another set of the three files (training uses it); None: those in the package.

    Attributes:
        name: ``house``.
        digest: SHA-256 over the forensic expert, the stack and the embedder, so that a calibration holds for
            exactly these.

    Raises:
        PluginError: A file is missing.
    """

    name = "house"

    def __init__(self, folder: str | Path | None = None) -> None:
        self._folder = None if folder is None else str(folder)
        own = None if folder is None else Path(folder) / "embedder.onnx"
        self._embedder = HouseEmbedder(own if own is not None and own.is_file() else None)
        whole = hashlib.sha256()
        for name in ("forensic.onnx", "stack.npz"):
            whole.update(hashlib.sha256(self._read(name)).digest())
        whole.update(bytes.fromhex(self._embedder.digest))
        self.digest = whole.hexdigest()
        self._session: Any = None
        self._stack: dict[str, NDArray[Any]] = {}

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_session": None, "_stack": {}}

    def _read(self, name: str) -> bytes:
        try:
            if self._folder is not None:
                return (Path(self._folder) / name).read_bytes()
            return resources.files("genepool.detection").joinpath("model", name).read_bytes()
        except OSError as error:
            raise PluginError(
                f"detector house: {name} cannot be read: {error.strerror or error}",
                hint='reinstall genepool, or set detection.detector = "none"',
            ) from error

    def prepare(self) -> None:
        """Load both experts into this process.

        Raises:
            PluginError: A file is damaged.
        """
        import onnxruntime as ort

        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.log_severity_level = 4
        try:
            self._session = ort.InferenceSession(
                self._read("forensic.onnx"), options, providers=["CPUExecutionProvider"]
            )
            with np.load(io.BytesIO(self._read("stack.npz")), allow_pickle=False) as data:
                self._stack = {key: data[key] for key in data.files}
        except PluginError:
            raise
        except Exception as error:  # ONNX Runtime and numpy raise a dozen unrelated types
            raise PluginError(f"detector house: its model is damaged: {error}", hint="reinstall") from error
        self._embedder.prepare()

    def score(self, view: ImageView) -> Score:
        """The stacked logit of AI, the less sure of two looks, or an abstention."""
        if self._session is None:
            self.prepare()
        height, width = view.pixels.shape[:2]
        if min(height, width) < LEAST:
            return Score(None, f"smaller than {LEAST} pixels: nothing is ever enlarged")
        side = min(CROP_SIDE, min(height, width) // 16 * 16)
        crops = [crop for crop in view.crops(CROPS, side) if crop[..., 1].std() >= FLAT]
        if not crops:
            return Score(None, "no texture: every crop is nearly one colour")
        small = middle(view.thumbnail(SIDE))
        # The embedder's own view, unless that was enlarged: a detector must not see interpolated pixels.
        shared = small.shape[0] == SIDE
        look = self._embedder.look(view) if shared else self._embedder.look_at(small[None])[0]
        first = self.join(self.forensic(np.stack(crops)), self.probe(look.trunk))
        if abs(first) < float(self._stack["sure"]):
            return Score(first)
        again = self._again(small, crops)
        if (first > 0) != (again > 0):
            return Score(0.0, "the verdict turns when the picture is saved again")
        return Score(min(first, again, key=abs))

    def _again(self, small: Rgb, crops: list[Rgb]) -> float:
        """The answer to the same views after one more lossy encoding."""
        look = self._embedder.look_at(_encoded(small)[None])[0]
        encoded = np.stack([_encoded(crop) for crop in crops])
        return self.join(self.forensic(encoded), self.probe(look.trunk))

    def forensic(self, crops: Rgb) -> NDArray[np.float32]:
        """Logits of ``(n, side, side, 3)`` crops."""
        logits: NDArray[np.float32] = self._session.run(["logit"], {"rgb": crops})[0]
        return logits

    def probe(self, trunk: NDArray[np.float32]) -> float:
        """Logit of the embedder's trunk features under the linear probe."""
        return float(trunk @ self._stack["probe_weight"] + self._stack["probe_bias"])

    def join(self, forensic: NDArray[np.float32], probe: float) -> float:
        """The stacked logit."""
        weight = self._stack["weight"]
        return float(weight @ (forensic.mean(), probe) + self._stack["bias"])


def _encoded(rgb: Rgb) -> Rgb:
    import simplejpeg

    data = simplejpeg.encode_jpeg(np.ascontiguousarray(rgb), quality=QUALITY, colorsubsampling="420")
    out: Rgb = simplejpeg.decode_jpeg(data)
    return out
