"""The detector's scores as the audit may use them: calibrated, by pixels alone, fixed before the draw."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from genepool.store import Catalogue, Workspace

__all__ = ["DetectorScores", "detector_scores"]

_COLUMNS = ("detector", "logit")


@dataclass(frozen=True, slots=True)
class DetectorScores:
    """What a calibrated detector thinks of each image of a set.

    Attributes:
        values: ``(n,)`` p(human) by pixels alone; NaN where the detector abstained or has no calibration.
        detector: ``name@digest`` of the detector that gave them; empty: none.
        note: Why there are none; empty: there are some.
    """

    values: NDArray[np.float64]
    detector: str = ""
    note: str = ""

    @property
    def known(self) -> int:
        """Images with a score."""
        return int(np.isfinite(self.values).sum())

    def digest(self, rows: NDArray[np.bool_] | NDArray[np.int64]) -> str:
        """SHA-256 (hex) over the scores of these images, in order, as 32-bit numbers; empty: there are none.

        It is written down with the random order, so that it can be told later whether the audit uses the
        scores that were there before anybody answered.
        """
        if self.note:
            return ""
        chosen = self.values[rows]
        return sha256(chosen.astype("<f4").tobytes()).hexdigest()


def detector_scores(catalogue: Catalogue, workspace: Workspace | None) -> DetectorScores:
    """The calibrated scores of a scanned set.

    A detector that was not calibrated on labelled controls has no vote anywhere in this package, and none
    here: its raw logits would be noise of unknown size. Where it abstained the score is unknown (the audit
    puts the mean there). An opinion between the decision thresholds is a score as well: the audit needs a
    correlation, not a decision, so a calibration for any selective accuracy will do.

    Args:
        catalogue: As scanned.
        workspace: Which calibration; None: none.

    Raises:
        ConfigError: The workspace holds a calibration that cannot be read.
    """
    from genepool.detection import Shelf

    n = catalogue.n
    none = np.full(n, np.nan)
    if not set(_COLUMNS) <= set(catalogue.columns):
        return DetectorScores(none, note="no detector has looked at these images")
    table = catalogue.table(list(_COLUMNS))
    logits = np.array(table.column("logit").to_numpy(zero_copy_only=False), np.float64)
    found = np.isfinite(logits)
    if not found.any():
        return DetectorScores(none, note="the detector abstained everywhere")
    shelf = Shelf(workspace, 0.5)
    codes = table.column("detector").combine_chunks().dictionary_encode()
    names = [str(name) for name in codes.dictionary.to_pylist()]
    code = codes.indices.fill_null(len(names)).to_numpy(zero_copy_only=False)
    used = []
    for k, name in enumerate(names):
        rows, calibration = found & (code == k), shelf.of(name)
        if calibration is not None and rows.any():
            value = logits[rows] / calibration.temperature + calibration.bias
            none[rows] = 1.0 / (1.0 + np.exp(np.clip(value, -50.0, 50.0)))
            used.append(name)
    if not used:
        return DetectorScores(none, note="the detector is not calibrated: its scores are not used")
    return DetectorScores(none, ", ".join(used))
