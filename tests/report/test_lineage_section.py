"""The pedigree in the report: picture, alternative text, table, findings; and nothing where nothing is."""

from __future__ import annotations

import dataclasses

import pytest

from genepool import report
from genepool.lineage import Pedigree, describe
from genepool.records import Decision


@pytest.fixture
def page(tmp_path):
    def write(**extra):
        decision = Decision("pass", "/data/set", 3, "00" * 32, {}, extra=extra)
        report.write(decision, None, None, tmp_path / "report.html")
        return (tmp_path / "report.html").read_text()

    return write


def lineage():
    p = Pedigree()
    p.add_founders("<i>Ann</i>", 12)
    p.add_model("M1", "<i>Ann</i>")
    p.add_model("M2", {"<i>Ann</i>": 0.5, "M1": 0.5})
    return {**describe(p), "findings": ["model 'M1' was trained on <b>ann</b>, which was withdrawn"]}


def test_the_picture_its_words_and_its_numbers(page):
    text = page(lineage=lineage())
    assert '<h2 id="pedigree">Pedigree and generations</h2>' in text
    assert 'href="#pedigree"' in text
    assert 'aria-label="Pedigree with 1 human cohorts.' in text
    assert "<i>Ann" not in text
    assert "&lt;i&gt;Ann" in text
    assert "which was withdrawn" in text
    assert "<b>ann" not in text
    assert text.count("gen 2") >= 2
    assert '<td class="num">2</td>' in text


@pytest.mark.parametrize(
    "broken", [None, {}, {"nodes": []}, {"nodes": [{"name": "x"}]}, {"nodes": 3}, {"nodes": ["x"], "b2": 1}]
)
def test_a_decision_without_a_pedigree_says_what_would_fill_it(page, broken):
    for text in (page(lineage=broken), page()):
        assert "Pedigree with" not in text
        assert "<code>genepool register model NAME --trained-on COHORT</code>" in text


def test_captions_are_counted(page):
    share = {"lower": 0.5, "upper": 0.75, "n": 4}
    text = page(captions={"captions": 4, "machine": 2, "human": 1, "unstated": 1, "machine_share": share})
    assert "written by machines" in text
    assert "50.0% to 75.0%" in text
    assert "written by machines" not in page(captions={})


def test_the_rules_own_measures_have_titles(page):
    from genepool.records import Measure

    line = Measure("inbreeding", "inbreeding", 0.3, 0.3, 0.3, 9, "m", 0.25, "ceiling", False)
    decision = dataclasses.replace(Decision("fail", "/d", 9, "00" * 32, {}), measures={"inbreeding": line})
    from genepool.report._sections import lines

    assert lines(decision)[0].title == "Highest inbreeding F"
