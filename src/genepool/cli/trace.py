"""``genepool trace IMAGE|MODEL``: what it reached."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from genepool.cli._ledger_place import digest_of, nearby_workspace
from genepool.cli._options import config_option, emit_json, format_option, settings, workspace_option
from genepool.errors import UsageError

if TYPE_CHECKING:
    from genepool.config import Config
    from genepool.provenance import Trace, Trail


@click.command("trace")
@click.argument("what")
@format_option
@config_option
@workspace_option
def command(what: str, output: str, config_file: str | None, workspace: str | None) -> int:
    """List the sets, models and certificates that an image (a file) or a model (a name) reached.

    That is what a withdrawal of it would touch. Every log that the workspace reads is audited first.
    """
    _, found = traced(what, workspace, settings(config_file))
    if output == "json":
        emit_json({"schema": "genepool.trace/1", **found.to_json()})
        return 0
    click.echo(found.start)
    for one in found.reached:
        detail = f" ({one.detail})" if one.detail else ""
        via = f", through {one.via}" if one.steps > 1 else ""
        click.echo(f"  {one.kind} {one.name}{detail}{via}")
    if not found.reached:
        click.echo("  reached nothing that the logs know of")
    for root in found.unknown:
        click.echo(f"  set {root} may hold it, too: its list of members is not kept here")
    counts = ", ".join(
        f"{len(names)} {kind}{'s' if len(names) > 1 else ''}"
        for kind in ("cohort", "dataset", "model", "certificate")
        if (names := found.names(kind))
    )
    click.echo(f"A withdrawal would touch {counts or 'nothing'}.")
    return 0


def traced(what: str, workspace: str | None, config: Config) -> tuple[Trail, Trace]:
    """The logs, and what an image (a file), a model or a cohort (a name) reached in them.

    Raises:
        UsageError: Neither a file nor registered.
        IntegrityError: A log does not verify.
    """
    from genepool import provenance, store

    is_file = Path(what).is_file()
    near = digest_of(what)[1] if is_file else None
    usable = near if near is not None and (near / "ledger").is_dir() else None
    place = store.Workspace(workspace or usable or nearby_workspace())
    trail = provenance.open_trail(place, config)
    if is_file:
        return trail, provenance.trace_image(trail, digest_of(what)[0])
    if what in trail.models:
        return trail, provenance.trace_model(trail, what)
    if what in trail.cohorts:
        return trail, provenance.trace_cohort(trail, what)
    raise UsageError(
        f"trace {what!r}: expected an image file or a registered model or cohort, found neither",
        hint=f"registered: {', '.join([*trail.models, *trail.cohorts]) or 'nothing'}",
    )
