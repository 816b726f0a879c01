"""``genepool inject PATH --plan|--apply [--reserve POOL] -o OUT``: bring diversity back, after saying how."""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

import click

from genepool.cli._options import (
    config_option,
    emit_json,
    format_option,
    settings,
    workers_option,
    workspace_option,
)
from genepool.cli._progress import progress
from genepool.errors import UsageError

if TYPE_CHECKING:
    from genepool.injection import Injected, InjectionPlan

__all__ = ["command"]

_SHOWN = 8


@click.command("inject")
@click.argument("path")
@click.option("--plan", "action", flag_value="plan", help="Say what would change, and change nothing.")
@click.option("--apply", "action", flag_value="apply", help="Carry the plan out into OUT.")
@click.option("--reserve", metavar="POOL", help="Further images to draw on.")
@click.option("-o", "--output", "out", metavar="OUT", help="The new set: a folder that does not exist yet.")
@click.option("--floor", type=float, metavar="INDEX", help="Index to reach (default: policy.diversity).")
@click.option("--human-ratio", type=float, metavar="SHARE", help="Least verified human share.")
@click.option(
    "--quality-drop",
    type=float,
    metavar="POINTS",
    help="By how much mean quality may fall (default: 5 % of its scale; inf: it is not measured).",
)
@click.option(
    "--transfer",
    "transfers",
    type=click.IntRange(min=0),
    default=0,
    metavar="N",
    help="Make up to N pictures after under-represented artists; they count as machine-made.",
)
@click.option(
    "--style",
    default="strokes",
    show_default=True,
    metavar="NAME[:ARG]",
    help="How they are made: colour, marks, strokes, onnx:FILE#MODEL or a plug-in.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Of whatever is drawn at random.")
@workers_option
@format_option
@config_option
@workspace_option
def command(
    path: str,
    action: Literal["plan", "apply"] | None,
    reserve: str | None,
    out: str | None,
    floor: float | None,
    human_ratio: float | None,
    quality_drop: float | None,
    transfers: int,
    style: str,
    seed: int,
    workers: int | None,
    output: str,
    config_file: str | None,
    workspace: str | None,
) -> int:
    """Raise the style diversity of PATH: bring in rare images of a reserve, thin out what is too common.

    PATH itself is never changed. Ends with 0 where the plan may be (or was) carried out, with 1 where not.
    """
    from genepool import injection

    if action is None:
        raise UsageError("inject: expected --plan or --apply, found neither", hint="add --plan to look first")
    if action == "apply" and out is None:
        raise UsageError("inject: expected -o OUT with --apply, found none", hint="add -o OUT")
    config = settings(config_file, workers)
    with progress("quality") as report:
        plan = injection.plan_injection(
            path,
            reserve=reserve,
            floor=floor,
            human_ratio=human_ratio,
            quality_drop=quality_drop,
            transfers=transfers,
            style=style,
            seed=seed,
            workspace=workspace,
            config=config,
            progress=_counted(report),
        )
    done = None
    if action == "apply" and out is not None:
        with progress("pictures") as report:
            done = plan.write(out, progress=_counted(report))
    if output == "json":
        emit_json({**plan.to_json(), "applied": None if done is None else done.to_json()})
    else:
        click.echo("\n".join(_plan_lines(plan) if done is None else _done_lines(plan, done)))
        if done is None and plan.accepted:
            click.echo(f"Next: {_again(click.get_current_context())}")
        elif done is not None and out is not None and done.written:
            click.echo(f"Next: genepool check {shlex.quote(out)}")
    good = plan.accepted if done is None else done.written
    return 0 if good or _nothing_to_do(plan) else 1


