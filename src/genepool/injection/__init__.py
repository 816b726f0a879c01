"""Bring diversity back: re-weight, retrieve, transfer, and compose a set from several pools.

`inject_diversity` does it in memory; `plan_injection` says first what would change, by how much, and why not
where it is not possible; the plan's ``write`` carries it out into a new folder. `compose` chooses how much of
each cohort and model to take for a set of a given size, and what each constraint of the policy costs. Nothing
is repeated, the human share is never traded for styles, and what style transfer makes counts as machine-made.
`TrainingNoise` is for the training loop only.
"""

from __future__ import annotations

from genepool.injection._apply import Injected, write_injection
from genepool.injection._compose import Composition, Price, Serving, compose
from genepool.injection._inject import inject_diversity
from genepool.injection._noise import TrainingNoise
from genepool.injection._onnx_style import OnnxStyle
from genepool.injection._plan import InjectionPlan, plan_injection
from genepool.injection._styles import ColourStyle, MarksStyle, StrokesStyle
from genepool.injection._transfers import Transfer

__all__ = [
    "ColourStyle",
    "Composition",
    "Injected",
    "InjectionPlan",
    "MarksStyle",
    "OnnxStyle",
    "Price",
    "Serving",
    "StrokesStyle",
    "TrainingNoise",
    "Transfer",
    "compose",
    "inject_diversity",
    "plan_injection",
    "write_injection",
]
