"""``genepool compose POOLS... --size N``: the best blend of several pools, and what the policy costs."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

import click

from genepool.cli._options import (
    config_option,
    emit_json,
    format_option,
    settings,
    workers_option,
    workspace_option,
)

if TYPE_CHECKING:
    from genepool.injection import Composition, Price, Serving

__all__ = ["command"]

_SHOWN = 40
_WORDS = {
    "human_ratio": "human quota",
    "generation": "generation rule",
    "unknown generation": "unknown generations left out",
    "rights": "opt-outs left out",
    "repeats": "no image twice",
}


@click.command("compose")
@click.argument("pools", nargs=-1, required=True)
@click.option("--size", type=int, required=True, metavar="N", help="Images wanted.")
@click.option("-o", "--output", "out", metavar="OUT", help="Write the chosen images to this new folder.")
@click.option(
    "--balance",
    type=click.FloatRange(0, 1),
    default=0.5,
    show_default=True,
    help="0 looks at expected retention only, 1 at style diversity only.",
)
@click.option("--human-ratio", type=float, metavar="SHARE", help="Least verified human share.")
@workers_option
@format_option
@config_option
@workspace_option
def command(
    pools: tuple[str, ...],
    size: int,
    out: str | None,
    balance: float,
    human_ratio: float | None,
    workers: int | None,
    output: str,
    config_file: str | None,
    workspace: str | None,
) -> int:
    """Choose how much of each cohort and model to take of POOLS for a set of N images.

    The blend maximises expected retention and style diversity under the policy. The second table says what
    each constraint costs: the best blend without it.
    """
    from genepool import injection

    config = settings(config_file, workers)
    found = injection.compose(
        pools, size, balance=balance, human_ratio=human_ratio, workspace=workspace, config=config
    )
    manifest = found.export(out) if out else None
    if output == "json":
        emit_json({**found.to_json(), "written": None if manifest is None else str(manifest.path)})
        return 0
    lines = [_headline(found), ""]
    lines += _servings(found)
    lines += ["", "What each constraint costs (the best blend without it):"]
    lines += [f"  {_price(price, found)}" for price in found.prices] or ["  none applies"]
    if manifest is not None and out is not None:
        lines += ["", f"{manifest.n:,} images written to {manifest.path}"]
        lines.append(f"Next: genepool check {shlex.quote(out)}")
    else:
        lines += ["", "Next: the same with -o OUT writes the set"]
    click.echo("\n".join(lines))
    return 0


def _headline(found: Composition) -> str:
    index = found.diversity
    return (
        f"{found.size:,} images: {found.human:.1%} verified human · expected retention {found.retention:.3f} "
        f"· mean generation {found.mean_generation:.2f} · style diversity {index.value:.2f} "
        f"[{index.lower:.2f}, {index.upper:.2f}] · within {found.gap:.1g} of the best score"
    )


def _servings(found: Composition) -> list[str]:
    names = {uri: uri.rstrip("/").rpartition("/")[2] for uri in (pool.uri for pool in found.pools)}
    rows: list[tuple[str, ...]] = [("take", "of", "pool", "cohort or model", "gen", "retains", "")]
    rows += [_row(serving, names[serving.pool]) for serving in found.servings[:_SHOWN]]
    widths = [max(len(row[k]) for row in rows) for k in range(7)]
    lines = []
    for row in rows:
        cells = [
            cell.rjust(width) if k in (0, 1, 5) else cell.ljust(width)
            for k, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append(("  " + "  ".join(cells)).rstrip())
    if len(found.servings) > _SHOWN:
        lines.append(f"  … and {len(found.servings) - _SHOWN} smaller groups (--format json)")
    return lines


def _row(serving: Serving, pool: str) -> tuple[str, ...]:
    lo, hi = serving.generation
    generation = f"{lo}+" if hi is None else str(lo) if lo == hi else f"{lo}-{hi}"
    note = f"left out: {serving.reason}" if serving.reason else ""
    if serving.worth > 1e-4 and serving.taken == serving.available:
        note = "all of it; more would help"
    label = "".join(c if c.isprintable() else "·" for c in serving.label)[:40]
    return (
        f"{serving.taken:,}",
        f"{serving.available:,}",
        pool[:24],
        label,
        generation,
        f"{serving.retention:.2f}",
        note,
    )


def _price(price: Price, found: Composition) -> str:
    word = _WORDS.get(price.constraint, price.constraint)
    if not price.binding:
        return f"{word}: nothing"
    text = (
        f"{word}: score {found.score:+.3f} → {price.score:+.3f}, retention {found.retention:.3f} → "
        f"{price.retention:.3f}, effective styles {found.styles:.1f} → {price.styles:.1f}"
    )
    if price.multiplier == price.multiplier:
        text += f"; {price.multiplier:.4f} a percentage point"
    elif price.images:
        text += f" ({price.images:,} images)"
    return text
