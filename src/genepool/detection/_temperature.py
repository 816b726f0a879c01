"""From a logit to a probability: a temperature and a bias, those of the group that deserves the least trust.

Platt scaling (J. Platt, *Probabilistic Outputs for Support Vector Machines*, 1999, with his smoothed targets)
of one logit; C. Guo et al., ICML 2017, call its slope the inverse temperature.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from genepool.detection._metrics import balance

__all__ = ["Rule", "Scale", "fit_scale", "held_out_probabilities"]

Floats = NDArray[np.float64]
Rule = Literal["worst", "pooled"]
# A group whose logits run the wrong way has no temperature; it counts as this many times the pooled one.
_HOTTEST = 20.0


@dataclass(frozen=True, slots=True)
class Scale:
    """``calibrated = logit / temperature + bias``; ``groups``: the temperature fitted on each group alone."""

    temperature: float
    bias: float
    groups: Mapping[str, float]

    def __call__(self, logit: Floats) -> Floats:
        """Calibrated logits."""
        return np.asarray(logit / self.temperature + self.bias)


def fit_scale(logit: Floats, ai: NDArray[np.bool_], group: NDArray[np.str_], rule: Rule = "worst") -> Scale:
    """Temperature and bias of finite logits; classes weigh alike, and so do the groups of a class.

    Args:
        logit: Shape (n,), finite; both classes present.
        ai: Which are AI.
        group: Group of each, one class per name.
        rule: ``worst``: each group is fitted against all images of the other class, and the highest
            temperature (the least sure) is kept; ``pooled``: one fit of all.
    """
    centre = float(np.median(logit))
    spread = float(np.quantile(logit, 0.9) - np.quantile(logit, 0.1)) or float(np.abs(logit - centre).max())
    unit = spread or 1.0
    x = (logit - centre) / unit
    slope, shift = _platt(x, ai, balance(ai, group))
    # A detector that is no better than chance (or worse) still needs a positive temperature.
    slope = max(slope, 1e-3)
    temperatures: dict[str, float] = {}
    for name in np.unique(group):
        mine = group == name
        others = ai != ai[mine][0]
        part = mine | others
        own = _platt(x[part], ai[part], balance(ai[part], group[part]))[0]
        temperatures[str(name)] = unit / max(own, slope / _HOTTEST)
    if rule == "worst":
        hottest = max([unit / slope, *temperatures.values()])
        slope = unit / hottest
        shift = _platt(x, ai, balance(ai, group), slope)[1]
    return Scale(unit / slope, shift - slope * centre / unit, temperatures)


def held_out_probabilities(
    logit: Floats, ai: NDArray[np.bool_], group: NDArray[np.str_], rule: Rule
) -> Floats:
    """p(AI) of each image under the scale that was fitted without its group."""
    found = np.full(len(logit), 0.5)
    for name in np.unique(group):
        mine = group == name
        rest = ~mine
        if len(np.unique(ai[rest])) == 2:
            found[mine] = _sigmoid(fit_scale(logit[rest], ai[rest], group[rest], rule)(logit[mine]))
    return found


def _sigmoid(x: Floats) -> Floats:
    return np.asarray(0.5 * (1.0 + np.tanh(0.5 * x)))


def _platt(
    x: Floats, ai: NDArray[np.bool_], weights: Floats, slope: float | None = None
) -> tuple[float, float]:
    """Slope and shift of least weighted log loss against smoothed targets; the shift alone for a given slope.

    Newton steps on a convex function of two numbers, halved while they do not improve.
    """
    n_ai, n_human = int(ai.sum()), int((~ai).sum())
    target = np.where(ai, (n_ai + 1) / (n_ai + 2), 1 / (n_human + 2))
    free = np.array([slope is None, True])
    at = np.array([1.0 if slope is None else slope, 0.0])
    design = np.stack([x, np.ones_like(x)], 1)

    def loss(point: Floats) -> float:
        z = design @ point
        return float(weights @ (np.logaddexp(0.0, z) - target * z))

    value = loss(at)
    for _ in range(60):
        p = _sigmoid(design @ at)
        gradient = (design.T @ (weights * (p - target)))[free]
        curve = ((design * (weights * p * (1 - p))[:, None]).T @ design)[np.ix_(free, free)]
        move = np.zeros(2)
        move[free] = np.linalg.solve(curve + 1e-9 * np.eye(len(curve)), gradient)
        size = 1.0
        while size > 1e-6 and loss(at - size * move) > value:
            size /= 2
        at = at - size * move
        fresh = loss(at)
        if value - fresh < 1e-12:
            break
        value = fresh
    return float(at[0]), float(at[1])
