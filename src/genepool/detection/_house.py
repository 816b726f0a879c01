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
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from genepool.compute import Batched, Placement, open_session, settle
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


class _Sight(NamedTuple):
    """What is judged of one picture: the view, native crops of one size, the middle square reduced."""

    view: ImageView
    crops: list[Rgb]
    small: Rgb


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
        remarks: Where the forensic expert runs, when that is not simply the CPU.

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
        self._placement = Placement()
        self._expert: Batched | None = None
        self._stack: dict[str, NDArray[Any]] = {}
        self.remarks: tuple[str, ...] = ()

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_expert": None, "_stack": {}}

    def place(self, placement: Placement) -> None:
        """Choose where both experts run, before `prepare`; elsewhere they must agree within a tolerance."""
        self._placement, self._expert = placement, None
        self._embedder.place(placement)

    @property
    def batch(self) -> int:
        """Images that it would rather judge together; 1 before `prepare`."""
        return max(self._embedder.batch, self._expert.tuning.size // CROPS if self._expert else 1)

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
        data = self._read("forensic.onnx")
        try:
            opened = open_session(data, self._placement.provider)
            with np.load(io.BytesIO(self._read("stack.npz")), allow_pickle=False) as held:
                self._stack = {key: held[key] for key in held.files}
        except PluginError:
            raise
        except Exception as error:  # ONNX Runtime and numpy raise a dozen unrelated types
            raise PluginError(f"detector house: its model is damaged: {error}", hint="reinstall") from error

        # A batch is counted in pictures; the expert is shown their crops.
        asked = self._placement._replace(batch=CROPS * self._placement.batch)
        settled = settle("detector house", opened, data, asked, _run, _noise)
        self._expert, self.remarks = settled.run, settled.remarks
        self._embedder.prepare()

    def score(self, view: ImageView) -> Score:
        """The stacked logit of AI, the less sure of two looks, or an abstention."""
        return self.score_all([view])[0]

    def score_all(self, views: Sequence[ImageView]) -> list[Score]:
        """As `score`, for several images: the experts are shown all their crops in batches."""
        if self._expert is None:
            self.prepare()
        scores: list[Score] = []
        sights: dict[int, _Sight] = {}
        for k, view in enumerate(views):
            found = _sight(view)
            if isinstance(found, str):
                scores.append(Score(None, found))
            else:
                scores.append(Score(0.0))
                sights[k] = found
        if len(sights) > 1:
            # The embedder's own view, unless that was enlarged: a detector must not see interpolated pixels.
            self._embedder.foresee([s.view for s in sights.values() if s.small.shape[0] == SIDE])
        trunks = [self._trunk(sight) for sight in sights.values()]
        first = dict(zip(sights, self._joined([s.crops for s in sights.values()], trunks), strict=True))
        sure = {k: sights[k] for k, logit in first.items() if abs(logit) >= float(self._stack["sure"])}
        again = dict(zip(sure, self._again(list(sure.values())), strict=True))
        for k, logit in first.items():
            if k not in again:
                scores[k] = Score(logit)
            elif (logit > 0) != (again[k] > 0):
                scores[k] = Score(0.0, "the verdict turns when the picture is saved again")
            else:
                scores[k] = Score(min(logit, again[k], key=abs))
        return scores

    def _trunk(self, sight: _Sight) -> NDArray[np.float32]:
        if sight.small.shape[0] == SIDE:
            return self._embedder.look(sight.view).trunk
        return self._embedder.look_at(sight.small[None])[0].trunk

    def _again(self, sights: list[_Sight]) -> list[float]:
        """The answers to the same views after one more lossy encoding."""
        trunks: list[NDArray[np.float32]] = [np.zeros(0, np.float32)] * len(sights)
        encoded = [_encoded(sight.small) for sight in sights]
        for places in _alike([small.shape[0] for small in encoded]):
            looks = self._embedder.look_at(np.stack([encoded[k] for k in places]))
            for k, look in zip(places, looks, strict=True):
                trunks[k] = look.trunk
        return self._joined([[_encoded(crop) for crop in sight.crops] for sight in sights], trunks)

    def _joined(self, crops: list[list[Rgb]], trunks: list[NDArray[np.float32]]) -> list[float]:
        """The stacked logit of each picture."""
        logits: list[float] = [0.0] * len(crops)
        for places in self._together(crops):
            rows = self.forensic(np.concatenate([np.stack(crops[k]) for k in places]))
            at = 0
            for k in places:
                logits[k] = self.join(rows[at : at + len(crops[k])], self.probe(trunks[k]))
                at += len(crops[k])
        return logits

    def _together(self, crops: list[list[Rgb]]) -> list[list[int]]:
        """Which pictures the forensic expert sees in one call: one each, or all whose crops have one size."""
        assert self._expert is not None  # noqa: S101  # prepare() sets it or raises
        if self._expert.tuning.size == 1:
            return [[k] for k in range(len(crops))]
        return _alike([each[0].shape[0] for each in crops])

    def forensic(self, crops: Rgb) -> NDArray[np.float32]:
        """Logits of ``(n, side, side, 3)`` crops."""
        if self._expert is None:
            self.prepare()
        assert self._expert is not None  # noqa: S101  # prepare() sets it or raises
        # A picture's own crops always go together: that is what was measured, and cheapest on a processor.
        run = self._expert.answer if self._expert.tuning.size == 1 else self._expert
        logits: NDArray[np.float32] = run(crops)[0]
        return logits

    def probe(self, trunk: NDArray[np.float32]) -> float:
        """Logit of the embedder's trunk features under the linear probe."""
        return float(trunk @ self._stack["probe_weight"] + self._stack["probe_bias"])

    def join(self, forensic: NDArray[np.float32], probe: float) -> float:
        """The stacked logit."""
        weight = self._stack["weight"]
        return float(weight @ (forensic.mean(), probe) + self._stack["bias"])


def _sight(view: ImageView) -> _Sight | str:
    """What is judged of a picture, or why nothing is."""
    height, width = view.pixels.shape[:2]
    if min(height, width) < LEAST:
        return f"smaller than {LEAST} pixels: nothing is ever enlarged"
    side = min(CROP_SIDE, min(height, width) // 16 * 16)
    crops = [crop for crop in view.crops(CROPS, side) if crop[..., 1].std() >= FLAT]
    if not crops:
        return "no texture: every crop is nearly one colour"
    return _Sight(view, crops, middle(view.thumbnail(SIDE)))


def _alike(sides: list[int]) -> list[list[int]]:
    """Positions, grouped by size."""
    found: dict[int, list[int]] = {}
    for k, side in enumerate(sides):
        found.setdefault(side, []).append(k)
    return list(found.values())


def _run(session: Any, crops: Rgb) -> Sequence[NDArray[np.float32]]:
    logits: Sequence[NDArray[np.float32]] = session.run(["logit"], {"rgb": crops})
    return logits


def _noise(n: int) -> Rgb:
    return np.random.default_rng(0).integers(0, 256, (n, CROP_SIDE, CROP_SIDE, 3), dtype=np.uint8)


def _encoded(rgb: Rgb) -> Rgb:
    import simplejpeg

    data = simplejpeg.encode_jpeg(np.ascontiguousarray(rgb), quality=QUALITY, colorsubsampling="420")
    out: Rgb = simplejpeg.decode_jpeg(data)
    return out
