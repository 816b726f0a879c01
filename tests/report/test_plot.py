"""Figures for notebooks: drawn without pyplot, with the numbers of their object."""

from __future__ import annotations

import subprocess
import sys

import pytest

from genepool.errors import UsageError
from genepool.records import Estimate, RatioEstimate
from genepool.report import plot
from support import reports


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


def test_estimates_and_origins():
    assert "0.71 [0.69, 0.74]" in _words(plot(Estimate(0.712, 0.688, 0.741, 400, "m")))
    ratio = RatioEstimate(0.62, point=0.7, upper=0.9, alpha=0.05, n=10, n_audited=4, method="m")
    assert "0.70 [0.62, 0.90]" in _words(plot(ratio))
    words = _words(plot(reports.origins(reports.catalogue(60), disputed=0)))
    assert "40  ·  67 %" in words
    assert "attested" in words


def test_what_cannot_be_drawn_is_named():
    with pytest.raises(UsageError, match="nothing to draw of this int"):
        plot(3)  # type: ignore[arg-type]


def test_no_window_and_no_global_state():
    code = (
        "import sys; from genepool.records import Estimate; from genepool.report import plot;"
        "plot(Estimate(.5,.4,.6,3,'m')); assert 'matplotlib.pyplot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
