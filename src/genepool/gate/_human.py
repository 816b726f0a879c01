"""The rules about people's work: the certified share, its slices, and the checkpoint of verdicts."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from genepool.records import Failure

if TYPE_CHECKING:
    from genepool.config import Config
    from genepool.gate._measures import Measures

__all__ = ["checkpoint", "human", "human_slices"]


def human(m: Measures, config: Config) -> Failure | None:
    """GP101: the guaranteed share, verified images counted and the rest audited, against its floor."""
    floor, ratio = config.policy.human_ratio, m.human
    if m.kept == 0 or ratio.lower >= floor:
        return None
    audited = m.certificate.n_labels if m.certificate is not None else 0
    by = f" (certified with {audited:,} answers of people, alpha = {ratio.alpha:g})" if audited else ""
    if ratio.upper < floor:
        drop = _surplus(ratio.upper, floor, m.kept)
        kind = "machine-made images" if audited else "the images known to be AI"
        return Failure(
            "GP101",
            "fail",
            f"at most {ratio.upper:.1%} of the images can be human-made{by}, the floor is {floor:.0%}",
            f"leave out at least {drop:,} of {kind}, or add human work: {_register(m)}",
        )
    missing = max(1, _ceil(floor * m.kept) - round(ratio.lower * m.kept))
    return Failure(
        "GP101",
        "undecided",
        f"human share lies between {ratio.lower:.1%} and {ratio.upper:.1%}{by}, the floor is {floor:.0%}: "
        f"{missing:,} more of the {m.kept:,} images must be shown to be human-made{_needs(m)}",
        f"let people look: {_review(m)}; or attest the folders whose authors you know: {_register(m)}",
    )


def _needs(m: Measures) -> str:
    """What it takes to decide by sight, and whose answers do not count yet."""
    found = m.certificate
    if found is None or found.plan is None:
        return ""
    text = f". By a random audit: {found.plan.sentence()}"
    for name, why in (found.refused or {}).items():
        text += f"; the answers of {name} do not count: {why}"
    if found.waiting:
        text += f"; {found.waiting:,} answered images wait for another reviewer"
    return text


def _review(m: Measures) -> str:
    return f"genepool review {shlex.quote(m.uri)} --workspace {shlex.quote(m.workspace)}{_controls(m)}"


def _controls(m: Measures) -> str:
    """Where a plan rests on known images that nobody has judged yet, or on too few: the option for them."""
    plan = m.certificate.plan if m.certificate is not None else None
    if plan is None or not (plan.controls or any(labels is None for _, labels in plan.labels)):
        return ""
    return " --controls DIR (known images in DIR/human and DIR/ai, 100 of each)"


def _register(m: Measures) -> str:
    return f"genepool register human FOLDER --workspace {shlex.quote(m.workspace)}"


def _ceil(value: float) -> int:
    return -int(-value // 1)


def _surplus(upper: float, floor: float, n: int) -> int:
    """AI images to drop so that the possible human images reach the floor: n − upper·n/floor, rounded up."""
    return max(1, _ceil(n - upper * n / floor)) if floor > 0 else 0


def human_slices(m: Measures, config: Config) -> Failure | None:
    """GP102: no slice of the set may be proven to be below the floor."""
    floor = config.policy.human_ratio
    bad = [s for s in m.slices if s.ratio.upper < floor]
    if not bad:
        return None
    worst = ", ".join(f"{s.column} {s.name!r} ≤ {s.ratio.upper:.0%} (n={s.ratio.n})" for s in bad[:3])
    return Failure(
        "GP102",
        "fail",
        f"{len(bad)} slices are below the floor of {floor:.0%} although the whole may not be: {worst}",
        "add human work to these slices, or change policy.slices in genepool.toml",
    )


def checkpoint(m: Measures, config: Config) -> Failure | None:
    """GP103: people have looked at this set, and at the outputs of each model in it."""
    need, each = config.review.checkpoint, config.review.checkpoint_outputs
    short = []
    if m.verdicts < need:
        short.append(f"{m.verdicts:,} people's verdicts on this set, the checkpoint asks for {need:,}")
    for name, (judged, n) in sorted(m.models.items()):
        wanted = min(each, n)
        if judged < wanted:
            short.append(f"{judged:,} on the outputs of {name}, {wanted:,} are asked for")
    if not short:
        return None
    return Failure("GP103", "undecided", "; ".join(short), f"let people look: {_review(m)}")
