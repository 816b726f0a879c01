"""Bring diversity back: re-weight what is there, retrieve what is missing.

`inject_diversity` does it; `plan_injection` says first what would change, by how much, and why not where it
is not possible. Nothing is generated here, nothing repeated, and the human share is never traded for styles.
"""

from __future__ import annotations

from genepool.injection._inject import inject_diversity
from genepool.injection._plan import InjectionPlan, plan_injection

__all__ = ["InjectionPlan", "inject_diversity", "plan_injection"]
