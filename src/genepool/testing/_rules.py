"""The kit for rules of the gate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from genepool.records import Facts, Failure, GateRule, Measure
from genepool.testing._kit import Check, insist, protocol

if TYPE_CHECKING:
    from genepool.gate import RuleFacts

_COLUMNS: Mapping[str, Any] = {
    "sha256": lambda i: bytes([i % 256]) * 32,
    "width": lambda _: 640,
    "height": lambda _: 480,
    "format": lambda _: "JPEG",
    "size": lambda _: 40_000,
    "caption": lambda i: f"picture {i}",
    "origin": lambda i: "human_made" if i % 2 else "synthetic",
    "tier": lambda _: "attested",
    "status": lambda _: "settled",
    "human": lambda i: bool(i % 2),
    "ai": lambda i: not i % 2,
    "p_human": lambda i: 0.98 if i % 2 else 0.02,
    "lo": lambda i: 0 if i % 2 else 1,
    "hi": lambda i: 0 if i % 2 else 1,
    "model": lambda i: None if i % 2 else "a-model",
    "artist": lambda i: f"artist {i % 3}" if i % 2 else None,
    "source": lambda _: None,
    "style": lambda _: None,
}


def facts_of(
    n: int = 12,
    columns: Mapping[str, Sequence[Any]] | None = None,
    *,
    measures: Mapping[str, Measure] | None = None,
    policy: Mapping[str, Any] | None = None,
) -> RuleFacts:
    """Facts about a made-up set, for the tests of a rule.

    Args:
        n: Images, ``0.jpg``, ``1.jpg`` …; odd ones human, even ones of generation 1.
        columns: Values that replace or add to the columns, n of each.
        measures: The decision's numbers; None: none were measured.
        policy: The configuration; None: the defaults.

    Raises:
        ValueError: A column of another length.
    """
    import pyarrow as pa

    from genepool.config import Config
    from genepool.gate import RuleFacts

    given = dict(columns or {})
    for name, values in given.items():
        if len(values) != n:
            raise ValueError(f"{name}: expected {n} values, found {len(values)}")
    table = {name: [make(i) for i in range(n)] for name, make in _COLUMNS.items()} | given
    uris = pa.array([f"{i}.jpg" for i in range(n)], pa.string())
    rows = pa.table({"uri": uris, **{name: pa.array(values) for name, values in table.items()}})
    catalogue: Any = SimpleNamespace(columns=dict.fromkeys(rows.column_names, ""), table=rows.select)
    return RuleFacts(
        "/made/up",
        n,
        measures or {},
        policy or Config().to_json(),
        lambda: (catalogue, pa.table({"uri": uris})),
    )


def check_rule(
    rule: GateRule, *, holds: Facts | None = None, fails: Facts | None = None
) -> tuple[Check, ...]:
    """Try a rule against every rule for rules.

    Args:
        rule: As made by its plug-in.
        holds: A set in which it must find nothing (`facts_of` makes one).
        fails: A set in which it must find something.

    Returns:
        One `Check` per rule; those that could not be tried because an earlier one failed are left out.
    """
    from genepool.gate import rule_fault

    checks = [protocol(rule, GateRule, ("code", "name", "what", "judge"))]
    if not checks[0].ok:
        return tuple(checks)
    fault = rule_fault(rule)
    checks.append(
        Check(
            "states a code, a name and a sentence of its own", not fault, fault or f"{rule.code} {rule.name}"
        )
    )
    if fault:
        return tuple(checks)
    sets: dict[str, Facts] = {
        "an ordinary set": facts_of(),
        "one image": facts_of(1),
        "no image": facts_of(0),
    }
    sets |= {"a set in which it holds": holds} if holds is not None else {}
    sets |= {"a set in which it fails": fails} if fails is not None else {}
    for name, facts in sets.items():
        one, two = _found(rule, facts), _found(rule, facts)
        problem = one if isinstance(one, str) else _wrong(one, facts)
        checks.append(Check(f"{name}: a sound finding or none", not problem, problem or _said(one)))
        checks.append(Check(f"{name}: the same again", one == two))
    if holds is not None:
        checks.append(Check("it holds where it must", _found(rule, holds) is None))
    if fails is not None:
        checks.append(Check("it finds what it is for", isinstance(_found(rule, fails), Failure)))
    return tuple(checks)


def assert_rule(rule: GateRule, *, holds: Facts | None = None, fails: Facts | None = None) -> None:
    """Raise an AssertionError that lists every rule that the rule breaks."""
    insist(check_rule(rule, holds=holds, fails=fails), str(getattr(rule, "name", type(rule).__name__)))


def _found(rule: GateRule, facts: Facts) -> Failure | str | None:
    try:
        found: Any = rule.judge(facts)
    except Exception as error:  # the very thing that is tested
        return f"raised {type(error).__name__}: {error}"[:200]
    if found is None or isinstance(found, Failure):
        return found
    return f"expected a Failure or None, found {type(found).__name__}"


def _wrong(found: Failure | None, facts: Facts) -> str:
    if found is None:
        return ""
    if found.status not in ("fail", "undecided"):
        return f"status {found.status!r}: expected fail or undecided"
    if not found.message.strip() or not found.hint.strip():
        return "a finding needs a message and, as hint, what to do next"
    known = set(facts.images("uri").column("uri").to_pylist())
    stray = [case.uri for case in found.cases if case.uri not in known]
    return f"it names {stray[0]!r}, which is no image of the set" if stray else ""


def _said(found: Failure | str | None) -> str:
    if isinstance(found, str):
        return found
    return "it holds" if found is None else f"{found.status}: {found.message}"