def _again(context: click.Context) -> str:
    """The command that carries out what was planned: every option that was given, and where it is to go."""
    words = ["genepool", "inject", shlex.quote(str(context.params["path"])), "--apply"]
    for option in context.command.params:
        name = option.name or ""
        source = context.get_parameter_source(name)
        if not isinstance(option, click.Option) or source is not click.core.ParameterSource.COMMANDLINE:
            continue
        if name not in ("action", "out", "output"):
            words += [max(option.opts, key=len), shlex.quote(str(context.params[name]))]
    return " ".join([*words, "-o", shlex.quote(context.params["out"] or "OUT")])


def _counted(report: Callable[[int, int, int, float], None] | None) -> Callable[[int, int], None] | None:
    """The bar's report, for work that knows how much is done and how much there is."""
    if report is None:
        return None
    started = time.monotonic()

    def count(done: int, total: int) -> None:
        report(done, total, 0, done / max(time.monotonic() - started, 1e-9))

    return count


def _nothing_to_do(plan: InjectionPlan) -> bool:
    return any(reason.startswith("nothing to do") for reason in plan.reasons)


def _plan_lines(plan: InjectionPlan) -> list[str]:
    before, after = plan.before, plan.after
    word = "may be carried out" if plan.accepted else "may not be carried out"
    lines = [
        f"Plan ({plan.method}): {word}",
        f"  style diversity  {before.value:.2f} [{before.lower:.2f}, {before.upper:.2f}] → {after.value:.2f} "
        f"[{after.lower:.2f}, {after.upper:.2f}]",
        f"  verified human   {plan.human[0]:.1%} → {plan.human[1]:.1%}",
        f"  images           {before.n:,} → {len(plan.kept) + len(plan.added) + len(plan.transfers):,} "
        f"({len(plan.dropped):,} go, {len(plan.added):,} come in, {len(plan.transfers):,} to be made)",
    ]
    if plan.outliers:
        lines.append(f"  outliers         {plan.outliers:,} of those that come in, each made by a person")
    if plan.quality is not None:
        change = plan.quality
        lines.append(
            f"  mean quality     {change.before:.1f} → {change.after:.1f}, {change.name}, "
            f"{change.n_before:,} and {change.n_after:,} images measured"
        )
    if plan.gap == plan.gap:
        lines.append(
            f"  duality gap      {plan.gap:.2g}: no weighting at this cap holds more than {plan.optimum:.1f} "
            "styles"
        )
    lines += [
        f"  make             {_clean(transfer.content[1])} after {_clean(transfer.artist)}"
        for transfer in plan.transfers[:_SHOWN]
    ]
    if len(plan.transfers) > _SHOWN:
        lines.append(f"  … and {len(plan.transfers) - _SHOWN:,} more (--format json)")
    return [*lines, *(f"  {_clean(reason, 400)}" for reason in plan.reasons)]


def _done_lines(plan: InjectionPlan, done: Injected) -> list[str]:
    before, after = done.before, done.after
    if not done.written:
        return [
            "Not carried out; nothing was written.",
            *(f"  {_clean(reason, 400)}" for reason in done.reasons),
        ]
    assert done.manifest is not None  # noqa: S101  # written: there is one
    lines = [
        f"{done.manifest.n:,} images written to {done.manifest.path} ({plan.method})",
        f"  style diversity  {before.value:.2f} [{before.lower:.2f}, {before.upper:.2f}] → {after.value:.2f} "
        f"[{after.lower:.2f}, {after.upper:.2f}], measured",
        f"  guaranteed human {done.human[0]:.1%} → {done.human[1]:.1%}",
    ]
    if done.registration is not None:
        lines.append(
            f"  pictures made    {len(done.made):,} taken, {len(done.refused):,} not; registered as "
            f"{_clean(done.registration.model)}"
        )
    lines += [f"  not taken        {name}: {why}" for name, why in list(done.refused.items())[:_SHOWN]]
    return [*lines, *(f"  {_clean(reason, 400)}" for reason in done.reasons)]


def _clean(text: str, most: int = 60) -> str:
    return "".join(c if c.isprintable() else "·" for c in text)[:most]
