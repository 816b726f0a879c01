"""What each generation of a model has lost, what the next ones will lose, and how early it shows.

`measure` compares samples of successive versions of a model with human work and with the first of them;
`Forecaster` predicts retention for mixes and generations that were not run, `backtest` and `score` say how
well; `plots` draws. Preference is people's votes only.
"""

from __future__ import annotations

from genepool.degradation._artefacts import frequencies
from genepool.degradation._backtest import Backtest, backtest, score
from genepool.degradation._forecast import Crossing, Forecaster
from genepool.degradation._measure import measure
from genepool.degradation._measures import Generation
from genepool.degradation._pictures import Picture, as_pictures
from genepool.degradation._plots import plots, save, styled
from genepool.degradation._report import ARTICLE, MEASURES, DegradationReport
from genepool.degradation._trend import Alarm, Trend, mann_kendall

__all__ = [
    "ARTICLE",
    "MEASURES",
    "Alarm",
    "Backtest",
    "Crossing",
    "DegradationReport",
    "Forecaster",
    "Generation",
    "Picture",
    "Trend",
    "as_pictures",
    "backtest",
    "frequencies",
    "mann_kendall",
    "measure",
    "plots",
    "save",
    "score",
    "styled",
]
