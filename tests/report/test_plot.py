"""Figures for notebooks: drawn without pyplot, with the numbers of their object."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from genepool.errors import UsageError
from genepool.lineage import Pedigree, describe
from genepool.records import Estimate, RatioEstimate
from genepool.report import plot
from support import fullreport, reports

LAB = Path(__file__).parents[2] / "docs" / "lab"


def _words(figure) -> str:
    axes = figure.axes[0]
    texts = [t.get_text() for t in axes.texts] + [t.get_text() for t in axes.get_yticklabels()]
    return " | ".join(texts)


def test_a_decision_shows_every_share_with_its_floor():
    held = reports.catalogue(10)
    figure = plot(reports.decision("fail", held))
    words = _words(figure)
    assert "0.61 [0.55, 0.66]" in words
    assert "0.71 [0.69, 0.73]" in words
    floors = [line.get_xdata()[0] for line in figure.axes[0].lines if len(set(line.get_xdata())) == 1]
    assert {0.70, 0.60, 0.20} <= {round(float(x), 2) for x in floors}


def test_a_decision_has_further_pictures():
    made = reports.decision("fail", reports.catalogue(40))
    assert "266  ·  66 %" in _words(plot(made, "origins"))
    heights = [bar.get_height() for bar in plot(made, "generations").axes[0].patches]
    assert heights == [266, 30, 5, 31, 1, 12, 55]
    history = plot(made, "history").axes[0]
    line = next(line for line in history.lines if len(line.get_xdata()) == 10)
    assert list(line.get_ydata()) == pytest.approx([0.62 + i / 100 for i in range(10)])
    with pytest.raises(UsageError, match="no picture 'pedigree'") as caught:
        plot(made, "pedigree")
    assert "numbers, origins, generations, history" in caught.value.hint


def test_estimates_and_origins():
    assert "0.71 [0.69, 0.74]" in _words(plot(Estimate(0.712, 0.688, 0.741, 400, "m")))
    ratio = RatioEstimate(0.62, point=0.7, upper=0.9, alpha=0.05, n=10, n_audited=4, method="m")
    assert "0.70 [0.62, 0.90]" in _words(plot(ratio))
    words = _words(plot(reports.origins(reports.catalogue(60), disputed=0)))
    assert "40  ·  67 %" in words
    assert "attested" in words


def test_a_pedigree_is_drawn_where_its_picture_is():
    p = Pedigree()
    p.add_founders("<Ann> $x$", 12)
    p.add_model("M1", "<Ann> $x$")
    p.add_model("M2", {"<Ann> $x$": 0.5, "M1": 0.5})
    for obj in (p, describe(p)):
        figure = plot(obj)
        words = [t.get_text() for t in figure.axes[0].texts]
        assert {"<Ann> $x$", "M1", "M2", "12 by people", "100 %"} <= set(words)
        assert words.count("50 %") == 2
        figure.canvas.draw()


def test_losses_costs_and_laboratory():
    worn, cost = fullreport.losses()
    for obj in (worn, worn.to_json(), json.loads(json.dumps(worn.to_json()))):
        axes = plot(obj).axes
        measured = [v.value for v in worn.series("retention_first")]
        drawn = [line.get_ydata() for line in axes[0].lines if len(line.get_ydata()) == len(measured)]
        assert any(np.allclose(y, measured) for y in drawn)
    assert len(plot(worn, "forecast").axes) == len(worn.forecast)
    for obj in (cost, cost.to_json()):
        names = [t.get_text() for t in plot(obj, "costs").axes[0].get_yticklabels()]
        assert names == [one.strategy.title for one in cost.outcomes]
    with pytest.raises(UsageError, match="no picture 'pie'"):
        plot(cost, "pie")


@pytest.mark.parametrize("name", ["table", "policies", "exchange"])
def test_the_laboratory_as_it_was_run(name):
    result = json.loads((LAB / f"{name}.json").read_text())
    for kind in [one["name"] for one in (*result["studies"], *result["exchanges"])]:
        figure = plot(result, kind)
        assert figure.axes
    if result["studies"] and len(result["studies"][0]["summary"]["arms"]) > 6:
        rows = [t.get_text() for t in plot(result).axes[0].get_yticklabels()]
        assert rows == list(result["studies"][0]["summary"]["arms"])


@pytest.mark.parametrize(
    "odd", [3, {}, {"schema": "genepool.lab/1"}, [1], {"schema": "genepool.lineage/1"}, None]
)
def test_what_cannot_be_drawn_is_named(odd):
    with pytest.raises(UsageError, match="nothing to draw of this") as caught:
        plot(odd)
    assert "a catalogue" in caught.value.hint


def test_no_window_and_no_global_state():
    code = (
        "import sys; from genepool.records import Estimate; from genepool.report import plot;"
        "plot(Estimate(.5,.4,.6,3,'m')); assert 'matplotlib.pyplot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
