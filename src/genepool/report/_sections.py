"""What each section of the page says, as plain data; every part of a decision may be missing."""

from __future__ import annotations

import math
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from genepool.records import HEADINGS
from genepool.report import _plot
from genepool.report._explain import explanations
from genepool.report._text import count, interval, number, plural, printable, sentence

if TYPE_CHECKING:
    from genepool.records import Decision, Measure

__all__ = ["Bar", "Line", "Step", "banner", "lines", "slices", "steps", "tallies"]

WORDS = {
    "pass": ("PASS", "This set may train a model."),
    "fail": ("FAIL", "This set should not train a model."),
    "undecided": ("UNDECIDED", "The evidence is too thin to say; provenance or people can settle it."),
}
SLICES, MEASURES = 40, 40


@dataclass(frozen=True, slots=True)
class Bar:
    """An interval on an axis, in per cent of its width; ``open`` where it has no upper end."""

    start: float
    width: float
    value: float | None
    bound: float | None
    open: bool
    axis: str
    label: str


@dataclass(frozen=True, slots=True)
class Line:
    """One measure as people read it."""

    name: str
    title: str
    value: str
    interval: str
    bound: str
    n: str
    state: str
    word: str
    note: str
    method: str
    bar: Bar | None


@dataclass(frozen=True, slots=True)
class Step:
    """What to do about one rule: the finding, the advice in words, the commands to copy."""

    code: str
    name: str
    state: str
    message: str
    text: str
    commands: tuple[tuple[str, str], ...]


def banner(decision: Decision) -> dict[str, Any]:
    """The verdict, in a word and a sentence, and what it is about."""
    word, sentence = WORDS[decision.status]
    parts = [p for p in re.split(r"[\\/]", decision.uri) if p]
    return {
        "state": decision.status,
        "word": word,
        "sentence": sentence,
        "name": printable(parts[-1] if parts else decision.uri, 80),
        "uri": printable(decision.uri, 300),
        "n": plural(decision.n, "image"),
        "root": printable(decision.root, 80),
        "aside": plural(len(decision.set_aside), "image") if decision.set_aside else "",
    }


# ----------------------------------------------------------------------------------------- numbers


def lines(decision: Decision) -> list[Line]:
    """Every measure with its interval, its floor or ceiling, and whether it holds."""
    return [_line(m) for m in list(decision.measures.values())[:MEASURES]]


def _line(m: Measure) -> Line:
    whole = _plot.whole_numbers(m)
    exact = m.lower == m.value == m.upper
    return Line(
        name=printable(m.name, 60),
        title=HEADINGS.get(m.name) or printable(m.title, 60),
        value="not measured" if m.value is None else number(m.value, bound=m.bound, whole=whole),
        interval="" if exact or m.value is None else interval(m.lower, m.upper, bound=m.bound, whole=whole),
        bound="" if m.bound is None else f"{m.bound_kind} {number(m.bound, whole=whole)}",
        n=plural(m.n, "image"),
        state=_state(m),
        word=_word(m),
        note=printable(m.note, 200),
        method=printable(m.method, 400),
        bar=_bar(m, whole),
    )


def _state(m: Measure) -> str:
    if m.bound is None and m.ok is not False:
        return "none"
    return {True: "pass", False: "fail", None: "undecided"}[m.ok]


def _word(m: Measure) -> str:
    if m.bound is None and m.ok is not False:
        return "no bound"
    if m.ok is None:
        return "undecided"
    return (
        "holds"
        if m.ok
        else {"floor": "below the floor", "ceiling": "above the ceiling"}.get(m.bound_kind, "fails")
    )


def _bar(m: Measure, whole: bool) -> Bar | None:
    known = [x for x in (m.value, m.lower, m.upper, m.bound) if x is not None and math.isfinite(x)]
    low = m.lower if m.lower is not None else m.value
    if not known or low is None or m.value is None or not math.isfinite(low):
        return None
    top = max(*known, 1) * 1.25 if whole or max(known) > 1 else 1.0
    floor = min(0.0, *known)
    open_end = m.upper is None or math.isinf(m.upper)
    high = top if open_end else float(m.upper or 0.0)

    def place(x: float) -> float:
        return round(100 * (x - floor) / (top - floor), 2)

    text = f"{HEADINGS.get(m.name, m.title)} {number(m.value, bound=m.bound, whole=whole)}"
    if m.lower != m.upper:
        text += f", interval {interval(m.lower, m.upper, bound=m.bound, whole=whole)}"
    if m.bound is not None:
        text += f", {m.bound_kind} {number(m.bound, whole=whole)}: {_word(m)}"
    return Bar(
        start=place(low),
        width=max(0.0, round(place(high) - place(low), 2)),
        value=place(m.value) if math.isfinite(m.value) else None,
        bound=None if m.bound is None else place(m.bound),
        open=open_end,
        axis="1" if top == 1.0 and not whole else "",
        label=printable(text, 300),
    )


