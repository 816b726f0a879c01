"""From a stored logit to an opinion, with its reason."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

from genepool.detection._calibration import Calibration
from genepool.detection._detectors import FAILED, UNCALIBRATED
from genepool.detection._shelf import Shelf

if TYPE_CHECKING:
    import pyarrow as pa

    from genepool.config import Config
    from genepool.store import Catalogue, Workspace

__all__ = ["Judge", "Opinion", "opinion", "opinions"]

# Share of images on which a detector may fail and keep its vote on the others.
TOLERATED = 0.01


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
        logit: Raw logit, None where the detector has no number.
        model: ``name@digest``.
        abstained: Why the detector decides nothing; empty where it may decide.
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
    if abstained:
        return Opinion(path, sha256, p, "abstain", 0.0, model, abstained)
    if verdict == "abstain":
        reason = f"between the thresholds at which {calibration.accuracy:.0%} of decisions are right"
    else:
        reason = f"calibrated on {calibration.n} controls, worst group's likelihood ratio"
    return Opinion(path, sha256, p, verdict, llr, model, reason)


class Judge:
    """The detector of a scanned set: its calibration, its failures, and whether it still has a vote.

    One crafted picture must not silence the judge of a whole set, so that a failure costs the vote on its
    image alone; a detector that fails on more than one image in a hundred has no vote in this scan at all.

    Args:
        table: The catalogue's columns ``detector``, ``logit`` and ``abstained``.
        workspace: Where a calibration may lie.
        threshold: Selective accuracy asked for.
    """

    def __init__(self, table: pa.Table, workspace: Workspace | None, threshold: float) -> None:
        import pyarrow.compute as pc

        self._shelf = Shelf(workspace, threshold)
        self.failed: dict[str, int] = {}
        self.failures: dict[str, str] = {}
        self._removed: dict[str, str] = {}
        if "abstained" not in table.column_names:
            return
        broken = table.filter(pc.fill_null(pc.starts_with(table.column("abstained"), FAILED), False))
        if not broken.num_rows:
            return
        looked = Counter(table.column("detector").to_pylist())
        for model, reason in zip(
            broken.column("detector").to_pylist(), broken.column("abstained").to_pylist(), strict=True
        ):
            self.failed[model] = self.failed.get(model, 0) + 1
            self.failures.setdefault(model, reason.removeprefix(FAILED))
        for model, n in self.failed.items():
            if n > TOLERATED * looked[model]:
                text = f"its vote is removed: failed on {n} of {looked[model]} images"
                self._removed[model] = f"{text}; {self.failures[model]}"

    def calibration(self, model: str) -> Calibration | None:
        """What logits of ``name@digest`` are worth; None: nothing, or its vote is removed."""
        return None if model in self._removed or "@" not in model else self._shelf.of(model)

    def removed(self, model: str) -> str:
        """Why a detector has no vote in this scan; empty where it has."""
        return self._removed.get(model, "")

    def opinion(self, logit: float | None, model: str, abstained: str, path: str, sha256: str) -> Opinion:
        """One row of the catalogue as an opinion."""
        if (removed := self._removed.get(model)) and logit is not None:
            return Opinion(path, sha256, None, "abstain", 0.0, model, removed)
        held = self.calibration(model) if logit is not None else None
        return opinion(logit, model, abstained, held, path=path, sha256=sha256)


def opinions(catalogue: Catalogue, workspace: Workspace | None, config: Config) -> Iterator[Opinion]:
    """The detector's opinion on each image, in the order of ``catalogue.table()``.

    Raises:
        ConfigError: A calibration is there that cannot be read.
    """
    columns = ["detector", "logit", "abstained"]
    judge = Judge(catalogue.table(columns), workspace, config.detection.threshold)
    for batch in catalogue.batches(["uri", "sha256", *columns]):
        rows = (batch.column(name).to_pylist() for name in ("uri", "sha256", *columns))
        for uri, digest, model, logit, abstained in zip(*rows, strict=True):
            yield judge.opinion(logit, model or "", abstained or "", uri, digest.hex())
