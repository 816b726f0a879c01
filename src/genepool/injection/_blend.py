"""The convex programme behind a composition: shares of groups with caps and a human quota.

Minimise β·pᵀCp/c₀ − (1 − β)·rᵀp over 0 ≤ p ≤ cap, Σp = 1, Σ_human p ≥ h. C holds the mean squared style
similarity between groups (pᵀCp is the purity of the blend, convex because C is a Gram matrix), r the expected
retention. The optimum is found by sequential quadratic programming (D. Kraft, DFVLR-FB 88-28, 1988) and
certified by the Frank–Wolfe gap (M. Jaggi, ICML 2013), whose linear programme also gives the multipliers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Blend", "Programme", "solve"]

_STEPS = 1000
_TOLERANCE = 1e-6


@dataclass(frozen=True, slots=True, eq=False)
class Programme:
    """What is asked.

    Attributes:
        similarity: ``(g, g)`` C, positive semidefinite.
        scale: c₀, the purity that counts as 1.
        retention: ``(g,)`` r, in [0, 1].
        balance: β in [0, 1]: 1 looks at diversity only, 0 at retention only.
        cap: ``(g,)`` largest share of each group.
        human: ``(g,)`` which groups are verified human.
        quota: Least human share h.
    """

    similarity: NDArray[np.float64]
    scale: float
    retention: NDArray[np.float64]
    balance: float
    cap: NDArray[np.float64]
    human: NDArray[np.bool_]
    quota: float

    def value(self, p: NDArray[np.float64]) -> float:
        """The objective, the smaller the better."""
        purity = float(p @ self.similarity @ p)
        return self.balance * purity / self.scale - (1 - self.balance) * float(self.retention @ p)

    def slope(self, p: NDArray[np.float64]) -> NDArray[np.float64]:
        """Its gradient."""
        return np.asarray(
            2 * self.balance / self.scale * (self.similarity @ p) - (1 - self.balance) * self.retention
        )


@dataclass(frozen=True, slots=True, eq=False)
class Blend:
    """The answer.

    Attributes:
        shares: ``(g,)`` p.
        value: The objective.
        gap: How far above the least possible objective this can be at most.
        human_price: What one unit more of the quota costs (Lagrange multiplier, at least 0).
        cap_prices: ``(g,)`` what one unit more of each group's cap would save (at least 0).
    """

    shares: NDArray[np.float64]
    value: float
    gap: float
    human_price: float
    cap_prices: NDArray[np.float64]


def solve(ask: Programme) -> Blend | None:
    """The best shares; None where no shares satisfy the constraints."""
    from scipy.optimize import minimize

    start = _linear(ask, np.zeros(len(ask.cap)))
    if start is None:
        return None
    constraints = [{"type": "eq", "fun": lambda p: p.sum() - 1.0, "jac": lambda p: np.ones_like(p)}]
    if ask.quota > 0:
        wanted = ask.human.astype(np.float64)
        constraints.append({"type": "ineq", "fun": lambda p: wanted @ p - ask.quota, "jac": lambda _: wanted})
    found = minimize(
        ask.value,
        start.x,
        jac=ask.slope,
        bounds=[(0.0, float(c)) for c in ask.cap],
        constraints=constraints,
        method="SLSQP",
        options={"maxiter": 300, "ftol": 1e-12},
    )
    p = _repaired(np.asarray(found.x, np.float64), start.x, ask)
    p, gap, best = _descended(p, ask)
    human_price = -float(best.ineqlin.marginals[0]) if ask.quota > 0 else 0.0
    return Blend(p, ask.value(p), max(0.0, gap), max(0.0, human_price), -np.asarray(best.upper.marginals))


def _descended(p: NDArray[np.float64], ask: Programme) -> tuple[NDArray[np.float64], float, Any]:
    """Frank–Wolfe with away steps: shares, gap, and the last answer of the linear programme.

    Plain steps towards a vertex crawl where the optimum lies on a face; a step away from the worst vertex in
    use leaves the face at once (Lacoste-Julien & Jaggi, NeurIPS 2015).
    """
    atoms, weights = [p], np.ones(1)
    for _ in range(_STEPS):
        slope = ask.slope(p)
        best = _linear(ask, slope)
        assert best is not None  # noqa: S101  # it was feasible before, and nothing changed
        gap = float(slope @ (p - best.x))
        if gap <= _TOLERANCE:
            break
        worst = int(np.argmax([float(slope @ atom) for atom in atoms]))
        away = float(slope @ (atoms[worst] - p)) > gap and weights[worst] < 1.0
        way = p - atoms[worst] if away else best.x - p
        most = weights[worst] / (1.0 - weights[worst]) if away else 1.0
        bend = 2 * ask.balance / ask.scale * float(way @ ask.similarity @ way)
        fall = -float(slope @ way)
        move = most if bend <= 0 else min(most, fall / bend)
        if away:
            weights = weights * (1.0 + move)
            weights[worst] -= move
        else:
            weights = np.append(weights * (1.0 - move), move)
            atoms.append(best.x)
        kept = np.flatnonzero(weights > 1e-14)
        atoms, weights = [atoms[k] for k in kept], weights[kept] / weights[kept].sum()
        p = np.asarray(weights @ np.stack(atoms))
    return p, gap, best


def _linear(ask: Programme, cost: NDArray[np.float64]) -> Any:
    """The cheapest feasible shares for a linear cost, with multipliers; None: nothing is feasible."""
    from scipy.optimize import linprog

    quota = {"A_ub": -ask.human.astype(np.float64)[None], "b_ub": [-ask.quota]} if ask.quota > 0 else {}
    found = linprog(
        cost,
        A_eq=np.ones((1, len(cost))),
        b_eq=[1.0],
        bounds=np.stack((np.zeros(len(cost)), ask.cap), axis=1),
        method="highs",
        **quota,
    )
    return found if found.status == 0 else None


def _repaired(p: NDArray[np.float64], safe: NDArray[np.float64], ask: Programme) -> NDArray[np.float64]:
    """Shares that keep every constraint: SQP leaves them by some 1e-10, or worse where it gave up."""
    clipped = np.clip(np.nan_to_num(p), 0.0, ask.cap)
    total = clipped.sum()
    if total <= 0 or abs(total - 1) > 1e-6:
        return safe
    clipped = np.minimum(clipped / total, ask.cap)
    short = 1.0 - clipped.sum()
    room = ask.cap - clipped
    if short > 0 and room.sum() > 0:
        clipped = clipped + room * (short / room.sum())
    lacking = ask.quota - float(clipped[ask.human].sum())
    if lacking > 0:
        surplus = float(safe[ask.human].sum()) - ask.quota
        if surplus <= 1e-12:
            return safe
        mix = min(1.0, lacking / (lacking + surplus))
        clipped = np.asarray((1 - mix) * clipped + mix * safe)
    return np.asarray(clipped)
