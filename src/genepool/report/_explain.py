"""What each rule and error code means: the packaged table ``explanations.toml``."""

from __future__ import annotations

import difflib
import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from genepool.errors import UsageError

__all__ = ["Explanation", "explanations", "find"]


@dataclass(frozen=True, slots=True)
class Explanation:
    """One code, in words.

    Attributes:
        code: ``GPnnn``.
        name: A short name in words joined by hyphens, unique.
        kind: ``rule`` of the gate, or ``error`` that ended a run.
        exit: Exit codes in which it can end.
        what: One sentence: what it says.
        why: Why it exists, with the source where one is known.
        do: Commands that help; what follows ``  #`` is a remark.
    """

    code: str
    name: str
    kind: Literal["rule", "error"]
    exit: tuple[int, ...]
    what: str
    why: str
    do: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain data, in the order in which people read it."""
        return {
            "code": self.code,
            "name": self.name,
            "kind": self.kind,
            "exit": list(self.exit),
            "what": self.what,
            "why": self.why,
            "do": list(self.do),
        }


@functools.cache
def explanations() -> Mapping[str, Explanation]:
    """Every code with its explanation, in the order of the codes."""
    import tomllib
    from importlib import resources

    text = (resources.files("genepool") / "explanations.toml").read_text("utf-8")
    return {
        code: Explanation(
            code=code,
            name=row["name"],
            kind=row["kind"],
            exit=tuple(row["exit"]),
            what=row["what"],
            why=" ".join(row["why"].split()),
            do=tuple(row["do"]),
        )
        for code, row in sorted(tomllib.loads(text).items())
    }


def find(word: str) -> Explanation:
    """The explanation that a person means by a code, a name or a word of it.

    Args:
        word: ``GP101``, ``gp101``, ``101``, ``human-ratio`` or a part of a name that only one code has.

    Raises:
        UsageError: Nothing, or more than one thing, is meant; the nearest are suggested.
    """
    table = explanations()
    key = word.strip().upper()
    for code in (key, f"GP{key}"):
        if code in table:
            return table[code]
    name = word.strip().lower().replace(" ", "-").replace("_", "-")
    named = {entry.name: entry for entry in table.values()}
    if name in named:
        return named[name]
    parts = [entry for entry in table.values() if name and name in entry.name]
    if len(parts) == 1:
        return parts[0]
    if not parts and (theirs := _plugged(key, name)) is not None:
        return theirs
    if parts:
        raise UsageError(
            f"explain: {word!r} is said by {len(parts)} codes",
            hint="one of: " + ", ".join(f"{entry.code} ({entry.name})" for entry in parts),
        )
    near = difflib.get_close_matches(key, table, n=3) + difflib.get_close_matches(
        name, named, n=3, cutoff=0.5
    )
    meant = dict.fromkeys(n if n in table else named[n].code for n in near)
    raise UsageError(
        f"explain: there is no code or name {word!r}",
        hint="did you mean " + " or ".join(f"{code} ({table[code].name})" for code in list(meant)[:3]) + "?"
        if meant
        else "`genepool explain` lists all of them",
    )


def _plugged(code: str, name: str) -> Explanation | None:
    """The rule of a plug-in that has this code or name; plug-ins that cannot be loaded are passed over."""
    from genepool import gate, plugins
    from genepool.errors import GenepoolError

    for entry in plugins.entries("rules"):
        try:
            rule: Any = plugins.create("rules", entry.name)
        except GenepoolError:
            continue
        if gate.rule_fault(rule) or (rule.code != code and rule.name != name):
            continue
        whose = f"A rule of the plug-in {entry.name} ({entry.distribution} {entry.version}), not of genepool."
        more: Any = getattr(rule, "do", ())
        return Explanation(
            code=rule.code,
            name=rule.name,
            kind="rule",
            exit=(1, 5),
            what=" ".join(str(rule.what).split()),
            why=" ".join(f"{getattr(rule, 'why', '')} {whose}".split()),
            do=tuple(map(str, more if isinstance(more, (tuple, list)) else (more,))),
        )
    return None
