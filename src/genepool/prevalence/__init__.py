"""How much of a set is human, with a guarantee however bad the detector is.

`human_ratio` counts what was verified and leaves the unknown unknown; `audit` asks people about images drawn
at random until a floor is proven or refuted; `certified_ratio` does so with the verdicts of a workspace and
with the reviewers' own errors inside; `plan` says what it will take; `SyntheticContentDetector` is the seed's
face. A detector's opinion never enters the guaranteed share: it only saves looks.
"""

from __future__ import annotations

from genepool.prevalence._audit import AuditResult, Sequential, audit
from genepool.prevalence._auditor import Auditor, Population
from genepool.prevalence._certify import Certificate, ReviewedSet, certified_ratio, certify
from genepool.prevalence._detector import SyntheticContentDetector
from genepool.prevalence._plan import Plan, labels_needed, plan
from genepool.prevalence._planning import Planning, planning
from genepool.prevalence._ratio import SliceRatio, human_ratio, slice_ratios
from genepool.prevalence._reviewers import Rates, Reviewer, audit_share, ceiling, panel_rates
from genepool.prevalence._sample import Look, Sample, reviewers_of, sample_of, verify_order
from genepool.prevalence._scores import DetectorScores, detector_scores
from genepool.prevalence._slices import CertifiedSlice, certified_slices
from genepool.prevalence._spending import alpha_share

__all__ = [
    "AuditResult",
    "Auditor",
    "Certificate",
    "CertifiedSlice",
    "DetectorScores",
    "Look",
    "Plan",
    "Planning",
    "Population",
    "Rates",
    "ReviewedSet",
    "Reviewer",
    "Sample",
    "Sequential",
    "SliceRatio",
    "SyntheticContentDetector",
    "alpha_share",
    "audit",
    "audit_share",
    "ceiling",
    "certified_ratio",
    "certified_slices",
    "certify",
    "detector_scores",
    "human_ratio",
    "labels_needed",
    "panel_rates",
    "plan",
    "planning",
    "reviewers_of",
    "sample_of",
    "slice_ratios",
    "verify_order",
]
