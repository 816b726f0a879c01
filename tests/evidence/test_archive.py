"""Sidecar claims and archive dates."""

from __future__ import annotations

import pytest

from genepool.evidence import read_evidence
from support import marks as m

PLAIN = m.encode("PNG")


def findings(archives=("Rijksmuseum",), **declared):
    return read_evidence(PLAIN, declared, archives=archives)


@pytest.mark.parametrize(
    "created", ["1889", "1889-05", "1889-05-12", "2020-12-31", "2020", 1889, "2020-12-31T23:59:59Z"]
)
def test_an_old_date_of_a_trusted_archive(created):
    (item,) = findings(source="Rijksmuseum", created=created).evidence
    assert (item.kind, item.claim, item.weight, item.cap) == ("archive", "human", -4.0, 4.0)
    assert not item.hard
    assert item.reference == "Rijksmuseum"


@pytest.mark.parametrize("created", ["2021-01-01", "2021", "2024-05", None])
def test_a_new_date_proves_nothing(created):
    assert findings(source="Rijksmuseum", created=created).evidence == ()


def test_other_sources_prove_nothing():
    for source in ("rijksmuseum", "web", None, 7, ["Rijksmuseum"]):
        assert findings(source=source, created="1889").evidence == ()
    assert findings(archives=(), source="Rijksmuseum", created="1889").evidence == ()


@pytest.mark.parametrize(
    "created", ["yesterday", "1889-13", "1889-02-30", "0000", "89", True, [1889], "9999-12-31x"]
)
def test_a_broken_date_is_a_note(created):
    (item,) = findings(source="Rijksmuseum", created=created).evidence
    assert (item.kind, item.claim) == ("archive", "none")


@pytest.mark.parametrize(
    ("origin", "claim", "weight", "cap"),
    [
        ("synthetic", "ai", 3.0, 3.0),
        ("mixed", "ai", 3.0, 3.0),
        ("captured", "human", -0.5, 0.5),
        ("human_made", "human", -0.5, 0.5),
        ("algorithmic", "algorithmic", 0.0, 0.0),
        ("unknown", "none", 0.0, 0.0),
    ],
)
def test_a_declared_origin_is_only_a_claim(origin, claim, weight, cap):
    (item,) = findings(origin=origin).evidence
    assert (item.kind, item.claim, item.weight, item.cap, item.origin) == (
        "declared",
        claim,
        weight,
        cap,
        origin,
    )
    assert not item.hard


@pytest.mark.parametrize(
    ("generation", "wanted"), [(2, (2, 2)), ([1, 3], (1, 3)), ([1, None], (1, None)), (0, (0, 0))]
)
def test_a_declared_generation_is_kept(generation, wanted):
    (item,) = findings(origin="synthetic", generation=generation, model="painter").evidence
    assert item.generation == wanted
    assert item.model == "painter"


def test_a_generation_alone_admits_a_model():
    (item,) = findings(generation=1).evidence
    assert (item.claim, item.origin) == ("ai", "synthetic")
    (human,) = findings(generation=0).evidence
    assert human.claim == "none"


@pytest.mark.parametrize(
    "declared",
    [
        {"origin": "humna"},
        {"origin": 7},
        {"generation": "two"},
        {"generation": [2, 1]},
        {"generation": -1},
        {"generation": True},
        {"generation": [1, 2, 3]},
    ],
)
def test_a_broken_declaration_is_a_note(declared):
    (item,) = read_evidence(PLAIN, declared).evidence
    assert (item.kind, item.claim) == ("declared", "none")
    assert "found" in item.detail
