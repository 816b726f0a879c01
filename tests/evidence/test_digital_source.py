"""The vocabulary: 20 IPTC terms and 2 of C2PA, mapped to six classes."""

from __future__ import annotations

import pytest

from genepool.evidence import digital_source_types, source_type
from genepool.records import OriginClass

IPTC = "http://cv.iptc.org/newscodes/digitalsourcetype/"
# Written out a second time on purpose: the table of the study, by hand.
EXPECTED = {
    "captured": "digitalCapture computationalCapture negativeFilm positiveFilm print compositeCapture",
    "human_made": "digitalCreation humanEdits digitalArt minorHumanEdits",
    "algorithmic": "algorithmicMedia dataDrivenMedia algorithmicallyEnhanced",
    "mixed": "compositeWithTrainedAlgorithmicMedia compositeSynthetic virtualRecording",
    "synthetic": "trainedAlgorithmicMedia",
    "unknown": "composite screenCapture softwareImage",
}


def test_every_iptc_term_has_its_class():
    found = {term.name: term.origin for term in digital_source_types() if term.uri.startswith(IPTC)}
    wanted = {name: OriginClass(origin) for origin, names in EXPECTED.items() for name in names.split()}
    assert found == wanted
    assert len(found) == 20


def test_c2pa_adds_two_terms():
    extra = {t.uri: t.origin for t in digital_source_types() if not t.uri.startswith(IPTC)}
    assert extra == {
        "http://c2pa.org/digitalsourcetype/empty": OriginClass.UNKNOWN,
        "http://c2pa.org/digitalsourcetype/trainedAlgorithmicData": OriginClass.SYNTHETIC,
    }


@pytest.mark.parametrize("name", ["digitalArt", "minorHumanEdits", "softwareImage"])
def test_retired_terms_are_still_known(name):
    term = source_type(IPTC + name)
    assert term is not None
    assert term.retired


@pytest.mark.parametrize(
    "spelling",
    [
        "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia",
        "https://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia",
        "HTTP://CV.IPTC.ORG/NewsCodes/DigitalSourceType/TrainedAlgorithmicMedia",
        "  http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia/\n",
        "digsrctype:trainedAlgorithmicMedia",
        "trainedalgorithmicmedia",
    ],
)
def test_careless_spellings_are_understood(spelling):
    term = source_type(spelling)
    assert term is not None
    assert term.name == "trainedAlgorithmicMedia"


@pytest.mark.parametrize(
    "value",
    [
        "",
        "AI",
        "http://example.com/newscodes/digitalsourcetype/trainedAlgorithmicMedia",
        "see http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia",
        "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia?x",
        "http://cv.iptc.org/newscodes/digitalsourcetype/empty",
        "empty",
        "trainedAlgorithmicData",
        "x" * 10_000,
    ],
)
def test_what_merely_contains_a_term_is_no_term(value):
    assert source_type(value) is None
