"""Generations and pedigree: how far from a person an image is, and how inbred a model has become.

Cohorts are the nodes: a collection of human work, a dataset, a model run. `Pedigree` gives generation
intervals, human share, Wright's inbreeding coefficient generalised to mixtures, kinship, founder genome
equivalents and expected retention. Unknown ancestry is never innocence: it is an interval without end.
"""

from __future__ import annotations

from genepool.lineage._describe import describe
from genepool.lineage._intervals import (
    UNBOUNDED,
    Interval,
    generation_weights,
    image_generation,
    settle_generations,
)
from genepool.lineage._pedigree import Pedigree
from genepool.lineage._picture import draw, layout
from genepool.lineage._retention import required_human_ratio, steady_inbreeding, steady_retention
from genepool.lineage._tree import tree

__all__ = [
    "UNBOUNDED",
    "Interval",
    "Pedigree",
    "describe",
    "draw",
    "generation_weights",
    "image_generation",
    "layout",
    "required_human_ratio",
    "settle_generations",
    "steady_inbreeding",
    "steady_retention",
    "tree",
]
