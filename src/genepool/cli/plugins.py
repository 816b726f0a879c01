"""``genepool plugins list``: which parts are installed."""

from __future__ import annotations

import click

from genepool.cli._options import emit_json
from genepool.plugins import GROUPS


@click.group("plugins")
def command() -> None:
    """Detectors, embedders, sources, engines: what is installed and where it comes from."""


@command.command("list")
@click.argument("group", type=click.Choice(GROUPS), required=False)
@click.option("--match", "pattern", default="*", metavar="GLOB", help="Only names that match, like onnx*.")
@click.option("--format", "output", type=click.Choice(["text", "json"]), default="text", show_default=True)
def listing(group: str | None, pattern: str, output: str) -> int:
    """Name, object and distribution of every plug-in, or of one GROUP. Nothing is imported."""
    from genepool.plugins import entries

    found = [entry for name in ([group] if group else GROUPS) for entry in entries(name, pattern)]
    if output == "json":
        emit_json({"schema": "genepool.plugins/1", "plugins": [entry._asdict() for entry in found]})
        return 0
    if not found:
        click.echo("none")
        return 0
    rows = [("group", "name", "from", "object")]
    rows += [(e.group, e.name, f"{e.distribution} {e.version}", e.target) for e in found]
    widths = [max(len(row[i]) for row in rows) for i in range(3)]
    for row in rows:
        head = "  ".join(cell.ljust(width) for cell, width in zip(row[:3], widths, strict=True))
        click.echo(f"{head}  {row[3]}")
    return 0
