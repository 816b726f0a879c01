"""What an image model's data cost: acquiring, checking, repairing, and what worn models lose.

`evaluate` compares strategies over a horizon; every number is an `Assumption` with unit and source that a
TOML file replaces; retention comes from a `genepool.degradation.Forecaster`; `count_debt` counts from the log
what hangs on a contaminated model. `plots` draws.
"""

from __future__ import annotations

from genepool.economics._assumptions import Assumption, Assumptions, Strategy, template
from genepool.economics._debt import Debt, count_debt
from genepool.economics._evaluate import article_forecaster, evaluate
from genepool.economics._model import Course, monthly_rate, npv, run, values_of
from genepool.economics._plots import plots
from genepool.economics._report import BreakEven, CostReport, Outcome, Swing

__all__ = [
    "Assumption",
    "Assumptions",
    "BreakEven",
    "CostReport",
    "Course",
    "Debt",
    "Outcome",
    "Strategy",
    "Swing",
    "article_forecaster",
    "count_debt",
    "evaluate",
    "monthly_rate",
    "npv",
    "plots",
    "run",
    "template",
    "values_of",
]
