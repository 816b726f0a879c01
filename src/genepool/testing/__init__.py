"""What every plug-in must keep to: kits for the tests of plug-in authors, and of our own parts.

``assert_detector(MyDetector("weights.onnx"))`` in a test, or ``genepool plugins check detectors NAME``. There
is one kit for each kind of plug-in; each check shows the plug-in real input, and says in one sentence what it
found. The kits allow no network.
"""

from genepool.testing._engines import assert_engine, check_engine
from genepool.testing._evidence import assert_evidence_reader, check_evidence_reader
from genepool.testing._kit import Check, degenerate_images, picture, view_of
from genepool.testing._models import assert_detector, assert_embedder, check_detector, check_embedder
from genepool.testing._preferences import assert_preference, check_preference
from genepool.testing._rules import assert_rule, check_rule, facts_of
from genepool.testing._sources import assert_source, check_source

__all__ = [
    "Check",
    "assert_detector",
    "assert_embedder",
    "assert_engine",
    "assert_evidence_reader",
    "assert_preference",
    "assert_rule",
    "assert_source",
    "check_detector",
    "check_embedder",
    "check_engine",
    "check_evidence_reader",
    "check_preference",
    "check_rule",
    "check_source",
    "degenerate_images",
    "facts_of",
    "picture",
    "view_of",
]
