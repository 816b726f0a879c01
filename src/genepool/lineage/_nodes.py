"""The nodes of a pedigree and the checks on what is said about them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from genepool.errors import UsageError

__all__ = ["Mixture", "Node", "mixture_of"]

Mixture: TypeAlias = "str | Mapping[str, float | None]"
_SLACK = 1e-9


@dataclass(frozen=True, slots=True)
class Node:
    """One cohort.

    Attributes:
        name: Unique name.
        kind: ``founders``, ``dataset`` or ``model``.
        size: Unrelated founders (kind ``founders``), or effective size (kind ``model``).
        parts: Cohort → share, for a dataset what it holds, for a model what it was trained on.
        rest: Share that nobody named, in [0, 1].
        vague: Some share is not known (it was split evenly for want of better).
        base: The model or mixture that fills the first slot; empty: the same as ``parts``.
    """

    name: str
    kind: Literal["founders", "dataset", "model"]
    size: float = 1.0
    parts: Mapping[str, float] = field(default_factory=dict)
    rest: float = 0.0
    vague: bool = False
    base: str = ""

    def parents(self) -> list[str]:
        """Names of the cohorts that this one is made from."""
        return [*self.parts, *([self.base] if self.base else [])]

    def to_json(self) -> dict[str, Any]:
        """Plain data for `Pedigree.from_json`."""
        if self.kind == "founders":
            return {"name": self.name, "kind": self.kind, "size": self.size}
        parts: dict[str, float | None] = dict.fromkeys(self.parts) if self.vague else dict(self.parts)
        if self.kind == "dataset":
            return {"name": self.name, "kind": self.kind, "mixture": parts}
        return {
            "name": self.name,
            "kind": self.kind,
            "trained_on": parts or None,
            "base": self.base or None,
            "effective_size": self.size,
        }


def mixture_of(mixture: Mixture | None, owner: str) -> tuple[dict[str, float], float, bool]:
    """Checked shares, the share that nobody named, and whether any share was unknown.

    Raises:
        UsageError: Not cohort → share, a share below 0 or not a number, shares above 1 in all, or itself.
    """
    if mixture is None:
        return {}, 1.0, False
    given: Any = {mixture: 1.0} if isinstance(mixture, str) else mixture
    if not isinstance(given, Mapping) or not given:
        raise UsageError(f"pedigree: {owner}: expected a mixture {{cohort: share}}, found {mixture!r}")
    known = 0.0
    for name, share in given.items():
        if not isinstance(name, str) or not name:
            raise UsageError(f"pedigree: {owner}: expected the name of a cohort, found {name!r}")
        if name == owner:
            raise UsageError(f"pedigree: expected no cycle, found {owner} → {owner}")
        if share is None:
            continue
        if isinstance(share, bool) or not isinstance(share, int | float) or not 0 <= share <= 1 + _SLACK:
            raise UsageError(f"pedigree: {owner}: expected a share in [0, 1] for {name}, found {share!r}")
        known += share
    if known > 1 + _SLACK or not math.isfinite(known):
        raise UsageError(f"pedigree: {owner}: expected shares of at most 1 in all, found {known:.6g}")
    if any(share is None for share in given.values()):
        # Only the names are certain then: an even split stands in, and numbers that need shares are NaN.
        return dict.fromkeys(given, 1.0 / len(given)), 0.0, True
    if known <= 0:
        raise UsageError(f"pedigree: {owner}: expected some share above 0, found {dict(given)!r}")
    rest = 1.0 - known
    parts = {name: float(share) for name, share in given.items() if share}
    return parts, rest if rest > _SLACK else 0.0, False
