"""Bring diversity back: re-weight what is there, retrieve what is missing, compose a set from several pools.

`inject_diversity` does it; `plan_injection` says first what would change, by how much, and why not where it
is not possible. `compose` chooses how much of each cohort and model to take for a set of a given size, and
what each constraint of the policy costs. Nothing is generated here, nothing repeated, and the human share is
never traded for styles.
"""

from __future__ import annotations

from genepool.injection._compose import Composition, Price, Serving, compose
from genepool.injection._inject import inject_diversity
from genepool.injection._plan import InjectionPlan, plan_injection

__all__ = [
    "Composition",
    "InjectionPlan",
    "Price",
    "Serving",
    "compose",
    "inject_diversity",
    "plan_injection",
]
