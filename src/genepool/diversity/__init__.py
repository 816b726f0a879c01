"""How many styles a set holds, measured so that neither collapse nor noise can look like diversity.

`StyleDiversityIndex` is the face; `style_diversity` the function over vectors and `StyleState` its mergeable
state; `Panel` the frozen reference; `vendi_score` the plain Vendi score with an interval; `near_duplicates`
finds copies; `commonness` and `style_map` say which images and styles are common, rare or missing.
"""

from __future__ import annotations

from genepool.diversity._artefacts import artefact_pictures, artefact_vectors
from genepool.diversity._catalogue import (
    catalogue_copies,
    catalogue_labels,
    duplicate_labels,
    style_vectors,
    verified_human,
)
from genepool.diversity._copies import Copies, find_copies
from genepool.diversity._duplicates import cluster_weights, near_duplicates, redundant_share
from genepool.diversity._index import StyleDiversityIndex
from genepool.diversity._kernel import kernel_distance
from genepool.diversity._make import Recipe, make_panel
from genepool.diversity._manifold import Neighbourhood, neighbourhood
from genepool.diversity._moments import FrechetEstimate, MomentState, frechet_distance
from genepool.diversity._panel import Panel
from genepool.diversity._portrait import Comparison, Portrait, compare, portrait
from genepool.diversity._retention import FeatureAtlas, RetentionEstimate, feature_retention
from genepool.diversity._slices import GroupShares, group_shares, slice_indices
from genepool.diversity._state import SpreadState, StyleState
from genepool.diversity._style import StyleEstimate, find_anchors, index_of, style_diversity
from genepool.diversity._styles import StyleMap, commonness, extremes, style_map
from genepool.diversity._vendi import VendiEstimate, VendiState, vendi_score

__all__ = [
    "Comparison",
    "Copies",
    "FeatureAtlas",
    "FrechetEstimate",
    "GroupShares",
    "MomentState",
    "Neighbourhood",
    "Panel",
    "Portrait",
    "Recipe",
    "RetentionEstimate",
    "SpreadState",
    "StyleDiversityIndex",
    "StyleEstimate",
    "StyleMap",
    "StyleState",
    "VendiEstimate",
    "VendiState",
    "artefact_pictures",
    "artefact_vectors",
    "catalogue_copies",
    "catalogue_labels",
    "cluster_weights",
    "commonness",
    "compare",
    "duplicate_labels",
    "extremes",
    "feature_retention",
    "find_anchors",
    "find_copies",
    "frechet_distance",
    "group_shares",
    "index_of",
    "kernel_distance",
    "make_panel",
    "near_duplicates",
    "neighbourhood",
    "portrait",
    "redundant_share",
    "slice_indices",
    "style_diversity",
    "style_map",
    "style_vectors",
    "vendi_score",
    "verified_human",
]
