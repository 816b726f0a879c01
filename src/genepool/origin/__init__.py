"""One origin per image, settled from everything that is known about it, with reasons.

Verified facts take precedence, marks of machine origin are believed from anybody, claims of human origin only
from whom the policy trusts; what contradicts itself is disputed and never counts as human; everything else
only moves a capped posterior.
"""

from __future__ import annotations

from genepool.origin._ancestry import pedigree
from genepool.origin._carried import Carried, carried
from genepool.origin._fold import fold
from genepool.origin._lineage import SET, SetLineage, lineage_findings, lineage_of, log_lineage
from genepool.origin._policy import GenerationVerdict, judge_generations, toxic_words
from genepool.origin._settle import explain_origin, settle

__all__ = [
    "SET",
    "Carried",
    "GenerationVerdict",
    "SetLineage",
    "carried",
    "explain_origin",
    "fold",
    "judge_generations",
    "lineage_findings",
    "lineage_of",
    "log_lineage",
    "pedigree",
    "settle",
    "toxic_words",
]
