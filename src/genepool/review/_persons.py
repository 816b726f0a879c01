"""Who is a person: names that a script, a model or a simulation gives itself are none."""

from __future__ import annotations

__all__ = ["MARKS", "is_person"]

MARKS = ("test:", "script:", "model:", "simulation:", "bot:")
"""Beginnings of names that are no person's. Their votes never make a score."""


def is_person(reviewer: str) -> bool:
    """Whether a reviewer's name is a person's, as far as a name can tell."""
    return not reviewer.strip().casefold().startswith(MARKS)