# -------------------------------------------------------------------------------------------- next

# A command inside a sentence ends where the sentence goes on.
_COMMAND = re.compile(r"genepool (?!\.)[a-z]+(?: .*?)??(?=,? then genepool |  | \(|`|;|$)")


def steps(decision: Decision) -> list[Step]:
    """For each rule that did not hold, the next commands; for a set that passed, how to take it away."""
    table = explanations()
    found = []
    for failure in decision.failures[:MEASURES]:
        entry = table.get(failure.code)
        commands = [(printable(c.strip(" `"), 300), "") for c in _COMMAND.findall(failure.hint)]
        text = _COMMAND.sub("", failure.hint).strip(" ,:;`→\n")
        text = re.sub(r"[\s,:`]*(?:,? then)?[\s,:`]*$", "", re.sub(r"\s*:\s*(?=;)", "", text))
        if not commands and entry:
            commands = [_split(line, decision.uri) for line in entry.do]
        commands.append((f"genepool explain {printable(failure.code, 12)}", "why the rule exists"))
        found.append(
            Step(
                printable(failure.code, 12),
                entry.name.replace("-", " ") if entry else "",
                failure.status,
                sentence(printable(failure.message, 500)),
                sentence(printable(text, 500)),
                tuple(commands),
            )
        )
    if decision.status == "pass":
        path = shlex.quote(decision.uri)
        found.append(
            Step(
                "",
                "Train on it",
                "pass",
                "Every rule of the policy holds.",
                "Write the approved images out, or train on the set as it is; after a change, check again.",
                (
                    (printable(f"genepool export {path} -o OUT", 300), "the approved images"),
                    (printable(f"genepool verify {path}", 300), "origins against the log"),
                ),
            )
        )
    return found


def _split(line: str, uri: str) -> tuple[str, str]:
    command, _, remark = line.partition("  #")
    return printable(re.sub(r"\bPATH\b", lambda _: shlex.quote(uri), command.strip()), 300), remark.strip()


# ------------------------------------------------------------------------------------------ tables


def tallies(decision: Decision, key: str) -> list[tuple[str, str]]:
    """Rows of a section in ``extra`` that holds counts by name."""
    found = decision.extra.get(key)
    if not isinstance(found, Mapping):
        return []
    return [
        (
            printable(name or "none", 80),
            count(n)
            if isinstance(n, int)
            else number(float(n))
            if isinstance(n, float)
            else printable(n, 120),
        )
        for name, n in list(found.items())[:MEASURES]
        if n is not None
    ]


def slices(decision: Decision) -> dict[str, Any] | None:
    """Slices of the set, those that fall short first."""
    found = decision.extra.get("slices")
    if not isinstance(found, (list, tuple)):
        return None
    found = [s for s in found if isinstance(s, Mapping)]
    if not found:
        return None
    rank = {False: 0, None: 1, True: 2}
    ordered = sorted(found, key=lambda s: (rank.get(s.get("ok"), 1), s.get("upper") or 0.0))
    short = [s for s in ordered if s.get("ok") is not True]
    line = decision.measures.get("human_ratio")
    bound = line.bound if line is not None else None
    return {
        "total": count(len(found)),
        "failing": sum(s.get("ok") is False for s in found),
        "undecided": sum(s.get("ok") is None for s in found),
        "shown": min(len(short), SLICES),
        "short": len(short),
        "rows": [
            {
                "column": printable(s.get("column", ""), 40),
                "name": printable(s.get("name", ""), 80),
                "n": count(int(s.get("n", 0))),
                "interval": interval(s.get("lower"), s.get("upper"), bound=bound),
                "state": {False: "fail", None: "undecided"}[s.get("ok")],
                "word": {False: "below the floor", None: "undecided"}[s.get("ok")],
            }
            for s in short[:SLICES]
        ],
    }
