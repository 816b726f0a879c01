"""Estimates: floats that carry their interval, n and method."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

__all__ = ["Estimate", "RatioEstimate"]


class Estimate(float):
    """A number with its interval: compares like a float, carries what it is worth.

    Attributes:
        value: The point estimate (also the float itself).
        lower: Lower end of the two-sided interval, same unit.
        upper: Upper end.
        n: Number of observations behind it.
        method: How value and interval were computed, in words, with the source.
        alpha: 1 − confidence of the interval.
    """

    __slots__ = ("alpha", "lower", "method", "n", "upper", "value")

    value: float
    lower: float
    upper: float
    n: int
    method: str
    alpha: float

    def __new__(  # documented by the class
        cls, value: float, lower: float, upper: float, n: int, method: str, alpha: float = 0.05
    ) -> Estimate:
        self = super().__new__(cls, value)
        self.value = float(value)
        self.lower = float(lower)
        self.upper = float(upper)
        self.n = int(n)
        self.method = method
        self.alpha = float(alpha)
        return self

    def __getnewargs__(self) -> tuple[Any, ...]:
        return (self.value, self.lower, self.upper, self.n, self.method, self.alpha)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), self.__getnewargs__()

    def __repr__(self) -> str:
        return f"{self.value:.3f} [{self.lower:.3f}, {self.upper:.3f}] n={self.n}"

    def _repr_html_(self) -> str:
        """The number in a notebook, with its interval, n and method."""
        from genepool.records._html import estimate_html

        return estimate_html(self)

    def to_json(self) -> dict[str, Any]:
        """The number as ``{"value", "lower", "upper", "n", "method"}`` (NaN and infinities as null)."""
        return {
            "value": _finite(self.value),
            "lower": _finite(self.lower),
            "upper": _finite(self.upper),
            "n": self.n,
            "method": self.method,
        }


class RatioEstimate(float):
    """The share of human-made images. As a float it is the *guaranteed* share, the lower bound.

    Attributes:
        point: Best single guess, in [0, 1].
        lower: Guaranteed share at confidence 1 − alpha (the float itself).
        upper: Largest share that the evidence allows.
        alpha: 1 − confidence.
        n: Images in the set.
        n_audited: Images whose origin was verified or judged by a person.
        method: How the bound was computed, in words, with the source.
        assumptions: What must hold for the bound to be true.
    """

    __slots__ = ("alpha", "assumptions", "lower", "method", "n", "n_audited", "point", "upper")

    point: float
    lower: float
    upper: float
    alpha: float
    n: int
    n_audited: int
    method: str
    assumptions: tuple[str, ...]

    def __new__(  # documented by the class
        cls,
        lower: float,
        *,
        point: float,
        upper: float,
        alpha: float,
        n: int,
        n_audited: int,
        method: str,
        assumptions: Sequence[str] = (),
    ) -> RatioEstimate:
        self = super().__new__(cls, lower)
        self.lower = float(lower)
        self.point = float(point)
        self.upper = float(upper)
        self.alpha = float(alpha)
        self.n = int(n)
        self.n_audited = int(n_audited)
        self.method = method
        self.assumptions = tuple(assumptions)
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return _ratio, (
            self.lower,
            self.point,
            self.upper,
            self.alpha,
            self.n,
            self.n_audited,
            self.method,
            self.assumptions,
        )

    def __repr__(self) -> str:
        return f"≥ {self.lower:.3f} [{self.lower:.3f}, {self.upper:.3f}] n={self.n}"

    def _repr_html_(self) -> str:
        """The guaranteed share in a notebook, with what it rests on."""
        from genepool.records._html import ratio_html

        return ratio_html(self)

    def to_json(self) -> dict[str, Any]:
        """The ratio as a measure: ``value`` is the point, ``lower`` the guaranteed share."""
        return {
            "value": _finite(self.point),
            "lower": _finite(self.lower),
            "upper": _finite(self.upper),
            "n": self.n,
            "method": self.method,
            "n_audited": self.n_audited,
            "alpha": self.alpha,
            "assumptions": list(self.assumptions),
        }


def _ratio(
    lower: float,
    point: float,
    upper: float,
    alpha: float,
    n: int,
    n_audited: int,
    method: str,
    assumptions: tuple[str, ...],
) -> RatioEstimate:
    return RatioEstimate(
        lower,
        point=point,
        upper=upper,
        alpha=alpha,
        n=n,
        n_audited=n_audited,
        method=method,
        assumptions=assumptions,
    )


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
