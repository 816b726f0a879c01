"""Closed forms of what survives when a model is trained on its own kind, generation after generation.

Variance follows v' = h + (1 − h)·b²·v, where h is the fresh human share of every training set and b² the
share of variance that one pass through the model keeps; inbreeding follows Wright's island model
(S. Wright, Genetics 16 (1931) 97) with migration h.
"""

from __future__ import annotations

from genepool.errors import MeasureError

__all__ = ["required_human_ratio", "steady_inbreeding", "steady_retention"]


def _share(value: float, name: str, *, positive: bool = False) -> float:
    if not (0.0 <= value <= 1.0) or (positive and value == 0.0):
        raise MeasureError(f"retention: expected {name} in {'(0' if positive else '[0'}, 1], found {value}")
    return float(value)


def steady_retention(h: float, b2: float) -> float:
    """Retained variance in the long run, h / (1 − (1 − h)·b²).

    Args:
        h: Fresh human share of every training set, in [0, 1].
        b2: Variance kept by one pass through the model, in (0, 1].

    Raises:
        MeasureError: A number outside its range.
    """
    h, b2 = _share(h, "h"), _share(b2, "b²", positive=True)
    if b2 == 1.0:
        return 1.0  # nothing is lost, whatever is mixed in
    return h / (1.0 - (1.0 - h) * b2)


def required_human_ratio(b2: float, target: float) -> float:
    """The fresh human share that keeps the long-run retention at a target: `steady_retention` solved for h.

    Args:
        b2: Variance kept by one pass through the model, in (0, 1].
        target: Retention wanted, in [0, 1].

    Returns:
        target·(1 − b²) / (1 − target·b²), in [0, 1].

    Raises:
        MeasureError: A number outside its range.
    """
    b2, target = _share(b2, "b²", positive=True), _share(target, "the target")
    if b2 == 1.0:
        return 0.0
    return target * (1.0 - b2) / (1.0 - target * b2)


def steady_inbreeding(h: float, genomes: float) -> float:
    """Inbreeding in the long run, F* = (1 − h)² / (N − (N − 1)(1 − h)²).

    Args:
        h: Fresh, unrelated human share of every training set, in [0, 1].
        genomes: N, effective number of genomes that a model passes on: twice its effective size, at least 1.

    Raises:
        MeasureError: A number outside its range.
    """
    h = _share(h, "h")
    if not genomes >= 1:
        raise MeasureError(f"inbreeding: expected at least one genome, found {genomes}")
    kept = (1.0 - h) ** 2
    if kept == 1.0:
        return 1.0
    return kept / (genomes - (genomes - 1.0) * kept)
