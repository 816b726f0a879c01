"""How much of a set is human, with a guarantee however bad the detector is.

`human_ratio` counts what was verified and leaves the unknown unknown; `SyntheticContentDetector` is the
seed's face of it. A detector's opinion never enters the guaranteed share.
"""

from __future__ import annotations

from genepool.prevalence._detector import SyntheticContentDetector
from genepool.prevalence._ratio import SliceRatio, human_ratio, slice_ratios

__all__ = ["SliceRatio", "SyntheticContentDetector", "human_ratio", "slice_ratios"]
