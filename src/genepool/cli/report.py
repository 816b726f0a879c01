"""``genepool report PATH``: write the page again from what the workspace holds."""

from __future__ import annotations

from pathlib import Path

import click

from genepool.cli._options import emit_json, format_option, workspace_option


@click.command("report")
@click.argument("path")
@click.option(
    "-o", "--output-file", "target", metavar="FILE", help="Where to write (default: the workspace)."
)
@format_option
@workspace_option
def command(path: str, target: str | None, output: str, workspace: str | None) -> int:
    """Write the report of PATH's last decision again; nothing is scanned or judged anew.

    One HTML page of at most 2 MB that needs neither network nor script.
    """
    from genepool import dataset, gate, store
    from genepool.compute import lean
    from genepool.provenance import holds_exactly
    from genepool.report import ORIGINS, write

    lean()
    opened = dataset.open(path)
    place = store.workspace_for(opened, workspace)
    with place.lock():
        decision = gate.load_decision(place)
        listing = store.read_listing(place, opened)
        catalogue = None if listing is None else store.Catalogue(opened, place, listing)
        # The list of the checked set's images is compared first: far quicker than another tree of hashes.
        if catalogue is None or not (
            holds_exactly(place.root, decision.root, catalogue.digests())
            or catalogue.root().hex() == decision.root
        ):
            click.echo(
                f"note: the images changed since this decision; genepool check {path} decides anew", err=True
            )
        file = Path(target) if target else place.report
        size = write(decision, catalogue, None if catalogue is None else catalogue.origins(ORIGINS), file)
    if output == "json":
        emit_json(
            {"schema": "genepool.report/1", "file": str(file), "bytes": size, "status": decision.status}
        )
    elif output == "github":
        click.echo(f"::notice title=genepool::{decision.status.upper()}, report in {file}")
    else:
        click.echo(f"Report: {file} ({size / 1000:,.0f} kB) · {decision.status.upper()}")
    return 0
