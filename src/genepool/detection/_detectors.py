"""The detector that is always right about what it knows: it abstains."""

from __future__ import annotations

from genepool.records import ImageView, Score

__all__ = ["FAILED", "UNCALIBRATED", "AbstainingDetector"]

UNCALIBRATED = "no calibrated detector"
# Begins the reason of every abstention that is the detector's own fault.
FAILED = "failed: "


class AbstainingDetector:
    """Abstains from every image. The default until a calibrated model is configured."""

    name = "none"
    digest = ""

    def prepare(self) -> None:
        """Nothing to load."""

    def score(self, view: ImageView) -> Score:
        """Always an abstention."""
        return Score(None, UNCALIBRATED)
