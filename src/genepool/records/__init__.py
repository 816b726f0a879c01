"""The nouns of genepool, frozen and slotted, and the protocols that parts implement.

Nothing here imports a heavy library: these types cross process boundaries and are read by every room.
"""

from genepool.records._decision import Decision, Failure, Measure
from genepool.records._html import HEADINGS, printable, shown
from genepool.records._images import Asset, Case, Header, Item, Sample
from genepool.records._numbers import Estimate, RatioEstimate
from genepool.records._origin import Attestation, Evidence, Origin, OriginClass, Verdict
from genepool.records._protocols import (
    Detector,
    Embedder,
    Engine,
    EvidenceReader,
    Facts,
    GateRule,
    ImageView,
    Job,
    PreferenceModel,
    Probe,
    Score,
    Source,
    Unit,
    UnitResult,
)

__all__ = [
    "HEADINGS",
    "Asset",
    "Attestation",
    "Case",
    "Decision",
    "Detector",
    "Embedder",
    "Engine",
    "Estimate",
    "Evidence",
    "EvidenceReader",
    "Facts",
    "Failure",
    "GateRule",
    "Header",
    "ImageView",
    "Item",
    "Job",
    "Measure",
    "Origin",
    "OriginClass",
    "PreferenceModel",
    "Probe",
    "RatioEstimate",
    "Sample",
    "Score",
    "Source",
    "Unit",
    "UnitResult",
    "Verdict",
    "printable",
    "shown",
]
