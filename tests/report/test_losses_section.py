"""Degradation and costs in the report: there when they were kept beside the set, nothing where not."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
import pytest

from genepool import report
from genepool.degradation import measure
from genepool.economics import CostReport, evaluate
from genepool.errors import MeasureError
from genepool.records import Decision
from genepool.report import _losses
from genepool.store import Workspace


@dataclass
class Kept:
    """A catalogue of which only its workspace is looked at."""

    workspace: Workspace
    n: int = 0


def _world(n: int, seed: int, kinds: int = 30) -> np.ndarray:
    centres = np.random.default_rng(99).normal(size=(30, 10)) * 4
    rng = np.random.default_rng(seed)
    return centres[rng.integers(kinds, size=n)] + rng.normal(size=(n, 10))


@pytest.fixture(scope="module")
def found():
    worn = measure(
        [_world(200, 1), _world(200, 2, 10)],
        _world(300, 3),
        human=[1, 0.3],
        names=["<i>v1</i>", "v2"],
        votes=False,
    )
    return worn, evaluate(draws=100)


def test_the_page_shows_what_was_kept(tmp_path, found):
    space = Workspace(tmp_path / "w").create()
    space.write_json("degradation.json", found[0].to_json())
    space.write_json("cost.json", found[1].to_json())
    decision = Decision("pass", "/data/set", 0, "00" * 32, {})
    report.write(decision, Kept(space), None, tmp_path / "report.html")
    text = (tmp_path / "report.html").read_text()
    for part in ('<h2 id="degradation">', '<h2 id="costs">', 'href="#degradation"', 'href="#costs"'):
        assert part in text
    assert "alarm: generation 2" in text
    assert "hybrid 70/30, gated against unfiltered scrape" in text
    assert "<i>v1" not in text
    assert "&lt;i&gt;v1" in text
    assert text.count('class="chart"') >= 3 + 4
    # Behind each chart its numbers, and its alternative text says more than its title.
    parts = re.findall(r'id="(degradation|costs)".*?(?=<section|</main>)', text, re.DOTALL)
    assert parts == ["degradation", "costs"]
    for part in re.split(r"<section", text)[1:]:
        if 'id="degradation"' in part or 'id="costs"' in part:
            assert part.count('class="chart"') == part.count("<summary>The numbers</summary>")
    value = found[1].outcomes[0].retention[3]
    assert re.search(rf"<bdi>3</bdi></th><td class=\"num\">{value:.2f}</td>", text)
    label = re.search(r'aria-label="(Retention, diversity and preference[^"]*)"', text)
    assert label is not None
    assert "generation 1: " in label.group(1)
    again = tmp_path / "again.html"
    report.write(decision, Kept(space), None, again)
    assert again.read_text() == text


def test_where_nothing_or_another_version_was_kept_nothing_is_shown(tmp_path):
    space = Workspace(tmp_path / "w").create()
    assert _losses.degradation(None) is None
    assert _losses.costs(Kept(space)) is None
    space.write_json("degradation.json", {"schema": "genepool.degradation/9"})
    space.write_json("cost.json", {"schema": "genepool.cost/1", "strategies": 3})
    assert _losses.degradation(Kept(space)) is None
    assert _losses.costs(Kept(space)) is None


def test_a_cost_report_survives_json(found):
    import json

    data = json.loads(json.dumps(found[1].to_json()))
    assert json.loads(json.dumps(CostReport.from_json(data).to_json())) == data
    with pytest.raises(MeasureError, match="schema"):
        CostReport.from_json({})
