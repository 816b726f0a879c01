"""Strangers' rules: plug-ins that add findings of their own, and can take none of ours away.

Entry-point group ``genepool.rules``; chosen by ``policy.rules`` in the configuration. A rule sees the numbers
and the rows, not the decision; its findings are added after the built-in rules have spoken. One that raises
or breaks its contract does not hold: its finding is ``undecided``, so that a set never passes because a rule
that its owner asked for did not run.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from genepool import plugins
from genepool.errors import PluginError, UsageError
from genepool.records import Case, Failure, GateRule, Measure

if TYPE_CHECKING:
    import pyarrow as pa

    from genepool.config import Config
    from genepool.gate._measures import Measures
    from genepool.store import Catalogue

__all__ = ["PluggedRule", "RuleFacts", "open_rules", "over", "rule_fault"]

_CODE = re.compile(r"(?!GP)[A-Z]{2,8}\d{3}")
_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_LONG = 500


@dataclass(frozen=True, slots=True)
class PluggedRule:
    """A plug-in's rule, ready to judge.

    Attributes:
        rule: The plug-in's object.
        spec: As configured, ``name`` or ``name:argument``.
        rows: The catalogue and the settled origins; None: no rows.
    """

    rule: GateRule
    spec: str
    rows: Callable[[], tuple[Catalogue, pa.Table]] | None = None

    @property
    def code(self) -> str:
        """Its code."""
        return self.rule.code

    @property
    def name(self) -> str:
        """Its name in words."""
        return self.rule.name

    def find(self, measures: Measures, config: Config, lines: Mapping[str, Measure]) -> Failure | None:
        """What it finds, as a finding of its own code; None: it holds."""
        facts = RuleFacts(
            measures.uri,
            measures.n,
            MappingProxyType(dict(lines)),
            MappingProxyType(config.to_json()),
            self.rows,
        )
        try:
            found: Any = self.rule.judge(facts)
            return None if found is None else self._held(found, facts)
        except MemoryError:
            raise
        except Exception as error:  # a stranger's rule may raise anything
            return self._broken(f"{type(error).__name__}: {error}")

    def _held(self, found: Any, facts: RuleFacts) -> Failure:
        if not isinstance(found, Failure):
            return self._broken(f"expected a Failure or None, found {type(found).__name__}")
        if found.status not in ("fail", "undecided"):
            return self._broken(f"expected fail or undecided, found {found.status!r}")
        cases: Any = found.cases
        if not isinstance(cases, (tuple, list)) or not all(isinstance(case, Case) for case in cases):
            return self._broken("expected its cases as a tuple of Case")
        if not str(found.message or "").strip():
            return self._broken("its finding has no message")
        if cases:
            known = set(facts.images("uri").column("uri").to_pylist())
            if (stray := next((case.uri for case in cases if case.uri not in known), None)) is not None:
                return self._broken(f"it names {stray!r}, which is no readable image of this set")
        return Failure(
            self.code,
            found.status,
            " ".join(str(found.message).split())[:_LONG],
            str(found.hint or f"genepool explain {self.code}")[:_LONG],
            tuple(replace(case, code=self.code) for case in cases),
        )

    def _broken(self, why: str) -> Failure:
        return Failure(
            self.code,
            "undecided",
            f"the rule {self.name} (plug-in {self.spec}) could not judge: {why}"[:_LONG],
            f"genepool plugins check rules {self.spec}",
        )


@dataclass(frozen=True, slots=True)
class RuleFacts:
    """`genepool.records.Facts` over a scanned and settled set."""

    uri: str
    n: int
    measures: Mapping[str, Measure]
    policy: Mapping[str, Any]
    rows: Callable[[], tuple[Catalogue, pa.Table]] | None = None

    def images(self, *columns: str) -> pa.Table:
        """The rows, ``uri`` first; columns of the catalogue, then of the origins; no names = all.

        Raises:
            UsageError: There is no such column.
        """
        import pyarrow as pa

        if self.rows is None:
            return pa.table({"uri": pa.array([], pa.string())})
        catalogue, origins = self.rows()
        seen = [name for name in catalogue.columns if name != "uri"]
        settled = [name for name in origins.column_names if name not in ("uri", "sha256", *seen)]
        known = ["uri", *seen, *settled]
        if unknown := sorted(set(columns) - set(known)):
            raise UsageError(f"no column is called {unknown[0]!r}", hint=f"columns: {', '.join(known)}")
        wanted = list(dict.fromkeys(("uri", *columns))) if columns else known
        table = catalogue.table([name for name in wanted if name == "uri" or name in seen])
        if not table.column("uri").equals(origins.column("uri")):
            raise UsageError("the rows and the origins do not belong together")
        parts = {name: (table if name in table.column_names else origins).column(name) for name in wanted}
        return pa.table(parts)


def open_rules(specs: Iterable[str]) -> tuple[PluggedRule, ...]:
    """The rules that a configuration names, in its order.

    Raises:
        PluginError: One is not installed, cannot be made, is no `GateRule`, or takes a code or name that
            is taken.
    """
    from genepool.gate._decide import RULES

    taken = {text for rule in RULES for text in (rule.code, rule.name)}
    found: list[PluggedRule] = []
    for spec in dict.fromkeys(specs):
        rule: Any = plugins.create("rules", spec)
        if problem := rule_fault(rule):
            raise PluginError(f"plug-in {spec!r}: {problem}", hint=f"genepool plugins check rules {spec}")
        for text in (rule.code, rule.name):
            if text in taken:
                raise PluginError(f"plug-in {spec!r}: there is already a rule called {text}")
            taken.add(text)
        found.append(PluggedRule(rule, spec))
    return tuple(found)


def over(rules: Sequence[PluggedRule], catalogue: Catalogue, origins: pa.Table) -> tuple[PluggedRule, ...]:
    """The rules with these rows to look at."""
    return tuple(replace(rule, rows=lambda: (catalogue, origins)) for rule in rules)


def rule_fault(rule: Any) -> str:
    """What is wrong with what a rule states about itself; empty: nothing."""
    if not isinstance(rule, GateRule):
        return f"expected a rule (code, name, what, judge), found {type(rule).__name__}"
    code: Any = rule.code
    if not isinstance(code, str) or not _CODE.fullmatch(code):
        return f"expected a code of 2 to 8 capital letters other than GP and three digits, found {code!r}"
    name: Any = rule.name
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        return f"expected a name of lower case words joined by hyphens, found {name!r}"
    what: Any = rule.what
    if not isinstance(what, str) or not what.strip():
        return "expected one sentence in `what`, found none"
    return ""
