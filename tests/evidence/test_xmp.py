"""XMP: where a property counts, what it says, and what the owner allows."""

from __future__ import annotations

import pytest

from genepool.evidence import opts_out, read_evidence
from support import marks as m


def findings(xmp: bytes):
    return read_evidence(m.encode("JPEG", xmp=xmp))


def one(found):
    (item,) = found.evidence
    return item


@pytest.mark.parametrize(
    ("term", "claim", "origin", "weight"),
    [
        ("trainedAlgorithmicMedia", "ai", "synthetic", 3.0),
        ("compositeWithTrainedAlgorithmicMedia", "ai", "mixed", 3.0),
        ("digitalCapture", "human", "captured", -0.5),
        ("digitalCreation", "human", "human_made", -0.5),
        ("algorithmicMedia", "algorithmic", "algorithmic", 0.0),
        ("screenCapture", "none", "unknown", 0.0),
    ],
)
def test_source_types(term, claim, origin, weight):
    item = one(findings(m.source_type_packet(m.TERMS + term)))
    assert (item.kind, item.claim, item.origin, item.weight) == ("xmp", claim, origin, weight)
    assert not item.hard


@pytest.mark.parametrize(
    "body",
    [
        "<Iptc4xmpExt:DigitalSourceType>{}</Iptc4xmpExt:DigitalSourceType>",
        '<Iptc4xmpExt:DigitalSourceType rdf:resource="{}"/>',
        "<Iptc4xmpExt:DigitalSourceType><rdf:Bag><rdf:li>{}</rdf:li></rdf:Bag></Iptc4xmpExt:DigitalSourceType>",
    ],
)
def test_all_serialisations_are_read(body):
    xmp = m.packet(body.format(m.TERMS + "trainedAlgorithmicMedia"), m.EXT)
    assert one(findings(xmp)).claim == "ai"


def test_properties_of_an_ingredient_do_not_count():
    inner = f'<rdf:Description Iptc4xmpExt:DigitalSourceType="{m.TERMS}trainedAlgorithmicMedia"/>'
    body = f"<xmpMM:Ingredients><rdf:Bag><rdf:li>{inner}</rdf:li></rdf:Bag></xmpMM:Ingredients>"
    xmp = m.packet(body, f'{m.EXT} xmlns:xmpMM="http://ns.adobe.com/xap/1.0/mm/"')
    assert findings(xmp).evidence == ()


def test_another_namespace_with_the_same_name_does_not_count():
    xmp = m.packet(
        attributes=f'xmlns:a="http://example.com/" a:DigitalSourceType="{m.TERMS}trainedAlgorithmicMedia"'
    )
    assert findings(xmp).evidence == ()


def test_an_unknown_term_is_a_note():
    item = one(findings(m.source_type_packet("http://example.com/trainedAlgorithmicMedia")))
    assert item.claim == "none"
    assert "unknown digital source type" in item.detail


def test_ai_fields_name_the_system():
    fields = 'Iptc4xmpExt:AISystemUsed="Painter" Iptc4xmpExt:AISystemVersionUsed="3"'
    item = one(findings(m.packet(attributes=f"{m.EXT} {fields}")))
    assert (item.claim, item.origin, item.model) == ("ai", "synthetic", "Painter 3")
    beside = f'{m.EXT} {fields} Iptc4xmpExt:DigitalSourceType="{m.TERMS}trainedAlgorithmicMedia"'
    assert one(findings(m.packet(attributes=beside))).model == "Painter 3"
    photo = f'{m.EXT} {fields} Iptc4xmpExt:DigitalSourceType="{m.TERMS}digitalCapture"'
    assert [(e.claim, e.origin) for e in findings(m.packet(attributes=photo)).evidence] == [
        ("human", "captured"),
        ("ai", "mixed"),
    ]


@pytest.mark.parametrize(
    ("term", "value", "out"),
    [
        ("DMI-ALLOWED", "allowed", False),
        ("DMI-PROHIBITED", "notAllowed", True),
        ("DMI-PROHIBITED-AIMLTRAINING", "notAllowed", True),
        ("DMI-PROHIBITED-GENAIMLTRAINING", "notAllowed", True),
        ("DMI-PROHIBITED-EXCEPTSEARCHENGINEINDEXING", "notAllowed", True),
        ("DMI-PROHIBITED-SEECONSTRAINT", "constrained", False),
    ],
)
@pytest.mark.parametrize(
    "prefix", ["http://ns.useplus.org/ldf/vocab/", "https://ns.useplus.org/ldf/vocab/", ""]
)
def test_data_mining(term, value, out, prefix):
    found = findings(m.packet(attributes=f'{m.PLUS} plus:DataMining="{prefix}{term}"'))
    (right,) = found.rights
    assert (right.signal, right.value) == ("plus:DataMining", value)
    assert opts_out(found.rights) is out
    assert opts_out([right.to_json()]) is out
    assert found.evidence == ()


def test_unspecified_data_mining_says_nothing():
    for term in ("DMI-UNSPECIFIED", "DMI-SOMETHING", "no"):
        assert findings(m.packet(attributes=f'{m.PLUS} plus:DataMining="{term}"')).rights == ()


@pytest.mark.parametrize("namespace", ["http://www.w3.org/ns/tdmrep/", "http://www.w3.org/ns/tdmrep#"])
def test_tdm_reservation(namespace):
    body = "<tdm:reservation>1</tdm:reservation><tdm:policy>https://example.com/tdm.json</tdm:policy>"
    (right,) = findings(m.packet(body, f'xmlns:tdm="{namespace}"')).rights
    assert (right.signal, right.value) == ("tdm:reservation", "notAllowed")
    assert "https://example.com/tdm.json" in right.reference
    free = findings(m.packet("<tdm:reservation>0</tdm:reservation>", f'xmlns:tdm="{namespace}"'))
    assert [r.value for r in free.rights] == ["allowed"]


def test_names_and_dates_are_facts_without_weight():
    body = (
        "<dc:creator><rdf:Seq><rdf:li>Vera Molnár</rdf:li></rdf:Seq></dc:creator>"
        '<dc:rights><rdf:Alt><rdf:li xml:lang="x-default">© V. M.</rdf:li></rdf:Alt></dc:rights>'
    )
    spaces = (
        'xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:xmp="http://ns.adobe.com/xap/1.0/" '
        'xmp:CreatorTool="GIMP 3" xmp:CreateDate="1974-01-02"'
    )
    found = findings(m.packet(body, spaces))
    assert found.evidence == ()
    assert dict(found.fields) == {
        "artist": "Vera Molnár",
        "copyright": "© V. M.",
        "software": "GIMP 3",
        "created": "1974-01-02",
    }


def test_a_remote_manifest_is_only_noted():
    spaces = 'xmlns:dcterms="http://purl.org/dc/terms/" dcterms:provenance="https://example.com/manifest"'
    found = findings(m.packet(attributes=spaces))
    assert found.c2pa == "absent"
    item = one(found)
    assert (item.kind, item.claim) == ("c2pa", "none")
    assert item.detail == "remote manifest not fetched: https://example.com/manifest"


def test_broken_xmp_is_a_note():
    item = one(findings(m.packet()[:-40]))
    assert (item.kind, item.claim) == ("xmp", "none")
    assert "broken" in item.detail
