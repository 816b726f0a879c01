"""The detector in the scan: three columns, and a failing model costs its vote, not the scan."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from genepool.compute import Placement, place
from genepool.detection._detectors import FAILED, AbstainingDetector
from genepool.errors import GenepoolError, PluginError
from genepool.records import Detector, ImageView, Score

if TYPE_CHECKING:
    from genepool.config import Config

__all__ = ["DetectionProbe"]


class DetectionProbe:
    """Runs one detector on each image.

    Columns: ``detector`` (``name@digest``, ``none`` for the one that always abstains), ``logit`` (null where
    it has no number) and ``abstained`` (why it decides nothing; a logit beside it is shown only). A model
    that cannot be loaded, raises or answers nonsense is named in ``abstained``, after ``failed:``, and the
    scan goes on.

    Args:
        detector: The judge; picklable before `prepare`.
    """

    name = "detection"
    columns: Mapping[str, str] = {"detector": "string", "logit": "float", "abstained": "string"}
    vectors: Mapping[str, int] = {}

    def __init__(self, detector: Detector) -> None:
        self.detector = detector
        self.identity = f"{detector.name}@{detector.digest}" if detector.digest else detector.name
        self.version = f"1+{self.identity}"
        self._failure = ""

    @classmethod
    def from_config(cls, config: Config) -> DetectionProbe:
        """The probe for ``detection.detector``.

        Raises:
            PluginError: There is no such detector, or its file cannot be read.
        """
        from genepool import plugins

        spec = config.detection.detector
        detector = AbstainingDetector() if spec in ("", "none") else plugins.create("detectors", spec)
        if not isinstance(detector, Detector):
            raise PluginError(
                f"plug-in {spec!r}: expected a detector (name, digest, prepare, score), "
                f"found {type(detector).__name__}"
            )
        place(detector, Placement(config.compute.provider, config.compute.batch))
        return cls(detector)

    def prepare(self) -> None:
        """Load the detector; a failure is remembered and silences it."""
        self._failure = ""
        try:
            self.detector.prepare()
        except Exception as error:  # a stranger's model may raise anything
            self._failure = self._named(error)

    @property
    def batch(self) -> int:
        """Images that the detector would rather judge together."""
        return 1 if self._failure else int(getattr(self.detector, "batch", 1))

    @property
    def remarks(self) -> tuple[str, ...]:
        """What the detector says of how it runs."""
        return () if self._failure else tuple(getattr(self.detector, "remarks", ()))

    def foresee(self, views: Sequence[ImageView]) -> None:
        """Let the detector judge several images at once, if it can; `examine` finds what it said."""
        judge = getattr(self.detector, "score_all", None)
        if judge is None or self._failure:
            return
        for view, score in zip(views, judge(views), strict=True):
            _once(view, self._key, partial(_given, score))

    @property
    def _key(self) -> str:
        return f"score {self.identity}"

    def examine(self, view: ImageView) -> Mapping[str, Any]:
        """The three columns for one image."""
        score = Score(None, self._failure) if self._failure else self._score(view)
        return {"detector": self.identity, "logit": score.logit, "abstained": score.reason or None}

    def _score(self, view: ImageView) -> Score:
        try:
            score: Any = _once(view, self._key, lambda: self.detector.score(view))
        except MemoryError:
            raise
        except Exception as error:  # a stranger's model may raise anything
            return Score(None, self._named(error))
        if not isinstance(score, Score):
            name = self.detector.name
            return Score(None, f"{FAILED}detector {name}: expected a Score, found {type(score).__name__}")
        if score.logit is None:
            return Score(None, score.reason or f"detector {self.detector.name} abstained without a reason")
        if not -1e30 < score.logit < 1e30:
            name = self.detector.name
            return Score(None, f"{FAILED}detector {name} answered with a number that is not finite")
        return Score(float(score.logit), score.reason)

    def _named(self, error: Exception) -> str:
        if isinstance(error, GenepoolError):
            return FAILED + error.message
        return f"{FAILED}detector {self.detector.name}: {type(error).__name__}: {error}"[:300]


def _given(score: Any) -> Any:
    return score


def _once(view: ImageView, key: str, make: Callable[[], Any]) -> Any:
    """What a view remembers; a view that cannot is asked again each time."""
    once = getattr(view, "once", None)
    return make() if once is None else once(key, make)
