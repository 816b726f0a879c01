"""The dataset card: read by the hub's own reader; no number without interval and n."""

from __future__ import annotations

import pytest

from genepool.dataset import Manifest
from genepool.gate._card import card
from genepool.records import Decision, Failure, Measure

MANIFEST = Manifest("/out", "parquet", 1234, 10, "ab" * 32, {"duplicate": 3})
TALLIES = {
    "origin": {"human_made": 900, "captured": 100, "synthetic": 234},
    "tier": {"attested": 1000, "declared": 234},
    "generation": {"0": 1000, "1 or later": 234},
}
LEDGER = {
    "log": "log.example/a",
    "size": 77,
    "root": "cd" * 32,
    "key": "me+1234",
    "ledger": "/home/me/secret",
}


def decision(**changes):
    human = Measure("human_ratio", "human", 0.81, 0.81, 0.93, 1240, "certified by people", 0.7, "floor", True)
    none = Measure("diversity", "diversity", None, None, None, 0, "not measured", 0.6, "floor", None)
    fields = {
        "status": "fail",
        "uri": "/data/set",
        "n": 1240,
        "root": "ef" * 32,
        "measures": {"human_ratio": human, "diversity": none},
        "failures": (Failure("GP303", "fail", "m", "h"),),
        "extra": {"ledger": LEDGER, "approved": {"n": 1240, "root": "ef" * 32}},
    }
    return Decision(**(fields | changes))


def test_the_hubs_reader_reads_the_header():
    hub = pytest.importorskip("huggingface_hub")
    text = card("My | set", MANIFEST, TALLIES, decision(), {"CC-BY-4.0": 1234})
    found = hub.DatasetCard(text)
    assert found.data.license == "cc-by-4.0"
    assert found.data.size_categories == ["1K<n<10K"]
    assert found.data.tags == ["genepool", "provenance", "image"]
    assert found.data.pretty_name == r"My \| set"
    assert found.text.lstrip().startswith("# My")
    several = hub.DatasetCard(card("x", MANIFEST, TALLIES, None, {"a": 1000, "b": 234})).data
    assert (several.license, several.license_name) == ("other", "by image: 2 named, by 1,234 of 1,234 images")
    some = hub.DatasetCard(card("x", MANIFEST, TALLIES, None, {"CC-BY-4.0": 1})).data
    assert (some.license, some.license_name) == ("other", "by image: 1 named, by 1 of 1,234 images")
    odd = hub.DatasetCard(
        card("x", MANIFEST, TALLIES, None, {"All rights: mine\n---\nlicense: mit": 1234})
    ).data
    assert odd.license == "other"
    assert hub.DatasetCard(card('"}\n---', MANIFEST, TALLIES, None, {})).data.license is None


def test_every_number_says_on_what_it_was_measured():
    text = card("set", MANIFEST, TALLIES, decision(), {})
    assert "1,234 images, of which 1,000 are verified human work." in text
    assert "failed genepool's check (GP303)" in text
    assert (
        "| guaranteed human ratio | 0.810 | [0.810, 0.930] | 1,240 | floor 0.7 | certified by people |"
        in text
    )
    assert "not on the 1,234 of this export" in text
    assert "not measured" not in text
    assert "| attested | 1,000 | 81.0% | a trusted key's entry in the log |" in text
    assert "| 1 or later | 234 | 19.0% |" in text
    assert "77 entries, root `" + "cd" * 32 in text
    assert MANIFEST.root in text
    assert "/home/me" not in text, "no place of the machine that made it"
    assert "/data/set" not in text
    same = decision(extra={"ledger": LEDGER, "approved": {"n": 1234, "root": MANIFEST.root}}, status="pass")
    assert "Measured on exactly these images." in card("set", MANIFEST, TALLIES, same, {})


def test_a_generation_has_no_upper_end_where_images_are_of_unknown_origin():
    def row(upper, **generations):
        top = Measure("generation", "generation", 0.0, 0.0, upper, 57, "counted", 2.0, "ceiling", True)
        text = card(
            "set",
            MANIFEST,
            TALLIES,
            decision(measures={"generation": top}, extra={"generations": generations}),
            {},
        )
        return next(line for line in text.splitlines() if line.startswith("| generation")), text

    closed, text = row(0.0, **{"0": 57})
    assert closed == "| generation | 0 | [0, 0] | 57 | ceiling 2 | counted |"
    assert "no upper end" not in text
    half, text = row(0.0, **{"0": 17, "no origin": 40})
    assert half == "| generation | 0 | 0 or later | 57 | ceiling 2 | counted |"
    assert "no upper end: 40 of the images are of no verified origin" in text
    assert "0 or later" in row(None, **{"0": 57})[0]


def test_without_a_decision_nothing_is_promised():
    text = card("set", MANIFEST, TALLIES, None, {})
    assert "exported without a decision" in text
    assert "## Numbers" not in text
    assert "## Log" not in text
