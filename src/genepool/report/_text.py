"""Numbers and nested data as text for people."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from genepool.records import printable

__all__ = ["count", "day", "flatten", "interval", "number", "plural", "printable", "sentence", "share"]

DASH = "–"
DIGITS = 6


def count(n: int) -> str:
    """A whole number with thousands separated by commas."""
    return f"{n:,}"


def day(at: float) -> str:
    """Seconds since 1970 as ``2026-11-28 07:05``, UTC."""
    from datetime import UTC, datetime

    return datetime.fromtimestamp(float(at), UTC).strftime("%Y-%m-%d %H:%M")


def plural(n: int, word: str, words: str = "") -> str:
    """``1 image``, ``12,304 images``."""
    return f"{count(n)} {word if n == 1 else words or word + 's'}"


def share(n: int, total: int) -> str:
    """A part of a whole in per cent; a part that is not empty is never shown as 0 %."""
    if total <= 0:
        return DASH
    percent = 100 * n / total
    if percent in (0, 100):
        return f"{percent:.0f} %"
    if 0 < percent < 0.1:
        return "< 0.1 %"
    if 99.9 < percent < 100:
        return "> 99.9 %"
    return f"{percent:.1f} %" if percent < 10 or percent > 90 else f"{percent:.0f} %"


def number(value: float | None, *, bound: float | None = None, whole: bool = False) -> str:
    """A number with as many digits as needed to stay on its own side of a bound.

    Two digits after the point by default; 0.6996 beside a floor of 0.70 is shown as 0.6996, never as 0.70.
    """
    if value is None or math.isnan(value):
        return DASH
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    if whole and value == int(value):
        return count(int(value))
    digits = 2
    if bound is not None and value != bound and math.isfinite(bound):
        while digits < DIGITS and round(value, digits) == round(bound, digits):
            digits += 1
    return f"{value:.{digits}f}"


def interval(
    lower: float | None, upper: float | None, *, bound: float | None = None, whole: bool = False
) -> str:
    """``[0.60, 0.72]``; an interval without an upper end is half open, ``[2, ∞)``."""
    if lower is None and upper is None:
        return ""
    low = "(−∞" if lower is None else f"[{number(lower, bound=bound, whole=whole)}"
    high = "∞)" if upper is None or math.isinf(upper) else f"{number(upper, bound=bound, whole=whole)}]"
    return f"{low}, {high}"


def sentence(text: str) -> str:
    """A message that begins in the middle of a line, made to stand alone: capital first, a full stop last."""
    return text and text[0].upper() + text[1:] + ("" if text[-1] in ".!?…" else ".")


def flatten(data: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Nested plain data as rows of dotted key and text, in order."""
    rows: list[tuple[str, str]] = []
    for key, value in data.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            rows.extend(flatten(value, f"{name}."))
        elif isinstance(value, (list, tuple)):
            rows.append((printable(name, 80), printable(", ".join(map(str, value)) or DASH)))
        elif isinstance(value, float):
            rows.append((printable(name, 80), f"{value:.6g}"))
        else:
            rows.append((printable(name, 80), printable(DASH if value in (None, "") else value)))
    return rows
