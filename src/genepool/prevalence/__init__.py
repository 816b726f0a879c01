"""How much of a set is human, with a guarantee however bad the detector is.

`human_ratio` counts what was verified and leaves the unknown unknown; `audit` asks people about images drawn
at random until a floor is proven or refuted; `SyntheticContentDetector` is the seed's face. A detector's
opinion never enters the guaranteed share: it only saves looks.
"""

from __future__ import annotations

from genepool.prevalence._audit import AuditResult, Sequential, audit
from genepool.prevalence._auditor import Auditor, Population
from genepool.prevalence._detector import SyntheticContentDetector
from genepool.prevalence._ratio import SliceRatio, human_ratio, slice_ratios
from genepool.prevalence._reviewers import Rates, Reviewer, audit_share, ceiling, panel_rates

__all__ = [
    "AuditResult",
    "Auditor",
    "Population",
    "Rates",
    "Reviewer",
    "Sequential",
    "SliceRatio",
    "SyntheticContentDetector",
    "audit",
    "audit_share",
    "ceiling",
    "human_ratio",
    "panel_rates",
    "slice_ratios",
]
