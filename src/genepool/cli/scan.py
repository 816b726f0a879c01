"""``genepool scan PATH``: read every image once into the workspace."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

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
    from genepool.store import Catalogue, Changes

__all__ = ["command"]

_SHOWN = 10


@click.command("scan")
@click.argument("path")
@click.option("--rescan", is_flag=True, help="Read everything again, whatever is known.")
@workers_option
@format_option
@config_option
@workspace_option
def command(
    path: str,
    rescan: bool,
    workers: int | None,
    output: str,
    config_file: str | None,
    workspace: str | None,
) -> None:
    """Read every image of PATH once: digests, marks, style; what cannot be read is listed with its reason.

    A second scan of an unchanged set looks at file times only; an interrupted one goes on where it stopped.
    """
    from genepool import dataset, scan
    from genepool.cli._progress import progress
    from genepool.compute import lean

    config = settings(config_file, workers)
    lean(patient=True)
    opened = dataset.open(path, workspace=workspace)
    with progress() as report:
        catalogue = scan.scan(opened, config=config, progress=report, rescan=rescan)
    if output == "json":
        emit_json(summary(catalogue))
    elif output == "github":
        for case in catalogue.cases():
            click.echo(f"::warning file={case.uri}::{case.reason}: {_escaped(case.message)}")
    else:
        click.echo("\n".join(lines(catalogue)))


def summary(catalogue: Catalogue) -> dict[str, Any]:
    """The object ``genepool.scan/1``."""
    stats = catalogue.stats
    cases = catalogue.cases()
    return {
        "schema": "genepool.scan/1",
        "dataset": {"uri": catalogue.dataset.uri, "n": catalogue.n, "root": catalogue.root().hex()},
        "workspace": catalogue.workspace.where,
        "plan": catalogue.plan,
        "new": stats.n_new,
        "reused": stats.n_reused,
        "seconds": round(stats.seconds, 3),
        "images_per_second": round(stats.images_per_second, 1),
        "workers": stats.workers,
        "probe_failures": dict(stats.failures),
        "damaged_parts": list(stats.damaged),
        "changes": None if stats.changes is None else stats.changes.to_json(),
        "remarks": list(stats.remarks),
        "set_aside": {
            "n": len(cases),
            "cases": _counted([case.reason for case in cases]),
            "images": [{"uri": c.uri, "reason": c.reason, "message": c.message} for c in cases],
        },
    }


def lines(catalogue: Catalogue) -> list[str]:
    """The same for people."""
    stats = catalogue.stats
    cases = catalogue.cases()
    speed = f", {stats.images_per_second:,.0f} images/s with {stats.workers} workers" if stats.n_new else ""
    out = [
        f"{catalogue.dataset.uri}: {catalogue.n:,} images "
        f"({stats.n_new:,} read, {stats.n_reused:,} known) in {stats.seconds:.1f} s{speed}"
    ]
    out += _changed(stats.changes)
    if cases:
        reasons = ", ".join(f"{n:,} {reason}" for reason, n in _counted([c.reason for c in cases]).items())
        out.append(f"set aside: {len(cases):,} ({reasons})")
        out += [f"  {case.uri}: {case.reason}: {case.message}" for case in cases[:_SHOWN]]
        if len(cases) > _SHOWN:
            out.append(f"  … and {len(cases) - _SHOWN:,} more: genepool scan PATH --format json")
    out += [f"probe {name} failed on {n:,} images: see column `note`" for name, n in stats.failures.items()]
    out += [f"damaged and read anew: {part}" for part in stats.damaged]
    out += [f"remark: {text}" for text in stats.remarks]
    out += [f"workspace: {catalogue.workspace.where}", f"next: genepool check {catalogue.dataset.uri}"]
    return out


def _changed(changes: Changes | None) -> list[str]:
    """What became of the set since its last scan, the first images named."""
    if not changes:
        return []
    kinds = (("added", "+"), ("removed", "-"), ("changed", "~"))
    counts = ", ".join(f"{n:,} {kind}" for kind, _ in kinds if (n := getattr(changes, kind)))
    out = [f"since the last scan: {counts}"]
    for kind, sign in kinds:
        named = changes.uris.get(kind, ())[:_SHOWN]
        out += [f"  {sign} {uri}" for uri in named]
        if (more := getattr(changes, kind) - len(named)) > 0:
            out.append(f"  {sign} … and {more:,} more")
    return out


def _counted(words: list[str]) -> dict[str, int]:
    return {word: words.count(word) for word in sorted(set(words))}


def _escaped(text: str) -> str:
    # GitHub's own escapes for workflow commands.
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
