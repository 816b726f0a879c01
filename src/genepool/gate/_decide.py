"""The rules, one function each, and the decision they add up to."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import replace
from typing import TYPE_CHECKING, Literal, NamedTuple

from genepool.errors import PolicyError
from genepool.gate._generation import contradictions, generation_lines, maybe_toxic, toxic
from genepool.gate._human import checkpoint, human, human_slices
from genepool.gate._plugged import PluggedRule
from genepool.records import Case, Decision, Estimate, Failure, Measure, RatioEstimate

if TYPE_CHECKING:
    from genepool.config import Config
    from genepool.gate._measures import Measures

__all__ = ["RULES", "decide"]


class Rule(NamedTuple):
    """A rule: its code, its name, and what it finds wrong (None: it holds)."""

    code: str
    name: str
    judge: Callable[[Measures, Config], Failure | None]


def decide(
    measures: Measures,
    config: Config,
    *,
    select: Sequence[str] = (),
    ignore: Sequence[str] = (),
    plugged: Sequence[PluggedRule] = (),
) -> Decision:
    """Apply the policy.

    Args:
        measures: What was measured.
        config: The policy and everything else that was configured (recorded in the decision).
        select: Only these rules, by code, prefix (``GP4``) or name; empty = all.
        ignore: Not these.
        plugged: Rules of plug-ins (`open_rules`, `over`), which are heard after the built-in ones.

    Raises:
        PolicyError: ``select`` or ``ignore`` names no rule, or no rule is left (an empty policy would
            pass anything).
    """
    every: list[Rule | PluggedRule] = [*RULES, *plugged]
    rules = _chosen(every, select, ignore)
    ours = [rule for rule in rules if isinstance(rule, Rule)]
    failures = [found for rule in ours if (found := rule.judge(measures, config)) is not None]
    lines = _lines(measures, config, {f.code: f.status for f in failures}, {r.code for r in ours})
    # What the built-in rules found stands before a stranger's rule is asked.
    theirs = [rule.find(measures, config, lines) for rule in rules if isinstance(rule, PluggedRule)]
    failures += [found for found in theirs if found is not None]
    failures.sort(key=lambda f: (f.status != "fail", f.code))
    status = failures[0].status if failures else "pass"
    return Decision(
        status=status,
        uri=measures.uri,
        n=measures.n,
        root=measures.root,
        measures=lines,
        failures=tuple(failures),
        set_aside=_aside(measures, config),
        policy={
            "rules": [rule.code for rule in rules],
            "not_applied": [rule.code for rule in every if rule not in rules],
            **{k: v for k, v in config.to_json().items() if k in ("policy", "generation", "review")},
        },
        extra={
            "approved": {"n": measures.kept, "root": measures.kept_root},
            "generations": dict(measures.generations),
            "slices": [_slice(s, config) for s in measures.slices],
            "disputed": len(measures.disputed),
            "verdicts": measures.verdicts,
            **measures.extra,
            "config": config.to_json(),
        },
    )


def _aside(m: Measures, config: Config) -> tuple[Case, ...]:
    """What the decision does not speak of: files that cannot be read, and what the policy leaves out."""
    maybe = m.maybe_toxic if config.generation.unknown == "exclude" else ()
    opted = m.opted_out if config.policy.rights == "exclude" else ()
    return (*m.unread, *maybe, *opted)


def _chosen(
    every: Sequence[Rule | PluggedRule], select: Sequence[str], ignore: Sequence[str]
) -> list[Rule | PluggedRule]:
    for wanted in (*select, *ignore):
        if not any(_names(wanted, rule) for rule in every):
            raise PolicyError(
                f"no rule is called {wanted!r}",
                hint="rules: " + ", ".join(f"{rule.code} {rule.name}" for rule in every),
            )
    chosen = [
        rule
        for rule in every
        if (not select or any(_names(s, rule) for s in select)) and not any(_names(i, rule) for i in ignore)
    ]
    if not chosen:
        raise PolicyError("no rule is left to apply: an empty policy passes nothing")
    return chosen


def _names(wanted: str, rule: Rule | PluggedRule) -> bool:
    """``GP401``, a prefix ``GP4``, or the rule's name."""
    return rule.code.startswith(wanted) or rule.name == wanted


def _slice(share: object, config: Config) -> dict[str, object]:
    from genepool.gate._measures import SliceShare

    assert isinstance(share, SliceShare)  # noqa: S101  # built by _measures only
    ratio, floor = share.ratio, config.policy.human_ratio
    return {
        "column": share.column,
        "name": share.name,
        "n": ratio.n,
        "lower": ratio.lower,
        "upper": ratio.upper,
        "ok": True if ratio.lower >= floor else False if ratio.upper < floor else None,
    }


# ------------------------------------------------------------------------------------------- rules


def _diversity(m: Measures, config: Config) -> Failure | None:
    floor, index = config.policy.diversity, m.diversity
    if m.kept == 0:
        return None
    if index is None:
        return Failure("GP301", "undecided", f"no diversity index: {m.diversity_note}", "add images")
    if index.lower >= floor:
        return None
    spans = index.upper >= floor
    return Failure(
        "GP301",
        "undecided" if spans else "fail",
        f"style diversity {index.value:.2f} [{index.lower:.2f}, {index.upper:.2f}] "
        + (f"spans the floor {floor:.2f}" if spans else f"is below the floor {floor:.2f}"),
        f"bring back what is rare: genepool inject {shlex.quote(m.uri)} --plan --reserve POOL",
    )


