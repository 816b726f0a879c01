"""One pass over the images: each is read and decoded once, digested, shown to the probes, made a row.

The room knows no witness: it runs the `Probe`s that the entry-point group ``genepool.probes`` names.
"""

from __future__ import annotations

from genepool.scan._decode import Refusal, decode, read_header
from genepool.scan._digests import PHASH_VERSION, PIXEL_VERSION, perceptual_hash, pixel_digest
from genepool.scan._plan import Plan, load_probes, make_plan
from genepool.scan._scan import scan
from genepool.scan._unit import ScanJob, examine
from genepool.scan._view import View, textured_crops

__all__ = [
    "PHASH_VERSION",
    "PIXEL_VERSION",
    "Plan",
    "Refusal",
    "ScanJob",
    "View",
    "decode",
    "examine",
    "load_probes",
    "make_plan",
    "perceptual_hash",
    "pixel_digest",
    "read_header",
    "scan",
    "textured_crops",
]
