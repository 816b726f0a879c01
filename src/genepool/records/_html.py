"""How records show themselves in a notebook: plain HTML that says everything in words.

It holds no script and no style sheet, only tables and a few inline styles, because a saved notebook is read
in many places (GitHub keeps the tables and drops the styles). All text of strangers is escaped and cut, so
that it stays small whatever a file is called.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from genepool.records._decision import Decision, Failure, Measure
    from genepool.records._numbers import Estimate, RatioEstimate

__all__ = ["HEADINGS", "decision_html", "estimate_html", "printable", "ratio_html", "shown"]

HEADINGS = {
    "human_ratio": "Human-made share",
    "generation": "Highest generation",
    "inbreeding": "Highest inbreeding F",
    "retention": "Least retention of a lineage",
    "diversity": "Style diversity index",
    "near_duplicates": "Near-duplicate share",
    "opted_out": "Opted-out share",
}
"""What a measure is called where there is room; elsewhere its short title."""
MEASURES, FAILURES = 16, 12
WORDS = {
    "pass": ("✓ PASS", "this set may train a model", "#1b7447"),
    "fail": ("✗ FAIL", "this set should not train a model", "#b0271f"),
    "undecided": ("? UNDECIDED", "the evidence is too thin to say", "#855400"),
}
STATES = {True: "✓ holds", False: "✗ does not hold", None: "? undecided"}


def printable(text: object, limit: int = 240) -> str:
    """A stranger's string, safe to show: one line, no control or direction marks, at most ``limit`` long.

    Control characters, surrogates and bidirectional overrides are written as escapes, so that a file name
    cannot pretend to be another one. Too long a text loses its middle. HTML is not escaped here.
    """
    raw = str(text)
    if len(raw) > 4 * limit:  # do not walk through a megabyte of caption
        raw = raw[: 2 * limit] + "…" + raw[-2 * limit :]
    line = "".join(
        c if c.isprintable() else c.encode("unicode_escape", "backslashreplace").decode() for c in raw
    )
    if len(line) > limit:
        head = limit * 2 // 3
        line = line[:head] + "…" + line[len(line) - (limit - head - 1) :]
    return line


def shown(text: object, limit: int = 240) -> str:
    """`printable`, escaped for HTML."""
    from html import escape

    return escape(printable(text, limit))


def estimate_html(estimate: Estimate) -> str:
    """An estimate with its interval, n and method."""
    ends = f"[{_number(estimate.lower)}, {_number(estimate.upper)}]"
    return _one(_number(estimate.value), ends, estimate.n, 1 - estimate.alpha, estimate.method)


def ratio_html(ratio: RatioEstimate) -> str:
    """A guaranteed share with what it rests on."""
    ends = f"[{_number(ratio.lower)}, {_number(ratio.upper)}]"
    method = "; assuming ".join([ratio.method, *ratio.assumptions][:4])
    first = f"≥ {_number(ratio.lower)}"
    seen = f", {ratio.n_audited:,} of them verified or judged"
    return _one(first, ends, ratio.n, 1 - ratio.alpha, method, seen)


def _one(value: str, ends: str, n: int, confidence: float, method: str, more: str = "") -> str:
    return (
        f"<div><strong>{value}</strong> {ends} · n = {n:,}{more} · {confidence:.0%} confidence<br>"
        f"<small>{shown(method, 600)}</small></div>"
    )


def decision_html(decision: Decision) -> str:
    """Verdict, numbers with their bounds, and what to do next."""
    word, sentence, colour = WORDS[decision.status]
    aside = f" · {len(decision.set_aside):,} set aside" if decision.set_aside else ""
    measures, failures = list(decision.measures.values()), list(decision.failures)
    rows = "".join(map(_row, measures[:MEASURES]))
    todo = "".join(map(_failure, failures[:FAILURES]))
    if len(failures) > FAILURES:
        todo += f"<li>{len(failures) - FAILURES} more rules do not hold.</li>"
    parts = [
        f'<div style="border-left:4px solid {colour};padding-left:0.9em">',
        f"<p><strong>{word}</strong>: {sentence}.<br>",
        f"<small>{shown(decision.uri, 200)} · {_images(decision.n)}{aside} · root {shown(decision.root, 16)}"
        "</small></p>",
    ]
    if rows:
        head = "".join(f"<th>{name}</th>" for name in ("measure", "value", "interval", "bound", "n", ""))
        parts.append(f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>")
    if len(measures) > MEASURES:
        parts.append(f"<p><small>{len(measures) - MEASURES} more measures are not shown.</small></p>")
    parts.append(f"<ul>{todo}</ul>" if todo else "")
    return "".join([*parts, "</div>"])


def _row(m: Measure) -> str:
    exact = m.lower == m.value == m.upper
    ends = "" if exact or m.value is None else f"[{_number(m.lower)}, {_number(m.upper)}]"
    bound = "" if m.bound is None else f"{m.bound_kind} {_number(m.bound)}"
    state = "" if m.bound is None and m.ok is not False else STATES[m.ok]
    note = f"<br><small>{shown(m.note, 120)}</small>" if m.note else ""
    cells = (
        shown(HEADINGS.get(m.name, m.title), 60) + note,
        f"<strong>{'not measured' if m.value is None else _number(m.value)}</strong>",
        ends,
        bound,
        f"{m.n:,}",
        state,
    )
    return "<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"


def _failure(failure: Failure) -> str:
    mark = "✗" if failure.status == "fail" else "?"
    cases = f" ({_images(len(failure.cases))})" if failure.cases else ""
    return (
        f"<li>{mark} <strong>{shown(failure.code, 12)}</strong> {shown(failure.message, 300)}{cases}<br>"
        f"→ {shown(failure.hint, 300)}</li>"
    )


def _images(n: int) -> str:
    return "1 image" if n == 1 else f"{n:,} images"


def _number(value: float | None) -> str:
    if value is None or math.isnan(value):
        return "–"
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    return f"{int(value):,}" if value == int(value) and abs(value) >= 2 else f"{value:.3f}"