def _duplicates(m: Measures, config: Config) -> Failure | None:
    ceiling, share = config.policy.near_duplicates, m.duplicates
    if share is None or share.value <= ceiling:
        return None
    return Failure(
        "GP303",
        "fail",
        f"{len(m.redundant):,} images ({share.value:.1%}) repeat another one, the ceiling is {ceiling:.0%}",
        f"leave them out: genepool export {shlex.quote(m.uri)} -o OUT",
        m.redundant,
    )


def _rights(m: Measures, config: Config) -> Failure | None:
    if not m.opted_out or config.policy.rights != "fail":
        return None
    return Failure(
        "GP501",
        "fail",
        f"{_images(m.opted_out)} whose owner does not allow training",
        f"leave them out: genepool export {shlex.quote(m.uri)} -o OUT",
        m.opted_out,
    )


def _nothing_left(m: Measures, config: Config) -> Failure | None:
    if m.kept:
        return None
    counts = Counter(case.reason for case in _aside(m, config))
    reasons = ", ".join(f"{n:,} {why}" for why, n in counts.most_common())
    return Failure(
        "GP601",
        "fail",
        (
            f"nothing is left to train on: {m.n:,} readable images, all set aside"
            if m.n
            else "no image could be read"
        )
        + (f": {reasons}" if reasons else ""),
        _way_out(m, config),
    )


def _way_out(m: Measures, config: Config) -> str:
    """What brings images back: by what set them aside, the readable ones first."""
    if m.maybe_toxic and config.generation.unknown == "exclude":
        return (
            "say what their model was trained on: genepool register model NAME --trained-on …, "
            "then genepool register outputs FOLDER --model NAME"
        )
    if m.opted_out and config.policy.rights == "exclude":
        return "their owners do not allow training (genepool explain GP501): add images that may be used"
    return f"each file with its reason: genepool scan {shlex.quote(m.uri)}"


def _images(cases: Sequence[Case]) -> str:
    return "1 image" if len(cases) == 1 else f"{len(cases):,} images"


RULES: tuple[Rule, ...] = (
    Rule("GP101", "human-ratio", human),
    Rule("GP102", "human-ratio-slice", human_slices),
    Rule("GP103", "human-checkpoint", checkpoint),
    Rule("GP301", "diversity", _diversity),
    Rule("GP303", "near-duplicates", _duplicates),
    Rule("GP401", "generation", toxic),
    Rule("GP402", "generation-unknown", maybe_toxic),
    Rule("GP403", "generation-claim", contradictions),
    Rule("GP501", "rights", _rights),
    Rule("GP601", "nothing-left", _nothing_left),
)


# ------------------------------------------------------------------------------------------- lines


def _line(
    name: str,
    title: str,
    e: Estimate | RatioEstimate,
    bound: float | None,
    side: Literal["floor", "ceiling"],
    holds: bool | None,
    *,
    value: float | None = None,
) -> Measure:
    """A line from an estimate."""
    middle = float(e) if value is None else value
    return Measure(name, title, middle, e.lower, e.upper, e.n, e.method, bound, side, holds)


def _lines(m: Measures, config: Config, found: Mapping[str, str], applied: Set[str]) -> dict[str, Measure]:
    """The numbers that people read, in reading order, each with its bound and whether it holds."""

    def ok(*codes: str) -> bool | None:
        states = [found[c] for c in codes if c in found]
        if not states and (not m.kept or applied.isdisjoint(codes)):
            return None  # nothing was left to measure, or nobody asked
        return False if "fail" in states else None if states else True

    policy = config.policy
    lines = [
        # What is guaranteed, not the middle of an interval.
        _line("human_ratio", "human", m.human, policy.human_ratio, "floor", ok("GP101"), value=m.human.lower),
        *generation_lines(m, config, ok),
    ]
    if m.diversity is not None:
        lines.append(_line("diversity", "diversity", m.diversity, policy.diversity, "floor", ok("GP301")))
    else:
        nothing, floor, holds = (None, None, None), policy.diversity, ok("GP301")
        name, method = "diversity", "not measured"
        lines.append(Measure(name, name, *nothing, m.kept, method, floor, "floor", holds, m.diversity_note))
    if m.duplicates is not None:
        ceiling = policy.near_duplicates
        lines.append(_line("near_duplicates", "duplicates", m.duplicates, ceiling, "ceiling", ok("GP303")))
    share = len(m.opted_out) / m.n if m.n else 0.0
    method = "share of images with a machine-readable opt-out; every readable image was looked at"
    said = f"{_images(m.opted_out)} opted out" if m.opted_out else ""
    opted = Measure("opted_out", "rights", share, share, share, m.n, method, ok=ok("GP501"), note=said)
    lines.append(replace(opted, bound=0.0, bound_kind="ceiling") if policy.rights == "fail" else opted)
    return {line.name: line for line in lines}
