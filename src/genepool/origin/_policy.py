"""Which machine-made images the generation policy refuses: by number, by inbreeding, or by retention."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from genepool.origin._lineage import SetLineage, lineage_of

if TYPE_CHECKING:
    import pyarrow as pa

    from genepool.config import GenerationConfig

__all__ = ["GenerationVerdict", "judge_generations", "toxic_words"]


@dataclass(frozen=True, slots=True, eq=False)
class GenerationVerdict:
    """What the generation policy says about each image of a set.

    Attributes:
        rule: ``number``, ``inbreeding`` or ``retention``.
        limit: The policy's limit, in the rule's unit.
        lo, hi: ``(n,)`` generations after the tolerance; hi −1 = no upper end.
        value: ``(n,)`` what the limit is held against: the lower generation, F, or retention; NaN: unknown.
        toxic: ``(n,)`` certainly beyond the limit.
        maybe: ``(n,)`` machine-made and possibly beyond it.
    """

    rule: str
    limit: float
    lo: NDArray[np.int32]
    hi: NDArray[np.int32]
    value: NDArray[np.float64]
    toxic: NDArray[np.bool_]
    maybe: NDArray[np.bool_]

    def sentence(self, i: int) -> str:
        """Why image ``i`` is toxic, or may be."""
        high = "∞" if self.hi[i] < 0 else str(self.hi[i])
        if self.rule == "number":
            if self.toxic[i]:
                return f"generation {self.lo[i]} or later, the maximum is {self.limit:.0f}"
            return f"generation between {self.lo[i]} and {high}, the maximum is {self.limit:.0f}"
        if math.isnan(self.value[i]):
            return f"the ancestry of what made it is not known (generation {self.lo[i]} to {high})"
        if self.rule == "inbreeding":
            return f"made by a model with inbreeding F = {self.value[i]:.3f}, the limit is {self.limit:.2f}"
        return f"made by a model that retains {self.value[i]:.3f} of its roots, the floor is {self.limit:.2f}"


def toxic_words(policy: GenerationConfig) -> str:
    """What is wrong with an image that the policy refuses."""
    return {
        "number": f"above generation {policy.max}",
        "inbreeding": f"made by models more inbred than F = {policy.inbreeding:.2f}",
        "retention": f"made by models that retain less than {policy.retention:.0%} of their roots' variance",
    }[policy.rule]


def judge_generations(origins: pa.Table, policy: GenerationConfig) -> GenerationVerdict:
    """Apply the generation policy to settled origins.

    ``number``: an image is toxic above generation ``max``. ``inbreeding`` and ``retention``: the coefficient
    of the model that made it decides; images of a model that no trusted key registered, or that were made
    from images of a later generation than their model's, have none and count as unknown. A tolerance passes
    over a small share of higher generations in a model's training set; only shares that a trusted key
    recorded are reckoned with, and the generation of an image's own parents is never passed over.

    Args:
        origins: As `genepool.origin.settle` returns them.
        policy: The rule, its limits and the tolerance.
    """
    ai = np.asarray(origins.column("ai").to_numpy(zero_copy_only=False), np.bool_)
    lo = origins.column("lo").to_numpy().astype(np.int32)
    hi = origins.column("hi").fill_null(-1).to_numpy().astype(np.int32)
    if policy.rule == "number" and not policy.tolerance:
        return _by_number(ai, lo, hi, policy)
    lineage = lineage_of(origins)
    models, which = np.unique(
        np.array([name or "" for name in origins.column("model").to_pylist()], object).astype(str),
        return_inverse=True,
    )
    believed = _believed(lineage, models, which, lo, hi) & ai
    if policy.tolerance:
        lo, hi = _tolerate(lineage, models, which, believed, lo, hi, policy.tolerance)
    if policy.rule == "number":
        return _by_number(ai, lo, hi, policy)
    pedigree = lineage.pedigree
    worth = np.full(len(models), np.nan)
    for k in np.unique(which[believed]).tolist():
        name = str(models[k])
        if policy.rule == "inbreeding":
            worth[k] = pedigree.inbreeding(name)
        elif math.isfinite(pedigree.mean_generation(name)):
            worth[k] = pedigree.expected_retention(name, policy.b2)
    value = np.where(believed, worth[which], np.nan)
    # Coefficients are sums of floats: a model that lies on the limit is within it.
    limit, slack = (policy.inbreeding, 1e-9) if policy.rule == "inbreeding" else (policy.retention, -1e-9)
    beyond = value > limit + slack if policy.rule == "inbreeding" else value < limit + slack
    return GenerationVerdict(policy.rule, limit, lo, hi, value, ai & beyond, ai & np.isnan(value))


def _by_number(
    ai: NDArray[np.bool_], lo: NDArray[np.int32], hi: NDArray[np.int32], policy: GenerationConfig
) -> GenerationVerdict:
    toxic = ai & (lo > policy.max)
    maybe = ai & ~toxic & ((hi < 0) | (hi > policy.max))
    return GenerationVerdict("number", float(policy.max), lo, hi, lo.astype(np.float64), toxic, maybe)


def _believed(
    lineage: SetLineage,
    models: NDArray[np.str_],
    which: NDArray[np.int64],
    lo: NDArray[np.int32],
    hi: NDArray[np.int32],
) -> NDArray[np.bool_]:
    """Images whose generation is just that of a model which a trusted key registered."""
    low, high = np.full(len(models), -2, np.int64), np.full(len(models), -2, np.int64)
    for k, name in enumerate(models.tolist()):
        if name in lineage.believed and (ends := lineage.generations.get(name)) is not None:
            low[k], high[k] = ends[0], -1 if ends[1] is None else ends[1]
    found: NDArray[np.bool_] = (lo == low[which]) & (hi == high[which]) & (hi >= 0)
    return found


def _tolerate(
    lineage: SetLineage,
    models: NDArray[np.str_],
    which: NDArray[np.int64],
    believed: NDArray[np.bool_],
    lo: NDArray[np.int32],
    hi: NDArray[np.int32],
    tolerance: float,
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    lo, hi = lo.copy(), hi.copy()
    for k in np.unique(which[believed]).tolist():
        low, high = lineage.pedigree.generation(str(models[k]), tolerance=tolerance)
        mine = believed & (which == k)
        if high is not None:
            lo[mine], hi[mine] = np.minimum(lo[mine], low), np.minimum(hi[mine], high)
    return lo, hi
