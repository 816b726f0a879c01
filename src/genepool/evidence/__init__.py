"""Marks in the file: what an image's bytes and its sidecar entry say about its maker and its owner's wishes.

Readers for C2PA manifests, XMP and IPTC digital source types, EXIF, generator parameters (AUTOMATIC1111,
ComfyUI, InvokeAI, NovelAI, Fooocus), rights and opt-out signals, archive dates before 2021 and sidecar
claims. They walk the container's structure, never search bytes for words, and never touch the network. Each
mark becomes one `genepool.records.Evidence` with a log-likelihood ratio and a cap from one table
(`_weights.py`); plug-ins may add witnesses of their own (`_readers.py`); `genepool.origin` settles them into
an origin. Absence of every mark is no evidence.
"""

from genepool.evidence._digitalsource import SourceType, digital_source_types, source_type
from genepool.evidence._manifest import GENERATION_LABEL
from genepool.evidence._probe import EvidenceProbe
from genepool.evidence._read import Findings, read_evidence
from genepool.evidence._readers import CEILING, READER, OpenReader, held, open_readers, reader_fault
from genepool.evidence._rights import Right, opts_out
from genepool.evidence._watermark import Mark, find_marks

__all__ = [
    "CEILING",
    "GENERATION_LABEL",
    "READER",
    "EvidenceProbe",
    "Findings",
    "Mark",
    "OpenReader",
    "Right",
    "SourceType",
    "digital_source_types",
    "find_marks",
    "held",
    "open_readers",
    "opts_out",
    "read_evidence",
    "reader_fault",
    "source_type",
]
