"""From a stored logit to an opinion, with its reason."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

from genepool.detection._calibration import Calibration
from genepool.detection._detectors import UNCALIBRATED
from genepool.detection._shelf import Shelf

if TYPE_CHECKING:
    from genepool.config import Config
    from genepool.store import Catalogue, Workspace

__all__ = ["Opinion", "opinion", "opinions"]


@dataclass(frozen=True, slots=True)
class Opinion:
    """What the pixel judge thinks of one image.

    Attributes:
        path: The image's uri in its dataset.
        sha256: Of its bytes, 64 hex digits.
        p_ai: Calibrated probability of AI; None where the detector abstained or is not calibrated.
        verdict: ``ai``, ``human`` or ``abstain``.
        llr: Natural-log likelihood ratio for AI that `origin` may use; 0 on abstention.
        model: ``name@digest`` of the detector, ``none``, or empty where no detector looked.
        reason: One sentence.
    """

    path: str
    sha256: str
    p_ai: float | None
    verdict: Literal["ai", "human", "abstain"]
    llr: float
    model: str
    reason: str

    def to_json(self) -> dict[str, Any]:
        """The fields, in order."""
        return asdict(self)


def opinion(
    logit: float | None,
    model: str,
    abstained: str,
    calibration: Calibration | None,
    *,
    path: str,
    sha256: str,
) -> Opinion:
    """One stored score as an opinion.

    Args:
        logit: Raw logit, None where the detector abstained.
        model: ``name@digest``.
        abstained: Its reason, if any.
        calibration: What logits of the detector are worth; None: nothing.
        path: The image's uri.
        sha256: Its digest in hex.
    """
    if logit is None or not math.isfinite(logit):
        return Opinion(path, sha256, None, "abstain", 0.0, model, abstained or UNCALIBRATED)
    digest = model.rpartition("@")[2]
    if calibration is None or calibration.detector != digest:
        reason = f"uncalibrated: no vote (raw logit {logit:.3f})"
        return Opinion(path, sha256, None, "abstain", 0.0, model, reason)
    p, verdict, llr = calibration.decide(logit)
    if verdict == "abstain":
        reason = f"between the thresholds at which {calibration.accuracy:.0%} of decisions are right"
    else:
        reason = f"calibrated on {calibration.n} controls, worst group's likelihood ratio"
    return Opinion(path, sha256, p, verdict, llr, model, reason)


def opinions(catalogue: Catalogue, workspace: Workspace | None, config: Config) -> Iterator[Opinion]:
    """The detector's opinion on each image, in the order of ``catalogue.table()``.

    Raises:
        ConfigError: A calibration is there that cannot be read.
    """
    shelf = Shelf(workspace, config.detection.threshold)
    for batch in catalogue.batches(["uri", "sha256", "detector", "logit", "abstained"]):
        columns = (
            batch.column(name).to_pylist() for name in ("uri", "sha256", "detector", "logit", "abstained")
        )
        for uri, digest, model, logit, abstained in zip(*columns, strict=True):
            calibration = shelf.of(model) if logit is not None and model else None
            yield opinion(logit, model or "", abstained or "", calibration, path=uri, sha256=digest.hex())
